// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"encoding/base64"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/secret"
)

// Kinds of fault of keys that customers provide with each request (SSE-C).
const (
	// CustomerMixed: another encryption is asked for as well.
	CustomerMixed fault.Kind = "sse: customer key together with another method"
	// CustomerInsecure: a key came over an open connection. It is to be considered
	// known to others.
	CustomerInsecure fault.Kind = "sse: customer key needs a secure connection"
	// CustomerNoAlgorithm, CustomerAlgorithm, CustomerNoKey, CustomerNoMD5,
	// CustomerMD5 and CustomerLength: a part of the trio is missing or wrong.
	CustomerNoAlgorithm fault.Kind = "sse: customer key without algorithm"
	CustomerAlgorithm   fault.Kind = "sse: unknown algorithm of a customer key"
	CustomerNoKey       fault.Kind = "sse: customer key missing"
	CustomerNoMD5       fault.Kind = "sse: MD5 of the customer key missing"
	CustomerMD5         fault.Kind = "sse: MD5 of the customer key does not match"
	CustomerLength      fault.Kind = "sse: customer key of a wrong length"
	// CustomerNeeded: the object is under a customer's key and none was sent.
	CustomerNeeded fault.Kind = "sse: customer key needed"
	// CustomerWrong: another key was sent than the object is under.
	CustomerWrong fault.Kind = "sse: wrong customer key"
	// CustomerNotApplicable: a key was sent and the object is under none.
	CustomerNotApplicable fault.Kind = "sse: customer key not applicable"
	// UploadNeedsCustomer: upload and part differ in whether there is a key.
	UploadNeedsCustomer fault.Kind = "sse: part and upload differ in having a customer key"
	// UploadOtherCustomer: a part's key is not its upload's.
	UploadOtherCustomer fault.Kind = "sse: part and upload have different customer keys"
	// CustomerBlocked: the bucket takes no objects under customers' keys.
	CustomerBlocked fault.Kind = "sse: customer keys are blocked"
)

// Customer is the algorithm of objects under customers' keys. It is no value of the
// algorithm header: the trio of headers selects it.
const Customer = "SSE-C"

// CustomerFields are the trio of a customer's key as the client wrote them. nil
// means absent.
type CustomerFields struct{ Algorithm, Key, MD5 *string }

// Present reports whether any of them is there.
func (f CustomerFields) Present() bool { return f.Algorithm != nil || f.Key != nil || f.MD5 != nil }

// CustomerKey is a key that came with a request, or the zero value for none. Its
// length is checked only where S3 checks it: when something is written under it.
type CustomerKey struct {
	Key secret.Bytes
	MD5 string // base64, as sent and verified

	wrong error // what is wrong with it, to be told once there is an object
}

// Given reports whether a key was sent.
func (k CustomerKey) Given() bool { return k.MD5 != "" }

// Customer key lengths.
const customerKeySize = secret.Size

// parse reads the trio, in the order in which S3 checks it. write says that the key
// is for something new.
func (f CustomerFields) parse(write bool) (CustomerKey, error) {
	wrong := func(kind fault.Kind) (CustomerKey, error) {
		return CustomerKey{}, fault.New(kind, "").With("ArgumentName", AlgorithmHeader)
	}
	switch {
	case !f.Present():
		return CustomerKey{}, nil
	case f.Algorithm == nil:
		return wrong(CustomerNoAlgorithm)
	case *f.Algorithm != AES256:
		return CustomerKey{}, fault.New(CustomerAlgorithm, "").With("ArgumentName", AlgorithmHeader).With("ArgumentValue", *f.Algorithm)
	case f.Key == nil:
		return wrong(CustomerNoKey)
	case f.MD5 == nil:
		return wrong(CustomerNoMD5)
	}
	key, keyErr := base64.StdEncoding.DecodeString(*f.Key)
	sum, sumErr := base64.StdEncoding.DecodeString(*f.MD5)
	if keyErr == nil {
		if got := fips.MD5(key); sumErr != nil || !secret.New(sum).Equal(secret.New(got[:])) {
			return wrong(CustomerMD5)
		}
	}
	if keyErr != nil || write && len(key) != customerKeySize {
		return wrong(CustomerLength)
	}
	return CustomerKey{Key: secret.New(key), MD5: *f.MD5}, nil
}

// A wrap under a customer's key keeps a salt and a verifier: nothing of the key.
const customerVary = 64

// customerKeys derives what a customer's key is used for: the verifier, which tells
// a wrong key before a byte of a body is read, and the wrapping key.
func customerKeys(salt []byte, key secret.Bytes) (verifier, kek secret.Bytes) {
	p := secret.Extract(salt, key)
	defer p.Clear()
	return secret.Derive(p, "ssec-verify", nil, secret.Size), secret.Derive(p, "ssec-kek", nil, secret.Size)
}

// customerAEAD returns what opens the data key of w. Fault: CustomerWrong.
func customerAEAD(w wrap, key CustomerKey) (*secret.AEAD, error) {
	if key.Key.Len() != customerKeySize {
		return nil, fault.New(CustomerWrong, "")
	}
	verifier, kek := customerKeys(w.vary[:32], key.Key)
	defer kek.Clear()
	if !verifier.Equal(secret.New(w.vary[32:])) {
		return nil, fault.New(CustomerWrong, "")
	}
	return wrapAEAD(kek, w.ref), nil
}

// checkCustomer holds the key that a request brought against a wrap. Faults:
// CustomerNeeded, CustomerWrong, CustomerNotApplicable, and what Fields.Read left.
func checkCustomer(w wrap, key CustomerKey) error {
	switch {
	case key.wrong != nil:
		return key.wrong
	case w.source == fromCustomer && !key.Given():
		return fault.New(CustomerNeeded, "")
	case w.source == fromCustomer:
		_, err := customerAEAD(w, key)
		return err
	case key.Given():
		return fault.New(CustomerNotApplicable, "")
	}
	return nil
}
