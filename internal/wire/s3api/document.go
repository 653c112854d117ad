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

// documentExpectation returns what the request says of its document. One that promises a
// checksum must bring it. Faults: InvalidDigest, InvalidRequest, those of package checksum.
func documentExpectation(c *pipeline.Call) (e object.Expect, err error) {
	p, err := c.Payload()
	if err != nil {
		return e, err
	}
	if e, err = expectation(c, p); err != nil || e.MD5 != nil || e.Value != nil {
		return e, err
	}
	switch {
	case unprovedStream(c):
		return e, invalidStream()
	case c.Has("x-amz-sdk-checksum-algorithm"):
		return e, fault.New(InvalidRequest, "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	}
	return e, nil
}

// requireDigest demands that the request has a digest of its document. S3 does so for few
// operations, whatever its model says of more: those for which clients made before the model
// said so send one. That it is right is for [document] to check.
// Faults: those of documentExpectation, InvalidRequest.
func requireDigest(c *pipeline.Call) error {
	e, err := documentExpectation(c)
	if err == nil && e.MD5 == nil && e.Value == nil {
		err = fault.New(InvalidRequest, "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	return err
}

// document reads the call's body whole and verifies it against Content-MD5 and
// against the checksum in its headers or trailer. Faults: BodyTooLarge, BadDigest, those of
// documentExpectation and of the body's signature.
func document(c *pipeline.Call) ([]byte, error) {
	e, err := documentExpectation(c)
	if err != nil {
		return nil, err
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
