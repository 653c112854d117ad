// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
)

func TestAuditVerify(t *testing.T) {
	data, trail := operated(t, &opsapi.API{})
	keep(t, trail, byBucket, refusedPut, rotated)
	// The request is recorded before it is answered.
	exit, stdout, stderr := command(t, "audit", "verify")
	if exit != 0 || !strings.Contains(stdout, "1 file, ") || !strings.HasSuffix(stdout, " 4 records in the chain: nothing is wrong\n") || stderr != "" {
		t.Errorf("a whole trail: %d\n%s%s", exit, stdout, stderr)
	}
	files, err := filepath.Glob(filepath.Join(server.AuditDir(data), "*.jsonl"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], bytes.Replace(text, []byte("PutObject"), []byte("GetObject"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	want := ", line 2: changed: the line does not continue the one before it"
	exit, stdout, stderr = command(t, "audit", "verify")
	if exit != 1 || !strings.HasPrefix(stdout, "fault: "+filepath.Base(files[0])+", byte ") || !strings.Contains(stdout, want) ||
		!strings.Contains(stdout, "in the chain: 1 fault\n") || stderr != "coffer: verify: 1 fault\n" {
		t.Errorf("a changed trail: %d\n%s%s", exit, stdout, stderr)
	}
	exit, stdout, _ = command(t, "audit", "verify", "--json")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	var f audit.Finding
	var v audit.Verification
	if exit != 1 || len(lines) != 2 || json.Unmarshal([]byte(lines[0]), &f) != nil || f.Kind != audit.Changed || f.Line != 2 ||
		json.Unmarshal([]byte(lines[1]), &v) != nil || v.Faults != 1 {
		t.Errorf("as JSON: %d\n%s", exit, stdout)
	}
	// Of this directory there is no metadata store.
	exit, stdout, stderr = command(t, "audit", "verify", "--data", data)
	if exit != 1 || !strings.Contains(stdout, want) || !strings.Contains(stdout, "its end was not checked") || !strings.Contains(stderr, "metadata store cannot be opened") {
		t.Errorf("the files: %d\n%s%s", exit, stdout, stderr)
	}
	exit, _, stderr = command(t, "audit", "verify", "--data", t.TempDir())
	if exit != 1 || !strings.Contains(stderr, "is no data directory of Coffer") {
		t.Errorf("no data directory: %d %s", exit, stderr)
	}
}

func TestFindingLines(t *testing.T) {
	for _, test := range []struct {
		finding audit.Finding
		want    string
	}{
		{audit.Finding{Kind: audit.Moved, File: "f", Offset: 7, Line: 3, Text: "x"}, "fault: f, byte 7, line 3: moved: x"},
		{audit.Finding{Kind: audit.Torn, File: "f", Offset: 7, Text: "x", Note: true}, "note: f, byte 7: torn: x"},
		{audit.Finding{Kind: audit.Head, Text: "x"}, "fault: head: x"},
	} {
		if got := findingLine(test.finding); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}

func TestAuditStatus(t *testing.T) {
	_, trail := operated(t, &opsapi.API{})
	keep(t, trail, byBucket)
	trail.Hold("siem", audit.Position{})
	exit, stdout, stderr := command(t, "audit", "status")
	for _, want := range []string{"chain ", "after 1 record\n", "1 file, ", "oldest event   2026-03-04T05:12:01Z\n", "nothing: there is no limit", "consumer siem"} {
		if exit != 0 || !strings.Contains(stdout, want) || stderr != "" {
			t.Errorf("%d without %q\n%s%s", exit, want, stdout, stderr)
		}
	}
	exit, stdout, _ = command(t, "audit", "status", "--json")
	var s audit.Status
	if err := json.Unmarshal([]byte(stdout), &s); exit != 0 || err != nil || s.Files != 1 || len(s.Consumers) != 1 {
		t.Errorf("%d %s, %v", exit, stdout, err)
	}
}

func TestNextDrop(t *testing.T) {
	at, none, some := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), int64(0), int64(5)
	for _, test := range []struct {
		next *audit.NextDrop
		age  string
		want string
	}{
		{nil, "", "nothing: there is no limit"},
		{&audit.NextDrop{File: "f", Bytes: 1, At: &at}, "48h0m0s", "f (1 byte), at 2026-03-04T05:06:07Z"},
		{&audit.NextDrop{File: "f", Bytes: 2, Room: &some}, "48h0m0s", "f (2 bytes), 48h after its last event or after 5 more bytes"},
		{&audit.NextDrop{File: "f", Bytes: 2, Room: &none, HeldBy: []string{"a", "b"}}, "", "f (2 bytes), at once, but not before it was taken by a, b"},
	} {
		if got := nextDrop(audit.Status{Next: test.next, MaxAge: test.age}); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}
