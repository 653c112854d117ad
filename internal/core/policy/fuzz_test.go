// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	. "github.com/cofferstore/coffer/internal/core/policy"
)

// FuzzParse: a document that is taken is JSON to others too, is read the same again, and
// stays a document when the values of its conditions are written anew.
func FuzzParse(f *testing.F) {
	for kind := range kinds {
		f.Add(uint8(kind), `{"Version":"2012-10-17","Statement":[{`+sound(kind)+`,"Condition":{"StringLike":{"aws:a":["${b, 'c'}*","x"]},"Bool":{"c":true}}}]}`)
		f.Add(uint8(kind), `{"Statement":{"Sid":"a","Effect":"Deny","NotPrincipal":{"AWS":["111122223333"]},"NotAction":"s3:*","NotResource":"arn:aws:s3:::photos/*"}}`)
	}
	f.Add(uint8(Key), written)
	f.Add(uint8(Identity), `{"Statement":{"Effect":"Allow","Action":"s3:?*","Resource":"arn:*:s3:*","Condition":{"DateLessThan":{"a":1e3},"IpAddress":{"a":"::ffff:1.2.3.4/100"},"Null":{"a":"true"}}}}`)
	f.Fuzz(func(t *testing.T, k uint8, text string) {
		kind := Kind(k % uint8(len(kinds)))
		d, err := Parse(kind, "", text)
		wantOnlyMalformed(t, text, err)
		if err != nil {
			return
		}
		var document struct{ Statement any }
		if err := json.Unmarshal([]byte(text), &document); err != nil || document.Statement == nil || d.Text() != text {
			t.Fatalf("%q is no document, and was taken: %v", text, err)
		}
		var edits []Edit
		for _, st := range d.Statements() {
			var again any
			if err := json.Unmarshal([]byte(text[st.Start:st.End]), &again); err != nil {
				t.Fatalf("statement %d of %q stands at %q", st.Index, text, text[st.Start:st.End])
			}
			for _, c := range st.Conditions {
				edits = append(edits, Edit{Statement: st.Index, Operator: c.Operator, Key: c.Key, Values: c.Values})
			}
		}
		same, err := Rewrite(text, edits...)
		if err != nil {
			t.Fatalf("%q with its own values: %v", text, err)
		}
		if e, err := Parse(kind, "", same); err != nil || !reflect.DeepEqual(unplaced(d), unplaced(e)) {
			t.Fatalf("%q was written again as %q: %v", text, same, err)
		}
		for i := range edits {
			edits[i].Values = append([]string{"more"}, edits[i].Values...)
		}
		more, err := Rewrite(text, edits...)
		if err != nil {
			t.Fatalf("%q with more values: %v", text, err)
		}
		if _, err := Parse(kind, "", more); err != nil {
			t.Fatalf("%q with more values is %q: %v", text, more, err)
		}
		_, _, _, _, _ = d.Public(), d.Named(), d.Accounts(), d.ContextKeys(), d.Bind(map[string]string{alice.ARN: ""})
	})
}

func wantOnlyMalformed(t *testing.T, text string, err error) {
	t.Helper()
	if err != nil && (message(err) == "" || !strings.Contains(err.Error(), string(Malformed))) {
		t.Fatalf("%q: %v", text, err)
	}
}

// unplaced returns the statements without where they stand.
func unplaced(d *Document) []Statement {
	all := d.Statements()
	for i := range all {
		all[i].Start, all[i].End = 0, 0
	}
	return all
}

// FuzzDecide: nothing that can be said in documents brings the evaluation down, and a deny
// of everything wins over all of it.
func FuzzDecide(f *testing.F) {
	f.Add(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:aws:s3:::photos/*"}}`,
		"s3:GetObject", photo, "aws:username", "alice", uint8(0))
	f.Add(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${k}*/?","Condition":{"ArnLike":{"k":"${k}*"}}}}`, document(grant("'*'", "kms:*")),
		"s3:", "arn", "k", "arn:::::\xff", uint8(255))
	f.Fuzz(func(t *testing.T, identity, resource, action, on, key, value string, flags uint8) {
		principals := []Principal{alice, batch, root, nobody, bob, {Type: Service, ARN: "s3.amazonaws.com"}, {Type: WebIdentity, ARN: "x"}, {}}
		q := &Question{
			Principal: principals[flags>>5], Action: action, Resource: on, Context: Values{key: {value}, "k": {value, value}},
			Decides: flags&1 != 0, Granted: flags&2 != 0, Closed: flags&4 != 0, Owner: home,
		}
		own, err := Parse(Identity, "", identity)
		if err != nil {
			own = nil
		}
		q.Rights = NewRights(RightsConfig{Policies: []Attached{{Doc: own}}, Session: []Attached{{Doc: own}}, Narrowed: flags&8 != 0})
		for _, kind := range []Kind{Bucket, Key, Trust} {
			if d, err := Parse(kind, "", resource); err == nil {
				q.Policy = d
			}
		}
		got, full := Decide(q), Explain(q)
		if got.Allowed != full.Allowed || got.Explicit != full.Explicit || got.Layer != full.Layer {
			t.Fatalf("decided %+v, explained %+v", got, full)
		}
		everything := Attached{Doc: parse(t, Identity, deny("*"))}
		r := q.Rights.RightsConfig
		for i, denied := range []RightsConfig{
			{Policies: append([]Attached{everything}, r.Policies...)}, {Policies: r.Policies, Boundary: &everything},
			{Policies: r.Policies, Session: []Attached{everything}}, {Policies: r.Policies, Controls: [][]Attached{{everything}}},
		} {
			q.Rights = NewRights(denied)
			if d := Decide(q); d.Allowed || !d.Explicit {
				t.Fatalf("denied by %d: %+v", i, d)
			}
		}
	})
}

