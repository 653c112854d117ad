// SPDX-License-Identifier: Apache-2.0

package bucketkey

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
)

// Whatever a proof serves names the event of the request that made it, and nobody
// else's.
func TestProofsNameTheirEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := newFake()
		c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
		seal := func(by iam.Caller) *Sealer {
			t.Helper()
			s, err := c.Sealer(t.Context(), by, write(photos, key1))
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		made := seal(alice).Event()
		joined := seal(bob).Event()
		o, err := c.Opener(t.Context(), bob, ForRead{photos, seal(alice).Generation()})
		if err != nil {
			t.Fatal(err)
		}
		events := []string{made, joined, o.Event()}
		for i, event := range events {
			if event == "" || event != fake.events[i] {
				t.Errorf("proof %d names event %q, want %q", i, event, fake.events[i])
			}
		}
		if len(fake.events) != 3 || seal(alice).Event() != made || seal(bob).Event() != joined {
			t.Error("what a proof serves later names another event")
		}
		time.Sleep(DefaultTTL)
		if again := seal(alice).Event(); again != fake.events[3] || again == made {
			t.Errorf("a new proof names event %q, want %q", again, fake.events[3])
		}
	})
}

// Who is refused learns nothing of it, but the record of the refusal names the event
// in which the key service says why.
func TestRefusalsNameTheirEvents(t *testing.T) {
	fake := newFake()
	c := open(t, fake, newStore(), Config{TTL: DefaultTTL})
	mustSeal(t, c, alice, write(photos, key1))
	fake.set(func() { fake.denied[bob.ARN+string(kms.Generate)] = true })
	_, err := c.Sealer(t.Context(), bob, write(photos, key1))
	if event := audit.EventOf(err); !errors.Is(err, errDenied) || event == "" || event != fake.events[1] {
		t.Errorf("refused with %v, event %q, want %q", err, event, fake.events[1])
	}
	fake.set(func() { fake.denied[alice.ARN+string(kms.Generate)] = true })
	if _, err := c.Sealer(t.Context(), alice, write(photos, key1)); !errors.Is(err, errDenied) || audit.EventOf(err) != "" {
		t.Errorf("a proof's holder is refused with %v, event %q: no request was made", err, audit.EventOf(err))
	}
}
