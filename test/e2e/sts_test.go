// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/cofferstore/coffer/internal/link/oidc/oidctest"
	"github.com/cofferstore/coffer/test/coffertest"
)

// allows is a policy of one statement.
func allows(actions ...string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["` + strings.Join(actions, `","`) + `"],"Resource":"*"}]}`
}

// trusts is a trust policy for principals of AWS.
func trusts(principal string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}]}`
}

// sessions is a server with a user who may assume roles.
type sessions struct {
	*coffertest.Server
	root, ann *coffertest.Identity
}

func newSessions(t *testing.T) *sessions {
	s := start(t)
	root := s.Root()
	return &sessions{s, root, root.NewUser("ann", allows("sts:*"))}
}

// with returns clients with temporary credentials.
func (s *sessions) with(c *ststypes.Credentials) *coffertest.Identity {
	return s.As(coffertest.Account, aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken})
}

func (s *sessions) assume(by *coffertest.Identity, in *sts.AssumeRoleInput) *coffertest.Identity {
	s.T.Helper()
	if in.RoleSessionName == nil {
		in.RoleSessionName = aws.String("monday")
	}
	out, err := by.STS.AssumeRole(s.T.Context(), in)
	if err != nil {
		s.T.Fatal(err)
	}
	return s.with(out.Credentials)
}

func arnOf(t *testing.T, who *coffertest.Identity) string {
	t.Helper()
	out, err := who.STS.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Arn
}

func put(who *coffertest.Identity, bucket, key string) error {
	_, err := who.S3.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("x")})
	return err
}

func get(who *coffertest.Identity, bucket, key string) error {
	_, err := who.S3.GetObject(context.Background(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	return err
}

func TestSessionsOverTheWire(t *testing.T) {
	t.Parallel()
	s := newSessions(t)
	ctx := t.Context()
	s.Bucket("photos", "", "", false)
	role := s.root.NewRole("worker", trusts(coffertest.Account), allows("s3:*"))
	plain := s.assume(s.ann, &sts.AssumeRoleInput{RoleArn: &role})
	if got := arnOf(t, plain); got != "arn:aws:sts::"+coffertest.Account+":assumed-role/worker/monday" {
		t.Errorf("the session is %s", got)
	}
	reader := s.assume(s.ann, &sts.AssumeRoleInput{RoleArn: &role, Policy: aws.String(allows("s3:GetObject")), Tags: []ststypes.Tag{{Key: aws.String("team"), Value: aws.String("red")}}})
	if err := put(plain, "photos", "cat"); err != nil {
		t.Error(err)
	}
	if err := get(reader, "photos", "cat"); err != nil {
		t.Error(err)
	}
	wantCode(t, put(reader, "photos", "cat"), 403, "AccessDenied")
	url, err := s3.NewPresignClient(reader.S3).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("photos"), Key: aws.String("cat")})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(url.URL)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != 200 {
		t.Errorf("a presigned URL of a session: %s", resp.Status)
	}

	// So do those prove who somebody is that are handed on.
	proof, err := sts.NewPresignClient(plain.STS).PresignGetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(ctx, proof.Method, proof.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = proof.SignedHeader
	if resp, err = http.DefaultClient.Do(r); err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != 200 {
		t.Errorf("a presigned GetCallerIdentity: %s", resp.Status)
	}

	// A user's own session, and a guest of a user.
	own, err := s.ann.STS.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := arnOf(t, s.with(own.Credentials)), arnOf(t, s.ann); got != want {
		t.Errorf("the user's session is %s, want %s", got, want)
	}
	_, err = s.with(own.Credentials).IAM.GetUser(ctx, &iam.GetUserInput{})
	wantCode(t, err, 403, "InvalidClientTokenId")
	guest, err := s.ann.STS.GetFederationToken(ctx, &sts.GetFederationTokenInput{Name: aws.String("guest"), Policy: aws.String(allows("s3:*"))})
	if err != nil {
		t.Fatal(err)
	}
	if got := arnOf(t, s.with(guest.Credentials)); got != "arn:aws:sts::"+coffertest.Account+":federated-user/guest" {
		t.Errorf("the guest is %s", got)
	}
	wantCode(t, get(s.with(guest.Credentials), "photos", "cat"), 403, "AccessDenied")
	info, err := s.ann.STS.GetAccessKeyInfo(ctx, &sts.GetAccessKeyInfoInput{AccessKeyId: aws.String(coffertest.AccessKeyID)})
	if err != nil || *info.Account != coffertest.Account {
		t.Errorf("GetAccessKeyInfo = %+v, %v", info, err)
	}

	// What is recorded shows whose the credentials became, and no secrets.
	for _, r := range s.Audit() {
		if text := fmt.Sprint(r); strings.Contains(text, *own.Credentials.SecretAccessKey) || strings.Contains(text, *own.Credentials.SessionToken) {
			t.Errorf("the record of %s shows a secret", r.EventName)
		}
		if r.EventName == "AssumeRole" && !strings.Contains(fmt.Sprint(r.ResponseElements), "assumed-role/worker/monday") {
			t.Errorf("AssumeRole is recorded with %v", r.ResponseElements)
		}
	}

	// Sessions end with their role, at once.
	if _, err := s.root.IAM.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: aws.String("worker"), PolicyName: aws.String("p0")}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, get(plain, "photos", "cat"), 403, "AccessDenied")
	if _, err := s.root.IAM.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("worker")}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, get(plain, "photos", "cat"), 400, "InvalidToken")
}

