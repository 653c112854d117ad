// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/cofferstore/coffer/internal/link/oidc/oidctest"
	"github.com/cofferstore/coffer/test/coffertest"
)

const tenantAccount = "222222222222"

// TestRecordsOfCallers: each kind of caller, and who is refused; and whose trail it is in.
func TestRecordsOfCallers(t *testing.T) {
	t.Parallel()
	s := &sessions{Server: start(t)}
	s.root = s.Root()
	g := records(s.Server, "identities")
	tenant := s.NewAccount(tenantAccount, "tenant")
	s.Bucket("vault", "", "", false)
	s.Put("vault", "a", "x")
	ctx := t.Context()
	open := `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::vault/public/*"},
		{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::vault/lent/*"}]}`
	none := `<PublicAccessBlockConfiguration/>`
	g.s3("PUT", "/vault?publicAccessBlock", none, withDigest(none)...)
	if a := g.s3("PUT", "/vault?policy", open, withDigest(open)...); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.Put("vault", "public/a", "x")
	s.Put("vault", "lent/a", "x")
	gets := func(who *coffertest.Identity, key string) func() { return func() { _ = get(who, "vault", key) } }

	g.row("root", gets(s.root, "a"))
	user := s.root.NewUser("app", allows("s3:GetObject", "sts:*"))
	g.row("user", gets(user, "a"))
	role := s.root.NewRole("Writer", trusts(coffertest.Account), allows("s3:*"))
	g.row("role session", gets(s.assume(user, &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("batch-7"), SourceIdentity: aws.String("ann")}), "a"))
	session, err := user.STS.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
	must(t, err)
	g.row("user's session", gets(s.with(session.Credentials), "a"))
	federated, err := user.STS.GetFederationToken(ctx, &sts.GetFederationTokenInput{Name: aws.String("guest"), Policy: aws.String(allows("s3:*"))})
	must(t, err)
	g.row("federated user", gets(s.with(federated.Credentials), "a"))
	idp := oidctest.New(t)
	made, err := s.root.IAM.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: &idp.URL, ClientIDList: []string{"app"}, ThumbprintList: []string{idp.Thumbprint}})
	must(t, err)
	g.call("PROVIDER", idp.Name())
	web := s.root.NewRole("web", fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":%q},"Action":"sts:AssumeRoleWithWebIdentity"}]}`, *made.OpenIDConnectProviderArn), allows("s3:*"))
	nobody := s.As(coffertest.Account, aws.Credentials{})
	var id *sts.AssumeRoleWithWebIdentityOutput
	g.row("AssumeRoleWithWebIdentity", func() {
		id, err = nobody.STS.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{RoleArn: &web, RoleSessionName: aws.String("monday"), WebIdentityToken: aws.String(idp.Token(nil))})
		must(t, err)
	})
	g.row("web identity's session", gets(s.with(id.Credentials), "a"))
	anonymously := func(key string) func() {
		return func() {
			request{method: "GET", target: "/vault/" + key, anonymous: true, headers: []string{"User-Agent", "golden/1.0"}}.do(s.Server)
		}
	}
	g.row("anonymous", anonymously("public/a"))
	g.row("anonymous, denied", anonymously("a"))
	g.row("user, denied by an explicit deny", func() {
		deny := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::vault/closed/*"}]}`
		s.Bucket("closed", "", "", false)
		deny = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::closed/*"}]}`
		g.s3("PUT", "/closed?policy", deny, withDigest(deny)...)
		_ = get(user, "closed", "a")
	})
	g.row("user, denied by what nobody allows", func() { _ = put(user, "vault", "a") })

	ann := tenant.NewUser("ann", allows("s3:*", "sts:*"))
	g.row("other account reads: both have it", gets(ann, "lent/a"))
	g.row("other account writes: both have it", func() { must(t, put(ann, "vault", "lent/b")) })
	_, err = ann.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("theirs")})
	must(t, err)
	g.row("other account copies to its own bucket: the source's owner has it, too", func() {
		request{method: "PUT", target: "/theirs/copy", key: ann.Keys.AccessKeyID, secret: ann.Keys.SecretAccessKey,
			headers: []string{"X-Amz-Copy-Source", "/vault/lent/a", "User-Agent", "golden/1.0"}}.do(s.Server)
	})
	g.row("other account, denied: both have it, and it does not learn whose it is", gets(ann, "a"))
	g.row("other account deletes several, denied each", func() {
		body := `<Delete><Object><Key>a</Key></Object></Delete>`
		request{method: "POST", target: "/vault?delete", body: body, key: ann.Keys.AccessKeyID, secret: ann.Keys.SecretAccessKey,
			headers: withDigest(body, "User-Agent", "golden/1.0")}.do(s.Server)
	})
	g.row("CreateBucket of a name that another account has", func() {
		_, _ = ann.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("vault")})
	})
	guest := s.root.NewRole("guest", trusts(tenantAccount), allows("s3:*"))
	g.row("AssumeRole across accounts: both have it", func() {
		s.assume(ann, &sts.AssumeRoleInput{RoleArn: &guest, RoleSessionName: aws.String("visit")})
	})
	lists := `<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>`
	s.Bucket("lists", "", "", false)
	g.s3("PUT", "/lists?publicAccessBlock", none, withDigest(none)...)
	g.s3("PUT", "/lists?ownershipControls", lists, withDigest(lists)...)
	g.s3("PUT", "/lists/a", "x", "X-Amz-Acl", "public-read")
	g.row("an ACL was required", func() {
		request{method: "GET", target: "/lists/a", anonymous: true, headers: []string{"User-Agent", "golden/1.0"}}.do(s.Server)
	})
	g.row("an ACL was not required", func() { g.s3("GET", "/lists/a", "") })
	g.done()
}

// TestRecordsOfIdentities: management events of IAM and STS, without the secrets that they
// give out.
func TestRecordsOfIdentities(t *testing.T) {
	t.Parallel()
	s := &sessions{Server: start(t)}
	s.root = s.Root()
	g := records(s.Server, "iam-sts")
	c := s.root.IAM
	ctx := t.Context()
	name, group, policy := aws.String("app"), aws.String("readers"), aws.String(allows("s3:GetObject"))
	row := func(what string, call func() error) {
		g.row(what, func() {
			if err := call(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	var keyID *string
	row("CreateUser", func() error { _, err := c.CreateUser(ctx, &iam.CreateUserInput{UserName: name}); return err })
	row("GetUser", func() error { _, err := c.GetUser(ctx, &iam.GetUserInput{UserName: name}); return err })
	row("ListUsers", func() error { _, err := c.ListUsers(ctx, &iam.ListUsersInput{}); return err })
	row("CreateAccessKey", func() error {
		out, err := c.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: name})
		keyID = out.AccessKey.AccessKeyId
		return err
	})
	row("UpdateAccessKey", func() error {
		_, err := c.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: name, AccessKeyId: keyID, Status: "Inactive"})
		return err
	})
	row("DeleteAccessKey", func() error {
		_, err := c.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: name, AccessKeyId: keyID})
		return err
	})
	row("PutUserPolicy", func() error {
		_, err := c.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: name, PolicyName: aws.String("p"), PolicyDocument: policy})
		return err
	})
	row("DeleteUserPolicy", func() error {
		_, err := c.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{UserName: name, PolicyName: aws.String("p")})
		return err
	})
	var policyARN *string
	row("CreatePolicy", func() error {
		out, err := c.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("reads"), PolicyDocument: policy})
		policyARN = out.Policy.Arn
		return err
	})
	row("AttachUserPolicy", func() error {
		_, err := c.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: name, PolicyArn: policyARN})
		return err
	})
	row("DetachUserPolicy", func() error {
		_, err := c.DetachUserPolicy(ctx, &iam.DetachUserPolicyInput{UserName: name, PolicyArn: policyARN})
		return err
	})
	row("DeletePolicy", func() error { _, err := c.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: policyARN}); return err })
	row("CreateGroup", func() error { _, err := c.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: group}); return err })
	row("AddUserToGroup", func() error {
		_, err := c.AddUserToGroup(ctx, &iam.AddUserToGroupInput{GroupName: group, UserName: name})
		return err
	})
	row("RemoveUserFromGroup", func() error {
		_, err := c.RemoveUserFromGroup(ctx, &iam.RemoveUserFromGroupInput{GroupName: group, UserName: name})
		return err
	})
	row("DeleteGroup", func() error { _, err := c.DeleteGroup(ctx, &iam.DeleteGroupInput{GroupName: group}); return err })
	trust := trusts(coffertest.Account)
	var roleARN *string
	row("CreateRole", func() error {
		out, err := c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("Writer"), AssumeRolePolicyDocument: &trust})
		roleARN = out.Role.Arn
		return err
	})
	row("UpdateAssumeRolePolicy", func() error {
		_, err := c.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: aws.String("Writer"), PolicyDocument: &trust})
		return err
	})
	g.row("NoSuchEntity", func() { _, _ = c.GetUser(ctx, &iam.GetUserInput{UserName: aws.String("nobody")}) })
	g.row("EntityAlreadyExists", func() { _, _ = c.CreateUser(ctx, &iam.CreateUserInput{UserName: name}) })
	user := s.root.NewUser("ann", allows("sts:*"))
	g.row("denied", func() { _, _ = user.IAM.ListUsers(ctx, &iam.ListUsersInput{}) })

	row("GetCallerIdentity", func() error {
		_, err := user.STS.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		return err
	})
	row("GetSessionToken", func() error { _, err := user.STS.GetSessionToken(ctx, &sts.GetSessionTokenInput{}); return err })
	row("GetFederationToken", func() error {
		_, err := user.STS.GetFederationToken(ctx, &sts.GetFederationTokenInput{Name: aws.String("guest"), Policy: policy})
		return err
	})
	row("AssumeRole", func() error {
		_, err := user.STS.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: roleARN, RoleSessionName: aws.String("batch-7"), DurationSeconds: aws.Int32(900), ExternalId: aws.String("deal-1")})
		return err
	})
	g.row("AssumeRole, denied", func() {
		_, _ = s.root.STS.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: roleARN, RoleSessionName: aws.String("batch-7")})
	})
	row("DeleteRole", func() error {
		_, err := c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("Writer")})
		return err
	})
	row("DeleteUser", func() error { _, err := c.DeleteUser(ctx, &iam.DeleteUserInput{UserName: name}); return err })
	g.done()
}
