// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/test/coffertest"
)

var update = flag.Bool("update", false, "write the audit records of testdata/records")

// golden is a table of audit records by what was done: all of their members, as clients
// of CloudTrail read them. What no two runs have in common is replaced, and the same by
// the same; so ids that name one another still do.
type golden struct {
	*coffertest.Server
	name  string
	known []string // what has a name of its own in the table, and the name
	rows  map[string]json.RawMessage
	order []string
}

// records begins a table; it is held against its file when the test ends.
func records(s *coffertest.Server, name string) *golden {
	return &golden{Server: s, name: name, rows: map[string]json.RawMessage{}}
}

// call gives what stands in records a name.
func (g *golden) call(name, what string) string {
	g.known = append(g.known, what, name)
	return what
}

// lines returns the trail's records from the nth on.
func (g *golden) lines(n int) (out []json.RawMessage) {
	g.T.Helper()
	if err := g.Core.FlushAudit(); err != nil {
		g.T.Fatal(err)
	}
	i := 0
	err := audit.Read(g.T.Context(), server.AuditDir(g.Dir), audit.Filter{}, func(e audit.Entry) error {
		if i++; i > n {
			out = append(out, e.JSON)
		}
		return nil
	})
	if err != nil {
		g.T.Fatal(err)
	}
	return out
}

// row does something and takes the records of it.
func (g *golden) row(what string, do func()) { g.rowOf(what, "", do) }

// rowOf is row that takes those of one event: services may do something of their own
// meanwhile.
func (g *golden) rowOf(what, event string, do func()) {
	g.T.Helper()
	before := len(g.lines(0))
	do()
	lines := slices.DeleteFunc(g.lines(before), func(line json.RawMessage) bool {
		return event != "" && !bytes.Contains(line, []byte(`"eventName":"`+event+`"`))
	})
	if _, twice := g.rows[what]; twice {
		g.T.Fatalf("two rows are %q", what)
	}
	g.rows[what] = g.normal(lines)
	g.order = append(g.order, what)
}

var (
	volatile = []struct {
		name string
		find *regexp.Regexp
	}{
		{"UUID", regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)},
		{"MATERIAL", regexp.MustCompile(`\b[0-9a-f]{64}\b`)},
		{"$1", regexp.MustCompile(`\b(AIDA|AROA|AGPA|ANPA|AKIA|ASIA)[A-Z0-9]{12,}\b`)},
		{"REQUEST", regexp.MustCompile(`\b[0-9A-Z]{16}\b`)},
	}
	times     = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	signTimes = regexp.MustCompile(`\b\d{8}T\d{6}Z\b`)
	agents    = regexp.MustCompile(`aws-sdk-go-v2[^"\]]*`)
	ports     = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	// drawn are members whose values are random, each with its name.
	drawn = map[string]string{
		"x-amz-id-2": "ID2", "versionId": "VERSION", "x-amz-version-id": "VERSION", "x-amz-copy-source-version-id": "VERSION", "uploadId": "UPLOAD",
		"cipherSuite": "SUITE", "CipherSuite": "SUITE", "grantId": "GRANT",
	}
)

// normal writes records without what only this run has.
func (g *golden) normal(lines []json.RawMessage) json.RawMessage {
	g.T.Helper()
	all := make([]any, len(lines))
	for i, line := range lines {
		if err := json.Unmarshal(line, &all[i]); err != nil {
			g.T.Fatal(err)
		}
	}
	slices.SortStableFunc(all, func(a, b any) int { return strings.Compare(sortKey(a), sortKey(b)) })
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("  ", "  ")
	numbers := map[string]map[string]string{}
	number := func(kind, text string) string {
		if numbers[kind] == nil {
			numbers[kind] = map[string]string{}
		}
		if numbers[kind][text] == "" {
			numbers[kind][text] = fmt.Sprint(kind, "-", len(numbers[kind])+1)
		}
		return numbers[kind][text]
	}
	if err := e.Encode(named(all, "", number)); err != nil {
		g.T.Fatal(err)
	}
	text := b.String()
	for i := 0; i < len(g.known); i += 2 {
		text = strings.ReplaceAll(text, g.known[i], g.known[i+1])
	}
	for _, v := range volatile {
		text = v.find.ReplaceAllStringFunc(text, func(found string) string {
			return number(strings.ReplaceAll(v.name, "$1", found[:4]), found)
		})
	}
	text = times.ReplaceAllString(text, "TIME")
	text = signTimes.ReplaceAllString(text, "TIME")
	text = agents.ReplaceAllString(text, "SDK")
	text = ports.ReplaceAllString(text, "127.0.0.1:PORT")
	return json.RawMessage(text)
}

