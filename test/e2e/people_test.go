// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/test/coffertest"
)

// person is somebody who asks for buckets and objects.
type person struct {
	*coffertest.Identity
	s   *coffertest.Server
	arn string
}

// rootOf is the root of the server's first account.
func rootOf(s *coffertest.Server) *person {
	return &person{s.Root(), s, "arn:aws:iam::" + coffertest.Account + ":root"}
}

// accountOf makes another account and returns its root.
func accountOf(s *coffertest.Server, id string) *person {
	s.T.Helper()
	return &person{s.NewAccount(id, "account "+id), s, "arn:aws:iam::" + id + ":root"}
}

// nobody signs nothing.
func nobody(s *coffertest.Server) *person {
	i := s.As("", aws.Credentials{})
	i.S3 = s3.New(i.S3.Options(), func(o *s3.Options) { o.Credentials = aws.AnonymousCredentials{} })
	return &person{i, s, ""}
}

// user makes a user in the person's account, with an identity policy of these
// statements unless there are none.
func (p *person) user(name, statements string) *person {
	p.s.T.Helper()
	u := &person{p.NewUser(name), p.s, "arn:aws:iam::" + p.Account + ":user/" + name}
	if statements != "" {
		p.may(name, statements)
	}
	return u
}

// may replaces the identity policy of a user of the person's account.
func (p *person) may(name, statements string) {
	p.s.T.Helper()
	do(p.s.T, p.IAM.PutUserPolicy, &iam.PutUserPolicyInput{
		UserName: &name, PolicyName: aws.String("may"), PolicyDocument: aws.String(document(statements)),
	})
}

// document is a policy of these statements.
func document(statements string) string {
	return `{"Version":"2012-10-17","Statement":[` + statements + `]}`
}

// bucketPolicy sets a bucket's policy as its owner's root.
func (p *person) bucketPolicy(bucket, statements string) {
	p.s.T.Helper()
	text := document(statements)
	do(p.s.T, p.S3.PutBucketPolicy, &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: &text})
}

func (p *person) put(bucket, key string, edit ...func(*s3.PutObjectInput)) error {
	in := &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("body")}
	for _, e := range edit {
		e(in)
	}
	_, err := p.S3.PutObject(p.s.T.Context(), in)
	return err
}

func (p *person) get(bucket, key string) error {
	out, err := p.S3.GetObject(p.s.T.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err == nil {
		out.Body.Close()
	}
	return err
}

// outcome is what a request of a table came to; text is a part of its message.
type outcome struct {
	status     int
	code, text string
}

var allowed = outcome{status: 200}

func deniedFor(text string) outcome { return outcome{403, "AccessDenied", text} }

// check compares an error with what a table wants.
func (o outcome) check(t *testing.T, what string, err error) {
	t.Helper()
	if o.status == 200 {
		if err != nil {
			t.Errorf("%s: %v, want success", what, err)
		}
		return
	}
	if err == nil {
		t.Errorf("%s: success, want %d %s", what, o.status, o.code)
		return
	}
	if e := wantCode(t, err, o.status, o.code); e == nil || !strings.Contains(e.ErrorMessage(), o.text) {
		t.Errorf("%s: %v, want %q", what, err, o.text)
	}
}
