// SPDX-License-Identifier: Apache-2.0

package iamapi

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/iam/iamtest"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// What requests are answered with, in their order: codes, texts and shapes.
func TestIdentities(t *testing.T) {
	road, kept := newRoad(t, (&API{IAM: iamtest.New(t, mem.New(), home)}).Families()...)
	const (
		reads = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}]}`
		trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + home + `"},"Action":"sts:AssumeRole"}]}`
	)
	arn := "arn:aws:iam::" + home + ":"
	for _, test := range []struct {
		request string
		status  int
		want    string
	}{
		{"CreateUser&UserName=ann&Path=/staff/&Tags.member.1.Key=team&Tags.member.1.Value=", 200,
			"<User><Path>/staff/</Path><UserName>ann</UserName><UserId>AIDA*</UserId><Arn>" + arn + "user/staff/ann</Arn><CreateDate>*Z</CreateDate><Tags><member><Key>team</Key><Value></Value></member></Tags></User>"},
		{"CreateUser&UserName=Ann", 409, "<Type>Sender</Type><Code>EntityAlreadyExists</Code><Message>User with name Ann already exists.</Message>"},
		{"CreateUser", 400, "<Code>ValidationError</Code><Message>1 validation error detected: Value null at *userName* failed to satisfy constraint: Member must not be null</Message>"},
		{"CreateUser&UserName=b&Path=staff", 400, "<Code>ValidationError</Code>"},
		{"CreateUser&UserName=" + strings.Repeat("a", 65), 400, "<Code>ValidationError</Code>"},
		{"GetUser&UserName=bob", 404, "<Code>NoSuchEntity</Code><Message>The user with name bob cannot be found.</Message>"},
		{"GetUser", 200, "<User><UserId>" + home + "</UserId><Arn>" + arn + "root</Arn>"},
		{"ListUsers&PathPrefix=/staff", 200, "<Users><member><Path>/staff/</Path><UserName>ann</UserName>*</member></Users><IsTruncated>false</IsTruncated>"},
		{"ListUsers&PathPrefix=/none/", 200, "<Users></Users>"},
		{"ListUsers&MaxItems=0", 400, "<Code>ValidationError</Code>"},
		{"ListUsers&Marker=x", 400, "<Code>ValidationError</Code><Message>Invalid Marker.</Message>"},
		{"CreateAccessKey&UserName=ann", 200, "<AccessKey><UserName>ann</UserName><AccessKeyId>AKIA*</AccessKeyId><Status>Active</Status><SecretAccessKey>*</SecretAccessKey><CreateDate>*</CreateDate></AccessKey>"},
		{"CreateAccessKey&UserName=ann", 200, "<AccessKeyId>"},
		{"CreateAccessKey&UserName=ann", 409, "<Code>LimitExceeded</Code><Message>Cannot exceed quota for AccessKeysPerUser: 2</Message>"},
		{"DeleteUser&UserName=ann", 409, "<Code>DeleteConflict</Code><Message>Cannot delete entity, must delete access keys first.</Message>"},
		{"UpdateAccessKey&UserName=ann&AccessKeyId=AKIAAAAAAAAAAAAAAAAA&Status=Active", 404, "<Code>NoSuchEntity</Code><Message>The Access Key with id AKIAAAAAAAAAAAAAAAAA cannot be found.</Message>"},
		{"PutUserPolicy&UserName=ann&PolicyName=p&PolicyDocument=" + url.QueryEscape(reads), 200, "<PutUserPolicyResponse *><ResponseMetadata>"},
		{"GetUserPolicy&UserName=ann&PolicyName=p", 200, "<PolicyDocument>%7B%22Version%22%3A%222012-10-17%22%2C*</PolicyDocument>"},
		{"PutUserPolicy&UserName=ann&PolicyName=p&PolicyDocument=x", 400, "<Code>MalformedPolicyDocument</Code>"},
		{"CreateRole&RoleName=ops&AssumeRolePolicyDocument=" + url.QueryEscape(trust), 200, "<AssumeRolePolicyDocument>%7B*</AssumeRolePolicyDocument><MaxSessionDuration>3600</MaxSessionDuration></Role>"},
		{"CreateRole&RoleName=o&MaxSessionDuration=60&AssumeRolePolicyDocument=" + url.QueryEscape(trust), 400, "<Code>ValidationError</Code>"},
		{"CreateRole&RoleName=o&AssumeRolePolicyDocument=" + url.QueryEscape(strings.Replace(trust, home, arn+"user/none", 1)), 400,
			"<Code>MalformedPolicyDocument</Code><Message>Invalid principal in policy: *AWS*:*" + arn + "user/none*</Message>"},
		{"UpdateRole&RoleName=ops", 200, "<UpdateRoleResult></UpdateRoleResult>"},
		{"AttachUserPolicy&UserName=ann&PolicyArn=" + arn + "policy/none", 404, "<Code>NoSuchEntity</Code><Message>Policy " + arn + "policy/none does not exist or is not attachable.</Message>"},
		{"DeletePolicy&PolicyArn=arn:aws:iam::aws:policy/IAMFullAccess", 400, "<Code>UnmodifiableEntity</Code>"},
		{"GetAccountSummary", 200, "<SummaryMap><entry><key>AccessKeysPerUserQuota</key><value>2</value></entry>"},
	} {
		w := request{key: "AKIAHOME", service: "iam", body: "Version=2010-05-08&Action=" + test.request}.send(t, road)
		if w.Code != test.status || !like(w.Body.String(), test.want) {
			t.Errorf("%s: %d %s, want %d %s", test.request, w.Code, w.Body, test.status, test.want)
		}
		if _, secret, ok := strings.Cut(w.Body.String(), "<SecretAccessKey>"); ok {
			secret, _, _ = strings.Cut(secret, "<")
			text, err := json.Marshal(kept.records)
			if err != nil || len(secret) != 40 || strings.Contains(string(text), secret) {
				t.Errorf("the trail has the secret of an access key, or there is none: %v", err)
			}
		}
	}
}

// like reports whether a text has the pieces between stars, in their order.
func like(text, pieces string) bool {
	for piece := range strings.SplitSeq(pieces, "*") {
		_, rest, ok := strings.Cut(text, piece)
		if !ok {
			return false
		}
		text = rest
	}
	return true
}

// Every operation of the table is of the API's version and is signed.
func TestOperationsAreSigned(t *testing.T) {
	api := &API{IAM: iamtest.New(t, mem.New(), home)}
	road, _ := newRoad(t, api.Families()...)
	for _, op := range api.iamOps() {
		if op.Traits.Has(pipeline.Open) {
			t.Errorf("%s needs no signature", op.Name)
		}
		w := request{key: "AKIANOBODY", service: "iam", body: "Version=2010-05-08&Action=" + op.Name}.send(t, road)
		if w.Code != 403 || !holds(w, "<Code>InvalidClientTokenId</Code>") {
			t.Errorf("%s by nobody: %d %s", op.Name, w.Code, w.Body)
		}
	}
}
