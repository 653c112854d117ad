// SPDX-License-Identifier: Apache-2.0

package builtin

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/link/keystore/scheme"
	"github.com/cofferstore/coffer/internal/secret"
)

// openable is what is kept open: bytes, or a private key that was read from them.
type openable interface {
	// copied returns what is the caller's to clear.
	copied() openable
	clear()
}

// raw is material of a spec whose keys are bytes.
type raw struct {
	spec keystore.Spec
	secret.Bytes
}

func (r raw) copied() openable { return raw{r.spec, secret.Copy(r.Reveal())} }
func (r raw) clear()           { r.Clear() }

// private is a private key. It is immutable, and cannot be cleared.
type private struct{ *scheme.Private }

func (p private) copied() openable { return p }
func (p private) clear()           {}

// opened keeps opened material for a while. It keeps and hands out copies, so
// that it can clear what it drops while callers still compute.
type opened struct {
	max int
	ttl time.Duration

	mu   sync.Mutex
	held map[keystore.Ref]held
	eras uint64 // counts calls of forget
}

type held struct {
	material openable
	until    time.Time
}

func newOpened(max int, ttl time.Duration) *opened {
	return &opened{max: max, ttl: ttl, held: map[keystore.Ref]held{}}
}

func (o *opened) get(ref keystore.Ref) (openable, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h, ok := o.held[ref]
	if !ok {
		return nil, false
	}
	if !time.Now().Before(h.until) {
		o.drop(ref)
		return nil, false
	}
	return h.material.copied(), true
}

// era is to be read before the material's row is, and given to put.
func (o *opened) era() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.eras
}

// put keeps a copy, unless a key was destroyed since the era began: the row may
// have been read before it went.
func (o *opened) put(ref keystore.Ref, material openable, era uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if era != o.eras {
		return
	}
	if _, ok := o.held[ref]; !ok && len(o.held) >= o.max {
		for victim := range o.held { // any: opening it again costs one read
			o.drop(victim)
			break
		}
	}
	o.held[ref] = held{material.copied(), time.Now().Add(o.ttl)}
}

// forget drops all versions of a key.
func (o *opened) forget(key uuid.UUID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.eras++
	for ref := range o.held {
		if ref.Key == key {
			o.drop(ref)
		}
	}
}

func (o *opened) drop(ref keystore.Ref) {
	o.held[ref].material.clear()
	delete(o.held, ref)
}
