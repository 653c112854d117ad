// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/audit/index"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
	"github.com/cofferstore/coffer/test/coffertest"
)

// TestAuditSearch joins the accesses to objects under a bucket key to the KMS requests
// that covered them, in both directions and without loss.
func TestAuditSearch(t *testing.T) {
	t.Parallel()
	s := start(t)
	ctx := t.Context()
	o := operator(s, coffertest.SecretAccessKey)
	s.Bucket("vault", "aws:kms", s.Key(), true)
	const objects = 20
	for i := range objects {
		s.Put("vault", fmt.Sprint("k", i), "hello")
		s.Get("vault", fmt.Sprint("k", i))
	}
	// A search finds what is durable; reads are so within a second.
	search := func(q index.Query) (found []audit.Record) {
		t.Helper()
		if err := o.SearchAudit(ctx, q, true, recordsInto(t, &found)); err != nil {
			t.Fatal(err)
		}
		return found
	}
	data := index.Query{Terms: []index.Term{{Field: index.Bucket, Value: "vault"}, {Field: index.Category, Value: audit.Data}}}
	coffertest.Eventually(t, "all accesses in the trail", func() bool { return len(search(data)) >= 2*objects })
	requests := search(index.Query{Terms: []index.Term{
		{Field: index.Bucket, Value: "vault"}, {Field: index.EventSource, Value: "kms.amazonaws.com"},
	}})
	if len(requests) != 2 { // one for writing and one for reading
		t.Errorf("%d requests of KMS", len(requests))
	}
	of := map[string]string{} // request of KMS, by access
	for _, kms := range requests {
		var covered []audit.Record
		if err := o.AuditObjects(ctx, kms.EventID, false, recordsInto(t, &covered)); err != nil {
			t.Fatal(err)
		}
		if len(covered) != objects {
			t.Errorf("%s covers %d accesses, want %d", kms.EventName, len(covered), objects)
		}
		for _, r := range covered {
			of[r.EventID] = kms.EventID
		}
	}
	if len(of) != 2*objects {
		t.Errorf("%d accesses are covered, want %d", len(of), 2*objects)
	}
	for i := range objects {
		current, n := "", 0
		err := o.AuditKMSEvents(ctx, fmt.Sprint("arn:aws:s3:::vault/k", i), time.Time{}, time.Time{}, false, func(l opsapi.AuditLine) error {
			if l.Event == nil {
				current = l.KMSEventID
				return nil
			}
			n++
			var r audit.Record
			if err := json.Unmarshal(l.Event, &r); err != nil {
				return err
			}
			if of[r.EventID] != current {
				t.Errorf("%s of k%d is covered by %q, want %q", r.EventName, i, current, of[r.EventID])
			}
			return nil
		})
		if err != nil || n != 2 {
			t.Errorf("k%d: %d accesses, %v", i, n, err)
		}
	}
}

// recordsInto collects the records of an answer.
func recordsInto(t *testing.T, into *[]audit.Record) func(opsapi.AuditLine) error {
	return func(l opsapi.AuditLine) error {
		if l.Event == nil {
			if l.More || l.Note != "" {
				t.Errorf("line %+v", l)
			}
			return nil
		}
		var r audit.Record
		err := json.Unmarshal(l.Event, &r)
		*into = append(*into, r)
		return err
	}
}
