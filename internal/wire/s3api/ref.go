// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// bucketRef names the call's bucket.
func bucketRef(c *pipeline.Call) bucket.Ref {
	return bucket.Ref{Bucket: c.Bucket, ExpectedOwner: value(c, "x-amz-expected-bucket-owner")}
}

// objectRef names the call's object.
func objectRef(c *pipeline.Call) object.Ref {
	return object.Ref{Ref: bucketRef(c), Key: c.Key}
}

// versionRef names the call's object in the version that the request asks for.
// Fault: InvalidArgument, for a version id that is there and empty.
func versionRef(c *pipeline.Call) (object.VersionRef, error) {
	ref := object.VersionRef{Ref: objectRef(c), VersionID: c.Query.Get("versionId")}
	if ref.VersionID == "" && c.Query.Has("versionId") {
		return ref, invalidArgument("versionId", "", "Version id cannot be the empty string")
	}
	return ref, nil
}

// canonicalID returns the canonical user id of an account, by which S3 names
// owners: 64 hex digits that say nothing, and always the same ones (as
// iam.Service.CanonicalID). "" is who does not sign.
func canonicalID(account string) string {
	if account == "" {
		return acl.AnonymousID
	}
	sum := sha256.Sum256([]byte("coffer/canonical-user/" + account))
	return hex.EncodeToString(sum[:])
}
