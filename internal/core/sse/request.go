// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"errors"
	"strings"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
)

// Fields are a request's encryption headers or form fields as the client wrote
// them. nil means absent, which is not the same as empty.
type Fields struct {
	Algorithm, KeyID, Context, BucketKey *string
	Customer                             CustomerFields
	Secure                               bool // the connection is
}

// Create reads the fields of an operation that makes an object or an upload.
// Faults: UnsupportedMethod, NeedsKMS, EmptyKeyID, BadBucketKeyFlag, BadContext, and
// those of customers' keys.
func (f Fields) Create() (Request, error) {
	if f.Customer.Present() {
		return f.createUnderCustomer()
	}
	var r Request
	if f.Algorithm != nil {
		r.Algorithm = *f.Algorithm
		if r.Algorithm == "" {
			return Request{}, unsupported("")
		}
	}
	if f.KeyID != nil {
		r.KeyID = *f.KeyID
	}
	if err := r.Check(); err != nil {
		return Request{}, err
	}
	forKMS := r.Algorithm == KMS || r.Algorithm == DSSE
	switch {
	case f.KeyID != nil && !forKMS, f.Context != nil && *f.Context != "" && !forKMS:
		return Request{}, fault.New(NeedsKMS, "").With("ArgumentName", AlgorithmHeader)
	case f.KeyID != nil && r.KeyID == "":
		return Request{}, fault.New(EmptyKeyID, "").With("ArgumentName", KeyIDHeader).With("ArgumentValue", "")
	}
	if f.Context != nil {
		var err error
		if r.Context, err = parseContext(*f.Context); err != nil {
			return Request{}, err
		}
		r.ContextText = *f.Context
	}
	if f.BucketKey != nil {
		on, err := bucketKeyFlag(*f.BucketKey)
		if err != nil {
			return Request{}, err
		}
		r.BucketKey = &on
	}
	return r, nil
}

// createUnderCustomer reads the fields when there is any of a customer's key.
func (f Fields) createUnderCustomer() (Request, error) {
	switch {
	case !f.Secure:
		return Request{}, fault.New(CustomerInsecure, "").With("ArgumentName", AlgorithmHeader)
	case f.Algorithm != nil:
		return Request{}, fault.New(CustomerMixed, "").With("ArgumentName", AlgorithmHeader).With("ArgumentValue", *f.Algorithm)
	case f.KeyID != nil, f.Context != nil:
		return Request{}, fault.New(NeedsKMS, "").With("ArgumentName", AlgorithmHeader)
	}
	key, err := f.Customer.parse(true)
	return Request{Customer: key}, err
}

// Read checks the fields of an operation that reads an object. An object that is not
// there matters more than what is wrong with them: of that only a method and an open
// connection are told here, and the rest by whom the key is given to. Faults:
// NotForThisOperation, CustomerInsecure.
func (f Fields) Read() (CustomerKey, error) {
	key, err := f.Use(false)
	if err == nil || errors.Is(err, NotForThisOperation) || errors.Is(err, CustomerInsecure) {
		return key, err
	}
	return CustomerKey{wrong: err}, nil
}

// Use checks the fields of an operation on what exists, where none can be chosen:
// uploading a part, the source of a copy. The bucket key field is ignored there. part
// says that something is written, if under a key that was chosen before. Faults:
// NotForThisOperation, NeedsKMS, and those of customers' keys.
func (f Fields) Use(part bool) (CustomerKey, error) {
	switch {
	case f.Customer.Present() && !f.Secure:
		return CustomerKey{}, fault.New(CustomerInsecure, "").With("ArgumentName", AlgorithmHeader)
	case f.Algorithm != nil:
		return CustomerKey{}, fault.New(NotForThisOperation, "").With("ArgumentName", AlgorithmHeader).With("ArgumentValue", *f.Algorithm)
	case f.KeyID != nil, f.Context != nil && *f.Context != "":
		return CustomerKey{}, fault.New(NeedsKMS, "").With("ArgumentName", AlgorithmHeader)
	}
	return f.Customer.parse(part)
}

// Check refuses what no bucket's default could make valid.
// Faults: UnsupportedMethod, NeedsKMS.
func (r Request) Check() error {
	switch r.Algorithm {
	case "", AES256, KMS, DSSE:
	default:
		return unsupported(r.Algorithm)
	}
	if r.KeyID != "" && r.Algorithm != KMS && r.Algorithm != DSSE {
		return fault.New(NeedsKMS, "").With("ArgumentName", AlgorithmHeader)
	}
	return nil
}

func unsupported(algorithm string) error {
	return fault.New(UnsupportedMethod, "").With("ArgumentName", AlgorithmHeader).With("ArgumentValue", algorithm)
}

func bucketKeyFlag(s string) (bool, error) {
	switch {
	case strings.EqualFold(s, "true"):
		return true, nil
	case strings.EqualFold(s, "false"):
		return false, nil
	}
	return false, fault.New(BadBucketKeyFlag, "").With("ArgumentName", BucketKeyHeader).With("ArgumentValue", s)
}

// CheckSecure is the part of CheckTransport that is about the connection: of what is to
// be written it is said before the caller's permission. Fault: NeedsSecureTransport.
func CheckSecure(c Choice, by iam.Caller) error {
	if c.Algorithm != KMS && c.Algorithm != DSSE || by.Secure {
		return nil
	}
	return fault.New(NeedsSecureTransport, "").With("ArgumentName", AlgorithmHeader).With("ArgumentValue", c.Algorithm)
}

// CheckTransport refuses SSE-KMS, to write or to read, for a request that came over
// an open connection or is not signed with Signature Version 4. Of the choice only
// the algorithm counts. Faults: NeedsSecureTransport, NeedsSignatureV4.
func CheckTransport(c Choice, by iam.Caller) error {
	switch {
	case c.Algorithm != KMS && c.Algorithm != DSSE:
		return nil
	case !by.Secure:
		return CheckSecure(c, by)
	case by.IsAnonymous() || !by.SigV4:
		return fault.New(NeedsSignatureV4, "").With("ArgumentName", "Authorization").With("ArgumentValue", "null")
	}
	return nil
}
