// SPDX-License-Identifier: Apache-2.0

package index

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
)

// kms is an event of KMS that S3 made.
func kms(id, user string) audit.Record {
	r := access("GenerateDataKey", "vault", "", user)
	r.EventID, r.EventSource, r.EventCategory, r.SourceIPAddress = id, kmsSource, audit.Management, audit.InvokedByS3
	r.UserIdentity.InvokedBy = audit.InvokedByS3
	r.RequestParameters = map[string]any{"encryptionContext": map[string]any{"aws:s3:arn": "arn:aws:s3:::vault"}}
	r.Resources = []audit.Resource{{Type: "AWS::KMS::Key", ARN: "arn:aws:kms:us-east-1:111122223333:key/k"}}
	return r
}

func covered(r audit.Record, id string) audit.Record {
	r.AdditionalEventData = map[string]any{"cofferKmsEventId": id}
	return r
}

// ids returns the ids of events.
func (w *world) ids(at []audit.Position) (ids []string) {
	w.Helper()
	err := w.index.At(w.Context(), at, func(e Event) error { ids = append(ids, e.EventID); return nil })
	if err != nil {
		w.Fatal(err)
	}
	return ids
}

// Ten thousand accesses by three requesters are joined to the KMS events that cover them,
// in both directions, without loss.
func TestCovers(t *testing.T) {
	w := newWorld(t, 1<<20)
	events := map[string][]string{}  // accesses, by KMS event
	objects := map[string][]string{} // accesses, by object
	of := map[string]string{}        // the KMS event of an access
	current := map[string]string{}
	for i := range 10_000 {
		w.now = w.now.Add(100 * time.Millisecond)
		user := fmt.Sprintf("user%d", i%3)
		if i%5000 < 3 {
			current[user] = fmt.Sprintf("kms-%d-%s", i/5000, user)
			w.append(kms(current[user], user))
		}
		key := fmt.Sprintf("object %d", w.dice.IntN(500))
		r := covered(access("PutObject", "vault", key, user), current[user])
		r.EventID = fmt.Sprintf("access-%05d", i)
		w.append(r)
		events[current[user]] = append(events[current[user]], r.EventID)
		objects[key] = append(objects[key], r.EventID)
		of[r.EventID] = current[user]
	}
	w.step()
	if len(events) != 6 {
		t.Fatalf("%d events of KMS", len(events))
	}
	for id, want := range events {
		e, err := w.index.KMSEvent(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		if err := w.index.Covered(t.Context(), e, nil, func(e Event) error { got = append(got, e.EventID); return nil }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s covers %d accesses, want %d", id, len(got), len(want))
		}
	}
	total := 0
	for _, key := range slices.Sorted(maps.Keys(objects))[:50] {
		covers, err := w.index.Covers(t.Context(), objectARN("vault", key), time.Time{}, time.Time{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range covers {
			if c.KMS == nil || c.KMS.EventID != c.ID {
				t.Errorf("%s: no event %s", key, c.ID)
			}
			for _, id := range w.ids(c.Accesses) {
				got = append(got, id)
				if of[id] != c.ID {
					t.Errorf("%s is of %s, want %s", id, c.ID, of[id])
				}
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, objects[key]) {
			t.Errorf("%s: %q, want %q", key, got, objects[key])
		}
		total += len(got)
	}
	if total == 0 {
		t.Error("no accesses")
	}
}

// What is not simply covered once.
func TestCoversSpecialCases(t *testing.T) {
	w := newWorld(t, 64<<20)
	w.append(kms("first", "ann"))
	theirs := kms("copy", "ann") // that the key's owner has
	theirs.SharedEventID, theirs.RecipientAccountID = "first", "444455556666"
	w.append(theirs)
	w.append(covered(access("PutObject", "vault", "a", "ann"), "first"))
	again := covered(access("PutObject", "vault", "a", "ann"), "first")
	again.SharedEventID, again.RecipientAccountID = w.wrote[2], "444455556666"
	w.append(again)
	w.append(access("DeleteObject", "vault", "a", "ann"))
	w.append(covered(access("GetObject", "vault", "a", "ann"), "forgotten"))
	copy := covered(access("CopyObject", "vault", "b", "ann"), "second")
	copy.RequestParameters["x-amz-copy-source"] = "vault/a"
	copy.AdditionalEventData["cofferSourceKmsEventId"] = "first"
	w.append(copy)
	w.append(kms("second", "ann"))
	refused := kms("refused", "ann")
	refused.ErrorCode = "AccessDenied"
	w.append(refused)
	direct := kms("direct", "ann")
	direct.UserIdentity.InvokedBy = ""
	w.append(direct)
	w.append(kms("none yet", "ann"))

	show := func(object string) string {
		covers, err := w.index.Covers(t.Context(), object, time.Time{}, time.Time{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var text []string
		for _, c := range covers {
			there := ""
			if c.KMS == nil {
				there = "?"
			}
			text = append(text, c.ID+there+": "+strings.Join(w.ids(c.Accesses), " "))
		}
		return strings.Join(text, "; ")
	}
	for object, want := range map[string]string{
		"a": "first: event-000002 event-000006; forgotten?: event-000005; ?: event-000004",
		"b": "second: event-000006",
		"c": "",
	} {
		if got := show(objectARN("vault", object)); got != want {
			t.Errorf("%s: %q, want %q", object, got, want)
		}
	}
	for id, want := range map[string]string{
		"first":    "event-000002 event-000006",
		"copy":     "event-000002 event-000006",
		"second":   "event-000006",
		"refused":  "KMS refused this request",
		"direct":   "S3 did not make this request",
		"none yet": "no access in the trail names this event",
	} {
		e, err := w.index.KMSEvent(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		if err := w.index.Covered(t.Context(), e, nil, func(e Event) error { got = append(got, e.EventID); return nil }); err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			got = append(got, CoversNone(e))
		}
		if text := strings.Join(got, " "); !strings.HasPrefix(text, want) {
			t.Errorf("%s: %q, want %q", id, text, want)
		}
	}
	for _, id := range []string{"nobody's", "event-000002"} {
		if _, err := w.index.KMSEvent(t.Context(), id); !errors.Is(err, NoSuchEvent) {
			t.Errorf("%s: %v", id, err)
		}
	}
}
