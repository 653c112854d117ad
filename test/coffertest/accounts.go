// SPDX-License-Identifier: Apache-2.0

package coffertest

import (
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Identity is somebody with an access key, and clients that sign with it.
type Identity struct {
	Account string
	Keys    aws.Credentials
	S3      *s3.Client
	KMS     *kms.Client
	IAM     *iam.Client
	STS     *sts.Client
	Trails  *cloudtrail.Client

	s *Server
}

// Root returns the root of the first account.
func (s *Server) Root() *Identity {
	return s.As(Account, aws.Credentials{AccessKeyID: AccessKeyID, SecretAccessKey: SecretAccessKey})
}

// As returns clients with an access key.
func (s *Server) As(account string, keys aws.Credentials) *Identity {
	common := aws.Config{
		Region: Region, BaseEndpoint: &s.URL, HTTPClient: &http.Client{Transport: s.http}, RetryMaxAttempts: 1,
		Credentials: credentials.StaticCredentialsProvider{Value: keys},
	}
	return &Identity{
		Account: account, Keys: keys, s: s,
		S3: s3.NewFromConfig(common, func(o *s3.Options) { o.UsePathStyle = true }), KMS: kms.NewFromConfig(common),
		IAM: iam.NewFromConfig(common), STS: sts.NewFromConfig(common), Trails: cloudtrail.NewFromConfig(common),
	}
}

// NewAccount makes an account and returns its root.
func (s *Server) NewAccount(id, name string) *Identity {
	s.T.Helper()
	made, err := s.Core.IAM().CreateAccount(s.T.Context(), id, name)
	if err != nil {
		s.T.Fatalf("create account %s: %v", id, err)
	}
	return s.As(made.ID, aws.Credentials{AccessKeyID: made.RootKeys[0], SecretAccessKey: string(made.Secret.Reveal())})
}

// NewUser makes a user in the account with inline policies, and returns it.
func (i *Identity) NewUser(name string, policies ...string) *Identity {
	t := i.s.T
	t.Helper()
	ctx := t.Context()
	if _, err := i.IAM.CreateUser(ctx, &iam.CreateUserInput{UserName: &name}); err != nil {
		t.Fatalf("create user %s: %v", name, err)
	}
	for n, text := range policies {
		label := "p" + string(rune('0'+n))
		if _, err := i.IAM.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: &name, PolicyName: &label, PolicyDocument: &text}); err != nil {
			t.Fatalf("put policy of user %s: %v", name, err)
		}
	}
	out, err := i.IAM.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		t.Fatalf("create access key of user %s: %v", name, err)
	}
	return i.s.As(i.Account, aws.Credentials{AccessKeyID: *out.AccessKey.AccessKeyId, SecretAccessKey: *out.AccessKey.SecretAccessKey})
}

// NewRole makes a role in the account with inline policies.
func (i *Identity) NewRole(name, trust string, policies ...string) (arn string) {
	t := i.s.T
	t.Helper()
	ctx := t.Context()
	out, err := i.IAM.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust})
	if err != nil {
		t.Fatalf("create role %s: %v", name, err)
	}
	for n, text := range policies {
		label := "p" + string(rune('0'+n))
		if _, err := i.IAM.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &name, PolicyName: &label, PolicyDocument: &text}); err != nil {
			t.Fatalf("put policy of role %s: %v", name, err)
		}
	}
	return *out.Role.Arn
}

// Assume returns a session of a role.
func (i *Identity) Assume(roleARN, session string) *Identity {
	t := i.s.T
	t.Helper()
	out, err := i.STS.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &roleARN, RoleSessionName: &session})
	if err != nil {
		t.Fatalf("assume role %s: %v", roleARN, err)
	}
	c := out.Credentials
	return i.s.As(i.Account, aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken})
}
