// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"context"
	"errors"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

const cannotInvoke = "Anonymous users cannot invoke this API. Please authenticate."

// forSigners are the operations that nobody does without a signature, whatever a bucket
// allows, and what S3 says of it where that is not what it says of all that is denied.
var forSigners = map[string]string{
	"CreateBucket":                  cannotInvoke,
	"PutBucketAcl":                  cannotInvoke,
	"PutObjectAcl":                  cannotInvoke,
	"SelectObjectContent":           cannotInvoke,
	"CopyObject":                    "Anonymous users cannot copy objects. Please authenticate.",
	"UploadPartCopy":                "",
	"CreateMultipartUpload":         "Anonymous users cannot initiate multipart uploads. Please authenticate.",
	"GetBucketOwnershipControls":    "s3:GetBucketOwnershipControls does not support Anonymous requests!",
	"PutBucketOwnershipControls":    "s3:PutBucketOwnershipControls does not support Anonymous requests!",
	"DeleteBucketOwnershipControls": "s3:PutBucketOwnershipControls does not support Anonymous requests!",
}

// signedOnly refuses what somebody has to sign. Fault: iam.AccessDenied.
func signedOnly(c *pipeline.Call) error {
	if !c.Caller.IsAnonymous() {
		return nil
	}
	if text, ok := forSigners[c.Op.Name]; ok {
		return fault.New(iam.AccessDenied, "%s", text)
	}
	return nil
}

// unasked are operations that do not ask for their bucket first: it is not there yet, or
// they have no document, and the next thing that they do is to find it.
var unasked = map[string]bool{
	"CreateBucket": true, "GetObject": true, "HeadObject": true, "PutObject": true, "CopyObject": true, "DeleteObject": true,
	"CreateMultipartUpload": true, "UploadPart": true,
}

// bucketThere tells that a bucket is missing before any mistake in what is asked of it.
// That it is missing is told to everybody, as by package access. Fault: bucket.NoSuchBucket.
func (a *API) bucketThere(ctx context.Context, c *pipeline.Call) error {
	if c.Bucket == "" || c.Op.Traits.Has(pipeline.Open) || c.Form != nil || unasked[c.Op.Name] {
		return nil
	}
	if _, err := a.Buckets.Access(ctx, c.Bucket); errors.Is(err, bucket.NoSuchBucket) {
		return err
	}
	return nil
}
