// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/test/coffertest"
)

// TestRevocationUnderLoad: while sixteen clients read with a warm Bucket Key, somebody
// takes their permission away. No request that begins after that was answered succeeds.
func TestRevocationUnderLoad(t *testing.T) {
	s := start(t)
	root := s.Root()
	for i, c := range []struct {
		name   string
		policy string // the user's, beside all of S3
		revoke func(r *revoked)
	}{
		{"DisableKey", useKeys, func(r *revoked) { do(t, root.KMS.DisableKey, &kms.DisableKeyInput{KeyId: &r.key}) }},
		{"ScheduleKeyDeletion", useKeys, func(r *revoked) {
			do(t, root.KMS.ScheduleKeyDeletion, &kms.ScheduleKeyDeletionInput{KeyId: &r.key})
		}},
		{"PutKeyPolicy", useKeys, func(r *revoked) {
			text := document(`{"Effect":"Allow","Principal":{"AWS":"` + coffertest.Account + `"},"Action":["kms:PutKeyPolicy","kms:DescribeKey"],"Resource":"*"}`)
			do(t, root.KMS.PutKeyPolicy, &kms.PutKeyPolicyInput{KeyId: &r.key, Policy: &text})
		}},
		{"RevokeGrant", "", func(r *revoked) {
			do(t, root.KMS.RevokeGrant, &kms.RevokeGrantInput{KeyId: &r.key, GrantId: &r.grant})
		}},
		{"DetachUserPolicy", "", func(r *revoked) {
			do(t, root.IAM.DetachUserPolicy, &iam.DetachUserPolicyInput{UserName: &r.user, PolicyArn: &r.attached})
		}},
		{"DeleteUserPolicy", useKeys, func(r *revoked) {
			do(t, root.IAM.DeleteUserPolicy, &iam.DeleteUserPolicyInput{UserName: &r.user, PolicyName: aws.String("p1")})
		}},
		{"UpdateAccessKey", useKeys, func(r *revoked) {
			do(t, root.IAM.UpdateAccessKey, &iam.UpdateAccessKeyInput{UserName: &r.user, AccessKeyId: &r.id.Keys.AccessKeyID, Status: iamtypes.StatusTypeInactive})
		}},
		{"DeleteAccessKey", useKeys, func(r *revoked) {
			do(t, root.IAM.DeleteAccessKey, &iam.DeleteAccessKeyInput{UserName: &r.user, AccessKeyId: &r.id.Keys.AccessKeyID})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRevoked(t, s, i, c.policy)
			switch c.name {
			case "RevokeGrant":
				r.grant = *do(t, root.KMS.CreateGrant, &kms.CreateGrantInput{
					KeyId: &r.key, GranteePrincipal: aws.String(userARN(coffertest.Account, r.user)), Operations: []types.GrantOperation{"GenerateDataKey", "Decrypt"},
				}).GrantId
			case "DetachUserPolicy":
				made := do(t, root.IAM.CreatePolicy, &iam.CreatePolicyInput{PolicyName: aws.String("use-keys"), PolicyDocument: aws.String(useKeys)})
				r.attached = *made.Policy.Arn
				do(t, root.IAM.AttachUserPolicy, &iam.AttachUserPolicyInput{UserName: &r.user, PolicyArn: &r.attached})
			}
			must(t, putBy(t, r.id, r.bucket, "o"))
			must(t, getBy(t, r.id, r.bucket, "o"))
			r.run(func() { c.revoke(r) })
		})
	}
}

var useKeys = document(keyUse("Allow", "", ""))

// revoked is a user who reads an object under a key, for as long as that is allowed.
type revoked struct {
	t                                  *testing.T
	user, bucket, key, grant, attached string
	id                                 *coffertest.Identity
}

func newRevoked(t *testing.T, s *coffertest.Server, i int, policy string) *revoked {
	r := &revoked{t: t, user: fmt.Sprint("user", i), bucket: fmt.Sprint("vault", i), key: s.Key()}
	s.Bucket(r.bucket, "aws:kms", r.key, true)
	policies := []string{allOfS3}
	if policy != "" {
		policies = append(policies, policy)
	}
	r.id = s.Root().NewUser(r.user, policies...)
	return r
}

// run reads from sixteen clients, revokes in the midst of it, and looks at each request
// that began later.
func (r *revoked) run(revoke func()) {
	const clients = 16
	ctx, stop := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer stop()
	var over atomic.Bool // the revocation was answered
	var before, after, wrong atomic.Int64
	var reading sync.WaitGroup
	for range clients {
		reading.Go(func() {
			for ctx.Err() == nil && after.Load() < 20*clients {
				late := over.Load()
				out, err := r.id.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: &r.bucket, Key: aws.String("o")})
				if err == nil {
					out.Body.Close()
				}
				switch {
				case !late && err == nil:
					before.Add(1)
				case late && err == nil:
					wrong.Add(1)
					after.Add(1)
				case late:
					after.Add(1)
					var answer *awshttp.ResponseError
					if !errors.As(err, &answer) || answer.HTTPStatusCode() != http.StatusForbidden && answer.HTTPStatusCode() != http.StatusBadRequest {
						r.t.Errorf("refused with %v", err)
						return
					}
				}
			}
		})
	}
	coffertest.Eventually(r.t, "reading", func() bool { return before.Load() > 20*clients })
	revoke()
	over.Store(true)
	reading.Wait()
	if wrong.Load() > 0 || after.Load() < 20*clients {
		r.t.Errorf("of %d requests that began after the revocation %d succeeded", after.Load(), wrong.Load())
	}
}