// named replaces the values of members that are random.
func named(v any, member string, number func(kind, text string) string) any {
	switch v := v.(type) {
	case map[string]any:
		for name, m := range v {
			v[name] = named(m, name, number)
		}
	case []any:
		for i := range v {
			v[i] = named(v[i], member, number)
		}
	case string:
		if kind := drawn[member]; kind != "" && v != "" && v != "null" {
			return number(kind, v)
		}
	}
	return v
}

// sortKey orders the records of one row whose order is nobody's promise: those of the
// objects that one request deletes.
func sortKey(v any) string {
	r := v.(map[string]any)
	if r["eventName"] != "DeleteObject" && r["eventName"] != "DeleteObjects" {
		return ""
	}
	p, _ := r["requestParameters"].(map[string]any)
	return fmt.Sprint(r["eventName"], p["key"], r["recipientAccountId"])
}

// done holds the table against its file: a member more or less, or another value, is
// an error.
func (g *golden) done() {
	g.T.Helper()
	file := filepath.Join("testdata", "records", g.name+".json")
	var b bytes.Buffer
	b.WriteString("{\n")
	for i, what := range g.order {
		name, err := json.Marshal(what)
		if err != nil {
			g.T.Fatal(err)
		}
		fmt.Fprintf(&b, "  %s: %s", name, bytes.TrimSpace(g.rows[what]))
		if i < len(g.order)-1 {
			b.WriteString(",")
		}
		b.WriteString("\n")
	}
	b.WriteString("}\n")
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			g.T.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		g.T.Fatal(err)
	}
	var want map[string]any
	if err := json.Unmarshal(text, &want); err != nil {
		g.T.Fatalf("%s: %v", file, err)
	}
	for _, what := range g.order {
		var got any
		if err := json.Unmarshal(g.rows[what], &got); err != nil {
			g.T.Fatal(err)
		}
		have, wanted := flat{}, flat{}
		leaves(have, "", got)
		leaves(wanted, "", want[what])
		for path, value := range wanted {
			if v, there := have[path]; !there {
				g.T.Errorf("%s: %s is missing, want %q", what, path, value)
			} else if v != value {
				g.T.Errorf("%s: %s is %q, want %q", what, path, v, value)
			}
		}
		for path, value := range have {
			if _, there := wanted[path]; !there {
				g.T.Errorf("%s: nobody knows %s, which is %q", what, path, value)
			}
		}
		delete(want, what)
	}
	for what := range want {
		g.T.Errorf("%s: no such row any more", what)
	}
}

// leaves is flatten that tells a text from a number, and what is empty from what is not
// there.
func leaves(into flat, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			into[path] = "{}"
		}
		for name, member := range v {
			leaves(into, strings.TrimPrefix(path+"."+name, "."), member)
		}
	case []any:
		if len(v) == 0 {
			into[path] = "[]"
		}
		for i, member := range v {
			leaves(into, fmt.Sprint(path, ".", i), member)
		}
	default:
		into[path] = fmt.Sprintf("%#v", v)
	}
}

// s3 sends an S3 request that is signed by the first account's root.
func (g *golden) s3(method, target, body string, headers ...string) answer {
	g.T.Helper()
	return request{method: method, target: target, body: body, headers: append([]string{"User-Agent", "golden/1.0"}, headers...)}.do(g.Server)
}

// kms makes a call of KMS.
func (g *golden) kms(operation, body string) answer {
	g.T.Helper()
	return kmsCall(g.Server, operation, body, func(r *request) { r.headers = append(r.headers, "User-Agent", "golden/1.0") })
}
