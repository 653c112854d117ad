// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// Headers of a key that the customer provides, behind one of the prefixes.
const (
	customerPrefix = "x-amz-server-side-encryption-customer-"
	sourcePrefix   = "x-amz-copy-source-server-side-encryption-customer-"

	customerAlgorithm = "algorithm"
	customerKey       = "key"
	customerMD5       = "key-md5"
)

// customerNames are the headers of a prefix, put together once.
type customerNames struct{ algorithm, key, md5 string }

var (
	ofCustomer       = customerNames{customerPrefix + customerAlgorithm, customerPrefix + customerKey, customerPrefix + customerMD5}
	ofSourceCustomer = customerNames{sourcePrefix + customerAlgorithm, sourcePrefix + customerKey, sourcePrefix + customerMD5}
)

// encryptionFields reads a request's encryption headers as they stand.
func encryptionFields(c *pipeline.Call) sse.Fields {
	return sse.Fields{
		Algorithm: optional(c, sse.AlgorithmHeader), KeyID: optional(c, sse.KeyIDHeader),
		Context: optional(c, sse.ContextHeader), BucketKey: optional(c, sse.BucketKeyHeader),
		Customer: customerFields(c, &ofCustomer), Secure: c.Caller.Secure,
	}
}

func customerFields(c *pipeline.Call, of *customerNames) sse.CustomerFields {
	return sse.CustomerFields{Algorithm: optional(c, of.algorithm), Key: optional(c, of.key), MD5: optional(c, of.md5)}
}

// customerTransport refuses keys of customers, the request's and those of a copy's
// source, that came over an open connection: before anything else is said of a
// request that has one. Fault: sse.CustomerInsecure.
func customerTransport(c *pipeline.Call) error {
	if !c.Caller.Secure && (customerFields(c, &ofCustomer).Present() || customerFields(c, &ofSourceCustomer).Present()) {
		return fault.New(sse.CustomerInsecure, "").With("ArgumentName", sse.AlgorithmHeader)
	}
	return nil
}

// optional returns a header or field, nil when it is absent.
func optional(c *pipeline.Call, name string) *string {
	v, ok := field(c, name)
	if !ok {
		return nil
	}
	found := v // so that only one that is there takes memory
	return &found
}

// customersKey reads the trio under a prefix where no other encryption header
// counts: of a copy's source, or about a whole upload.
func customersKey(c *pipeline.Call, of *customerNames) (sse.CustomerKey, error) {
	return sse.Fields{Customer: customerFields(c, of), Secure: c.Caller.Secure}.Use(false)
}

// setCustomer tells which key a customer provided. Its MD5 was verified.
func setCustomer(c *pipeline.Call, h http.Header, a sse.Applied) {
	if a.Algorithm == sse.Customer {
		setHeader(h, ofCustomer.algorithm, sse.AES256)
		setHeader(h, ofCustomer.md5, value(c, ofCustomer.md5))
	}
}

// setContext repeats the context that the caller gave, as it was sent. One without
// pairs is none.
func setContext(c *pipeline.Call, h http.Header, a sse.Applied) {
	if a.Algorithm != sse.KMS && a.Algorithm != sse.DSSE {
		return
	}
	if r, err := encryptionFields(c).Create(); err == nil && len(r.Context) > 0 {
		setHeader(h, sse.ContextHeader, r.ContextText)
	}
}

// setEncryption sets the headers that tell how an object is encrypted: the key
// always as its ARN, the bucket key only when there is one. An object that is
// reported as not encrypted has none.
func setEncryption(h http.Header, a sse.Applied) {
	if a.Algorithm == sse.Customer || a.Algorithm == sse.NotSSE {
		return
	}
	if v := algorithms[a.Algorithm]; v != nil {
		h[sse.AlgorithmHeader] = v
	}
	setHeader(h, sse.KeyIDHeader, a.KeyARN)
	if a.BucketKey {
		h[sse.BucketKeyHeader] = yes
	}
}

// auditApplied notes in the audit record which encryption was applied; none for an
// object that is reported as not encrypted.
func auditApplied(c *pipeline.Call, a sse.Applied, fromDefault bool) {
	if name := a.Audited(fromDefault); name != "" {
		c.AuditText("SSEApplied", name)
	}
}

// keyFacts are the names by which a record tells under which key an object is: whether
// under a bucket key and of which generation, and which KMS event covers its use. They
// lead from an object's event to the KMS request's, and back.
type keyFacts struct{ arn, bucketKey, generation, event string }

var (
	ofObject = keyFacts{"cofferKeyArn", "cofferBucketKey", "cofferGeneration", "cofferKmsEventId"}
	// ofSource are those of a copy's source, and of what an object was under before.
	ofSource = keyFacts{"cofferSourceKeyArn", "cofferSourceBucketKey", "cofferSourceGeneration", "cofferSourceKmsEventId"}
)

// auditKey notes the key facts of an object; there are none without a KMS key.
func auditKey(c *pipeline.Call, of keyFacts, a sse.Applied) { of.each(a, c.AuditText, c.AuditData) }

func (of keyFacts) each(a sse.Applied, text func(name, value string), other func(name string, value any)) {
	if a.KeyARN == "" {
		return
	}
	text(of.arn, a.KeyARN)
	other(of.bucketKey, a.BucketKey)
	if a.BucketKey && a.Generation != uuid.Nil {
		text(of.generation, a.Generation.String())
	}
	if a.Event != "" {
		text(of.event, a.Event)
	}
}

// auditHeaders are the headers of an answer that its audit record repeats.
var auditHeaders = [...]string{
	sse.AlgorithmHeader, sse.KeyIDHeader, sse.BucketKeyHeader,
	"x-amz-version-id", "x-amz-delete-marker", "x-amz-copy-source-version-id", objectVersionHeader,
}

// auditAnswer adds to the record's responseElements from an answer's headers.
func auditAnswer(c *pipeline.Call, h http.Header) {
	for _, name := range auditHeaders {
		if v := h[name]; len(v) == 1 {
			c.AuditElement(name, v[0])
		}
	}
}
