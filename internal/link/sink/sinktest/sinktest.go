// SPDX-License-Identifier: Apache-2.0

// Package sinktest is the suite that every sink passes, and a sink in memory.
package sinktest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/link/sink"
)

// Secret is what suites give their sinks as credentials; no error may show it.
const Secret = "sinktest-secret-0123456789"

// Harness is a sink and its other side.
type Harness struct {
	Sink sink.Sink
	// Inbox is where the other side puts the records that come.
	Inbox *Inbox
	// Down ends what is under way on the other side, which then takes nothing, or lets it
	// take records again.
	Down func(bool)
}

// record returns a record like those of the trail.
func record(id, more string) string {
	text, err := json.Marshal(more)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`{"eventVersion":"1.11","eventTime":"2026-07-14T09:30:00Z","eventName":"PutObject","eventID":%q,"userAgent":%s}`, id, text)
}

// Run holds a sink to its interface.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	send := func(t *testing.T, h Harness, records ...string) error {
		t.Helper()
		out := make([][]byte, len(records))
		for i, r := range records {
			out[i] = []byte(r)
		}
		err := h.Sink.Send(t.Context(), out)
		for _, r := range out { // they are the caller's again
			for i := range r {
				r[i] = 'x'
			}
		}
		if err != nil && strings.Contains(err.Error(), Secret) {
			t.Errorf("the error %q tells the secret", err)
		}
		return err
	}
	want := func(t *testing.T, h Harness, records ...string) {
		t.Helper()
		if got := FirstSeen(h.Inbox.Await(len(records))); !slices.Equal(got, records) {
			t.Errorf("came %q, want %q", got, records)
		}
	}
	sub := func(name string, test func(*testing.T, Harness)) {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			t.Cleanup(func() {
				if err := h.Sink.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			test(t, h)
		})
	}

	sub("order", func(t *testing.T, h Harness) {
		var all []string
		for n := range 5 {
			var batch []string
			for i := range n * n {
				batch = append(batch, record(fmt.Sprint(n, "-", i), ""))
			}
			if err := send(t, h, batch...); err != nil {
				t.Fatal(err)
			}
			all = append(all, batch...)
		}
		want(t, h, all...)
	})
	sub("texts", func(t *testing.T, h Harness) {
		var all []string
		for i, text := range []string{"", "<34>1 \\ \" ]", "caf\u00e9 \U0001f511 \u2028", "12 <13>", "\x00\r\n", strings.Repeat("x", 250<<10)} {
			all = append(all, record(fmt.Sprint(i), text))
		}
		if err := send(t, h, all...); err != nil {
			t.Fatal(err)
		}
		want(t, h, all...)
	})
	sub("down", func(t *testing.T, h Harness) {
		first, second, third := record("1", ""), record("2", ""), record("3", "")
		if err := send(t, h, first); err != nil {
			t.Fatal(err)
		}
		want(t, h, first)
		h.Down(true)
		// What the other side has taken into its hands before it went is not known to be
		// lost at once; the suite's harness has ended the connection.
		if err := send(t, h, second); err == nil {
			t.Error("records were taken by nobody")
		}
		if err := send(t, h, second); err == nil {
			t.Error("records were taken by nobody again")
		}
		h.Down(false)
		if err := send(t, h, second, third); err != nil {
			t.Fatalf("after it was down: %v", err)
		}
		want(t, h, first, second, third)
	})
	sub("cancelled", func(t *testing.T, h Harness) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.Sink.Send(ctx, [][]byte{[]byte(record("1", ""))}); err == nil {
			t.Error("records are sent after the end of the context")
		}
		if err := send(t, h, record("2", "")); err != nil {
			t.Errorf("after a send that was cancelled: %v", err)
		}
	})
	sub("closed", func(t *testing.T, h Harness) {
		if err := h.Sink.Close(); err != nil {
			t.Fatal(err)
		}
		if err := send(t, h, record("1", "")); err == nil {
			t.Error("a closed sink takes records")
		}
	})
	sub("name", func(t *testing.T, h Harness) {
		if name := h.Sink.Name(); name == "" || strings.Contains(name, Secret) || strings.ContainsAny(name, "@\n") {
			t.Errorf("name %q", name)
		}
	})
}
