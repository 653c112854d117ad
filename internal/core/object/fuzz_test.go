// SPDX-License-Identifier: Apache-2.0

package object

import (
	"math/big"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/fault"
)

var rangeForm = regexp.MustCompile(`^bytes=([0-9]*)-([0-9]*)$`)

// FuzzRange holds ranges against their definition, byte by byte.
func FuzzRange(f *testing.F) {
	for _, header := range []string{
		"bytes=0-0", "bytes=3-", "bytes=-3", "bytes=-0", "bytes=9-3", "bytes=0-1,3-4", "bytes= 1-2 ", "items=0-1", "bytes=",
		"bytes=-", "bytes=00-007", "bytes=1-9223372036854775807", "bytes=9223372036854775808-", "bytes=+1-2", "bytes=0x1-", "bytes=\v0-", "bytes=\t0-1",
	} {
		f.Add(header, int64(10))
	}
	f.Add("bytes=-1", int64(0))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		size &= 0xff
		r, ok := parseRange(header)
		m := rangeForm.FindStringSubmatch(header)
		first, last := bound(m, 1), bound(m, 2)
		if wanted := m != nil && (first != nil || last != nil) && !(first != nil && last != nil && last.Cmp(first) < 0) &&
			inInt64(first) && inInt64(last); wanted != ok {
			t.Fatalf("%q is taken: %t, want %t", header, ok, wanted)
		}
		if !ok {
			return
		}
		var chosen []int64
		for i := range size {
			at := big.NewInt(i)
			switch {
			case first == nil:
				if new(big.Int).Add(at, last).Cmp(big.NewInt(size)) >= 0 {
					chosen = append(chosen, i)
				}
			case at.Cmp(first) >= 0 && (last == nil || at.Cmp(last) <= 0):
				chosen = append(chosen, i)
			}
		}
		start, length, satisfiable := r.of(size)
		if satisfiable != (len(chosen) > 0) || satisfiable && (start != chosen[0] || length != int64(len(chosen))) {
			t.Errorf("%q of %d bytes: %d bytes from %d, %t; want %v", header, size, length, start, satisfiable, chosen)
		}
	})
}

// bound returns a number of a range, nil when it is not there.
func bound(m []string, i int) *big.Int {
	if m == nil || m[i] == "" {
		return nil
	}
	n, _ := new(big.Int).SetString(m[i], 10)
	return n
}

func inInt64(n *big.Int) bool { return n == nil || n.IsInt64() }

// FuzzEntityTags: a list that names an ETag matches it, and what matches names it.
func FuzzEntityTags(f *testing.F) {
	f.Add(`"a", W/"b"`, "b")
	f.Add("*", "a")
	f.Add(`a,"`, "")
	f.Fuzz(func(t *testing.T, list, etag string) {
		if matches(list, etag) && !strings.Contains(list, etag) && !strings.Contains(list, "*") {
			t.Errorf("%q matches %q", list, etag)
		}
		if strings.ContainsAny(etag, `", `) || strings.HasPrefix(etag, "W/") || strings.TrimSpace(etag) != etag {
			return // no ETag is written so
		}
		for _, tag := range []string{etag, `"` + etag + `"`, `W/"` + etag + `"`} {
			if !matches(list+" , "+tag, etag) {
				t.Errorf("%q does not match %q", list+" , "+tag, etag)
			}
		}
		c := WriteCondition{IfMatch: list}
		if c.check() == nil && list != "" {
			err := c.holds("k", &record{ETag: etag})
			if held := err == nil; held != (unquote(list) == etag) {
				t.Errorf("If-Match %q of %q: %v", list, etag, err)
			}
		}
	})
}

// FuzzVersionIDs: an id that is taken has no other spelling.
func FuzzVersionIDs(f *testing.F) {
	f.Add(versionID{1, [16]byte{2}}.String())
	f.Add(strings.Repeat("_", 32))
	f.Add(strings.Repeat("A", 32) + "\n")
	f.Add(strings.Repeat("A", 16))
	f.Add(Null)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := parseVersionID("versionId", text)
		if err != nil {
			if bad, ok := fault.As(err); !ok || bad.Kind != InvalidVersionID {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if v.String() != text || v.time < 0 {
			t.Errorf("%q is %+v, which is written %q", text, v, v)
		}
	})
}

// FuzzRecords: rows of objects, uploads, parts and streams are read back as they
// were written.
func FuzzRecords(f *testing.F) {
	f.Add((&record{Key: "k", Wrap: []byte{1}, Parts: []part{{Number: 1, Checksum: []byte{1}}, {Number: 2, Checksum: []byte{2}}}}).encode())
	f.Add((&record{Key: "k", Marker: true, Null: true}).encode())
	f.Add((&record{Key: "k", Lock: Lock{Mode: bucket.Governance, Until: time.UnixMilli(1), Hold: HoldOff}}).encode())
	f.Add((&record{Key: "k", Annotations: func() annotations { l, _ := annotations(nil).with(annotation{Name: "a"}); return l }()}).encode())
	f.Add((&record{Key: "k", Replication: replication{Replica: true, Changed: Changed{1, 0, 2}, To: []destination{{"a", itself, false}, {"b", itsTags | itsHold, true}, {"c", 0, false}}}}).encode())
	f.Add((&upload{Key: "k", Headers: []Header{{"a", "b"}}}).encode())
	f.Add((&upload{Key: "k", Lock: Lock{Hold: HoldOn}}).encode())
	f.Add((&uploadedPart{ETag: "e"}).encode())
	f.Add(location{kind: inFile, size: 1 << 40, damaged: true}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := decodeRecord(b); err == nil {
			if r.Marker {
				return // of which little is written
			}
			again, err := decodeRecord(r.encode())
			if err != nil || string(again.encode()) != string(r.encode()) {
				t.Errorf("%+v is read back as %+v, %v", r, again, err)
			}
		}
		if u, err := decodeUpload(b); err == nil {
			if again, err := decodeUpload(u.encode()); err != nil || string(again.encode()) != string(u.encode()) {
				t.Errorf("%+v is read back as %+v, %v", u, again, err)
			}
		}
		if p, err := decodeUploadedPart(b); err == nil {
			if again, err := decodeUploadedPart(p.encode()); err != nil || string(again.encode()) != string(p.encode()) {
				t.Errorf("%+v is read back as %+v, %v", p, again, err)
			}
		}
		if l, err := decodeLocation(b); err == nil {
			if again, err := decodeLocation(l.encode()); err != nil || !reflect.DeepEqual(again, l) {
				t.Errorf("%+v is read back as %+v, %v", l, again, err)
			}
		}
	})
}
