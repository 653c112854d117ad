// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestOneBucketThatCannotBeClearedDoesNotKeepTheOthers(t *testing.T) {
	stuck := errors.New("stuck")
	fails := func(UID) bool { return true }
	s := newBuckets(t, Config{Clear: func(_ context.Context, uid UID) error {
		if fails(uid) {
			return stuck
		}
		return nil
	}})
	for _, name := range []string{"one", "two", "three"} {
		s.mustCreate(t, name)
		if _, err := s.Delete(t.Context(), owner, Delete{Ref{Bucket: name}}); err != nil {
			t.Fatal(err)
		}
	}
	var first UID
	fails = func(uid UID) bool {
		if first == (UID{}) {
			first = uid
		}
		return uid == first
	}
	if n, err := s.ClearDeleted(t.Context()); n != 2 || !errors.Is(err, stuck) {
		t.Errorf("cleared %d, %v; want 2 and word of the one that is stuck", n, err)
	}
}

// A deletion that fails takes its own mark away, and no other's.
func TestAFailedDeletionLeavesNoMark(t *testing.T) {
	s := newBuckets(t, Config{})
	b := s.mustCreate(t, "photos")
	_, at, err := s.mark(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.unmark(t.Context(), b.UID, at.Add(-time.Second)); err != nil {
		t.Error(err)
	}
	if _, err := s.ForWrite(t.Context(), Ref{Bucket: "photos"}); !errors.Is(err, BeingDeleted) {
		t.Errorf("another's mark was taken away: %v", err)
	}
	if err := s.unmark(t.Context(), b.UID, at); err != nil {
		t.Error(err)
	}
	if _, err := s.ForWrite(t.Context(), Ref{Bucket: "photos"}); err != nil {
		t.Error(err)
	}
}
