// SPDX-License-Identifier: Apache-2.0

// Package eventtest is the suite that every target of event notifications passes, and a
// target in memory.
package eventtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cofferstore/coffer/internal/link/event"
)

// Secret is what suites give their targets as credentials; no error may show it.
const Secret = "eventtest-secret-0123456789"

// Harness is a target and its other side.
type Harness struct {
	Target event.Target
	// Came returns the bodies that the other side has, each once, those of a key in the order
	// in which they came. It may be asked again and again.
	Came func() []string
	// Down makes the other side take nothing, or take messages again.
	Down func(bool)
	// Unordered says that messages of different keys have no order.
	Unordered bool
}

// message returns a message with the n-th body, for one of three keys.
func message(n int) event.Message {
	return event.Message{ID: fmt.Sprint("id", n), Key: fmt.Sprint("bucket/", n%3), Body: fmt.Appendf(nil, `{"Records":[{"eventName":"ObjectCreated:Put","n":%d}]}`, n)}
}

func messages(from, to int) (out []event.Message) {
	for n := from; n < to; n++ {
		out = append(out, message(n))
	}
	return out
}

// Run holds a target to its interface.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	send := func(t *testing.T, h Harness, m []event.Message) (int, error) {
		t.Helper()
		n, err := h.Target.Send(t.Context(), m)
		if err == nil && n != len(m) || err != nil && (n < 0 || n >= len(m)) {
			t.Errorf("of %d messages %d were taken, with %v", len(m), n, err)
		}
		if err != nil && strings.Contains(err.Error(), Secret) {
			t.Errorf("the error %q tells the secret", err)
		}
		for i := range m { // they are the caller's again
			for j := range m[i].Body {
				m[i].Body[j] = 'x'
			}
		}
		return n, err
	}
	want := func(t *testing.T, h Harness, n int) {
		t.Helper()
		var all []string
		for _, m := range messages(0, n) {
			all = append(all, string(m.Body))
		}
		got := h.Came()
		if h.Unordered { // between keys; what is of one must be in order
			for key := range 3 {
				of := func(bodies []string) []string {
					return slices.DeleteFunc(slices.Clone(bodies), func(b string) bool {
						i := slices.Index(all, b)
						return i < 0 || i%3 != key
					})
				}
				if !slices.Equal(of(got), of(all)) {
					t.Errorf("of key %d came %q, want %q", key, of(got), of(all))
				}
			}
			slices.Sort(got)
			slices.Sort(all)
		}
		if !slices.Equal(got, all) {
			t.Errorf("came %q, want %q", got, all)
		}
	}
	sub := func(name string, test func(*testing.T, Harness)) {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			t.Cleanup(func() {
				if err := h.Target.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			test(t, h)
		})
	}

	sub("order", func(t *testing.T, h Harness) {
		sent := 0
		for n := range 6 {
			if _, err := send(t, h, messages(sent, sent+n*n)); err != nil {
				t.Fatal(err)
			}
			sent += n * n
		}
		want(t, h, sent)
	})
	sub("down", func(t *testing.T, h Harness) {
		if _, err := send(t, h, messages(0, 2)); err != nil {
			t.Fatal(err)
		}
		h.Down(true)
		for range 2 {
			if _, err := send(t, h, messages(2, 4)); err == nil {
				t.Error("messages were taken by nobody")
			}
		}
		h.Down(false)
		for sent := 2; sent < 6; {
			n, err := send(t, h, messages(sent, 6))
			if sent += n; err != nil && t.Context().Err() != nil {
				t.Fatalf("after it was down: %v", err)
			}
		}
		want(t, h, 6)
	})
	sub("cancelled", func(t *testing.T, h Harness) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := h.Target.Send(ctx, messages(0, 1)); err == nil {
			t.Error("messages are sent after the end of the context")
		}
		if _, err := send(t, h, messages(0, 1)); err != nil {
			t.Errorf("after a send that was cancelled: %v", err)
		}
		want(t, h, 1)
	})
	sub("closed", func(t *testing.T, h Harness) {
		if err := h.Target.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := send(t, h, messages(0, 1)); err == nil {
			t.Error("a closed target takes messages")
		}
	})
	sub("name", func(t *testing.T, h Harness) {
		if name := h.Target.Name(); name == "" || strings.Contains(name, Secret) || strings.ContainsAny(name, "@\n/") {
			t.Errorf("name %q", name)
		}
		if h.Target.Records() < 1 {
			t.Error("messages without records")
		}
	})
}

// Fake is a target in memory.
type Fake struct {
	name    string
	records int

	mu     sync.Mutex
	came   []event.Message
	sends  int
	answer func(messages int) (taken int, err error)
	closed bool
}

var _ event.Target = (*Fake)(nil)

// NewFake returns a target that takes everything.
func NewFake(name string, records int) *Fake { return &Fake{name: name, records: records} }

// Answer sets how sends are answered: it gets how many messages are sent and returns how many
// are taken; nil: all.
func (f *Fake) Answer(answer func(messages int) (taken int, err error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

// Down makes it take nothing, or take messages again.
func (f *Fake) Down(down bool) {
	if !down {
		f.Answer(nil)
		return
	}
	f.Answer(func(int) (int, error) { return 0, errors.New("connection refused") })
}

// Came returns what was taken.
func (f *Fake) Came() []event.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.came)
}

// Bodies returns the bodies of what was taken, each once.
func (f *Fake) Bodies() (out []string) {
	for _, m := range f.Came() {
		if b := string(m.Body); !slices.Contains(out, b) {
			out = append(out, b)
		}
	}
	return out
}

// Sends returns how often something was sent.
func (f *Fake) Sends() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sends
}

// Name is event.Target's.
func (f *Fake) Name() string { return f.name }

// Records is event.Target's.
func (f *Fake) Records() int { return f.records }

// Send is event.Target's.
func (f *Fake) Send(ctx context.Context, messages []event.Message) (int, error) {
	f.mu.Lock()
	answer, closed := f.answer, f.closed
	f.sends++
	f.mu.Unlock()
	if closed {
		return 0, errors.New("the target is closed")
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	n, err := len(messages), error(nil)
	if answer != nil { // which may take its time
		n, err = answer(n)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range messages[:n] {
		m.Body = slices.Clone(m.Body)
		f.came = append(f.came, m)
	}
	return n, err
}

// Close is event.Target's.
func (f *Fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}
