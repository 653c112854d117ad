// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/test/coffertest"
)

// person is somebody with an access key.
type person struct {
	s                *coffertest.Server
	account, arn     string
	key, secretKey   string
	session          string // token, of a session
	S3               *s3.Client
	KMS              *kms.Client
	anonymousRequest bool
}

// connect makes the person's clients.
func (p *person) connect() *person {
	common := aws.Config{
		Region: coffertest.Region, BaseEndpoint: &p.s.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(p.key, p.secretKey, p.session),
	}
	if p.anonymousRequest {
		common.Credentials = aws.AnonymousCredentials{}
	}
	p.S3 = s3.NewFromConfig(common, func(o *s3.Options) { o.UsePathStyle = true })
	p.KMS = kms.NewFromConfig(common)
	return p
}

// rootOf is the root of the server's first account.
func rootOf(s *coffertest.Server) *person {
	p := &person{
		s: s, account: coffertest.Account, arn: "arn:aws:iam::" + coffertest.Account + ":root",
		key: coffertest.AccessKeyID, secretKey: coffertest.SecretAccessKey,
	}
	return p.connect()
}

// nobody signs nothing.
func nobody(s *coffertest.Server) *person { return (&person{s: s, anonymousRequest: true}).connect() }

// accountOf makes another account and returns its root.
func accountOf(s *coffertest.Server, id string) *person {
	s.T.Helper()
	made, err := s.Core.IAM().CreateAccount(s.T.Context(), id, "account "+id)
	if err != nil {
		s.T.Fatal(err)
	}
	p := &person{s: s, account: id, arn: "arn:aws:iam::" + id + ":root", key: made.RootKeys[0], secretKey: string(made.Secret.Reveal())}
	return p.connect()
}

// iam makes a request of the IAM or STS API, whose parameters are names and values in
// turn, and returns its answer.
func (p *person) iam(action string, parameters ...string) answer {
	p.s.T.Helper()
	form := url.Values{"Action": {action}, "Version": {"2010-05-08"}}
	service := "iam"
	if action == "AssumeRole" {
		form.Set("Version", "2011-06-15")
		service = "sts"
	}
	for i := 0; i+1 < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	a := request{
		method: "POST", target: "/", body: form.Encode(), service: service, key: p.key, secret: p.secretKey,
		headers: []string{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"},
	}.do(p.s)
	if a.status != 200 {
		p.s.T.Fatalf("%s: %d %s", action, a.status, a.body)
	}
	return a
}

// user makes a user in the person's account, with an identity policy of these
// statements unless there are none.
func (p *person) user(name, statements string) *person {
	p.s.T.Helper()
	arn := within(p.iam("CreateUser", "UserName", name).body, "Arn")
	u := &person{s: p.s, account: p.account, arn: arn}
	key := p.iam("CreateAccessKey", "UserName", name).body
	u.key, u.secretKey = within(key, "AccessKeyId"), within(key, "SecretAccessKey")
	p.may(name, statements)
	return u.connect()
}

// may replaces the identity policy of a user of the person's account.
func (p *person) may(name, statements string) {
	p.s.T.Helper()
	if statements != "" {
		p.iam("PutUserPolicy", "UserName", name, "PolicyName", "p", "PolicyDocument", document(statements))
	} else if strings.Contains(p.iam("ListUserPolicies", "UserName", name).body, "<member>p</member>") {
		p.iam("DeleteUserPolicy", "UserName", name, "PolicyName", "p")
	}
}

// within returns the text of the first element of that name.
func within(xml, name string) string {
	_, text, _ := strings.Cut(xml, "<"+name+">")
	text, _, _ = strings.Cut(text, "</")
	return text
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
