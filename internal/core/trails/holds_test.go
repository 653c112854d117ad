// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
)

// slow is a bucket in which a write takes until it is let go on.
type slow struct {
	*shop
	takes chan struct{}
}

func (s slow) Put(ctx context.Context, by iam.Caller, in object.Put, keys policy.Context) (object.Stored, error) {
	<-s.takes
	return s.shop.Put(ctx, by, in, keys)
}

// A trail whose rows cannot be read keeps no other from being delivered, and nothing is
// removed that it may have yet to deliver.
func TestDamagedTrails(t *testing.T) {
	for name, row := range map[string][]byte{"settings": trailRow(account, "damaged"), "delivery": deliveryRow(account, "damaged")} {
		t.Run(name, func(t *testing.T) {
			inPost(t, func(p *post) {
				other := Trail{ID: "damaged", Account: account, Name: "damaged", Bucket: "logs", Logging: true, Started: time.Now()}
				if err := p.service.insert(t.Context(), &other); err != nil {
					t.Fatal(err)
				}
				whole := encode(other)
				p.put(fileRows+"damaged/12345678", []byte("of a digest to come"))
				p.put(string(row), []byte("{"))
				p.begin(false)
				p.happen(2, 10*time.Minute)
				p.delivered(1, 2)
				if at, holds := p.trail.Holds()[unknown]; !holds || at != (audit.Position{}) {
					t.Errorf("held: %v", p.trail.Holds())
				}
				if item, err := p.rows.Get(t.Context(), []byte(fileRows+"damaged/12345678")); err != nil || len(item) != 1 || item[0].Ver == 0 {
					t.Errorf("what is kept of its files went: %v, %v", item, err)
				}
				p.put(string(trailRow(account, "damaged")), whole)
				p.put(string(deliveryRow(account, "damaged")), encode(Delivery{}))
				time.Sleep(2 * poll)
				synctest.Wait()
				if held := p.trail.Holds(); len(held) != 2 || held["trail/"+account+"/damaged"] == (audit.Position{}) {
					t.Errorf("in the end these hold: %v", held)
				}
			})
		})
	}
}

// A trail that is made again under the name of one that is still being delivered keeps
// what it has yet to deliver.
func TestTrailsMadeAgainHoldTheirOwn(t *testing.T) {
	inPost(t, func(p *post) {
		takes := make(chan struct{})
		ctx, cancel := context.WithCancel(context.Background())
		c, done := NewCourier(p.service, p.trail, slow{p.shop, takes}, p.signer, p.cfg), make(chan struct{})
		p.begin(false)
		p.stop()
		go func() { defer close(done); c.Run(ctx) }()
		p.happen(1, 10*time.Minute) // being delivered
		by := iam.Caller{Principal: iam.Principal{Account: account}}
		if _, err := p.service.Delete(t.Context(), by, NameOnly{"main"}); err != nil {
			t.Fatal(err)
		}
		trail := Trail{ID: "another", Account: account, Name: "main", Bucket: "logs", Global: true}
		if err := p.service.insert(t.Context(), &trail); err != nil {
			t.Fatal(err)
		}
		p.logging(true)
		p.happen(1, 2*time.Minute)
		close(takes) // the old one ends
		synctest.Wait()
		if _, holds := p.trail.Holds()["trail/"+account+"/main"]; !holds {
			t.Error("nothing is held for the new trail")
		}
		cancel()
		<-done
	})
}