func TestSessionsRefusedByEachService(t *testing.T) {
	t.Parallel()
	s := newSessions(t)
	s.Bucket("photos", "", "", false)
	out, err := s.ann.STS.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	good := s.with(out.Credentials).Keys
	for name, test := range map[string]struct {
		change         func(*aws.Credentials)
		s3, kms, query string
	}{
		"no token": {
			func(c *aws.Credentials) { c.SessionToken = "" }, "403 InvalidAccessKeyId", "400 UnrecognizedClientException", "403 InvalidClientTokenId",
		},
		"a changed token": {
			func(c *aws.Credentials) { c.SessionToken = c.SessionToken[:40] + "AAAA" + c.SessionToken[44:] },
			"400 InvalidToken", "400 UnrecognizedClientException", "403 InvalidClientTokenId",
		},
		"a token for a key that needs none": {
			func(c *aws.Credentials) {
				c.AccessKeyID, c.SecretAccessKey = coffertest.AccessKeyID, coffertest.SecretAccessKey
			},
			"400 InvalidToken", "400 UnrecognizedClientException", "403 InvalidClientTokenId",
		},
		"another secret": {
			func(c *aws.Credentials) { c.SecretAccessKey = strings.Repeat("x", 40) },
			"403 SignatureDoesNotMatch", "400 InvalidSignatureException", "403 SignatureDoesNotMatch",
		},
	} {
		keys := good
		test.change(&keys)
		who := s.As(coffertest.Account, keys)
		_, kmsErr := who.KMS.ListKeys(t.Context(), &kms.ListKeysInput{})
		_, stsErr := who.STS.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		for err, want := range map[error]string{get(who, "photos", "cat"): test.s3, kmsErr: test.kms, stsErr: test.query} {
			var status int
			var code string
			if _, scan := fmt.Sscan(want, &status, &code); scan != nil {
				t.Fatal(scan)
			}
			if wantCode(t, err, status, code); t.Failed() {
				t.Fatal(name)
			}
		}
	}
}

