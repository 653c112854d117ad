// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// consumed returns the request ids behind a position, and the next position.
func consumed(t *testing.T, trail *Trail, at Position) (ids []string, next Position) {
	t.Helper()
	next, err := trail.Consume(t.Context(), at, func(l Line) error {
		var r Record
		if err := json.Unmarshal(l.JSON, &r); err != nil {
			t.Errorf("%s: %v", l.JSON, err)
		}
		ids = append(ids, r.RequestID)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids, next
}

// A consumer sees what is durable, once, across files and restarts.
func TestConsume(t *testing.T) {
	fs := vfs.NewMem()
	open := func() *Trail {
		trail, err := Open(t.Context(), "audit", Config{FS: fs, MaxSize: 1500})
		if err != nil {
			t.Fatal(err)
		}
		return trail
	}
	put := func(trail *Trail, id string, durable bool) {
		t.Helper()
		if err := trail.Append(t.Context(), Record{RequestID: id, EventName: "PutObject"}, durable); err != nil {
			t.Fatal(err)
		}
	}
	trail := open()
	var at Position
	var all, want []string
	for i := range 10 {
		id := string(rune('a' + i))
		want = append(want, id)
		put(trail, id, true)
		ids, next := consumed(t, trail, at)
		all, at = append(all, ids...), next
		if !slices.Equal(all, want) {
			t.Fatalf("after %s: %q", id, all)
		}
	}
	put(trail, "not durable yet", false)
	if ids, _ := consumed(t, trail, at); len(ids) != 0 {
		t.Errorf("before the sync: %q", ids)
	}
	if err := trail.Await(t.Context(), at); err != nil { // the background syncs it
		t.Fatal(err)
	}
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	trail = open()
	defer trail.Close()
	if n, err := trail.Behind(at); err != nil || n == 0 {
		t.Errorf("behind: %d bytes, %v", n, err)
	}
	ids, next := consumed(t, trail, at)
	if !slices.Equal(ids, []string{"not durable yet"}) {
		t.Errorf("after the restart: %q", ids)
	}
	if n, err := trail.Behind(next); err != nil || n != 0 {
		t.Errorf("behind the end: %d bytes, %v", n, err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := trail.Await(over, next); err == nil {
		t.Error("there is nothing to wait for")
	}
	// From the beginning of a file that is gone: the next one's.
	if err := fs.Remove(fs.PathJoin("audit", at.Segment)); err != nil {
		t.Fatal(err)
	}
	if ids, _ := consumed(t, trail, Position{Segment: at.Segment, Offset: 7}); len(ids) != 0 {
		t.Errorf("of a file that is gone: %q", ids)
	}
	if ids, _ := consumed(t, trail, Position{}); len(ids) == 0 {
		t.Error("nothing from the beginning")
	}
}
