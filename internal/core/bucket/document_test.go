// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// note is a document of the tests.
type note struct{ Text string }

func TestDocuments(t *testing.T) {
	ctx := t.Context()
	s := newBuckets(t, Config{})
	s.mustCreate(t, "photos")
	ref := Ref{Bucket: "photos"}
	read := func(kind DocumentKind, id string) (text string) {
		t.Helper()
		b, err := s.Find(ctx, ref)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // decoded, and remembered
			doc, err := document[note](ctx, s, b, kind, id)
			if err != nil {
				t.Fatal(err)
			}
			if doc == nil {
				return ""
			}
			if !b.Has(kind) {
				t.Errorf("the bucket does not know that it has %s", kind)
			}
			text = doc.Text
		}
		return text
	}
	put := func(kind DocumentKind, id, text string) {
		t.Helper()
		if err := s.putDocument(ctx, ref, kind, id, note{text}); err != nil {
			t.Fatal(err)
		}
	}
	if got := read("one", ""); got != "" {
		t.Errorf("before it was put: %q", got)
	}
	put("one", "", "first")
	if got := read("one", ""); got != "first" {
		t.Errorf("got %q", got)
	}
	put("one", "", "second")
	put("many", "b", "bee")
	put("many", "a", "ay")
	if got := read("one", ""); got != "second" {
		t.Errorf("after a change: %q", got)
	}
	b, _ := s.Find(ctx, ref)
	if ids, err := s.documentIDs(ctx, b.UID, "many"); err != nil || !slices.Equal(ids, []string{"a", "b"}) {
		t.Errorf("ids: %q, %v", ids, err)
	}
	for _, c := range []struct {
		id    string
		found bool
	}{{"a", true}, {"a", false}, {"b", true}, {"b", false}} {
		if found, err := s.deleteDocument(ctx, ref, "many", c.id); err != nil || found != c.found {
			t.Errorf("delete %s: found %v, %v", c.id, found, err)
		}
	}
	if b, _ := s.Find(ctx, ref); b.Has("many") || !b.Has("one") {
		t.Errorf("kinds in the end: %q", b.documents)
	}
}

func TestDocumentsOfAKindAreBounded(t *testing.T) {
	ctx := t.Context()
	s := newBuckets(t, Config{})
	s.mustCreate(t, "photos")
	ref := Ref{Bucket: "photos"}
	for i := range maxDocuments {
		if err := s.putDocument(ctx, ref, "many", fmt.Sprint(i), note{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.putDocument(ctx, ref, "many", "7", note{"again"}); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	if err := s.putDocument(ctx, ref, "many", "more", note{}); !errors.Is(err, TooManyDocuments) {
		t.Errorf("one too many: %v", err)
	}
}

// What is remembered of documents has an end, however large they are.
func TestRememberedDocumentsAreBounded(t *testing.T) {
	ctx := t.Context()
	s := newBuckets(t, Config{})
	s.mustCreate(t, "photos")
	ref := Ref{Bucket: "photos"}
	if err := s.putDocument(ctx, ref, "one", "", note{strings.Repeat("x", 100)}); err != nil {
		t.Fatal(err)
	}
	b, err := s.Find(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := document[note](ctx, s, b, "one", ""); err != nil {
		t.Fatal(err)
	}
	if s.documents.size < 100 {
		t.Errorf("a document counts as %d bytes", s.documents.size)
	}
	d := &documents{}
	for i := range 100 {
		name := documentName{kind: "many", id: fmt.Sprint(i % 30)}
		d.put(name, knownDocument{1, new(note), 1 << 20})
		held := 0
		for _, known := range d.m {
			held += known.size
		}
		if _, ok := d.get(name, 1); !ok || held > 16<<20 || held != d.size {
			t.Fatalf("after %d: %d bytes are held, counted as %d; the last one is there: %t", i, held, d.size, ok)
		}
	}
}

func TestDocumentsGoWithTheirBucket(t *testing.T) {
	ctx := t.Context()
	s := newBuckets(t, Config{})
	b := s.mustCreate(t, "photos")
	ref := Ref{Bucket: "photos"}
	for i := range 5 {
		if err := s.putDocument(ctx, ref, "many", fmt.Sprint(i), note{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Delete(ctx, owner, Delete{ref}); err != nil {
		t.Fatal(err)
	}
	prefix := bucketDocuments(b.UID)
	page, err := s.store.Scan(ctx, meta.Range{Start: prefix, End: meta.PrefixEnd(prefix)})
	if err != nil || len(page.Items) != 0 {
		t.Errorf("%d rows are left, %v", len(page.Items), err)
	}
}
