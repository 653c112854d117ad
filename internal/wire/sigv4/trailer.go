// SPDX-License-Identifier: Apache-2.0

package sigv4

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/fault"
)

// trailer is a header that follows the payload.
type trailer struct{ name, value string }

const trailerSignature = "x-amz-trailer-signature"

func malformedTrailer(cause string) error {
	return fault.New(MalformedTrailer, "The request contained trailing data that was not well-formed "+
		"or did not conform to our published schema.").Because(errors.New(cause))
}

// readTrailers reads the announced headers up to the blank line, and in signed
// mode the signature over them, which is the last line before it.
//
// A widely used client (minio-go) ends each trailer with a bare line feed and
// puts one blank line too many: before the signature if there is one, else at
// the end. S3 takes that, and so does this.
func (c *chunkReader) readTrailers() error {
	var signature []byte
	blank := false
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			if c.chain != nil && signature == nil && len(c.trailers) > 0 && !blank {
				blank = true
				continue
			}
			break
		}
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found || signature != nil {
			return malformedTrailer("a line that is no header, or follows the signature")
		}
		if c.chain != nil && strings.EqualFold(string(name), trailerSignature) {
			signature = bytes.Clone(bytes.Trim(value, " \t"))
			continue
		}
		if err := c.addTrailer(string(name), string(value)); err != nil {
			return err
		}
	}
	if len(c.trailers) != len(c.announced) {
		return malformedTrailer("a trailer is missing")
	}
	if c.chain == nil {
		return c.skipBlank()
	}
	return c.verifyTrailers(signature)
}

func (c *chunkReader) addTrailer(name, value string) error {
	t := trailer{strings.ToLower(name), strings.Trim(value, " \t")}
	if !slices.Contains(c.announced, t.name) {
		return malformedTrailer("a trailer was not announced")
	}
	for _, other := range c.trailers {
		if other.name == t.name {
			return malformedTrailer("a trailer comes twice")
		}
	}
	c.trailers = append(c.trailers, t)
	return nil
}

// skipBlank skips one blank line, if that is all there is.
func (c *chunkReader) skipBlank() error {
	if next, err := c.src.Peek(1); err == nil && next[0] == '\r' && len(c.trailers) > 0 {
		return c.lineBreak()
	}
	return nil
}

// verifyTrailers checks the signature over the trailers in canonical form. An
// upload that announced none needs none: its head says so, and is signed.
func (c *chunkReader) verifyTrailers(signature []byte) error {
	if signature == nil {
		if len(c.announced) == 0 {
			return nil
		}
		return malformedTrailer("the trailer's signature is missing")
	}
	slices.SortFunc(c.trailers, func(a, b trailer) int { return strings.Compare(a.name, b.name) })
	for _, t := range c.trailers {
		c.chain.sum.Write([]byte(t.name + ":" + t.value + "\n"))
	}
	return c.chain.verifyTrailer(signature)
}
