// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cofferstore/coffer/internal/core/access"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

// open is buckets that everybody may write into.
type open struct{}

func (open) Authorize(context.Context, access.Request) error { return nil }

func newService() *Service {
	return New(mem.New(), Config{Region: "us-east-1", Policy: anybody{}, Buckets: open{}, Head: func() audit.Position { return audit.Position{Segment: "s", Offset: 7} }})
}

func creation(name string) CreateTrail {
	return CreateTrail{Name: name, Settings: Settings{S3BucketName: ptr("logs")}}
}

// The quota holds however many trails are made at a time, and a name is one trail's.
func TestTrailsMadeAtATime(t *testing.T) {
	s := newService()
	var made, refused atomic.Int32
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			switch _, err := s.Create(t.Context(), asker, creation(fmt.Sprintf("trail-%d", i%8))); {
			case err == nil:
				made.Add(1)
			case errors.Is(err, TooMany), errors.Is(err, AlreadyExists):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	list, err := s.Of(t.Context(), home)
	if made.Load() != 5 || refused.Load() != 7 || len(list) != 5 || err != nil {
		t.Errorf("made %d, refused %d, there are %d: %v", made.Load(), refused.Load(), len(list), err)
	}
	if other, err := s.Of(t.Context(), home+"4"); len(other) != 0 || err != nil {
		t.Errorf("another account has %v, %v", other, err)
	}
}

// What is known of a delivery goes with its trail: another of the same name begins anew.
func TestDeliveryGoesWithItsTrail(t *testing.T) {
	s, ctx := newService(), t.Context()
	for range 2 {
		if _, err := s.Create(ctx, asker, creation("main")); err != nil {
			t.Fatal(err)
		}
		trail, err := s.Find(ctx, home, "main")
		if err != nil {
			t.Fatal(err)
		}
		if d, err := s.Delivery(ctx, &trail); err != nil || d.Error != "" {
			t.Errorf("a new trail's delivery: %+v, %v", d, err)
		}
		if err := s.SaveDelivery(ctx, &trail, Delivery{Error: "NoSuchBucket"}); err != nil {
			t.Fatal(err)
		}
		if out, err := s.Status(ctx, asker, NameOnly{"main"}); err != nil || out.LatestDeliveryError != "NoSuchBucket" {
			t.Errorf("status %+v, %v", out, err)
		}
		if _, err := s.Delete(ctx, asker, NameOnly{trail.ARN(s.Region)}); err != nil {
			t.Fatal(err)
		}
		if err := s.SaveDelivery(ctx, &trail, Delivery{Error: "late"}); !errors.Is(err, NotFound) {
			t.Errorf("of a trail that is gone: %v", err)
		}
		if _, err := s.Create(ctx, asker, creation("main")); err != nil {
			t.Fatal(err)
		}
		if err := s.SaveDelivery(ctx, &trail, Delivery{Error: "late"}); !errors.Is(err, NotFound) {
			t.Errorf("of a trail that was made again: %v", err)
		}
		if _, err := s.Delete(ctx, asker, NameOnly{"main"}); err != nil {
			t.Fatal(err)
		}
	}
}

// Logging begins and ends at a place in the audit trail; once more changes nothing.
func TestLoggingHasItsPlace(t *testing.T) {
	s, ctx := newService(), t.Context()
	if _, err := s.Create(ctx, asker, creation("main")); err != nil {
		t.Fatal(err)
	}
	here := s.Head()
	for _, step := range []struct {
		do      func(context.Context, iam.Caller, NameOnly) (Done, error)
		head    int64
		logging bool
		from    int64
		until   int64
	}{
		{s.Stop, 3, false, 0, 0}, {s.Start, 7, true, 7, 0}, {s.Start, 9, true, 7, 0}, {s.Stop, 12, false, 7, 12}, {s.Stop, 15, false, 7, 12}, {s.Start, 20, true, 20, 12},
	} {
		s.Head = func() audit.Position { return audit.Position{Segment: here.Segment, Offset: step.head} }
		if _, err := step.do(ctx, asker, NameOnly{"main"}); err != nil {
			t.Fatal(err)
		}
		trail, err := s.Find(ctx, home, "main")
		if err != nil || trail.Logging != step.logging || trail.From.Offset != step.from || trail.Until.Offset != step.until {
			t.Errorf("at %d: %+v, %v", step.head, trail, err)
		}
	}
}