// FuzzAgainstReference: documents that are put together by chance mean the same to the
// reference.
func FuzzAgainstReference(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { compare(t, seed) })
}

func TestDocumentsMadeByChance(t *testing.T) {
	allowed := 0
	for seed := range uint64(6000) {
		if compare(t, seed) {
			allowed++
		}
	}
	if allowed < 600 {
		t.Errorf("%d of 6000 allowed: too few to tell", allowed)
	}
}

// maker makes documents.
type maker struct{ *rand.Rand }

func (m maker) of(s ...string) string { return s[m.IntN(len(s))] }

// some returns a JSON value: one of the strings, or a list of some.
func (m maker) some(s ...string) string {
	if m.IntN(2) == 0 {
		return quoted(m.of(s...))
	}
	list := make([]string, 1+m.IntN(3))
	for i := range list {
		list[i] = quoted(m.of(s...))
	}
	return "[" + strings.Join(list, ",") + "]"
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (m maker) conditions() string {
	operators := []string{"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike",
		"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals",
		"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals",
		"Bool", "BinaryEquals", "IpAddress", "NotIpAddress", "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "Null"}
	var all []string
	for range m.IntN(3) {
		operator := m.of(operators...)
		values := []string{"a", "A", "b*", "?b", "${aws:k}", "x${aws:none}", "${aws:none, 'a'}", "${aws:several}", "b${*}"}
		switch {
		case strings.HasPrefix(operator, "Numeric"):
			values = []string{"1", "2.5", "-3", "x", "10"}
		case strings.HasPrefix(operator, "Date"):
			values = []string{"2026-01-01T00:00:00Z", "2026-01-02T03:04:05+01:00", "x"}
		case operator == "Bool", operator == "Null":
			values = []string{"true", "false"}
		case operator == "BinaryEquals":
			values = []string{"YQ==", "Yg==", "?"}
		case strings.Contains(operator, "Ip"):
			values = []string{"10.0.0.0/8", "10.1.2.3", "2001:db8::/32", "x"}
		case strings.Contains(operator, "Arn"):
			values = []string{"arn:aws:s3:::b", "arn:aws:s3:::b*", "arn:aws:*:::${aws:k}", "*", "arn:*", "arn:?ws:s3:::*/x"}
		}
		if operator != "Null" {
			operator = m.of("", "", "ForAllValues:", "ForAnyValue:") + operator + m.of("", "", "IfExists")
		}
		entry := quoted(operator) + ":{" + quoted(m.of("aws:k", "AWS:K", "aws:none", "aws:several", "aws:number", "aws:date", "aws:ip", "aws:arn", "aws:flag")) + ":" + m.some(values...) + "}"
		if len(all) == 0 || !strings.Contains(all[0], quoted(operator)+":") {
			all = append(all, entry)
		}
	}
	return "{" + strings.Join(all, ",") + "}"
}

func (m maker) document(kind Kind, principals ...string) string {
	statements := make([]string, 1+m.IntN(9))
	actions := []string{"*", "s3:*", "s3:Get*", "s3:GetObject", "S3:getobject", "s3:Put?bject", "kms:*", "kms:Decrypt", "s3:PutObject", "kms:De*t"}
	resources := []string{"*", "arn:aws:s3:::b", "arn:aws:s3:::b/*", "arn:aws:s3:::b*", "arn:aws:s3:::b/${aws:k}/*", "arn:aws:s3:::b/${aws:none}", "arn:aws:s3:::b/a/x", "arn:*:s3:::?/*",
		"arn:aws:s3:::c/*", "arn:aws:s3:::b/${aws:none, 'a'}/${*}", key1, "arn:aws:kms:*"}
	for i := range statements {
		effect := m.of("Allow", "Allow", "Allow", "Deny")
		st := `{"Effect":"` + effect + `",`
		if kind == Key {
			name := "Principal"
			if effect == "Deny" && m.IntN(3) == 0 {
				name = "NotPrincipal"
			}
			st += quoted(name) + ":" + m.of(principals...) + ","
		}
		st += quoted(m.of("Action", "Action", "Action", "NotAction")) + ":" + m.some(actions...) + ","
		st += quoted(m.of("Resource", "Resource", "Resource", "NotResource")) + ":" + m.some(resources...)
		if m.IntN(2) == 0 {
			st += `,"Condition":` + m.conditions()
		}
		statements[i] = st + "}"
	}
	return `{"Version":"` + m.of("2012-10-17", "2012-10-17", "2008-10-17") + `","Statement":[` + strings.Join(statements, ",") + "]}"
}

// compare makes a question from a seed, and asks both.
func compare(t *testing.T, seed uint64) bool {
	t.Helper()
	m := maker{rand.New(rand.NewPCG(seed, 4))}
	all := callers()
	by := all[m.IntN(len(all))]
	q := refQuestion{
		by: by.ref, owner: m.of(home, home, other, ""), decides: m.IntN(3) == 0, grant: m.IntN(8) == 0, closed: m.IntN(8) == 0,
		action:   m.of("s3:GetObject", "s3:PutObject", "kms:Decrypt", "s3:getobject"),
		resource: m.of("arn:aws:s3:::b", "arn:aws:s3:::b/a/x", "arn:aws:s3:::b/a/*", "arn:aws:s3:::b/${aws:k}/x", "arn:aws:s3:::bb/x", "arn:aws:s3:::c/d", key1, "*"),
		context: map[string][]string{
			"aws:k": {m.of("a", "b", "A", "*", "b/x")}, "aws:several": {"a", m.of("b", "c")}, "aws:number": {m.of("1", "2.5", "-3", "y")},
			"aws:date": {m.of("2026-01-01T00:00:00Z", "2026-01-02T02:04:05Z", "y")}, "aws:ip": {m.of("10.1.2.3", "192.0.2.1", "2001:db8::1", "y")},
			"aws:arn": {m.of("arn:aws:s3:::b", "arn:aws:s3:::bb/x", "y")}, "aws:flag": {m.of("true", "false", "y")},
		},
	}
	for key := range q.context {
		if m.IntN(5) == 0 {
			delete(q.context, key)
		}
	}
	for range m.IntN(3) {
		q.identity = append(q.identity, m.document(Identity))
	}
	if m.IntN(4) == 0 {
		q.boundary = m.document(Identity)
	}
	if m.IntN(4) == 0 {
		q.narrowed = true
		for range m.IntN(3) {
			q.session = append(q.session, m.document(Session))
		}
	}
	if m.IntN(6) == 0 {
		q.controls = [][]string{{m.document(ServiceControl), m.document(ServiceControl)}}
	}
	if m.IntN(2) == 0 {
		role := batch.RoleARN
		if by.RoleARN != "" {
			role = by.RoleARN
		}
		q.policy = m.document(Key, `"*"`, `{"AWS":"*"}`, `{"AWS":["`+home+`"]}`, `{"AWS":"`+other+`"}`, `{"AWS":["`+alice.ARN+`","`+role+`"]}`,
			fmt.Sprintf(`{"AWS":[%q,%q,%q,%q]}`, alice.ARN, batch.ARN, role, home), `{"Service":"s3.amazonaws.com"}`)
		if by.Account != "" && by.Type != Account && m.IntN(3) == 0 {
			q.policy = m.document(Key, `{"AWS":"`+by.ARN+`"}`, `{"AWS":["`+by.ARN+`","`+by.Account+`","`+role+`"]}`)
		}
	}
	// OverlyPermissiveCondition cannot be met: the keys are others.
	question := q.question(t, by.Principal, Key)
	want, explicit := refDecide(q)
	got := Decide(question)
	if got.Allowed != want || got.Explicit != explicit {
		t.Fatalf("seed %d, %s: %+v, want allowed %t, explicit %t\n%+v", seed, by.name, got, want, explicit, q)
	}
	full := Explain(question)
	if full.Allowed != want || full.Explicit != explicit || full.Layer != got.Layer {
		t.Fatalf("seed %d: explained as %+v, decided as %+v", seed, full, got)
	}
	// Documents of principals have no names here, so that only the resource's may repeat.
	seen := map[Match]bool{}
	for _, match := range full.Matched {
		if match.Layer == ByResource && seen[match] {
			t.Fatalf("seed %d: matched twice: %+v", seed, full)
		}
		seen[match] = true
	}
	return want
}
