// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"errors"
	"testing"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// gone is a store that cannot be read once there is no bucket of a name.
type gone struct {
	meta.Store
	name string
}

func (g gone) Get(ctx context.Context, keys ...[]byte) ([]meta.Item, error) {
	items, err := g.Store.Get(ctx, keys...)
	for i, key := range keys {
		if err == nil && string(key) == string(nameKey(g.name)) && items[i].Ver == 0 {
			return nil, errors.New("input/output error")
		}
	}
	return items, err
}

// The name of a deleted bucket may be another account's next: its requests are not logged
// to where the old one's were.
func TestADeletedBucketIsNotLogged(t *testing.T) {
	for _, fails := range []bool{false, true} {
		s := newBuckets(t, Config{})
		s.mustCreate(t, "logs")
		s.mustCreate(t, "photos")
		ref := Ref{Bucket: "photos"}
		if _, err := s.PutLogging(t.Context(), owner, PutLogging{ref, &Logging{Target: "logs"}}); err != nil {
			t.Fatal(err)
		}
		if s.Logged("photos") == nil {
			t.Fatal("it is not logged")
		}
		if fails {
			s.store = gone{s.store, "photos"}
		}
		if _, err := s.Delete(t.Context(), owner, Delete{ref}); err != nil {
			t.Fatal(err)
		}
		if s.Logged("photos") != nil {
			t.Errorf("its name is still logged; the rows cannot be read: %v", fails)
		}
	}
}
