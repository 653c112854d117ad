// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

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
