// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) updateEncryptionOps() []pipeline.Op {
	return []pipeline.Op{
		pipeline.Define("UpdateObjectEncryption", pipeline.Data, objectRoute("PUT", "encryption"), decodeUpdateEncryption, a.Objects.UpdateEncryption, encodeUpdateEncryption),
	}
}

// objectEncryptionXML is ObjectEncryption. SSE-KMS is the only type that an object
// can be changed to.
type objectEncryptionXML struct {
	KMS     []objectKMSXML `xml:"SSE-KMS"`
	Unknown []unknownXML   `xml:",any"`
}

type objectKMSXML struct {
	KeyARN    []string     `xml:"KMSKeyArn"`
	BucketKey []string     `xml:"BucketKeyEnabled"`
	Unknown   []unknownXML `xml:",any"`
}

// fullKeyARN is the only way to name a key here: neither an id nor an alias will do
// (S3 API Reference, SSEKMSEncryption).
var fullKeyARN = regexp.MustCompile(`^arn:aws[a-zA-Z0-9-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+$`)

const maxKeyARN = 2048

func decodeUpdateEncryption(c *pipeline.Call) (in object.UpdateEncryption, err error) {
	if in.VersionRef, err = versionRef(c); err != nil {
		return in, err
	}
	if err := requireDigest(c); err != nil {
		return in, err
	}
	var doc objectEncryptionXML
	if err := decodeXML(c, "ObjectEncryption", &doc); err != nil {
		return in, err
	}
	if len(doc.KMS) != 1 || len(doc.Unknown) > 0 {
		return in, fault.New(InvalidRequest, "The only encryption type that an object can be updated to is SSE-KMS.")
	}
	kms := doc.KMS[0]
	if len(kms.KeyARN) != 1 || len(kms.BucketKey) > 1 || len(kms.Unknown) > 0 {
		return in, fault.New(InvalidRequest, "SSE-KMS takes one KMSKeyArn and, if you like, one BucketKeyEnabled.")
	}
	if in.KeyARN = strings.TrimSpace(kms.KeyARN[0]); len(in.KeyARN) > maxKeyARN || !fullKeyARN.MatchString(in.KeyARN) {
		return in, fault.New(InvalidRequest, "KMSKeyArn must be the full ARN of a KMS key; a key id or an alias is not accepted.")
	}
	if len(kms.BucketKey) == 1 {
		switch strings.TrimSpace(kms.BucketKey[0]) {
		case "true":
			in.BucketKey = true
		case "false":
		default:
			return in, fault.New(InvalidRequest, "BucketKeyEnabled must be true or false.")
		}
	}
	auditDocument(c, "ObjectEncryption", map[string]any{"SSE-KMS": map[string]any{"KMSKeyArn": in.KeyARN, "BucketKeyEnabled": in.BucketKey}})
	return in, nil
}

func encodeUpdateEncryption(c *pipeline.Call, out object.Updated) (*pipeline.Response, error) {
	auditKey(c, ofObject, out.SSE)
	auditKey(c, ofSource, out.Before)
	auditApplied(c, out.SSE, false)
	return &pipeline.Response{Status: http.StatusOK}, nil
}
