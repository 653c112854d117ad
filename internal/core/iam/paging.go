// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/cofferstore/coffer/internal/fault"
)

// Paged is the members of a request for a list.
type Paged struct {
	Marker   string `api:"1-320 marker"`
	MaxItems *int   `api:"1-1000"`
}

// Page is the members of a list's answer that say where it goes on.
type Page struct {
	IsTruncated bool
	Marker      string
}

func (p Paged) size() int {
	if p.MaxItems == nil {
		return defaultMaxItems
	}
	return *p.MaxItems
}

// A marker is where a list goes on, after a checksum over the list that it belongs to.
// It grants nothing: whoever forges one moves within the list that the operation would
// show him anyway.
const markerSum = 8

func marker(list, position string) string {
	return base64.RawURLEncoding.EncodeToString(append(sumOf(list, position), position...))
}

func sumOf(list, position string) []byte {
	sum := sha256.Sum256([]byte("coffer iam marker\x00" + list + "\x00" + position))
	return sum[:markerSum]
}

// after returns the position that the request goes on behind, "" to begin with the first.
func (p Paged) after(list string) (string, error) {
	if p.Marker == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(p.Marker)
	if err == nil && len(b) > markerSum {
		if at := string(b[markerSum:]); string(sumOf(list, at)) == string(b[:markerSum]) {
			return at, nil
		}
	}
	return "", fault.New(ValidationError, "Invalid Marker.")
}

// pageOf cuts a page out of a list that is in memory, in the order of key.
func pageOf[E any](p Paged, list string, all []E, key func(E) string) ([]E, Page, error) {
	after, err := p.after(list)
	if err != nil {
		return nil, Page{}, err
	}
	out := []E{}
	for _, e := range all {
		if after != "" && key(e) <= after {
			continue
		}
		if len(out) == p.size() {
			return out, Page{true, marker(list, key(out[len(out)-1]))}, nil
		}
		out = append(out, e)
	}
	return out, Page{}, nil
}

// pageOfRows reads a page of rows under a prefix. take says whether a row is part of the
// list.
func (s *Service) pageOfRows(ctx context.Context, p Paged, prefix string, take func(value []byte) (bool, error)) (Page, error) {
	after, err := p.after(prefix)
	if err != nil {
		return Page{}, err
	}
	if after != "" {
		after = prefix + after
	}
	n, last, out := 0, "", Page{}
	err = s.scan(ctx, prefix, after, func(row string, value []byte) (bool, error) {
		if n == p.size() { // something follows: whether it is part of the list, the next page says
			out = Page{true, marker(prefix, strings.TrimPrefix(last, prefix))}
			return false, nil
		}
		ok, err := take(value)
		if ok {
			n++
		}
		last = row
		return true, err
	})
	return out, err
}
