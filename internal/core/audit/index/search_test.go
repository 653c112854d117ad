// SPDX-License-Identifier: Apache-2.0

package index

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
)

// queries that some's records are asked for.
func queries(w *world) map[string]Query {
	user := Term{Field: Username, Value: "user1"}
	bucket := Term{Field: Bucket, Value: "bucket-1"}
	middle := w.now.Add(-time.Duration(len(w.wrote)/2) * time.Second)
	return map[string]Query{
		"all":            {},
		"a user":         {Terms: []Term{user}},
		"a bucket":       {Terms: []Term{bucket}},
		"both":           {Terms: []Term{user, bucket}},
		"with an error":  {Terms: []Term{bucket, {Field: ErrorCode, Value: "AccessDenied"}}},
		"without":        {Terms: []Term{bucket, {Field: ErrorCode, Value: "AccessDenied", Not: true}}},
		"an object":      {Terms: []Term{{Field: Object, Value: objectARN("bucket-1", "dir1/2")}}},
		"its reads":      {Terms: []Term{{Field: Object, Value: objectARN("bucket-1", "dir1/2")}, {Field: EventName, Value: "GetObject"}}},
		"a prefix":       {Terms: []Term{bucket}, ObjectPrefix: "dir2/"},
		"since":          {Terms: []Term{user}, Since: middle},
		"until":          {Terms: []Term{user}, Until: middle},
		"a span":         {Terms: []Term{user}, Since: middle.Add(-20 * time.Second), Until: middle},
		"nobody":         {Terms: []Term{{Field: Username, Value: "nobody"}}},
		"an event":       {Terms: []Term{{Field: EventID, Value: "event-000017"}}},
		"resource name":  {Terms: []Term{{Field: ResourceName, Value: "bucket-2"}}},
		"writes":         {Terms: []Term{{Field: ReadOnly, Value: "false"}}},
		"not by a user":  {Terms: []Term{{Field: Username, Value: "user1", Not: true}}},
		"long value":     {Terms: []Term{{Field: ResourceName, Value: strings.Repeat("x", maxValue)}}},
		"another's term": {Terms: []Term{{Field: Object, Value: "bucket-1"}}},
	}
}

// What a search finds is the same without an index, with one in memory, with its files,
// and with a mixture, in both orders, and page by page.
func TestSearch(t *testing.T) {
	const some = 120
	for name, size := range map[string]int64{"many files": 20 << 10, "a file": 64 << 20, "a file of blocks": 64 << 20} {
		for _, state := range []struct {
			name string
			make func(w *world)
		}{
			{"nothing indexed", func(w *world) { w.some(some) }},
			{"all indexed", func(w *world) { w.some(some); w.step() }},
			{"the tail not indexed", func(w *world) { w.some(some); w.step(); w.some(some / 10) }},
			{"as it was written", func(w *world) {
				for range some / 10 {
					w.some(10)
					w.step()
				}
			}},
			{"after a restart", func(w *world) { w.some(some); w.step(); w.reopen() }},
			{"indexed after a restart", func(w *world) { w.some(some); w.reopen(); w.some(some / 10); w.step() }},
		} {
			t.Run(name+"/"+state.name, func(t *testing.T) {
				w := newWorld(t, size)
				if name == "a file of blocks" {
					w.per, w.index.perBlock = 13, 13
				}
				state.make(w)
				asked := few(w)
				if state.name == "all indexed" || name == "many files" && state.name == "nothing indexed" {
					asked = queries(w)
				}
				for name, q := range asked {
					for _, q.OldestFirst = range []bool{false, true} {
						want := w.expected(q)
						for _, q.Limit = range []int{0, 25} {
							if got := w.found(q); !slices.Equal(got, want) {
								t.Errorf("%s, oldest first %v, limit %d: %d events, want %d\n%q\n%q", name, q.OldestFirst, q.Limit, len(got), len(want), got, want)
							}
						}
					}
				}
				for _, e := range w.events(Query{}) {
					if bytes.Contains(e.JSON, []byte("cofferChain")) {
						t.Fatalf("%s has what belongs to the file", e.JSON)
					}
				}
				if want := w.expected(queries(w)["its reads"]); len(want) == 0 {
					t.Error("the object was never read")
				}
			})
		}
	}
}

