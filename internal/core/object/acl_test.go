// SPDX-License-Identifier: Apache-2.0

package object

import (
	"slices"
	"testing"

	"github.com/cofferstore/coffer/internal/core/acl"
)

func TestListsOfGrantsInRecords(t *testing.T) {
	for _, l := range []acl.List{nil, {}, {{ID: "65a0", Permission: acl.Read}, {Group: acl.AllUsers, Permission: acl.FullControl}}} {
		r, err := decodeRecord((&record{Key: "k", ACL: l}).encode())
		if err != nil || !slices.Equal(r.ACL, l) || (r.ACL == nil) != (l == nil) {
			t.Errorf("%v became %v, %v", l, r.ACL, err)
		}
		u, err := decodeUpload((&upload{Key: "k", ACL: l}).encode())
		if err != nil || !slices.Equal(u.ACL, l) || (u.ACL == nil) != (l == nil) {
			t.Errorf("of an upload: %v became %v, %v", l, u.ACL, err)
		}
	}
	for _, l := range []acl.List{{{ID: "a", Permission: "ALL"}}, {{Group: "http://all", Permission: acl.Read}}, {{Permission: acl.Read}}} {
		if _, err := decodeRecord((&record{Key: "k", ACL: l}).encode()); err == nil {
			t.Errorf("%v is read back", l)
		}
	}
}

// An object without a list has none in its record: it costs nothing.
func TestRecordsWithoutAList(t *testing.T) {
	with, without := (&record{Key: "k", ACL: acl.List{}}).encode(), (&record{Key: "k"}).encode()
	if len(with) != len(without)+5 {
		t.Errorf("%d bytes with an empty list, %d with none", len(with), len(without))
	}
}
