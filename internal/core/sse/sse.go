// SPDX-License-Identifier: Apache-2.0

// Package sse is server-side encryption: which one applies to a new object, the
// format that objects are stored in, and the keys that they are sealed with.
//
// Every object version has a data key of its own. It seals the body in segments
// (docs/formats.md, "CFB1") and is stored wrapped ("CDW1"): under a bucket key of
// the service's own key for SSE-S3, under a bucket key of the customer's KMS key,
// under a KMS data key made for this object alone, or under a key that the customer
// provides with each request. DSSE-KMS has two data keys and seals twice. Below the
// wrap all are the same.
//
// All work with keys happens in [Keys.ForWrite], [Keys.ForPart] and [Keys.ForRead],
// before a byte of a body moves. Only bytes of verified segments leave a [Reader].
// There is no form of storage without encryption, and no falling back from the one
// asked for to another.
package sse

import "github.com/cofferstore/coffer/internal/fault"

// Kinds of fault.
const (
	// UnsupportedMethod: the encryption asked for is none that S3 knows.
	UnsupportedMethod fault.Kind = "sse: unsupported encryption method"
	// NeedsKMS: a key or a context was given without asking for SSE-KMS.
	NeedsKMS fault.Kind = "sse: needs the method aws:kms"
	// EmptyKeyID: a key was to be named and is not.
	EmptyKeyID fault.Kind = "sse: empty key id"
	// NotForThisOperation: an encryption was asked for where none can be chosen.
	NotForThisOperation fault.Kind = "sse: not for this operation"
	// BadBucketKeyFlag: the bucket key flag is neither true nor false.
	BadBucketKeyFlag fault.Kind = "sse: bad bucket key flag"
	// NeedsSecureTransport: SSE-KMS over plain HTTP.
	NeedsSecureTransport fault.Kind = "sse: needs a secure connection"
	// NeedsSignatureV4: SSE-KMS for a request that is not signed with Signature
	// Version 4.
	NeedsSignatureV4 fault.Kind = "sse: needs signature version 4"
	// NotRewrappable: the object's encryption cannot be changed in place.
	NotRewrappable fault.Kind = "sse: encryption cannot be changed in place"
	// Damaged: stored bytes are not what was stored, or not of this object.
	Damaged fault.Kind = "sse: damaged data"
)

// Algorithms, as the x-amz-server-side-encryption header names them.
const (
	AES256 = "AES256"       // SSE-S3
	KMS    = "aws:kms"      // SSE-KMS
	DSSE   = "aws:kms:dsse" // dual-layer
)

// NotSSE is how an object is reported that asked for nothing in a bucket in legacy
// mode: not encrypted, as objects of S3 from before 2023 are. It is sealed as AES256
// is all the same. No client can ask for it, and no header says it.
const NotSSE = "NOT-SSE"

// Headers, and form fields, by which a client chooses. Faults name them as
// ArgumentName.
const (
	AlgorithmHeader = "x-amz-server-side-encryption"
	KeyIDHeader     = "x-amz-server-side-encryption-aws-kms-key-id"
	ContextHeader   = "x-amz-server-side-encryption-context"
	BucketKeyHeader = "x-amz-server-side-encryption-bucket-key-enabled"
)
