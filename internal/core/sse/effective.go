// SPDX-License-Identifier: Apache-2.0

package sse

import "github.com/cofferstore/coffer/internal/core/kms"

// Request is what a client asked for. "" and nil mean that it did not say.
type Request struct {
	Algorithm, KeyID string
	BucketKey        *bool
	Context          kms.Context // the caller's own pairs
	ContextText      string      // the same as it was sent, for faults
	Customer         CustomerKey
}

// Default is a bucket's default encryption. An empty Algorithm means AES256; that of
// a bucket in legacy mode is NotSSE.
type Default struct {
	Algorithm, KeyID string
	BucketKey        bool
}

// Choice is the encryption of a new object. KeyID is as it was given, unresolved;
// "" means the managed key aws/s3 of the requester's account.
type Choice struct {
	Algorithm, KeyID string
	BucketKey        bool
	FromDefault      bool // the client did not choose
	Context          kms.Context
	ContextText      string
	Customer         CustomerKey // of algorithm Customer
}

// Effective returns the encryption of a new object. The request is one that
// [Request.Check] accepts.
//
// A client that names an algorithm gets nothing else from the default, not even
// its key; but the default's bucket key flag counts for every SSE-KMS write that
// does not set its own, also under a key that the bucket does not know.
func Effective(r Request, d Default) Choice {
	if r.Customer.Given() {
		return Choice{Algorithm: Customer, Customer: r.Customer}
	}
	c := Choice{Algorithm: r.Algorithm, KeyID: r.KeyID, Context: r.Context, ContextText: r.ContextText}
	if r.Algorithm == "" {
		c = Choice{Algorithm: d.Algorithm, KeyID: d.KeyID, FromDefault: true}
	}
	switch c.Algorithm {
	case KMS:
		c.BucketKey = d.BucketKey
		if r.BucketKey != nil {
			c.BucketKey = *r.BucketKey
		}
	case DSSE:
	default:
		if c.Algorithm == "" {
			c.Algorithm = AES256
		}
		c.KeyID = ""
	}
	return c
}
