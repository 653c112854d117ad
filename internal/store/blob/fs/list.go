// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"

	"github.com/cofferstore/coffer/internal/store/blob"
)

// List returns the streams after one: first files, in the order of their ids, then
// what is packed, as it stands in the packs. It reads one directory's names at a
// time and looks at no more files than it returns. Files with other names are not
// streams and are left out. Whoever lists everything has counted the packs, and had
// those removed that are empty.
func (s *Store) List(ctx context.Context, after blob.Info, limit int) ([]blob.Info, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	if limit < 1 {
		limit = 1000
	}
	if after.At.Packed() {
		return s.packs.list(ctx, nil, after.At, limit)
	}
	var found []blob.Info
	for i := dirIndex(after.ID); i < fanOut && len(found) < limit; i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		ids, err := s.idsIn(i, after.ID)
		if err != nil {
			return nil, err
		}
		if found, err = s.appendInfos(found, s.dirs[i], ids, limit); err != nil {
			return nil, err
		}
	}
	return s.packs.list(ctx, found, blob.Place{}, limit)
}

// idsIn returns the streams of a directory after an id, in order.
func (s *Store) idsIn(dir int, after blob.StreamID) ([]blob.StreamID, error) {
	names, err := s.fs.List(s.dirs[dir].path)
	if err != nil {
		return nil, failure(err, "list %q", s.dirs[dir].path)
	}
	ids := make([]blob.StreamID, 0, len(names))
	for _, name := range names {
		id, ok := parseID(name)
		if ok && dirIndex(id) == dir && bytes.Compare(id[:], after[:]) > 0 {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b blob.StreamID) int { return bytes.Compare(a[:], b[:]) })
	return ids, nil
}

// appendInfos appends what is known of the ids until there are limit. It leaves
// out what is being written, and what was deleted since the directory was read.
func (s *Store) appendInfos(found []blob.Info, d *directory, ids []blob.StreamID, limit int) ([]blob.Info, error) {
	for _, id := range ids {
		if len(found) == limit {
			break
		}
		if d.unfinished(id) {
			continue
		}
		info, err := s.fs.Stat(d.file(id))
		if missing(err) {
			continue
		}
		if err != nil {
			return nil, failure(err, "stat stream %s", id)
		}
		found = append(found, blob.Info{ID: id, Size: info.Size(), Modified: info.ModTime()})
	}
	return found, nil
}

// parseID reads a stream's file name.
func parseID(name string) (id blob.StreamID, ok bool) {
	if len(name) != hex.EncodedLen(len(id)) {
		return id, false
	}
	if _, err := hex.Decode(id[:], []byte(name)); err != nil {
		return id, false
	}
	return id, id.String() == name // not upper case
}
