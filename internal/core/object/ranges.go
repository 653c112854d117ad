// SPDX-License-Identifier: Apache-2.0

package object

import (
	"strconv"
	"strings"
)

// rangeSpec is one byte range of a Range header. first < 0 means the last bytes
// of the object; last < 0 means to its end.
type rangeSpec struct{ first, last int64 }

// parseRange reads a Range header. ok is false for anything that S3 ignores, and
// then answers with the whole object: another unit, several ranges, a malformed or
// reversed range.
func parseRange(s string) (r rangeSpec, ok bool) {
	spec, ok := strings.CutPrefix(s, "bytes=")
	if !ok || strings.Contains(spec, ",") {
		return r, false
	}
	first, last, ok := strings.Cut(spec, "-")
	if !ok {
		return r, false
	}
	r = rangeSpec{-1, -1}
	if first != "" {
		if r.first, ok = position(first); !ok {
			return r, false
		}
	}
	if last != "" {
		if r.last, ok = position(last); !ok {
			return r, false
		}
	}
	if first == "" && last == "" || first != "" && last != "" && r.last < r.first {
		return r, false
	}
	return r, true
}

// position reads an offset of digits alone.
func position(s string) (int64, bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// of maps the range onto an object of that size. ok is false when it is not
// satisfiable.
func (r rangeSpec) of(size int64) (start, length int64, ok bool) {
	if r.first < 0 { // suffix
		length = min(r.last, size)
		return size - length, length, length > 0
	}
	if r.first >= size {
		return 0, 0, false
	}
	end := size - 1
	if r.last >= 0 {
		end = min(r.last, end)
	}
	return r.first, end - r.first + 1, true
}
