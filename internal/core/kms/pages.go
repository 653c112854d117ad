// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"strconv"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// A marker is where a list goes on, after a checksum over the list it belongs
// to. It grants nothing: whoever forges one moves within the list that the
// operation would show him anyway.
const markerSum = 8

func marker(list, position string) string {
	sum := markerSumOf(list, position)
	return base64.RawURLEncoding.EncodeToString(append(sum, position...))
}

func position(list, marker string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(marker)
	if err == nil && len(b) > markerSum {
		if p := string(b[markerSum:]); string(markerSumOf(list, p)) == string(b[:markerSum]) {
			return p, nil
		}
	}
	return "", fault.New(InvalidMarker, "Could not deserialize pagination token")
}

func markerSumOf(list, position string) []byte {
	sum := sha256.Sum256([]byte("coffer kms marker\x00" + list + "\x00" + position))
	return sum[:markerSum]
}

// pageSize is how many entries to return: what the caller asked for, but no more
// than the operation gives.
func pageSize(limit *int, usual, most int) int {
	if limit == nil {
		return usual
	}
	return min(*limit, most)
}

// pageOf cuts the page out of a list that is in memory and keeps its order.
func pageOf[E any](list string, all []E, size int, from string) (page []E, next string, err error) {
	start := 0
	if from != "" {
		p, err := position(list, from)
		if err != nil {
			return nil, "", err
		}
		if start, err = strconv.Atoi(p); err != nil || start < 0 {
			return nil, "", fault.New(InvalidMarker, "")
		}
	}
	start = min(start, len(all))
	end := min(start+size, len(all))
	if end < len(all) {
		next = marker(list, strconv.Itoa(end))
	}
	return all[start:end:end], next, nil
}

// scanPage reads a page of rows under prefix. take is called for each row and
// says whether it is part of the list.
func (s *Service) scanPage(ctx context.Context, prefix string, size int, from string, take func(meta.Item) (bool, error)) (next string, err error) {
	r := meta.Range{Start: []byte(prefix), End: meta.PrefixEnd([]byte(prefix))}
	if from != "" {
		p, err := position(prefix, from)
		if err != nil {
			return "", err
		}
		r.Start = []byte(prefix + p + "\x00")
	}
	last := ""
	for taken := 0; ; {
		r.Limit = size - taken + 1 // one more tells whether the list goes on
		page, err := s.store.Scan(ctx, r)
		if err != nil {
			return "", fromMeta(err)
		}
		for _, item := range page.Items {
			if taken == size {
				return marker(prefix, last), nil
			}
			ok, err := take(item)
			if err != nil {
				return "", err
			}
			last = string(item.Key[len(prefix):])
			if ok {
				taken++
			}
		}
		if !page.More {
			return "", nil
		}
		r.Start = page.Next
	}
}
