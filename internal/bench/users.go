// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"golang.org/x/sync/errgroup"
)

const (
	manyUsersHave   = 100
	policiesPerUser = 5 // managed ones, each attached to one user
	usersAtOnce     = 4
)

// user is one that the run has made.
type user struct {
	name, accessKeyID string
	policies          []string // ARNs
	signer            *signer
}

// policies returns what a user's policies say: one of them, or as many as an
// organization's habits pile up. Of the many, one allows what the bench does, one
// denies what it does not, and the others are about something else.
func policies(bucket, key string, many bool) []string {
	use := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
{"Sid":"Objects","Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::%[1]s/*"},
{"Sid":"Key","Effect":"Allow","Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":%[2]q}]}`, bucket, key)
	if !many {
		return []string{use}
	}
	return []string{
		`{"Version":"2012-10-17","Statement":{"Sid":"Tables","Effect":"Allow","Action":["dynamodb:GetItem","dynamodb:Query"],"Resource":"*"}}`,
		`{"Version":"2012-10-17","Statement":{"Sid":"Home","Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::home/${aws:username}/*"}}`,
		use,
		`{"Version":"2012-10-17","Statement":{"Sid":"Secure","Effect":"Deny","Action":["s3:*","kms:*"],"Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}}`,
		`{"Version":"2012-10-17","Statement":{"Sid":"Logs","Effect":"Allow","Action":["s3:ListBucket","s3:GetObject"],"Resource":["arn:aws:s3:::logs","arn:aws:s3:::logs/*"],"Condition":{"StringLike":{"s3:prefix":"app/*"}}}}`,
	}
}

// makeUsers makes as many users as a contender has.
func (s *server) makeUsers(ctx context.Context, who contender) error {
	n := 1
	if who == manyUsers {
		n = manyUsersHave
	}
	made := make([]*user, n)
	var all errgroup.Group
	all.SetLimit(usersAtOnce)
	for i := range made {
		made[i] = &user{name: fmt.Sprintf("%s-%d-%d", s.prefix, who, i)}
		all.Go(func() error { return s.makeUser(ctx, made[i], policies(s.bucket(who), s.key, who == manyUsers)) })
	}
	err := all.Wait()
	if s.users == nil {
		s.users = map[contender][]*user{}
	}
	s.users[who] = made // those too that are half made: they are removed
	return err
}

func (s *server) makeUser(ctx context.Context, u *user, documents []string) error {
	if _, err := s.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: &u.name}); err != nil {
		return fmt.Errorf("make user (a server without IAM is measured without the cells by users: see --only): %w", err)
	}
	for i, text := range documents {
		out, err := s.iam.CreatePolicy(ctx, &iam.CreatePolicyInput{
			PolicyName: aws.String(fmt.Sprintf("%s-%d", u.name, i)), PolicyDocument: aws.String(strings.ReplaceAll(text, "\n", "")),
		})
		if err != nil {
			return fmt.Errorf("make policy: %w", err)
		}
		u.policies = append(u.policies, aws.ToString(out.Policy.Arn))
		if _, err := s.iam.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: &u.name, PolicyArn: out.Policy.Arn}); err != nil {
			return fmt.Errorf("attach policy: %w", err)
		}
	}
	out, err := s.iam.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &u.name})
	if err != nil {
		return fmt.Errorf("make access key: %w", err)
	}
	u.accessKeyID = aws.ToString(out.AccessKey.AccessKeyId)
	u.signer = &signer{host: s.client.base.Host, identity: identity{
		accessKeyID: u.accessKeyID, secretKey: aws.ToString(out.AccessKey.SecretAccessKey), region: s.region,
	}}
	return nil
}

// removeUsers takes them out of a server that is not ours. It goes on after an error.
func (s *server) removeUsers(ctx context.Context) error {
	var errs []error
	try := func(_ any, err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	for _, users := range s.users {
		for _, u := range users {
			for _, arn := range u.policies {
				try(s.iam.DetachUserPolicy(ctx, &iam.DetachUserPolicyInput{UserName: &u.name, PolicyArn: &arn}))
				try(s.iam.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: &arn}))
			}
			if u.accessKeyID != "" {
				try(s.iam.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: &u.name, AccessKeyId: &u.accessKeyID}))
			}
			try(s.iam.DeleteUser(ctx, &iam.DeleteUserInput{UserName: &u.name}))
		}
	}
	return errors.Join(errs...)
}

// by returns who signs request number n of a contender, nil for who the run is.
func (s *server) by(who contender, n int64) *signer {
	users := s.users[who]
	if len(users) == 0 {
		return nil
	}
	return users[n%int64(len(users))].signer
}
