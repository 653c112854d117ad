// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/internal/core/preflight"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
	"github.com/cofferstore/coffer/test/coffertest"
)

// TestPreflight finds what Bucket Keys would break in policies and grants of two
// accounts, does as it is told, and turns them on: all who could write and read can.
func TestPreflight(t *testing.T) {
	t.Parallel()
	s := start(t)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	owner, other := s.Root(), s.NewAccount("444455556666", "other")
	key := s.Key()
	const onObjects = `"Condition":{"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::photos/*"}}`
	s3Rights := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::photos/*"}]}`
	byIAM := owner.NewUser("iam", s3Rights, fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":%q,%s}]}`, key, onObjects))
	byKey, byGrant := owner.NewUser("key", s3Rights), owner.NewUser("grant", s3Rights)
	denied := owner.NewUser("denied", s3Rights, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"},
		{"Effect":"Deny","Action":"kms:*","Resource":"*","Condition":{"ArnNotLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::photos/*"}}}]}`)
	// Of another account, and about another bucket.
	other.NewUser("else", fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:GenerateDataKey","Resource":"*",%s}]}`,
		`"Condition":{"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::videos/*"}}`))
	_, err := owner.KMS.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: &key, Policy: aws.String(fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%[1]s:root"},"Action":"kms:*","Resource":"*"},
		{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%[1]s:user/key"},"Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":"*",%[2]s}]}`, owner.Account, onObjects))})
	must(err)
	_, err = owner.KMS.CreateGrant(ctx, &kms.CreateGrantInput{
		KeyId: &key, GranteePrincipal: aws.String("arn:aws:iam::" + owner.Account + ":user/grant"),
		Operations:  []kmstypes.GrantOperation{kmstypes.GrantOperationGenerateDataKey, kmstypes.GrantOperationDecrypt},
		Constraints: &kmstypes.GrantConstraints{EncryptionContextSubset: map[string]string{"aws:s3:arn": "arn:aws:s3:::photos/grant"}},
	})
	must(err)
	s.Bucket("photos", "aws:kms", key, false)
	writers := map[string]*coffertest.Identity{"iam": byIAM, "key": byKey, "grant": byGrant, "denied": denied}
	work := func(when string, works bool) {
		t.Helper()
		for name, who := range writers {
			if err := putAndGet(ctx, who.S3, "photos", name); (err == nil) != works {
				t.Errorf("%s: %s writes and reads: %v", when, name, err)
			}
		}
	}
	work("without Bucket Keys", true)

	operator := &opsapi.Client{Endpoint: s.URL, Region: coffertest.Region, Credentials: credentials.StaticCredentialsProvider{Value: owner.Keys}}
	ask := func() (r preflight.Report) {
		t.Helper()
		body, err := operator.Preflight(ctx, "photos", key)
		must(err)
		must(json.Unmarshal(body, &r))
		return r
	}
	r := ask()
	if !r.Breaks || len(r.Findings) != 4 {
		t.Fatalf("found %+v", r.Findings)
	}
	s.Encrypt("photos", "aws:kms", key, true)
	work("with Bucket Keys", false)

	for _, f := range r.Findings {
		if !f.Proven {
			t.Errorf("%s %s: not proven: %s", f.Kind, f.Policy, f.Unproven)
		}
		if f.Kind == preflight.GrantOf {
			var in kms.CreateGrantInput
			must(json.Unmarshal(f.Edited, &in))
			_, err := owner.KMS.CreateGrant(ctx, &in)
			must(err)
		}
	}
	for _, e := range r.Edited {
		text := aws.String(string(e.Text))
		switch e.Policy {
		case key:
			_, err = owner.KMS.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: &key, Policy: text})
		case "user iam, inline policy p1":
			_, err = owner.IAM.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: aws.String("iam"), PolicyName: aws.String("p1"), PolicyDocument: text})
		case "user denied, inline policy p1":
			_, err = owner.IAM.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: aws.String("denied"), PolicyName: aws.String("p1"), PolicyDocument: text})
		default:
			t.Errorf("%s is edited", e.Policy)
		}
		must(err)
	}
	work("once edited", true)
	if r := ask(); r.Breaks {
		t.Errorf("once edited, it finds %+v", r.Findings)
	}
}

// putAndGet stores an object and reads it.
func putAndGet(ctx context.Context, c *s3.Client, bucket, key string) error {
	if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(key)}); err != nil {
		return err
	}
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return err
	}
	return out.Body.Close()
}

// TestPreflightOfTrails: who counts KMS events is warned, does as it is told, and is not
// warned any more.
func TestPreflightOfTrails(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := rootOf(s)
	s.Bucket("photos", "aws:kms", s.Key(), false)
	warnings := func() (r preflight.Report) {
		t.Helper()
		body, err := s.Operator().Preflight(t.Context(), "photos", "")
		must(t, err)
		must(t, json.Unmarshal(body, &r))
		if r.Breaks {
			t.Errorf("trails break something: %+v", r.Findings)
		}
		return r
	}
	account := "account " + p.Account
	if w := warnings().Warnings; len(w) != 1 || w[0].Concerns != account || len(w[0].Advice) != 1 {
		t.Errorf("without a trail: %+v", w)
	}
	p.trailBucket("logs", "")
	name := aws.String("main")
	do(t, p.Trails.CreateTrail, &cloudtrail.CreateTrailInput{Name: name, S3BucketName: aws.String("logs")})
	if w := warnings().Warnings; len(w) != 1 || w[0].Concerns != account {
		t.Errorf("with a trail that does not log: %+v", w)
	}
	do(t, p.Trails.StartLogging, &cloudtrail.StartLoggingInput{Name: name})
	w := warnings().Warnings
	if len(w) != 2 || w[0].Concerns != "trail main" || w[1].Concerns != account || !w[0].Proven {
		t.Fatalf("with a trail of management events: %+v", w)
	}
	var in cloudtrail.PutEventSelectorsInput
	must(t, json.Unmarshal(w[0].Edited, &in))
	do(t, p.Trails.PutEventSelectors, &in)
	if w := warnings().Warnings; len(w) != 0 {
		t.Errorf("once edited: %+v", w)
	}
}
