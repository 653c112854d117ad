// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/aws/smithy-go/middleware"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
)

// place is where an object is.
type place struct{ bucket, key string }

func (p place) String() string { return "s3://" + p.bucket + "/" + p.key }

// change is what a client did to a place, or tried to: it knows when it asked, and
// when it was answered.
type change struct {
	place
	content      uint64 // what it put there; nothing for a deletion
	begun, ended int64  // of the ledger's clock; ended is unanswered without an answer
	version      string // that it made, once that is known
	removing     bool   // the version is to be removed, or was
	removed      bool
}

const (
	nothing    = 0
	unanswered = math.MaxInt64
)

// history is what is known of a place. Of the time before the last look at it,
// only what was seen then can be there still; of the changes since, those that no
// answered change followed.
type history struct {
	seen     change
	since    []*change
	versions []*change // of a versioned place
}

// ledger is what the clients know. It outlives the servers.
type ledger struct {
	mu        sync.Mutex
	clock     int64
	places    map[place]*history
	sizes     map[uint64]int    // of all contents
	versioned map[string]bool   // buckets
	requests  map[string]string // answered since the last look at the audit trail: id → what
	withKMS   map[string]bool   // those of which each made a KMS request of its own
	keys      map[string][]byte // KMS keys → ciphertext of secretOf under them
	answered  int
}

func newLedger() *ledger {
	return &ledger{
		places: map[place]*history{}, sizes: map[uint64]int{}, versioned: map[string]bool{},
		requests: map[string]string{}, withKMS: map[string]bool{}, keys: map[string][]byte{},
	}
}

// tick needs l.mu.
func (l *ledger) tick() int64 {
	l.clock++
	return l.clock
}

func (l *ledger) at(p place) *history {
	h := l.places[p]
	if h == nil {
		h = new(history)
		l.places[p] = h
	}
	return h
}

// newContent makes up something to store: the number from which its bytes follow.
func (l *ledger) newContent(size int) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := uint64(len(l.sizes) + 1)
	l.sizes[id] = size
	return id
}

// bytesOf returns a content's bytes. ok is false for one that was never made up.
func (l *ledger) bytesOf(content uint64) (b []byte, ok bool) {
	l.mu.Lock()
	size, ok := l.sizes[content]
	l.mu.Unlock()
	if !ok {
		return nil, false
	}
	b = make([]byte, size)
	var seed [32]byte
	for i := range 8 {
		seed[i] = byte(content >> (8 * i))
	}
	_, _ = rand.NewChaCha8(seed).Read(b)
	return b, true
}

// begin enters a change before it is asked for.
func (l *ledger) begin(p place, content uint64) *change {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &change{place: p, content: content, begun: l.tick(), ended: unanswered}
	h := l.at(p)
	h.since = append(h.since, c)
	if l.versioned[p.bucket] {
		h.versions = append(h.versions, c)
	}
	return c
}

// end enters the answer.
func (l *ledger) end(c *change, version string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.ended, c.version = l.tick(), version
}

// request enters that a request was answered.
func (l *ledger) request(what string, m middleware.Metadata) {
	id, _ := awsmiddleware.GetRequestIDMetadata(m)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests[id] = what
	l.answered++
}

// kmsRequest enters that an answered request took a KMS request.
func (l *ledger) kmsRequest(m middleware.Metadata) {
	id, _ := awsmiddleware.GetRequestIDMetadata(m)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.withKMS[id] = true
}

// dropped forgets a change that has turned out not to have been made.
func (l *ledger) dropped(c *change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.at(c.place)
	not := func(all []*change) (out []*change) {
		for _, o := range all {
			if o != c {
				out = append(out, o)
			}
		}
		return out
	}
	h.since, h.versions = not(h.since), not(h.versions)
}

// found settles what is at a place after a restart, and returns what is wrong
// with it: a change that was answered is gone, or nobody put there what was found.
func (l *ledger) found(p place, content uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.at(p)
	err := fmt.Errorf("%v holds content %d, which nobody put there since it held %d", p, content, h.seen.content)
	for _, c := range append([]*change{&h.seen}, h.since...) {
		if c.content != content {
			continue
		}
		later := overtakes(h.since, c)
		if later == nil {
			err = nil
			break
		}
		err = fmt.Errorf("%v holds content %d, but after that %d was put there and answered", p, content, later.content)
	}
	now := l.tick()
	h.seen, h.since = change{place: p, content: content, begun: now, ended: now}, nil
	return err
}

// overtakes returns an answered change that began after c had ended.
func overtakes(all []*change, c *change) *change {
	for _, o := range all {
		if o.ended != unanswered && o.begun > c.ended {
			return o
		}
	}
	return nil
}

// foundVersion is a version in a listing.
type foundVersion struct {
	version string
	content uint64
}

// foundVersions settles which versions and which delete markers a place has, either
// of them newest first, and returns all that is wrong with them.
func (l *ledger) foundVersions(p place, found []foundVersion) (wrong []error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.at(p)
	byVersion := map[string]*change{}
	for _, c := range h.versions {
		if c.version != "" {
			byVersion[c.version] = c
		}
	}
	there := make([]*change, 0, len(found))
	for _, f := range found {
		c := byVersion[f.version]
		if c == nil {
			c = l.adopt(h, f)
		}
		switch {
		case c == nil:
			wrong = append(wrong, fmt.Errorf("%v has version %s with content %d, which nobody put there", p, f.version, f.content))
			continue
		case c.content != f.content:
			wrong = append(wrong, fmt.Errorf("%v has content %d in version %s, want %d", p, f.content, f.version, c.content))
		case c.removed:
			wrong = append(wrong, fmt.Errorf("%v has version %s again, which was removed", p, f.version))
		}
		c.removing = false
		delete(byVersion, f.version)
		there = append(there, c)
	}
	for version, c := range byVersion {
		if !c.removing {
			wrong = append(wrong, fmt.Errorf("%v has no version %s any more, with content %d", p, version, c.content))
		}
	}
	for i, newer := range there {
		for _, older := range there[i+1:] {
			apart := (newer.content == nothing) != (older.content == nothing)
			if !apart && newer.ended < older.begun {
				wrong = append(wrong, fmt.Errorf("%v lists version %s before %s, which is newer", p, newer.version, older.version))
			}
		}
	}
	h.versions = there
	return wrong
}

// adopt finds the unanswered change that made a version. It needs l.mu.
func (l *ledger) adopt(h *history, f foundVersion) *change {
	for _, c := range h.versions {
		if c.version == "" && c.content == f.content {
			c.version, c.ended = f.version, l.tick()
			return c
		}
	}
	return nil
}

// old returns a version of a place that others have followed, to be removed: nil
// while there are few.
func (l *ledger) old(p place) *change {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.at(p)
	var known []*change
	for _, c := range h.versions {
		if c.version != "" && !c.removing {
			known = append(known, c)
		}
	}
	if len(known) < 4 {
		return nil
	}
	c := known[0]
	for _, o := range known {
		if o.begun < c.begun {
			c = o
		}
	}
	c.removing = true
	return c
}

// remove enters that a version was removed.
func (l *ledger) remove(c *change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.removed = true
}

// openChanges returns how many changes were not answered.
func (l *ledger) openChanges() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.places {
		for _, c := range h.since {
			if c.ended == unanswered {
				n++
			}
		}
	}
	return n
}
