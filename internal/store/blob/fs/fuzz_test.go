// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/store/blob"
)

// FuzzNames: a file is taken for a stream, a pack, or one of them in the trash, by its one
// name.
func FuzzNames(f *testing.F) {
	f.Add(blob.StreamID{1}.String())
	f.Add(trashFile(blob.StreamID{1}, time.UnixMilli(1)))
	f.Add(packName(7))
	f.Add(trashPack(7, time.UnixMilli(1)))
	f.Add("-" + blob.StreamID{}.String())
	f.Fuzz(func(t *testing.T, name string) {
		if id, ok := parseID(name); ok && id.String() != name {
			t.Errorf("%q is taken as %s", name, id)
		}
		if id, ok := parsePackName(name); ok && packName(id) != name {
			t.Errorf("%q is taken as pack %x", name, id)
		}
		moved, ok := parseTrashFile(name)
		if !ok {
			return
		}
		_, which, _ := strings.Cut(name, "-")
		id, stream := parseID(which)
		pack, _ := parsePackName(which)
		if stream && trashFile(id, moved) != name || !stream && trashPack(pack, moved) != name {
			t.Errorf("%q is taken as of %v", name, moved)
		}
	})
}
