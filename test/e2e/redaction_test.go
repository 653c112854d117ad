// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/cofferstore/coffer/internal/link/oidc/oidctest"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
	"github.com/cofferstore/coffer/test/coffertest"
)

// planted are secrets that went through the server.
type planted map[string][]byte

func (p planted) text(name, secret string) { p[name] = []byte(secret) }

// blob plants bytes and what is their text on the wire.
func (p planted) blob(name string, secret []byte) { p[name] = secret }

// TestSecretsAreInNoRecord plants every kind of secret that a request or an answer can
// have, in requests that are done and in some that are refused, and looks for them in
// the audit trail, the log, the metrics and whatever else the server wrote.
func TestSecretsAreInNoRecord(t *testing.T) {
	log := new(logBuffer)
	s := &sessions{Server: coffertest.Start(t, coffertest.Log(log))}
	s.root = s.Root()
	ctx := t.Context()
	p, passwords := planted{}, planted{}
	p.text("root's secret key", coffertest.SecretAccessKey)
	s.Bucket("vault", "", "", false)
	unblock(s.Server, "vault")

	// Keys of customers, also where they are refused.
	for _, key := range [][]byte{keyA, keyB} {
		c := customerOf(key)
		p.blob("customer's key "+string(key[:1]), key)
		p.text("customer's key in base64 "+string(key[:1]), *c.key)
		p.text("MD5 of a customer's key "+string(key[:1]), *c.md5)
	}
	s3call := func(method, target, body string, headers ...string) answer {
		return request{method: method, target: target, body: body, headers: headers}.do(s.Server)
	}
	for _, method := range []string{"PUT", "GET"} {
		if a := s3call(method, "/vault/c", "", trioOf(keyA)...); a.status != 200 {
			t.Fatalf("%s: %d %s", method, a.status, a.body)
		}
	}
	s3call("GET", "/vault/c", "", trioOf(keyB)...)
	s3call("PUT", "/vault/copy", "", append(append(trioOf(keyB), sourceTrioOf(keyA)...), "X-Amz-Copy-Source", "/vault/c")...)
	s3call("PUT", "/elsewhere/c", "x", trioOf(keyA)...)
	s3call("GET", "/vault/c?x-amz-server-side-encryption-customer-key="+url.QueryEscape(*customerOf(keyA).key), "")

	// Presigned URLs, good and bad, and one in a place where none belongs.
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	presign := func(keys aws.Credentials, target string, at time.Time) *url.URL {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, "GET", s.URL+target+"?X-Amz-Expires=60", nil)
		must(t, err)
		text, _, err := signer.PresignHTTP(ctx, keys, req, "UNSIGNED-PAYLOAD", "s3", coffertest.Region, at)
		must(t, err)
		signed, err := url.Parse(text)
		must(t, err)
		q := signed.Query()
		p.text("signature of "+target, q.Get("X-Amz-Signature"))
		p.text("credential of "+target, q.Get("X-Amz-Credential"))
		return signed
	}
	fetch := func(u *url.URL) {
		open(t, &v4.PresignedHTTPRequest{Method: "GET", URL: u.String()}, "")
	}
	s3call("PUT", "/vault/k", "x")
	root := aws.Credentials{AccessKeyID: coffertest.AccessKeyID, SecretAccessKey: coffertest.SecretAccessKey}
	fetch(presign(root, "/vault/k", time.Now()))
	fetch(presign(root, "/vault/missing", time.Now()))
	fetch(presign(root, "/vault/expired", time.Now().Add(-time.Hour)))
	s3call("PUT", "/vault/copy", "", "X-Amz-Copy-Source", presign(root, "/vault/source", time.Now()).RequestURI())

	// Sessions, and secrets that IAM and STS give out.
	user, err := s.root.IAM.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("app")})
	must(t, err)
	_, err = s.root.IAM.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: user.User.UserName, PolicyName: aws.String("p"), PolicyDocument: aws.String(allows("sts:*", "s3:*"))})
	must(t, err)
	made, err := s.root.IAM.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: user.User.UserName})
	must(t, err)
	p.text("secret of an access key", *made.AccessKey.SecretAccessKey)
	app := s.As(coffertest.Account, aws.Credentials{AccessKeyID: *made.AccessKey.AccessKeyId, SecretAccessKey: *made.AccessKey.SecretAccessKey})
	role := s.root.NewRole("Writer", trusts(coffertest.Account), allows("s3:*"))
	assumed, err := app.STS.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("one")})
	must(t, err)
	session, err := app.STS.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
	must(t, err)
	federated, err := app.STS.GetFederationToken(ctx, &sts.GetFederationTokenInput{Name: aws.String("guest")})
	must(t, err)
	idp := oidctest.New(t)
	_, err = s.root.IAM.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: &idp.URL, ClientIDList: []string{"app"}, ThumbprintList: []string{idp.Thumbprint}})
	must(t, err)
	web := s.root.NewRole("web", fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::%s:oidc-provider/%s"},"Action":"sts:AssumeRoleWithWebIdentity"}]}`, coffertest.Account, idp.Name()))
	token := idp.Token(nil)
	p.text("web identity token", token)
	p.text("signature of the web identity token", token[strings.LastIndexByte(token, '.')+1:])
	_, err = s.As(coffertest.Account, aws.Credentials{}).STS.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{RoleArn: &web, RoleSessionName: aws.String("one"), WebIdentityToken: &token})
	must(t, err)
	forged := token[:len(token)-8] + "AAAAAAAA"
	_, err = s.As(coffertest.Account, aws.Credentials{}).STS.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{RoleArn: &web, RoleSessionName: aws.String("one"), WebIdentityToken: &forged})
	if err == nil {
		t.Error("a forged token is taken")
	}
	p.text("forged web identity token", forged)
	for i, c := range []struct{ id, secret, token *string }{
		{assumed.Credentials.AccessKeyId, assumed.Credentials.SecretAccessKey, assumed.Credentials.SessionToken},
		{session.Credentials.AccessKeyId, session.Credentials.SecretAccessKey, session.Credentials.SessionToken},
		{federated.Credentials.AccessKeyId, federated.Credentials.SecretAccessKey, federated.Credentials.SessionToken},
	} {
		p.text(fmt.Sprint("secret of session ", i), *c.secret)
		p.text(fmt.Sprint("token of session ", i), *c.token)
		keys := aws.Credentials{AccessKeyID: *c.id, SecretAccessKey: *c.secret, SessionToken: *c.token}
		_ = get(s.As(coffertest.Account, keys), "vault", "k")
		fetch(presign(keys, fmt.Sprint("/vault/session-", i), time.Now()))
		keys.SecretAccessKey = "wrong, and as long as keys must be" // then what was signed is in the log
		_ = get(s.As(coffertest.Account, keys), "vault", "k")
	}
	account, err := s.Operator().CreateAccount(ctx, tenantAccount, "tenant")
	must(t, err)
	p.text("secret of an account's root", account.SecretAccessKey)
	_, _ = s.root.STS.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("one"), SerialNumber: aws.String("arn:aws:iam::000000000001:mfa/x"), TokenCode: aws.String("918273")})
	p.text("code of a device", "918273")

	// What KMS is given and gives out.
	key := aws.String(s.Key())
	secret := []byte("a plaintext for KMS alone \x00\xff")
	p.blob("plaintext", secret)
	enc := do(t, s.KMS.Encrypt, &kms.EncryptInput{KeyId: key, Plaintext: secret})
	p.blob("ciphertext", enc.CiphertextBlob)
	do(t, s.KMS.Decrypt, &kms.DecryptInput{CiphertextBlob: enc.CiphertextBlob})
	again := do(t, s.KMS.ReEncrypt, &kms.ReEncryptInput{CiphertextBlob: enc.CiphertextBlob, DestinationKeyId: key, DestinationEncryptionContext: map[string]string{"a": "b"}})
	p.blob("ciphertext made again", again.CiphertextBlob)
	dk := do(t, s.KMS.GenerateDataKey, &kms.GenerateDataKeyInput{KeyId: key, KeySpec: "AES_256"})
	p.blob("data key", dk.Plaintext)
	p.blob("ciphertext of a data key", dk.CiphertextBlob)
	random := do(t, s.KMS.GenerateRandom, &kms.GenerateRandomInput{NumberOfBytes: aws.Int32(48)})
	p.blob("random bytes", random.Plaintext)
	grant := do(t, s.KMS.CreateGrant, &kms.CreateGrantInput{KeyId: key, GranteePrincipal: user.User.Arn, Operations: []kmstypes.GrantOperation{"Decrypt", "RetireGrant"}})
	p.text("grant token", *grant.GrantToken)
	do(t, s.KMS.Decrypt, &kms.DecryptInput{CiphertextBlob: enc.CiphertextBlob, GrantTokens: []string{*grant.GrantToken}})
	do(t, s.KMS.RetireGrant, &kms.RetireGrantInput{GrantToken: grant.GrantToken})
	_, _ = s.KMS.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: append(bytes.Clone(enc.CiphertextBlob), 'x')})
	kmsCall(s.Server, "Encrypt", fmt.Sprintf(`{"KeyId":%q,"Plaintext":%q,"Unknown":`, *key, base64.StdEncoding.EncodeToString(secret)))

	// Forms of browsers.
	var b bytes.Buffer
	f := form{bucket: "vault", key: "form", body: "x", fields: []string{"success_action_redirect", strings.Replace(s.URL, "//", "//ann:form-password-7@", 1) + "/done"}}
	req, err := f.request(ctx, &b, s.URL, []byte(f.body))
	must(t, err)
	for _, field := range []string{"policy", "x-amz-signature", "x-amz-credential"} {
		_, rest, _ := strings.Cut(b.String(), `name="`+field+"\"\r\n\r\n")
		value, _, _ := strings.Cut(rest, "\r\n")
		p.text(field+" of a form", value)
	}
	body := b.String()
	req.Body, req.ContentLength = io.NopCloser(&b), int64(b.Len())
	send(t, req)
	if a := s3call("HEAD", "/vault/form", ""); a.status != 200 {
		t.Errorf("the form made no object: %d", a.status)
	}
	at := strings.Index(body, "x-amz-signature")
	broken := strings.Replace(body[at:], "\r\n\r\n", "\r\n\r\n0", 1)
	s3call("POST", "/vault", body[:at]+broken, "Content-Type", req.Header.Get("Content-Type"))

	// Passwords in URLs.
	passwords.text("password of a form's redirect", "form-password-7")
	passwords.text("password of a redirect", "redirect-password-7")
	passwords.text("password of a provider", "provider-password-7")
	s3call("PUT", "/vault/redirect", "x", "X-Amz-Website-Redirect-Location", "https://ann:redirect-password-7@example.com/")
	_, _ = s.root.IAM.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: aws.String("https://ann:provider-password-7@example.com")})
	_, _ = s.root.IAM.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{
		Url: aws.String("https://ann:provider-password-7@example.com/" + strings.Repeat("x", 255)), // the refusal repeats what is too long
	})
	_, _ = s.S3.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("vault"), Key: aws.String("redirect")})

	metrics := request{method: "GET", target: "/-/metrics", anonymous: true}.do(s.Server).body
	var shown bytes.Buffer
	must(t, s.Operator().Audit(ctx, opsapi.AuditQuery{}, func(record []byte) error { shown.Write(record); return nil }))
	must(t, s.Stop())
	records := 0
	search := func(where string, b []byte, of planted) {
		for name, secret := range of {
			if form := contains(b, secret); form != "" {
				t.Errorf("%s has %s in %s", where, name, form)
			}
		}
	}
	err = filepath.WalkDir(s.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		search(path, b, p)
		if strings.HasPrefix(path, server.AuditDir(s.Dir)) {
			search(path, b, passwords)
			records += bytes.Count(b, []byte("\n"))
		}
		return err
	})
	if err != nil || records < 40 {
		t.Fatalf("%d records, %v", records, err)
	}
	for where, b := range map[string][]byte{"the log": log.bytes(), "the metrics": []byte(metrics), "what an operator reads": shown.Bytes()} {
		if len(b) < 1000 {
			t.Errorf("%s has %d bytes", where, len(b))
		}
		search(where, b, p)
		search(where, b, passwords)
	}
}
