// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// reads counts reads of rows.
type reads struct {
	meta.Store
	n atomic.Int64
}

func (r *reads) Get(ctx context.Context, keys ...[]byte) ([]meta.Item, error) {
	r.n.Add(1)
	return r.Store.Get(ctx, keys...)
}

func TestChecksAreServedFromMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		k := n.key()
		counted := &reads{Store: n.store}
		n.view.store = counted
		for range 1000 {
			if err := n.ViaS3().Check(t.Context(), owner, Generate, k.Arn, bucket); err != nil {
				t.Fatal(err)
			}
		}
		if got := counted.n.Load(); got > 2 {
			t.Errorf("1000 checks read %d rows, want the key and the epoch", got)
		}
		time.Sleep(epochPoll)
		if err := n.ViaS3().Check(t.Context(), owner, Generate, k.Arn, bucket); err != nil {
			t.Fatal(err)
		}
		if got := counted.n.Load(); got > 4 {
			t.Errorf("after the poll %d rows were read", got)
		}
	})
}

func TestOtherNodesSeeAChangeWithinTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		other := New(n.store, n.materials, n.trail, Config{Region: region}).ViaS3()
		k := n.key()
		check := func() error { return other.Check(t.Context(), owner, Decrypt, k.Arn, bucket) }
		if err := check(); err != nil {
			t.Fatal(err)
		}
		must(n.DisableKey(t.Context(), owner, KeyOnly{k.KeyId}))(t)
		refused(t, "here, at once", n.ViaS3().Check(t.Context(), owner, Decrypt, k.Arn, bucket), Disabled, "")
		time.Sleep(2 * time.Second)
		refused(t, "there, two seconds later", check(), Disabled, "")
		must(n.EnableKey(t.Context(), owner, KeyOnly{k.KeyId}))(t)
		must(n.CreateAlias(t.Context(), owner, CreateAlias{"alias/a", k.KeyId}))(t)
		time.Sleep(2 * time.Second)
		if err := check(); err != nil {
			t.Errorf("enabled again: %v", err)
		}
		if arn, err := other.Resolve(t.Context(), owner, "alias/a"); err != nil || arn != k.Arn {
			t.Errorf("alias: %s, %v", arn, err)
		}
		second := n.key()
		must(n.UpdateAlias(t.Context(), owner, UpdateAlias{"alias/a", second.KeyId}))(t)
		time.Sleep(2 * time.Second)
		if arn, err := other.Resolve(t.Context(), owner, "alias/a"); err != nil || arn != second.Arn {
			t.Errorf("moved alias: %s, %v", arn, err)
		}
	})
}

func TestWithoutEpochChecksEndAfterTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		k := n.key()
		store := &failing{Store: n.store}
		n.view.store = store
		check := func() error { return n.ViaS3().Check(t.Context(), owner, Decrypt, k.Arn, bucket) }
		if err := check(); err != nil {
			t.Fatal(err)
		}
		store.set(errors.New("network partition"))
		for range 9 {
			time.Sleep(time.Second)
			if err := check(); err != nil {
				t.Fatalf("within ten seconds: %v", err)
			}
		}
		time.Sleep(2 * time.Second)
		refused(t, "after ten seconds", check(), Unavailable, "")
		if _, err := n.Owned().Resolve(t.Context(), owner, ""); err != nil {
			t.Errorf("the service-owned key needs no epoch: %v", err)
		}
		store.set(nil)
		time.Sleep(time.Second)
		if err := check(); err != nil {
			t.Errorf("the store is back: %v", err)
		}
	})
}

func TestViewKeepsNothingReadBeforeADrop(t *testing.T) {
	v := newView(nil, 8)
	v.drop("row")
	v.keep("row", "old", 0)
	if _, ok := v.rows["row"]; ok {
		t.Error("a row read before a change was kept after it")
	}
}

func TestViewIsBounded(t *testing.T) {
	v := newView(nil, 2)
	for _, row := range []string{"a", "b", "c", "c", "d"} {
		v.keep(row, row, 0)
	}
	if len(v.rows) != 2 || v.rows["d"] != "d" {
		t.Errorf("kept %v", v.rows)
	}
}
