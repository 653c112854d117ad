// SPDX-License-Identifier: Apache-2.0

package sinktest

import (
	"context"
	"errors"
	"sync"

	"github.com/cofferstore/coffer/internal/link/sink"
)

// Fake is a sink in memory. Its methods are safe for concurrent use.
type Fake struct {
	name string

	mu     sync.Mutex
	inbox  Inbox
	answer func(records int) (taken int, err error)
	closed bool
	sends  int
}

var _ sink.Sink = (*Fake)(nil)

// NewFake returns a sink that takes everything.
func NewFake(name string) *Fake { return &Fake{name: name} }

// Answer sets what the next sends end with: how many of the records are taken, and the
// error. Nil takes everything.
func (f *Fake) Answer(answer func(records int) (taken int, err error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

// Sends returns how often Send was called.
func (f *Fake) Sends() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sends
}

// Taken returns the records that came, in their order, some perhaps twice.
func (f *Fake) Taken() []string { return f.inbox.Await(0) }

// Name is sink.Sink's.
func (f *Fake) Name() string { return f.name }

// Send is sink.Sink's.
func (f *Fake) Send(ctx context.Context, records [][]byte) error {
	f.mu.Lock()
	answer, closed := f.answer, f.closed
	f.sends++
	f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if closed {
		return errors.New("sink is closed")
	}
	taken, err := len(records), error(nil)
	if answer != nil {
		taken, err = answer(len(records))
	}
	for _, r := range records[:taken] {
		f.inbox.Put(string(r))
	}
	return err
}

// Close is sink.Sink's.
func (f *Fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

// Inbox is where the other side of a sink puts what comes.
type Inbox struct {
	mu      sync.Mutex
	records []string
	more    chan struct{} // closed, and made again, by Put
}

// Put adds a record.
func (b *Inbox) Put(record string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records = append(b.records, record)
	if b.more != nil {
		close(b.more)
		b.more = nil
	}
}

// Await waits until n different records have come, and returns all that came.
func (b *Inbox) Await(n int) []string {
	for {
		b.mu.Lock()
		all := append([]string(nil), b.records...)
		if len(FirstSeen(all)) >= n {
			b.mu.Unlock()
			return all
		}
		if b.more == nil {
			b.more = make(chan struct{})
		}
		more := b.more
		b.mu.Unlock()
		<-more
	}
}

// FirstSeen returns the records without those that came before.
func FirstSeen(records []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, r := range records {
		if !seen[r] {
			seen[r] = true
			out = append(out, r)
		}
	}
	return out
}
