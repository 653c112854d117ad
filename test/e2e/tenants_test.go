// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/cofferstore/coffer/test/coffertest"
)

const (
	lake       = "lake"
	perTenant  = 5
	newRootSid = `{"Sid":"Tenant","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%s:root"},"Action":"kms:*","Resource":"*"}`
)

// tenant is one who keeps objects in the owner's bucket under a key of its own.
type tenant struct {
	name string
	root *coffertest.Identity // of its account
	app  *coffertest.Identity // a user that works with objects
	key  string               // ARN
}

// keyPolicy is the policy of a tenant's key, with the owner's role in it or not.
func (c *tenant) keyPolicy(role string) string {
	statements := fmt.Sprintf(newRootSid, c.root.Account)
	if role != "" {
		statements += fmt.Sprintf(`,{"Sid":"OwnersAnalytics","Effect":"Allow","Principal":{"AWS":%q},"Action":"kms:Decrypt","Resource":"*",
			"Condition":{"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com","kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::lake"}}}`, role)
	}
	return `{"Version":"2012-10-17","Statement":[` + statements + `]}`
}

// TestTenants is the story of docs/guides/multi-tenant.md: one bucket with Bucket Keys,
// three tenants with keys of their own, and an owner whose analytics reads all of it for
// as long as each tenant likes.
func TestTenants(t *testing.T) {
	t.Parallel()
	s := start(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	owner := s.Root()
	tenants := make([]*tenant, 3)
	for i, name := range []string{"a", "b", "c"} {
		root := s.NewAccount(strings.Repeat(fmt.Sprint(i+2), 12), "tenant "+name)
		key, err := root.KMS.CreateKey(t.Context(), &kms.CreateKeyInput{})
		must(err)
		app := root.NewUser("app", fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Action":["s3:PutObject","s3:GetObject"],"Resource":"arn:aws:s3:::lake/%s/*"},
			{"Effect":"Allow","Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":%q}]}`, name, *key.KeyMetadata.Arn))
		tenants[i] = &tenant{name, root, app, *key.KeyMetadata.Arn}
	}
	a, b, c := tenants[0], tenants[1], tenants[2]

	// The owner's bucket lets each tenant use its own prefix.
	s.Bucket(lake, "aws:kms", s.Key(), true)
	var statements []string
	for _, one := range tenants {
		statements = append(statements, fmt.Sprintf(`{"Sid":"Tenant%s","Effect":"Allow","Principal":{"AWS":%q},"Action":["s3:PutObject","s3:GetObject"],"Resource":"arn:aws:s3:::lake/%s/*"}`,
			one.name, one.root.Account, one.name))
	}
	policy := `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
	_, err := owner.S3.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: aws.String(lake), Policy: &policy})
	must(err)
	// The owner's role may use the tenants' keys as far as its own account goes.
	role := owner.NewRole("analytics", fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":%q},"Action":"sts:AssumeRole"}]}`, owner.Account),
		fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::lake/*"},
			{"Effect":"Allow","Action":"kms:Decrypt","Resource":[%q,%q,%q]}]}`, a.key, b.key, c.key))
	analytics := owner.NewUser("operator", fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":%q}]}`, role)).Assume(role, "nightly")
	for _, one := range tenants {
		_, err := one.root.KMS.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &one.key, Policy: aws.String(one.keyPolicy(role))})
		must(err)
	}

	for _, one := range tenants {
		for n := range perTenant {
			_, err := one.app.S3.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: aws.String(lake), Key: aws.String(fmt.Sprintf("%s/%d", one.name, n)), Body: strings.NewReader("of " + one.name),
				ServerSideEncryption: types.ServerSideEncryptionAwsKms, SSEKMSKeyId: &one.key,
			})
			must(err)
			wantBody(t, analytics, one, n)
			wantBody(t, one.app, one, n)
		}
	}
	// One KMS request for each requester, key and class: a tenant writes and reads, and the
	// owner's role reads.
	asked := map[string]int{}
	for _, r := range s.KMSRequests() {
		asked[r.EventName+" "+r.UserIdentity.ARN+" "+r.Resources[0].ARN]++
	}
	session := fmt.Sprintf("arn:aws:sts::%s:assumed-role/analytics/nightly", owner.Account)
	for _, one := range tenants {
		app := fmt.Sprintf("arn:aws:iam::%s:user/app", one.root.Account)
		for _, who := range []string{"GenerateDataKey " + app, "Decrypt " + app, "Decrypt " + session} {
			if n := asked[who+" "+one.key]; n != 1 {
				t.Errorf("%s made %d KMS requests, want 1", who, n)
			}
		}
	}
	if len(asked) != 9 {
		t.Errorf("KMS requests %v, want 9", asked)
	}

	// A tenant cannot read another's objects, whatever it asks its own account for.
	wantRefused(t, b.app, a, "Access Denied", "no identity-based policy allows the s3:GetObject action")

	// B no longer wants the owner to read. The owner's proof is warm.
	_, err = b.root.KMS.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &b.key, Policy: aws.String(b.keyPolicy(""))})
	must(err)
	wantRefused(t, analytics, b, "User: "+session+" is not authorized to perform: kms:Decrypt on", "because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access")
	for _, one := range []*tenant{a, c} {
		wantBody(t, analytics, one, 0)
		wantBody(t, one.app, one, 0)
	}
	wantBody(t, b.app, b, 0)
	_, err = b.app.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(lake), Key: aws.String("b/new"), Body: strings.NewReader("new"), ServerSideEncryption: types.ServerSideEncryptionAwsKms, SSEKMSKeyId: &b.key,
	})
	must(err)

	// And wants it again.
	_, err = b.root.KMS.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: &b.key, Policy: aws.String(b.keyPolicy(role))})
	must(err)
	wantBody(t, analytics, b, 1)
}

func wantBody(t *testing.T, who *coffertest.Identity, of *tenant, n int) {
	t.Helper()
	key := fmt.Sprintf("%s/%d", of.name, n)
	out, err := who.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(lake), Key: &key})
	if err != nil {
		t.Errorf("get %s: %v", key, err)
		return
	}
	defer out.Body.Close()
	if body, err := io.ReadAll(out.Body); err != nil || string(body) != "of "+of.name {
		t.Errorf("get %s: %q, %v", key, body, err)
	}
}

// wantRefused checks that a tenant's object is refused with 403 and one of the texts, or
// all of them for a denial by KMS.
func wantRefused(t *testing.T, who *coffertest.Identity, of *tenant, texts ...string) {
	t.Helper()
	_, err := who.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(lake), Key: aws.String(of.name + "/0")})
	var response *awshttp.ResponseError
	var refusal smithy.APIError
	if !errors.As(err, &response) || !errors.As(err, &refusal) || response.HTTPStatusCode() != http.StatusForbidden || refusal.ErrorCode() != "AccessDenied" {
		t.Errorf("get %s/0: %v, want 403 AccessDenied", of.name, err)
		return
	}
	all := strings.HasPrefix(texts[0], "User: ")
	found := 0
	for _, text := range texts {
		if strings.Contains(refusal.ErrorMessage(), text) {
			found++
		}
	}
	if found == 0 || all && found != len(texts) {
		t.Errorf("get %s/0 is refused with %q, want %q", of.name, refusal.ErrorMessage(), texts)
	}
}
