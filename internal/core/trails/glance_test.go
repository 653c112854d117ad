// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/core/audit"
)

// glanced is what selectors see of a record.
func glanced(r *audit.Record) string {
	b, _ := json.Marshal([]any{
		r.UserIdentity.Type, r.UserIdentity.ARN, r.UserIdentity.InvokedBy, r.EventTime.UTC(), r.EventSource, r.EventName, r.EventType,
		r.EventCategory, r.RecipientAccountID, r.ReadOnly, r.ManagementEvent, append([]audit.Resource{}, r.Resources...),
	})
	return string(b)
}

// lines returns records as the audit trail writes them.
func lines(t testing.TB, records ...audit.Record) (out [][]byte) {
	t.Helper()
	fs := vfs.NewMem()
	trail, err := audit.Open(t.Context(), "audit", audit.Config{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := trail.Append(t.Context(), r, true); err != nil {
			t.Fatal(err)
		}
	}
	_, err = trail.Consume(t.Context(), audit.Position{}, func(l audit.Line) error {
		out = append(out, append([]byte{}, l.JSON...))
		return nil
	})
	if err != nil || len(out) != len(records) {
		t.Fatalf("read %d records, %v", len(out), err)
	}
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

var samples = []audit.Record{
	{
		UserIdentity: audit.Identity{Type: "AssumedRole", PrincipalID: "AROA:x", ARN: "arn:aws:sts::111122223333:assumed-role/R/x", AccountID: account, InvokedBy: "fas.s3.amazonaws.com",
			Session: &audit.SessionContext{Issuer: &audit.Issuer{Type: "Role", ARN: "arn:aws:iam::111122223333:role/R"}}},
		EventTime: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), EventSource: "s3.amazonaws.com", EventName: "PutObject", EventCategory: audit.Data, EventType: audit.TypeAPICall,
		RecipientAccountID: account, RequestParameters: map[string]any{"key": `a "quoted" \ {[key]},`, "type": "x", "deep": map[string]any{"eventName": "no"}},
		Resources: []audit.Resource{{Type: objectType, ARN: `arn:aws:s3:::b/a "quoted" ü/ü`}, {AccountID: account, Type: bucketType, ARN: "arn:aws:s3:::b"}},
	},
	{EventTime: time.Date(2026, 3, 4, 5, 6, 8, 0, time.UTC), EventSource: "kms.amazonaws.com", EventName: "Decrypt", ReadOnly: true, ManagementEvent: true, EventCategory: audit.Management},
	{
		UserIdentity: audit.Identity{Type: "AWSService", InvokedBy: "cloudtrail.amazonaws.com"}, EventTime: time.Date(2026, 3, 4, 5, 6, 8, 0, time.UTC),
		RecipientAccountID: "444455556666", EventCategory: audit.Data, Resources: []audit.Resource{{Type: objectType, ARN: "arn:aws:s3:::c/d"}},
	},
}

// A glance sees what a reader of JSON sees, whatever it has seen before.
func TestGlancesSeeWhatSelectorsAskFor(t *testing.T) {
	all := lines(t, samples...)
	var g glancer
	for range 2 {
		for i := range all {
			for _, n := range []int{i, 0, len(all) - 1} {
				var want audit.Record
				if err := json.Unmarshal(all[n], &want); err != nil {
					t.Fatal(err)
				}
				if !g.read(all[n]) || glanced(&g.Record) != glanced(&want) {
					t.Errorf("read %s\nwant %s", glanced(&g.Record), glanced(&want))
				}
			}
		}
	}
}

func TestGlancesTakeNoMemory(t *testing.T) {
	all := lines(t, samples[1], samples[2])
	var g glancer
	if n := testing.AllocsPerRun(100, func() { g.read(all[0]); g.read(all[0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What is no record is none at a glance either, and nothing makes it panic. What both
// understand they understand alike.
func FuzzGlance(f *testing.F) {
	for _, l := range lines(f, samples...) {
		f.Add(l, l)
		f.Add(l[:len(l)/2], l)
	}
	for _, text := range []string{`{}`, `{"a":1}`, `{"resources":null}`, `{"resources":[]}`, `{"readOnly":true,"eventName":"\u0041"}`, `{"a":[{"b":"]"}],"eventName":"x"}`, `[`, `{"`, `{"a":"\`} {
		f.Add([]byte(text), []byte(`{"eventName":"before"}`))
	}
	f.Fuzz(func(t *testing.T, line, before []byte) {
		var g glancer
		g.read(before)
		got := g.read(line)
		// A reader of JSON takes names in any case and the last of two of a name, passes over
		// white space, and refuses what a glance passes over.
		var want audit.Record
		if !got || !plainRecord(line) || json.Unmarshal(line, &want) != nil {
			return
		}
		if glanced(&g.Record) != glanced(&want) {
			t.Errorf("%s\nread %s\nwant %s", line, glanced(&g.Record), glanced(&want))
		}
	})
}

// plainRecord reports whether a record is one as audit writes them: each name once and in its own
// case, texts that are UTF-8, and no null in place of a text.
func plainRecord(line []byte) bool {
	var r audit.Record
	if json.Unmarshal(line, &r) != nil {
		return false
	}
	var generic, again any
	text, err := json.Marshal(&r)
	if err != nil || json.Unmarshal(line, &generic) != nil || json.Unmarshal(text, &again) != nil {
		return false
	}
	a, _ := json.Marshal(generic)
	b, _ := json.Marshal(again)
	return len(a) == len(line) && string(a) == string(b)
}

func BenchmarkGlance(b *testing.B) {
	all := lines(b, samples[0])
	var g glancer
	b.SetBytes(int64(len(all[0])))
	b.ReportAllocs()
	for b.Loop() {
		g.read(all[0])
	}
}
