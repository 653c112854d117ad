// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"context"
	"errors"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/access"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
)

// Deliverer returns the service as it calls for a trail.
func (s *Service) Deliverer(t *Trail) iam.Caller {
	return iam.ServiceCaller(ServiceName, t.ARN(s.Region), t.Account)
}

// encryptionContext is what the trail adds to the encryption context of its files.
func (s *Service) encryptionContext(t *Trail) kms.Context {
	return kms.Context{"aws:cloudtrail:arn": t.ARN(s.Region)}
}

// file returns the request that delivers a file of a trail, without its body, and the
// condition keys that it has beside: those of its headers.
func (s *Service) file(t *Trail, key string) (object.Put, policy.Values) {
	in := object.Put{Ref: object.Ref{Ref: bucket.Ref{Bucket: t.Bucket}, Key: key}}
	keys := policy.Values{"s3:x-amz-acl": {"bucket-owner-full-control"}}
	if t.KeyARN != "" {
		in.SSE = sse.Request{Algorithm: sse.KMS, KeyID: t.KeyARN, Context: s.encryptionContext(t)}
		keys["s3:x-amz-server-side-encryption"] = []string{sse.KMS}
	}
	return in, keys
}

// checkBucket refuses a bucket that the trail's files cannot be delivered to: one that
// there is not, and one whose policy does not let the service see its list of grants and
// write under the trail's prefix (CloudTrail User Guide, "Amazon S3 bucket policy for
// CloudTrail"). Faults: InvalidBucketName, InvalidPrefix, NoSuchBucket,
// InsufficientBucketPolicy.
func (s *Service) checkBucket(ctx context.Context, t *Trail) error {
	switch {
	case t.Bucket == "":
		return fault.New(InvalidBucketName, "Bucket name cannot be blank.")
	case !aws.ValidBucketName(t.Bucket):
		return fault.New(InvalidBucketName, "Bucket name is not valid: %s", quoted(t.Bucket))
	}
	if err := checkPrefix(t.Prefix); err != nil {
		return err
	}
	by := s.Deliverer(t)
	put, keys := s.file(t, t.prefixed(""))
	for _, r := range []access.Request{
		{By: by, In: bucket.GetACL{Ref: put.Ref.Ref}},
		{By: by, In: put, Keys: keys},
	} {
		err := s.Buckets.Authorize(ctx, r)
		switch {
		case errors.Is(err, bucket.NoSuchBucket):
			return fault.New(NoSuchBucket, "S3 bucket %s does not exist!", t.Bucket)
		case errors.Is(err, iam.AccessDenied):
			return fault.New(InsufficientBucketPolicy, "Incorrect S3 bucket policy is detected for bucket: %s", t.Bucket)
		case err != nil:
			return err
		}
	}
	return nil
}

// resolveKey returns the ARN of a key that the caller names. Faults: InvalidKey,
// KeyNotFound, InsufficientKeyPolicy.
func (s *Service) resolveKey(ctx context.Context, by iam.Caller, t *Trail, name string) (string, error) {
	_, _, isID := aws.ParseKeyID(name)
	if !isID && !strings.HasPrefix(name, "alias/") && !strings.HasPrefix(name, "arn:") {
		return "", invalidKey(name)
	}
	arn, err := s.Keys.Resolve(ctx, by, name)
	if errors.Is(err, kms.AccessDenied) {
		return "", keyDenied(t, name)
	}
	if err != nil {
		return "", keyFault(name, err)
	}
	return arn, nil
}

// checkKey refuses a key that the trail's files cannot be encrypted under; name is what
// the caller called it. Faults: KeyNotFound, KeyDisabled, KeyUnusable, InvalidKey,
// InsufficientKeyPolicy.
func (s *Service) checkKey(ctx context.Context, t *Trail, name string) error {
	// Whether there is such a key, and in which state, the service learns as itself: a
	// denial says nothing of either. Of the keys of other accounts it does not tell that.
	if a, _ := aws.ParseARN(t.KeyARN); a.Account == t.Account {
		if err := s.Keys.Usable(ctx, t.KeyARN); err != nil && !errors.Is(err, kms.AccessDenied) {
			return keyFault(t.KeyARN, err)
		}
	}
	ec := s.encryptionContext(t)
	ec["aws:s3:arn"] = aws.ObjectARN(t.Bucket, t.prefixed(""))
	err := s.Keys.Check(ctx, s.Deliverer(t), kms.Generate, t.KeyARN, ec)
	if errors.Is(err, kms.AccessDenied) {
		return keyDenied(t, name)
	}
	if err != nil {
		return keyFault(t.KeyARN, err)
	}
	return nil
}

// keyDenied is the same of a key that there is and of one that there is not.
func keyDenied(t *Trail, name string) error {
	return fault.New(InsufficientKeyPolicy, "Insufficient permissions to access S3 bucket %s or KMS key %s.", t.Bucket, quoted(name))
}

func invalidKey(name string) error {
	return fault.New(InvalidKey, "The KMS key identifier is not valid: %s", quoted(name))
}

// keyFault says what a fault of KMS means to a trail.
func keyFault(name string, err error) error {
	switch {
	case errors.Is(err, kms.NotFound):
		return fault.New(KeyNotFound, "KMS key not found: %s", quoted(name))
	case errors.Is(err, kms.InvalidArn), errors.Is(err, kms.InvalidKeyUsage):
		return invalidKey(name)
	case errors.Is(err, kms.Disabled):
		return fault.New(KeyDisabled, "KMS key is disabled: %s", quoted(name))
	}
	return fault.New(KeyUnusable, "KMS key cannot be used: %s", quoted(name)).Because(err)
}
