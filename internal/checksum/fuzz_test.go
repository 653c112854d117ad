// SPDX-License-Identifier: Apache-2.0

package checksum_test

import (
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/fault"
)

// FuzzHeaders: a value that is taken has no other spelling, and belongs to the
// algorithm that its header names.
func FuzzHeaders(f *testing.F) {
	f.Add("x-amz-checksum-crc32", "y/Q5Jg==")
	f.Add("X-Amz-Checksum-SHA256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=-3")
	f.Add("x-amz-checksum-crc64nvme", "rosUhgp5mIh=")
	f.Add("x-amz-checksum-", "")
	f.Add("x-amz-checksum-crc32c", "4w\nSgw==")
	f.Add("x-amz-checksum-md5", "AAAAAAAAAAAAAAAAAAAAAA==-10000")
	f.Fuzz(func(t *testing.T, name, value string) {
		a, ok := checksum.ParseHeader(name)
		if ok != (strings.EqualFold(a.Header(), name) && a != "") {
			t.Fatalf("%q is %q, %t", name, a, ok)
		}
		if !ok {
			return
		}
		sum, err := a.Decode(value)
		wantFault(t, err)
		if err == nil && (len(sum) != a.Size() || a.Encode(sum) != value) {
			t.Errorf("%s %q is taken as %x", a, value, sum)
		}
		sum, n, err := a.ParseComposite(value)
		wantFault(t, err)
		if err == nil && n > 0 && a.FormatComposite(sum, n) != value || err == nil && n == 0 && a.Encode(sum) != value {
			t.Errorf("%s %q is taken as %x of %d parts", a, value, sum, n)
		}
	})
}

// FuzzUpload: what an upload asks for is refused, or is a pair that goes together.
func FuzzUpload(f *testing.F) {
	f.Add("", "")
	f.Add("sha1", "FULL_OBJECT")
	f.Add("CRC32", "composite")
	f.Add("crc16", "")
	f.Fuzz(func(t *testing.T, algorithm, kind string) {
		a, typ, err := checksum.ParseUpload(algorithm, kind)
		wantFault(t, err)
		switch {
		case err != nil:
		case algorithm != "" && !strings.EqualFold(string(a), algorithm), kind != "" && !strings.EqualFold(string(typ), kind):
			t.Errorf("%q, %q are taken as %s, %s", algorithm, kind, a, typ)
		case kind != "" && !a.Allows(typ):
			t.Errorf("%s and %s do not go together", a, typ)
		}
	})
}

func wantFault(t *testing.T, err error) {
	t.Helper()
	if _, ok := fault.As(err); err != nil && !ok {
		t.Errorf("%v is no fault", err)
	}
}
