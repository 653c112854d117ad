// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/store/blob"
)

// FuzzNames: a file is taken for a stream, or for one in the trash, by its one name.
func FuzzNames(f *testing.F) {
	f.Add(blob.StreamID{1}.String())
	f.Add(trashFile(blob.StreamID{1}, time.UnixMilli(1)))
	f.Add("-" + blob.StreamID{}.String())
	f.Fuzz(func(t *testing.T, name string) {
		if id, ok := parseID(name); ok && id.String() != name {
			t.Errorf("%q is taken as %s", name, id)
		}
		if moved, ok := parseTrashFile(name); ok {
			id, ok := parseID(name[len(name)-len(blob.StreamID{}.String()):])
			if !ok || trashFile(id, moved) != name {
				t.Errorf("%q is taken as of %v", name, moved)
			}
		}
	})
}
