// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/fault"
)

// FuzzKeyNames: a name of a key or an alias that is taken is one way to write what it
// names, and there is no third.
func FuzzKeyNames(f *testing.F) {
	id := uuid.UUID{1}.String()
	for _, name := range []string{
		id, strings.ToUpper(id), "mrk-" + strings.Repeat("0", 32), aws.KeyARN(region, home, id), aws.AliasARN(region, home, "alias/x"),
		"alias/x", "alias/", "arn:aws:kms:" + region + ":" + home + ":alias", "arn:aws-cn:kms:x:1:key/" + id, "arn:aws:s3:" + region + ":" + home + ":key/" + id, "urn:uuid:" + id, "{" + id + "}",
	} {
		f.Add(name)
	}
	s, by := &Service{region: region}, rootOf(home)
	f.Fuzz(func(t *testing.T, name string) {
		account, alias, isAlias, err := s.aliasNamed(by, name)
		wantFault(t, name, err)
		if isAlias && (!strings.HasPrefix(alias, "alias/") || name != alias && aws.AliasARN(region, account, alias) != name) {
			t.Errorf("%q is taken as the alias %q of %s", name, alias, account)
		}
		ref, err := s.keyNamed(by, name)
		wantFault(t, name, err)
		if err == nil && (isAlias || name != ref.id && ref.arn(region) != name || !validKeyID(ref.id) || name == ref.id && ref.account != home) {
			t.Errorf("%q is taken as the key %+v", name, ref)
		}
	})
}

// FuzzMarkers: a marker leads to a place in the list that it was given out for, and
// nothing else does.
func FuzzMarkers(f *testing.F) {
	f.Add("keys", "12", marker("keys", "3"))
	f.Add("k/k/", "", marker("k/a/", "x"))
	f.Add("", "-1", "AAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, list, place, text string) {
		if place != "" {
			if got, err := position(list, marker(list, place)); err != nil || got != place {
				t.Errorf("%q of %q comes back as %q, %v", place, list, got, err)
			}
			if _, err := position(list+"'", marker(list, place)); err == nil {
				t.Errorf("the marker of %q is taken for another list", list)
			}
		}
		if got, err := position(list, text); err == nil {
			if again, err := position(list, marker(list, got)); err != nil || again != got {
				t.Errorf("%q leads to %q, and again to %q, %v", text, got, again, err)
			}
		}
		for _, from := range []string{text, marker(list, place)} {
			page, _, err := pageOf(list, []int{0, 1, 2, 3, 4}, 2, from)
			if wantFault(t, from, err); len(page) > 2 || err == nil && len(page) == 2 && page[1] != page[0]+1 {
				t.Errorf("a page from %q: %v", from, page)
			}
		}
	})
}

// FuzzRows: rows of keys and aliases are written again as they are read.
func FuzzRows(f *testing.F) {
	at := time.UnixMilli(0).UTC()
	f.Add(encode(&key{Account: home, ID: uuid.UUID{1}, Created: at, Materials: []material{{Version: 1, Created: at}}, Deletion: &deletion{Date: at}}))
	f.Add(encode(&alias{Target: "x", Created: at}))
	f.Add([]byte(`{"materials":[]}`))
	f.Add(encode(&grant{Version: 1, ID: "x", Created: at, Grantee: principal{ARN: "a", ID: "b"}, Operations: []string{"Decrypt"}, Subset: Context{"a": "b"}}))
	f.Fuzz(func(t *testing.T, row []byte) {
		if k, err := decodeKey(row, 1); err == nil {
			again, err := decodeKey(encode(k.clone()), 1)
			if err != nil || !bytes.Equal(encode(again), encode(k)) || again.currentRef() != k.currentRef() {
				t.Errorf("%s is read as %+v and again as %+v, %v", row, k, again, err)
			}
		}
		if g, err := decodeGrant(row); err == nil {
			again, err := decodeGrant(encode(g))
			if err != nil || !bytes.Equal(encode(again), encode(g)) || again.fingerprint() != g.fingerprint() {
				t.Errorf("%s is read as %+v and again as %+v, %v", row, g, again, err)
			}
			newGrantSet([]*grant{g}).allow("Decrypt", &facts{Context: g.context()})
		}
		if a, err := decodeAlias(row, 1); err == nil {
			if again, err := decodeAlias(encode(a), 1); err != nil || !bytes.Equal(encode(again), encode(a)) {
				t.Errorf("%s is read as %+v and again as %+v, %v", row, a, again, err)
			}
		}
	})
}

func wantFault(t *testing.T, what string, err error) {
	t.Helper()
	if _, ok := fault.As(err); err != nil && !ok {
		t.Errorf("%q: %v is no fault", what, err)
	}
}