func TestRolesAcrossAccounts(t *testing.T) {
	t.Parallel()
	s := newSessions(t)
	ctx := t.Context()
	abroad := s.NewAccount("444455556666", "abroad")
	carl := abroad.NewUser("carl", allows("sts:AssumeRole"))
	dora := abroad.NewUser("dora")
	s.Bucket("photos", "", "", false)
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"e-17"}}}]}`
	role := s.root.NewRole("visitor", trust, allows("s3:PutObject"))
	try := func(by *coffertest.Identity, role, externalID string) error {
		_, err := by.STS.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("monday"), ExternalId: &externalID})
		return err
	}
	if err := put(s.assume(carl, &sts.AssumeRoleInput{RoleArn: &role, ExternalId: aws.String("e-17")}), "photos", "dog"); err != nil {
		t.Error(err)
	}
	// Who is refused learns nothing of what there is.
	for name, err := range map[string]error{
		"another id": try(carl, role, "e-18"), "no rights": try(dora, role, "e-17"), "no role": try(carl, role+"s", "e-17"),
	} {
		if e := wantCode(t, err, 403, "AccessDenied"); e != nil && !strings.Contains(e.ErrorMessage(), "is not authorized to perform: sts:AssumeRole on resource: "+role) {
			t.Errorf("%s: %s", name, e.ErrorMessage())
		}
	}
	wantCode(t, put(carl, "photos", "dog"), 403, "AccessDenied")
}

// TestSessionsOfARoleAreOneRequester: KMS requests are made for each requester once, and
// a requester is a role, unless something narrows its session.
func TestSessionsOfARoleAreOneRequester(t *testing.T) {
	t.Parallel()
	s := newSessions(t)
	s.Bucket("vault", "aws:kms", s.Key(), true)
	role := s.root.NewRole("writer", trusts(coffertest.Account), allows("s3:*", "kms:*"))
	requests := func(in ...*sts.AssumeRoleInput) int {
		t.Helper()
		before := len(s.KMSRequests())
		for i, each := range in {
			each.RoleArn, each.RoleSessionName = &role, aws.String(fmt.Sprintf("session-%d", i))
			if err := put(s.assume(s.ann, each), "vault", "k"); err != nil {
				t.Fatal(err)
			}
		}
		return len(s.KMSRequests()) - before
	}
	if n := requests(&sts.AssumeRoleInput{}, &sts.AssumeRoleInput{}); n != 1 {
		t.Errorf("two sessions made %d KMS requests, want 1", n)
	}
	a, b := allows("s3:*", "kms:*"), allows("s3:PutObject", "kms:*")
	if n := requests(&sts.AssumeRoleInput{Policy: &a}, &sts.AssumeRoleInput{Policy: &b}); n != 2 {
		t.Errorf("two sessions with different policies made %d KMS requests, want 2", n)
	}
	if n := requests(&sts.AssumeRoleInput{Policy: &a}); n != 0 {
		t.Errorf("a session with a policy that another had made %d KMS requests, want none", n)
	}
}

func TestWebIdentities(t *testing.T) {
	t.Parallel()
	s := newSessions(t)
	ctx := t.Context()
	idp := oidctest.New(t)
	s.Bucket("photos", "", "", false)
	made, err := s.root.IAM.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{
		Url: &idp.URL, ClientIDList: []string{"app"}, ThumbprintList: []string{idp.Thumbprint},
	})
	if err != nil {
		t.Fatal(err)
	}
	arn := made.OpenIDConnectProviderArn
	role := s.root.NewRole("web", fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":%q},
		"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"%s:sub":"ann","%[2]s:aud":"app"}}}]}`, *arn, idp.Name()), allows("s3:PutObject"))
	anonymous := s.As(coffertest.Account, aws.Credentials{})
	try := func(claims map[string]any) (*sts.AssumeRoleWithWebIdentityOutput, error) {
		return anonymous.STS.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
			RoleArn: &role, RoleSessionName: aws.String("monday"), WebIdentityToken: aws.String(idp.Token(claims)),
		})
	}
	out, err := try(nil)
	if err != nil {
		t.Fatal(err)
	}
	if *out.SubjectFromWebIdentityToken != "ann" || *out.Audience != "app" || *out.Provider != *arn {
		t.Errorf("got %+v", out)
	}
	if err := put(s.with(out.Credentials), "photos", "cat"); err != nil {
		t.Error(err)
	}
	_, err = try(map[string]any{"sub": "bob"})
	wantCode(t, err, 403, "AccessDenied")
	_, err = try(map[string]any{"aud": "shop"})
	wantCode(t, err, 400, "InvalidIdentityToken")
	_, err = try(map[string]any{"exp": time.Now().Add(-time.Minute).Unix()})
	wantCode(t, err, 400, "ExpiredTokenException")
	_, err = anonymous.STS.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
	if err == nil {
		t.Error("without a signature there is a session")
	}
	found := false
	for _, r := range s.Audit() {
		found = found || r.EventName == "AssumeRoleWithWebIdentity" && r.UserIdentity.Type == "WebIdentityUser" && r.UserIdentity.UserName == "ann"
	}
	if !found {
		t.Error("the web identity's call is not recorded as its own")
	}

	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	c := s.root.IAM
	must(c.AddClientIDToOpenIDConnectProvider(ctx, &iam.AddClientIDToOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, ClientID: aws.String("shop")}))
	must(c.RemoveClientIDFromOpenIDConnectProvider(ctx, &iam.RemoveClientIDFromOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, ClientID: aws.String("app")}))
	must(c.UpdateOpenIDConnectProviderThumbprint(ctx, &iam.UpdateOpenIDConnectProviderThumbprintInput{OpenIDConnectProviderArn: arn, ThumbprintList: []string{strings.Repeat("0", 40)}}))
	must(c.TagOpenIDConnectProvider(ctx, &iam.TagOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}))
	tags, err := c.ListOpenIDConnectProviderTags(ctx, &iam.ListOpenIDConnectProviderTagsInput{OpenIDConnectProviderArn: arn})
	if err != nil || len(tags.Tags) != 1 {
		t.Errorf("tags %+v, %v", tags, err)
	}
	must(c.UntagOpenIDConnectProvider(ctx, &iam.UntagOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn, TagKeys: []string{"a"}}))
	shown, err := c.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn})
	if err != nil || fmt.Sprint(shown.ClientIDList) != "[shop]" || *shown.Url != idp.Name() {
		t.Errorf("provider %+v, %v", shown, err)
	}
	list, err := c.ListOpenIDConnectProviders(ctx, &iam.ListOpenIDConnectProvidersInput{})
	if err != nil || len(list.OpenIDConnectProviderList) != 1 {
		t.Errorf("providers %+v, %v", list, err)
	}
	must(c.DeleteOpenIDConnectProvider(ctx, &iam.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn}))
	_, err = c.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: arn})
	wantCode(t, err, 404, "NoSuchEntity")
}

func TestSimulations(t *testing.T) {
	t.Parallel()
	s := newSessions(t)
	ctx := t.Context()
	s.root.NewUser("bob", allows("s3:GetObject"))
	arn := "arn:aws:iam::" + coffertest.Account + ":user/bob"
	actions, resources := []string{"s3:GetObject", "s3:PutObject"}, []string{"arn:aws:s3:::photos/cat"}
	principal, err := s.root.IAM.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{PolicySourceArn: &arn, ActionNames: actions, ResourceArns: resources})
	if err != nil {
		t.Fatal(err)
	}
	custom, err := s.root.IAM.SimulateCustomPolicy(ctx, &iam.SimulateCustomPolicyInput{PolicyInputList: []string{allows("s3:GetObject")}, ActionNames: actions, ResourceArns: resources})
	if err != nil {
		t.Fatal(err)
	}
	for name, results := range map[string][]types.EvaluationResult{"principal": principal.EvaluationResults, "custom": custom.EvaluationResults} {
		if len(results) != 2 || results[0].EvalDecision != "allowed" || results[1].EvalDecision != "implicitDeny" || len(results[0].MatchedStatements) != 1 {
			t.Errorf("%s: %+v", name, results)
		}
	}
}
