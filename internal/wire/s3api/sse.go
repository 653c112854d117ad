// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// customerPrefixes begin the names of headers with keys that customers provide.
var customerPrefixes = [...]string{
	"x-amz-server-side-encryption-customer-",
	"x-amz-copy-source-server-side-encryption-customer-",
}

// encryptionFields reads a request's encryption headers as they stand.
func encryptionFields(c *pipeline.Call) sse.Fields {
	get := func(name string) *string {
		if v, ok := field(c, name); ok {
			return &v
		}
		return nil
	}
	return sse.Fields{
		Algorithm: get(sse.AlgorithmHeader), KeyID: get(sse.KeyIDHeader),
		Context: get(sse.ContextHeader), BucketKey: get(sse.BucketKeyHeader),
		Customer: hasCustomerKey(c),
	}
}

func hasCustomerKey(c *pipeline.Call) bool {
	for _, prefix := range customerPrefixes {
		if len(fieldsWith(c, prefix)) > 0 {
			return true
		}
	}
	return false
}

// refuseCustomerKey is for operations that ignore encryption headers but for keys
// that customers provide.
func refuseCustomerKey(c *pipeline.Call) error {
	if hasCustomerKey(c) {
		return fault.New(sse.NotYet, "")
	}
	return nil
}

// setEncryption sets the headers that tell how an object is encrypted: the key
// always as its ARN, the bucket key only when there is one.
func setEncryption(h http.Header, a sse.Applied) {
	setHeader(h, sse.AlgorithmHeader, a.Algorithm)
	setHeader(h, sse.KeyIDHeader, a.KeyARN)
	if a.BucketKey {
		setHeader(h, sse.BucketKeyHeader, "true")
	}
}

// sseApplied is the audit record's name of an encryption.
func sseApplied(a sse.Applied, fromDefault bool) string {
	name := map[string]string{sse.AES256: "SSE_S3", sse.KMS: "SSE_KMS", sse.DSSE: "DSSE_KMS"}[a.Algorithm]
	if fromDefault {
		name = "Default_" + name
	}
	return name
}

// auditGeneration notes which generation of a bucket key was used. It leads from
// an object's event to the KMS request that made the key.
func auditGeneration(c *pipeline.Call, a sse.Applied) {
	if a.BucketKey && a.Generation != uuid.Nil {
		c.AuditData("cofferGeneration", a.Generation.String())
	}
}

// auditHeaders are the headers of an answer that its audit record repeats.
var auditHeaders = [...]string{
	sse.AlgorithmHeader, sse.KeyIDHeader, sse.BucketKeyHeader,
	"x-amz-version-id", "x-amz-delete-marker", "x-amz-copy-source-version-id",
}

// auditAnswer sets the record's responseElements from an answer's headers.
func auditAnswer(c *pipeline.Call, h http.Header) {
	elements := make(map[string]any, len(auditHeaders))
	for _, name := range auditHeaders {
		if v := h[name]; len(v) == 1 {
			elements[name] = v[0]
		}
	}
	if len(elements) > 0 {
		c.AuditResponse(elements)
	}
}
