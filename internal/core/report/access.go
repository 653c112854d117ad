// SPDX-License-Identifier: Apache-2.0

package report

import (
	"net/url"
	"strings"
)

// Operations of the KMS that S3 asks for.
const (
	generate = "GenerateDataKey"
	decrypt  = "Decrypt"
)

// costs says which KMS request an S3 operation needs for the object that it is on. What is
// not here needs none: HEAD without checksums, deletes, listings, a completed upload.
var costs = map[string]string{
	"PutObject":              generate,
	"PostObject":             generate,
	"CopyObject":             generate, // and source
	"CreateMultipartUpload":  generate,
	"UpdateObjectEncryption": generate, // and source: the key before
	"GetObject":              decrypt,
	"HeadObject":             decrypt, // with checksums alone
	"GetObjectAttributes":    decrypt,
	"GetObjectAnnotation":    decrypt,
	"PutObjectAnnotation":    decrypt, // of the object's data key
	"SelectObjectContent":    decrypt,
	"UploadPart":             decrypt, // of the upload's data key
	"UploadPartCopy":         decrypt, // and source
}

// access is a use of an object's data key that would have been a KMS request without a
// Bucket Key.
type access struct {
	operation  string
	bucket     string
	key        string
	generation string
}

// accesses returns what a data event used under Bucket Keys. One that failed has none.
func (e *event) accesses() (out []access) {
	if e.EventSource != s3Source || e.ErrorCode != "" {
		return nil
	}
	f := &e.AdditionalEventData
	operation := costs[e.EventName]
	if e.EventName == "HeadObject" && !strings.EqualFold(e.RequestParameters.ChecksumMode, "ENABLED") {
		operation = ""
	}
	if operation != "" && f.Generation != "" {
		out = append(out, access{operation, e.bucket(), f.KeyARN, f.Generation})
	}
	if f.SourceGeneration != "" && operation != "" {
		out = append(out, access{decrypt, e.source(), f.SourceKeyARN, f.SourceGeneration})
	}
	return out
}

// bucket returns the bucket of an S3 event.
func (e *event) bucket() string {
	if name := e.RequestParameters.BucketName; name != "" {
		return name
	}
	for _, r := range e.Resources {
		if name, _ := bucketOf(r.ARN); name != "" {
			return name
		}
	}
	return Unknown
}

// source returns the bucket of a copy's source: of an update of encryption, the object's own.
func (e *event) source() string {
	path, _, _ := strings.Cut(e.RequestParameters.CopySource, "?")
	if text, err := url.PathUnescape(path); err == nil {
		path = text
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if name == "" {
		return e.bucket()
	}
	return name
}
