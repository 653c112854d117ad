// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"crypto/subtle"
	"encoding/base64"

	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// requireDigest demands that the request has a digest of its document, for the
// operations of which S3 does. That it is right is for [document] to check.
// Fault: InvalidRequest.
func requireDigest(c *pipeline.Call) error {
	p, err := c.Payload()
	if err != nil {
		return err
	}
	e, err := expectation(c, p)
	switch {
	case err != nil:
		return err
	case e.MD5 != nil, e.Value != nil:
		return nil
	case unprovedStream(c):
		return invalidStream()
	case c.Has("x-amz-sdk-checksum-algorithm"):
		return fault.New(InvalidRequest, "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	}
	return fault.New(InvalidRequest, "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
}

// document reads the call's body whole and verifies it against Content-MD5 and
// against the checksum in its headers or trailer. Faults: BodyTooLarge,
// InvalidDigest, BadDigest, InvalidRequest, those of package checksum and of the
// body's signature.
func document(c *pipeline.Call) ([]byte, error) {
	p, err := c.Payload()
	if err != nil {
		return nil, err
	}
	e, err := expectation(c, p)
	if err != nil {
		return nil, err
	}
	if e.MD5 == nil && e.Value == nil && unprovedStream(c) {
		return nil, invalidStream()
	}
	b, err := c.Document()
	if err != nil {
		return nil, err
	}
	return b, verify(b, e)
}

// digested is document for operations that demand a digest. Faults: those of
// requireDigest and document.
func digested(c *pipeline.Call) ([]byte, error) {
	if err := requireDigest(c); err != nil {
		return nil, err
	}
	return document(c)
}

// unprovedStream reports whether the body comes in chunks that nobody signed. S3 takes
// no document so; here one with a checksum is as good as any.
func unprovedStream(c *pipeline.Call) bool { return c.Auth.Payload == sigv4.UnsignedChunksTrailer }

func invalidStream() error {
	return fault.New(InvalidRequest, "The value of x-amz-content-sha256 header is invalid.")
}

// verify compares a document with what its sender said of it.
func verify(b []byte, e object.Expect) error {
	if e.MD5 != nil {
		if got := fips.MD5(b); subtle.ConstantTimeCompare(got[:], e.MD5) != 1 {
			return fault.New(BadDigest, "The Content-MD5 you specified did not match what we received.").
				With("ExpectedDigest", base64.StdEncoding.EncodeToString(e.MD5)).
				With("CalculatedDigest", base64.StdEncoding.EncodeToString(got[:]))
		}
	}
	if e.Value == nil {
		return nil
	}
	sent, err := e.Value()
	if err != nil {
		return err
	}
	h := e.Algorithm.New()
	h.Write(b)
	return e.Algorithm.Verify(sent, h.Sum(nil))
}

// documentMD5 returns the digest in Content-MD5, nil when there is none.
func documentMD5(c *pipeline.Call) ([]byte, error) {
	if !c.Has("Content-MD5") {
		return nil, nil
	}
	text := c.Header("Content-MD5")
	sum, err := base64.StdEncoding.DecodeString(text) // bits behind the last byte do not count, as for S3
	if err != nil || len(sum) != fips.MD5Size {
		return nil, fault.New(InvalidDigest, "").With("Content-MD5", text)
	}
	return sum, nil
}