// Events that come between two pages, and files that go, move nothing.
func TestSearchPages(t *testing.T) {
	w := newWorld(t, 20<<10)
	w.some(200)
	q := Query{Terms: []Term{{Field: Bucket, Value: "bucket-0"}}, Limit: 10}
	want := w.expected(q)
	var got []string
	for {
		page, err := w.index.Search(t.Context(), q, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			got = append(got, e.EventID)
		}
		if page.Token == "" {
			break
		}
		q.Token = page.Token
		w.some(20)
		w.step()
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}

	q.Token = ""
	page, err := w.index.Search(t.Context(), q, nil)
	if err != nil {
		t.Fatal(err)
	}
	segments, err := w.index.segments()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range segments[:len(segments)-1] {
		if err := w.fs.Remove("audit/" + name); err != nil {
			t.Fatal(err)
		}
	}
	q.Token = page.Token
	if _, err := w.index.Search(t.Context(), q, nil); err != nil {
		t.Errorf("after the removal: %v", err)
	}
	w.step()
	if files, err := w.fs.List("audit/" + Dir); err != nil || len(files) != 0 {
		t.Errorf("the index of what is gone: %q, %v", files, err)
	}
}

// A token is good for the search that returned it.
func TestToken(t *testing.T) {
	w := newWorld(t, 64<<20)
	w.some(50)
	q := Query{Terms: []Term{{Field: Bucket, Value: "bucket-0"}}, Limit: 2, Bind: "times"}
	page, err := w.index.Search(t.Context(), q, nil)
	if err != nil || page.Token == "" {
		t.Fatalf("%v, token %q", err, page.Token)
	}
	token := page.Token
	for name, change := range map[string]func(*Query){
		"nonsense":      func(q *Query) { q.Token = "nonsense" },
		"cut":           func(q *Query) { q.Token = token[:len(token)-1] },
		"longer":        func(q *Query) { q.Token += "AAAA" },
		"changed":       func(q *Query) { q.Token = "B" + token[1:] },
		"too long":      func(q *Query) { q.Token = strings.Repeat("A", 1<<20) },
		"other value":   func(q *Query) { q.Terms = []Term{{Field: Bucket, Value: "bucket-1"}} },
		"other field":   func(q *Query) { q.Terms = []Term{{Field: ResourceName, Value: "bucket-0"}} },
		"other sense":   func(q *Query) { q.Terms = []Term{{Field: Bucket, Value: "bucket-0", Not: true}} },
		"no terms":      func(q *Query) { q.Terms = nil },
		"prefix":        func(q *Query) { q.ObjectPrefix = "dir" },
		"other order":   func(q *Query) { q.OldestFirst = true },
		"other binding": func(q *Query) { q.Bind = "other times" },
	} {
		q := q
		q.Token = token
		change(&q)
		if _, err := w.index.Search(t.Context(), q, nil); !errors.Is(err, BadToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	q.Token = token
	if _, err := w.index.Search(t.Context(), q, nil); err != nil {
		t.Error(err)
	}
	w.reopen()
	if _, err := w.index.Search(t.Context(), q, nil); !errors.Is(err, BadToken) {
		t.Errorf("with another key: %v", err)
	}
}

func TestBadQuery(t *testing.T) {
	w := newWorld(t, 64<<20)
	for name, q := range map[string]Query{
		"no field":      {Terms: []Term{{Value: "x"}}},
		"unknown field": {Terms: []Term{{Field: "colour", Value: "x"}}},
		"no value":      {Terms: []Term{{Field: EventName}}},
		"long value":    {Terms: []Term{{Field: EventName, Value: strings.Repeat("x", maxValue+1)}}},
		"many terms":    {Terms: slices.Repeat([]Term{{Field: EventName, Value: "x"}}, maxTerms+1)},
		"only a prefix": {ObjectPrefix: "x"},
		"long prefix":   {Terms: []Term{{Field: Bucket, Value: "x"}}, ObjectPrefix: strings.Repeat("x", maxValue+1)},
		"limit":         {Limit: -1},
	} {
		if _, err := w.index.Search(t.Context(), q, nil); !errors.Is(err, BadQuery) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A search reads of the trail little more than what it finds, however long the trail is.
func TestSearchReadsLittle(t *testing.T) {
	w := newWorld(t, 200<<10)
	w.append(access("GetObject", "bucket", "looked for", "user"))
	w.some(3000)
	w.append(access("GetObject", "bucket", "looked for", "user"))
	w.step()
	var total int64
	s := &search{x: w.index}
	var err error
	q := Query{Terms: []Term{{Field: Object, Value: objectARN("bucket", "looked for")}, {Field: EventName, Value: "GetObject"}}}
	if s.plan, err = newPlan(q); err != nil {
		t.Fatal(err)
	}
	found := 0
	s.fn = func(Event) error { found++; return nil }
	pieces, err := w.index.pieces()
	if err != nil {
		t.Fatal(err)
	}
	for i := range pieces {
		total += pieces[i].to - pieces[i].from
		if err := s.piece(t.Context(), &pieces[i]); err != nil {
			t.Fatal(err)
		}
	}
	if found != 2 {
		t.Errorf("%d events, want 2", found)
	}
	if s.trail.count*100 > total {
		t.Errorf("%d bytes read of %d", s.trail.count, total)
	}
	s.close()
}

// What the index has of a record.
func TestFacts(t *testing.T) {
	w := newWorld(t, 64<<20)
	key := "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	w.append(audit.Record{
		EventID: "kms", EventName: "Decrypt", EventSource: "kms.amazonaws.com", SourceIPAddress: audit.InvokedByS3, ReadOnly: true,
		UserIdentity: audit.Identity{
			Type: "AssumedRole", PrincipalID: "AROAWRITER:batch-7", ARN: "arn:aws:sts::111122223333:assumed-role/Writer/batch-7",
			AccessKeyID: "ASIA1", InvokedBy: audit.InvokedByS3,
			Session: &audit.SessionContext{Issuer: &audit.Issuer{Type: "Role", ARN: "arn:aws:iam::111122223333:role/Writer"}},
		},
		RequestID: "kms-request", EventCategory: audit.Management,
		RequestParameters:   map[string]any{"encryptionContext": map[string]any{"aws:s3:arn": "arn:aws:s3:::vault/a \"b\"\\c"}},
		AdditionalEventData: map[string]any{"cofferClientIp": "198.51.100.1", "cofferParentRequestId": "S3REQUEST", "cofferGeneration": "G1"},
		Resources:           []audit.Resource{{Type: "AWS::KMS::Key", ARN: key}},
	})
	w.append(audit.Record{
		EventID: "data", EventName: "CopyObject", EventSource: "s3.amazonaws.com", UserIdentity: audit.Identity{Type: "Root"}, EventCategory: audit.Data,
		RequestParameters:   map[string]any{"x-amz-copy-source": "/elsewhere/a%20b?versionId=1"},
		AdditionalEventData: map[string]any{"cofferKeyArn": key, "cofferKmsEventId": "kms", "cofferSourceKmsEventId": "other", "cofferSourceGeneration": "G2"},
	})
	w.append(audit.Record{
		EventID: "iam", EventName: "CreateUser", EventSource: "iam.amazonaws.com", UserIdentity: audit.Identity{Type: "AWSService", InvokedBy: "cloudtrail.amazonaws.com"},
		RequestParameters: map[string]any{"userName": "bob"}, EventCategory: audit.Management,
	})
	w.append(audit.Record{EventID: "anonymous", UserIdentity: audit.Identity{Type: "AWSAccount", AccountID: "anonymous"}})
	w.step()
	for _, c := range []struct {
		field Field
		value string
		want  string
	}{
		{EventID, "kms", "kms"},
		{EventName, "Decrypt", "kms"},
		{EventSource, "kms.amazonaws.com", "kms"},
		{Category, "Management", "iam kms"},
		{ReadOnly, "true", "kms"},
		{Username, "batch-7", "kms"},
		{Username, "root", "data"},
		{Username, "cloudtrail.amazonaws.com", "iam"},
		{Principal, "arn:aws:sts::111122223333:assumed-role/Writer/batch-7", "kms"},
		{Principal, "arn:aws:iam::111122223333:role/Writer", "kms"},
		{Principal, "AROAWRITER:batch-7", "kms"},
		{Principal, "cloudtrail.amazonaws.com", "iam"},
		{Principal, "anonymous", "anonymous"},
		{AccessKeyID, "ASIA1", "kms"},
		{SourceIP, audit.InvokedByS3, "kms"},
		{SourceIP, "198.51.100.1", "kms"},
		{ResourceType, "AWS::KMS::Key", "kms"},
		{ResourceType, "AWS::IAM::User", "iam"},
		{ResourceName, "bob", "iam"},
		{ResourceName, key, "kms"},
		{ResourceName, "1234abcd-12ab-34cd-56ef-1234567890ab", "kms"},
		{Bucket, "vault", "kms"},
		{Object, `arn:aws:s3:::vault/a "b"\c`, "kms"},
		{Object, "arn:aws:s3:::elsewhere/a b", "data"},
		{Bucket, "elsewhere", "data"},
		{Key, key, "data kms"},
		{Key, "1234abcd-12ab-34cd-56ef-1234567890ab", "data kms"},
		{Generation, "G1", "kms"},
		{Generation, "G2", "data"},
		{KMSEvent, "kms", "data"},
		{KMSEvent, "other", "data"},
		{RequestID, "kms-request", "kms"},
		{RequestID, "S3REQUEST", "kms"},
		{Account, "111122223333", "anonymous iam data kms"},
	} {
		if got := strings.Join(w.found(Query{Terms: []Term{{Field: c.field, Value: c.value}}}), " "); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.field, c.value, got, c.want)
		}
	}
}
