// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"

	"github.com/cofferstore/coffer/internal/fips"
)

// content is a body in pieces of the ocean. Bodies are neither made nor copied:
// memory is dear under the race detector.
type content [][]byte

// ocean is random bytes of which all bodies are cuts.
var ocean = sync.OnceValue(func() []byte {
	b := make([]byte, 4<<20)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b) // it never fails
	return b
})

// cutOf returns n bytes from anywhere.
func cutOf(rnd *rand.Rand, n int) []byte {
	from := rnd.IntN(len(ocean()) - n)
	return ocean()[from : from+n : from+n]
}

func (c content) size() (n int) {
	for _, piece := range c {
		n += len(piece)
	}
	return n
}

// slice returns the bytes from one offset to before another.
func (c content) slice(from, to int) (out content) {
	for _, piece := range c {
		if start, end := max(0, from), min(len(piece), to); start < end {
			out = append(out, piece[start:end])
		}
		from, to = from-len(piece), to-len(piece)
	}
	return out
}

// md5 returns the MD5 in hex.
func (c content) md5() string {
	h := fips.NewMD5()
	for _, piece := range c {
		h.Write(piece)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// compare reads r by means of buf and says where it differs.
func (c content) compare(r io.Reader, buf []byte) error {
	at := 0
	for {
		n, err := r.Read(buf)
		for got := buf[:n]; len(got) > 0; {
			if len(c) == 0 {
				return fmt.Errorf("reads on after %d bytes", at)
			}
			same := min(len(c[0]), len(got))
			if !bytes.Equal(got[:same], c[0][:same]) {
				return fmt.Errorf("reads back differently in the %d bytes from %d on", same, at)
			}
			got, at = got[same:], at+same
			if c = append(content{c[0][same:]}, c[1:]...); len(c[0]) == 0 {
				c = c[1:]
			}
		}
		switch {
		case err == io.EOF && c.size() > 0:
			return fmt.Errorf("ends after %d bytes of %d", at, at+c.size())
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("after %d bytes: %w", at, err)
		}
	}
}
