// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"context"
	"errors"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/access"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
)

// wanted is a permission of the role, and why a task fails without it.
type wanted struct {
	need   policy.Need
	reason string
	// instead, if set, is an action that does as well.
	instead string
	// implied says that the action goes with s3:ReplicateObject, and can only be denied.
	implied bool
}

// permitted decides whether the role may do what a task needs (S3 User Guide, "Setting up
// permissions for live replication"). The KMS decides for itself. withoutTags says that the
// role may not read the version's tags: then it goes without. Errors: *object.ReplicaError,
// and those of which no decision can come.
func (s *Service) permitted(ctx context.Context, j *job) (withoutTags bool, err error) {
	tagged := j.object != nil && (j.object.TagCount > 0 || j.Operation == object.OpTags)
	if tagged {
		err := s.allowed(ctx, j, wanted{need: j.ofSource("s3:GetObjectVersionTagging")})
		var refused *object.ReplicaError
		if err != nil && !errors.As(err, &refused) {
			return false, err
		}
		if withoutTags = err != nil; withoutTags && j.Operation == object.OpTags {
			return true, failure("SrcGetTaggingNotPermitted", refused.Err)
		}
	}
	all, err := s.wants(ctx, j, tagged && !withoutTags)
	if err != nil {
		return withoutTags, err
	}
	for _, w := range all {
		if err := s.allowed(ctx, j, w); err != nil {
			return withoutTags, err
		}
	}
	return withoutTags, nil
}

// allowed decides about one permission.
func (s *Service) allowed(ctx context.Context, j *job, w wanted) error {
	r := access.Request{By: j.by, Keys: surface}
	err := s.Access.Each(ctx, r, []policy.Need{w.need})[0]
	if err == nil || w.implied && refusal(err) && !errors.Is(err, policy.ErrExplicit) {
		return nil
	}
	if w.instead != "" && refusal(err) && !errors.Is(err, policy.ErrExplicit) {
		w.need.Action = w.instead
		if s.Access.Each(ctx, r, []policy.Need{w.need})[0] == nil {
			return nil
		}
	}
	if refusal(err) {
		return failure(w.reason, err)
	}
	return err
}

// refusal reports whether an error is a decision.
func refusal(err error) bool {
	return errors.Is(err, iam.AccessDenied) || errors.Is(err, access.NotOwner)
}

// surface is what policies may ask of how a request was signed.
var surface = policy.Values{"s3:signatureversion": {"AWS4-HMAC-SHA256"}, "s3:authtype": {"REST-HEADER"}}

func (j *job) ofSource(action string) policy.Need {
	return policy.Need{Action: action, Resource: aws.ObjectARN(j.Bucket, string(j.Key)), Version: j.VersionID}
}

func (j *job) ofReplica(action string) policy.Need {
	return policy.Need{Action: action, Resource: aws.ObjectARN(j.Destination, string(j.Key))}
}

// wants lists the permissions that a task needs, in the order in which they are missed. Errors:
// those that do not last.
func (s *Service) wants(ctx context.Context, j *job, tags bool) (all []wanted, err error) {
	if j.Operation == object.OpMarker {
		return []wanted{{need: j.ofReplica("s3:ReplicateDelete"), reason: dstDelObjNotPermitted}}, nil
	}
	read := wanted{need: j.ofSource("s3:GetObjectVersionForReplication"), reason: srcGetObjectNotPermitted}
	if !underKMS(j.object.SSE.Algorithm) {
		read.instead = "s3:GetObjectVersion"
	}
	all = append(all, read)
	lists := !toOwner(j.rule)
	if lists {
		all = append(all, wanted{need: j.ofSource("s3:GetObjectVersionAcl"), reason: srcGetACLNotPermitted})
	}
	lock := j.object.Lock
	retained, held := lock.Mode != "" || j.Operation == object.OpRetention, lock.Hold != "" || j.Operation == object.OpLegalHold
	if retained {
		all = append(all, wanted{need: j.ofSource("s3:GetObjectRetention"), reason: srcGetRetentionNotPermitted})
	}
	if held {
		all = append(all, wanted{need: j.ofSource("s3:GetObjectLegalHold"), reason: srcGetLegalHoldNotPermitted})
	}

	write := wanted{need: j.ofReplica("s3:ReplicateObject"), reason: dstPutObjectNotPermitted}
	if write.need.Keys, err = s.encryptionOf(ctx, j); err != nil {
		return nil, err
	}
	if j.Operation == object.OpACL {
		write.reason = dstPutACLNotPermitted
	}
	all = append(all, write)
	if !lists {
		all = append(all, wanted{need: j.ofReplica("s3:ObjectOwnerOverrideToBucketOwner"), reason: dstPutObjectNotPermitted})
	}
	if tags {
		all = append(all, wanted{need: j.ofReplica("s3:ReplicateTags"), reason: dstPutTaggingNotPermitted, implied: true})
	}
	if retained {
		all = append(all, wanted{need: j.ofReplica("s3:PutObjectRetention"), reason: dstPutRetentionNotPermitted})
	}
	if held {
		all = append(all, wanted{need: j.ofReplica("s3:PutObjectLegalHold"), reason: dstPutLegalHoldNotPermitted})
	}
	return all, nil
}

// encryptionOf returns the condition keys of how the replica is to be encrypted, as policies
// ask for them of s3:ReplicateObject (Service Authorization Reference, Amazon S3). Errors: those
// that do not last. A key that there is not has the name that was given: the KMS refuses it.
func (s *Service) encryptionOf(ctx context.Context, j *job) (map[string][]string, error) {
	algorithm, key := j.object.SSE.Algorithm, ""
	switch {
	case underKMS(algorithm):
		if j.rule.Destination.KMSKey == nil { // a replica that is there keeps the key that it has
			return map[string][]string{"s3:" + sse.AlgorithmHeader: {algorithm}}, nil
		}
		key = *j.rule.Destination.KMSKey
	case algorithm == sse.NotSSE:
		d := sse.Effective(sse.Request{}, j.destination.Default())
		algorithm, key = d.Algorithm, d.KeyID
	case algorithm == sse.Customer:
		return nil, nil
	}
	keys := map[string][]string{"s3:" + sse.AlgorithmHeader: {algorithm}}
	if underKMS(algorithm) {
		switch arn, err := s.Keys.Resolve(ctx, j.by, key); {
		case err == nil:
			key = arn
		case !errors.Is(err, kms.NotFound) && !errors.Is(err, kms.InvalidArn) && !errors.Is(err, kms.AccessDenied):
			return nil, err
		}
		keys["s3:"+sse.KeyIDHeader] = []string{key}
	}
	return keys, nil
}

// ofSource reports whether a reason of a failure is about the source.
func ofSource(reason string) bool { return strings.HasPrefix(reason, "Src") }
