// SPDX-License-Identifier: Apache-2.0

package access

import (
	"strings"

	"github.com/cofferstore/coffer/internal/core/acl"
)

// permissionOnObject returns what a grant on an object must allow for an action on it,
// "" for actions that no grant on an object allows (S3 User Guide, "Mapping of ACL
// permissions and access policy permissions").
func permissionOnObject(action string) acl.Permission {
	switch action {
	case "s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectVersionForReplication":
		return acl.Read
	case "s3:GetObjectAcl", "s3:GetObjectVersionAcl":
		return acl.ReadACP
	case "s3:PutObjectAcl", "s3:PutObjectVersionAcl":
		return acl.WriteACP
	}
	return ""
}

// permissionOnBucket is the same for grants on a bucket.
func permissionOnBucket(action string) acl.Permission {
	switch action {
	case "s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads":
		return acl.Read
	case "s3:PutObject":
		return acl.Write
	case "s3:GetBucketAcl":
		return acl.ReadACP
	case "s3:PutBucketAcl":
		return acl.WriteACP
	}
	return ""
}

// ofNew reports whether an action of a request that makes an object is about the new
// one, and not about one that is there.
func ofNew(action string) bool { return strings.HasPrefix(action, "s3:Put") }

// ofForeign reports whether an action on an object that no grant allows is its owner's
// alone, all the same: reading and changing its tags, annotations, attributes and encryption. Removing
// an object is also the right of the bucket's owner.
func ofForeign(action string) bool {
	annotation := strings.HasSuffix(strings.TrimSuffix(action, "s"), "Annotation")
	return annotation || strings.HasSuffix(action, "Tagging") && !strings.HasSuffix(action, "BucketTagging") ||
		action == "s3:GetObjectAttributes" || action == "s3:GetObjectVersionAttributes" || action == "s3:UpdateObjectEncryption"
}
