// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/audit/index"
)

// searchable is a station whose trail has an index and records.
func searchable(t *testing.T) *station {
	s := newStation(t, nil)
	var err error
	if s.api.Index, err = index.Open(s.trail, s.api.AuditDir, index.Config{}); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	s3 := audit.Identity{Type: "Root", InvokedBy: audit.InvokedByS3}
	for i, r := range []audit.Record{
		{EventID: "kms", EventSource: "kms.amazonaws.com", EventName: "Decrypt", EventCategory: audit.Management, UserIdentity: s3},
		{EventID: "get", EventName: "GetObject", AdditionalEventData: map[string]any{"cofferKmsEventId": "kms"}},
		{EventID: "refused", EventName: "GetObject", ErrorCode: "AccessDenied"},
		{EventID: "lost", EventName: "PutObject", AdditionalEventData: map[string]any{"cofferKmsEventId": "gone"}},
	} {
		if r.EventSource == "" {
			r.EventSource, r.EventCategory = "s3.amazonaws.com", audit.Data
			r.Resources = []audit.Resource{{Type: "AWS::S3::Object", ARN: "arn:aws:s3:::photos/a b"}}
			r.RequestParameters = map[string]any{"bucketName": "photos"}
		}
		r.EventTime = at.Add(time.Duration(i) * time.Minute)
		if err := s.trail.Append(t.Context(), r, true); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// told is what was told of an answer: ids of events, and the rest in words.
func told(lines *[]string) func(AuditLine) error {
	id := func(record json.RawMessage) string {
		var r audit.Record
		if json.Unmarshal(record, &r) != nil {
			return string(record)
		}
		return r.EventID
	}
	return func(l AuditLine) error {
		text := ""
		switch {
		case l.Event != nil:
			text = id(l.Event)
		case l.KMSEventID != "":
			text = fmt.Sprintf("%s(%s) %d", l.KMSEventID, id(l.KMSEvent), l.Accesses)
		case l.Uncovered:
			text = fmt.Sprintf("none %d", l.Accesses)
		case l.More:
			text = "more"
		case l.Progress != nil:
			return nil
		default:
			text = l.Note
		}
		*lines = append(*lines, text)
		return nil
	}
}

func TestSearchAudit(t *testing.T) {
	s := searchable(t)
	of := func(f index.Field, v string) index.Query {
		return index.Query{Terms: []index.Term{{Field: f, Value: v}}}
	}
	minute := func(n int) time.Time { return time.Date(2026, 3, 4, 5, n, 0, 0, time.UTC) }
	for name, test := range map[string]struct {
		query index.Query
		want  string
	}{
		"bucket":       {of(index.Bucket, "photos"), "lost refused get"},
		"oldest first": {index.Query{Terms: of(index.Bucket, "photos").Terms, OldestFirst: true}, "get refused lost"},
		"limit":        {index.Query{Terms: of(index.Bucket, "photos").Terms, Limit: 1}, "lost more"},
		"all there is": {index.Query{Terms: of(index.Bucket, "photos").Terms, Limit: 3}, "lost refused get"},
		"prefix":       {index.Query{Terms: of(index.Bucket, "photos").Terms, ObjectPrefix: "a "}, "lost refused get"},
		"no prefix":    {index.Query{Terms: of(index.Bucket, "photos").Terms, ObjectPrefix: "b"}, ""},
		"not":          {index.Query{Terms: []index.Term{{Field: index.Bucket, Value: "photos"}, {Field: index.ErrorCode, Value: "AccessDenied", Not: true}}}, "lost get"},
		"times":        {index.Query{Since: minute(1), Until: minute(3)}, "refused get"},
		"kms event":    {of(index.KMSEvent, "kms"), "get"},
	} {
		for _, progress := range []bool{false, true} {
			var got []string
			if err := s.SearchAudit(t.Context(), test.query, progress, told(&got)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if text := strings.Join(got, " "); text != test.want {
				t.Errorf("%s: %q, want %q", name, text, test.want)
			}
		}
	}
	var none []string
	says(t, "no such field", s.SearchAudit(t.Context(), of("colour", "red"), false, told(&none)), "InvalidParameter", "colour")
	says(t, "only a prefix", s.SearchAudit(t.Context(), index.Query{ObjectPrefix: "a"}, false, told(&none)), "InvalidSearch", "bucket")
	says(t, "no value", s.SearchAudit(t.Context(), of(index.EventName, ""), false, told(&none)), "InvalidSearch", "event-name")
	for name, value := range map[string]string{"since": "yesterday", "until": "1", "limit": "-1", "oldest-first": "yes", "progress": "2"} {
		err := s.lines(t.Context(), "GET", "audit/search", map[string][]string{name: {value}}, nil)
		says(t, name, err, "InvalidParameter", name)
	}
	says(t, "a user", s.as("AKIAUSER", password).SearchAudit(t.Context(), of(index.Bucket, "photos"), false, told(&none)), "AccessDenied", "coffer:ReadAudit")
}

func TestAuditObjects(t *testing.T) {
	s := searchable(t)
	var got []string
	if err := s.AuditObjects(t.Context(), "kms", true, told(&got)); err != nil || !slices.Equal(got, []string{"kms(kms) 0", "get"}) {
		t.Errorf("%q, %v", got, err)
	}
	says(t, "a data event", s.AuditObjects(t.Context(), "get", false, told(&got)), "NoSuchEvent", "get")
	says(t, "no id", s.AuditObjects(t.Context(), "", false, told(&got)), "InvalidParameter", "kms-event")
	says(t, "a user", s.as("AKIAUSER", password).AuditObjects(t.Context(), "kms", false, told(&got)), "AccessDenied", "coffer:ReadAudit")
}

func TestAuditKMSEvents(t *testing.T) {
	s := searchable(t)
	var got []string
	err := s.AuditKMSEvents(t.Context(), "arn:aws:s3:::photos/a b", time.Time{}, time.Time{}, false, told(&got))
	if want := []string{"kms(kms) 1", "get", "gone() 1", "lost", "none 1", "refused"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	got = nil
	err = s.AuditKMSEvents(t.Context(), "arn:aws:s3:::photos/other", time.Time{}, time.Time{}, true, told(&got))
	if want := []string{"the trail has no access to this object in that time"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	says(t, "no ARN", s.AuditKMSEvents(t.Context(), "photos/a", time.Time{}, time.Time{}, false, told(&got)), "InvalidParameter", "object")
	says(t, "a user", s.as("AKIAUSER", password).AuditKMSEvents(t.Context(), "arn:aws:s3:::photos/a", time.Time{}, time.Time{}, false, told(&got)), "AccessDenied")
}
