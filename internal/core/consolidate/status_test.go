// SPDX-License-Identifier: Apache-2.0

package consolidate

import (
	"testing"

	"github.com/cofferstore/coffer/internal/core/object"
)

// What is under a generation is known without a consolidation, and follows each change.
func TestStatusCounts(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.bucket("")
		k := w.key()
		under := func() int64 {
			t.Helper()
			s, err := w.c.Status(t.Context(), photos)
			w.must(err)
			if len(s.Generations) != 1 || s.Generations[0].Counted.IsZero() || s.Keys[0].Objects != s.Generations[0].Objects {
				t.Fatalf("status %+v", s)
			}
			return s.Generations[0].Objects
		}
		for _, key := range []string{"a", "b", "c"} {
			w.put(alice, key, underBucketKey(k))
		}
		w.put(alice, "a", underBucketKey(k)) // in place of the first
		if n := under(); n != 3 {
			t.Errorf("%d data keys under the generation, want 3", n)
		}
		_, err := w.objects.Delete(t.Context(), alice, object.Delete{VersionRef: object.VersionRef{Ref: ref("b")}})
		w.must(err)
		if n := under(); n != 2 {
			t.Errorf("%d data keys after a delete, want 2", n)
		}
	})
}
