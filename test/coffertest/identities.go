// SPDX-License-Identifier: Apache-2.0

package coffertest

import (
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/cofferstore/coffer/internal/wire/opsapi"
)

// Identity is somebody who calls the server: clients with one pair of credentials.
type Identity struct {
	AccessKeyID string
	S3          *s3.Client
	KMS         *kms.Client
	IAM         *iam.Client
	STS         *sts.Client
}

// As returns clients with credentials. The session token is "" but for temporary ones.
func (s *Server) As(accessKeyID, secretAccessKey, sessionToken string) *Identity {
	common := aws.Config{
		Region: Region, BaseEndpoint: &s.URL,
		Credentials:      credentials.NewStaticCredentialsProvider(accessKeyID, secretAccessKey, sessionToken),
		HTTPClient:       &http.Client{Transport: s.http},
		RetryMaxAttempts: 1, // a test wants the first answer
	}
	return &Identity{
		accessKeyID, s3.NewFromConfig(common, func(o *s3.Options) { o.UsePathStyle = true }), kms.NewFromConfig(common),
		iam.NewFromConfig(common), sts.NewFromConfig(common),
	}
}

// Root returns the root of the server's own account.
func (s *Server) Root() *Identity { return s.As(AccessKeyID, SecretAccessKey, "") }

// Operator returns a client of the operator's API.
func (s *Server) Operator() *opsapi.Client {
	return &opsapi.Client{
		Endpoint: s.URL, Region: Region, Credentials: credentials.NewStaticCredentialsProvider(AccessKeyID, SecretAccessKey, ""),
		HTTP: &http.Client{Transport: s.http},
	}
}

// Account makes an account and returns its root.
func (s *Server) Account(id string) *Identity {
	s.T.Helper()
	a, err := s.Operator().CreateAccount(s.T.Context(), id, "account "+id)
	if err != nil {
		s.T.Fatalf("make account %s: %v", id, err)
	}
	return s.As(a.AccessKeyID, a.SecretAccessKey, "")
}

// User makes a user of the account that an identity is of, with an access key and one
// inline policy, if there is a text for it.
func (s *Server) User(of *Identity, name, policy string) *Identity {
	s.T.Helper()
	ctx := s.T.Context()
	if _, err := of.IAM.CreateUser(ctx, &iam.CreateUserInput{UserName: &name}); err != nil {
		s.T.Fatalf("make user %s: %v", name, err)
	}
	if policy = strings.TrimSpace(policy); policy != "" {
		_, err := of.IAM.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: &name, PolicyName: aws.String("test"), PolicyDocument: &policy})
		if err != nil {
			s.T.Fatalf("put policy of user %s: %v", name, err)
		}
	}
	key, err := of.IAM.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		s.T.Fatalf("make access key of user %s: %v", name, err)
	}
	return s.As(*key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey, "")
}
