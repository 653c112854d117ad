// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/cofferstore/coffer/test/coffertest"
)

// What a bucket's policy says to users and sessions whose own policies, boundaries and
// session policies say something else.
func TestBucketPoliciesAndLimits(t *testing.T) {
	s := start(t)
	root := rootOf(s)
	s.Bucket("vault", "", "", false)
	s.Put("vault", "a", "x")
	const (
		all  = `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`
		read = `{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`
	)
	trust := document(`{"Effect":"Allow","Principal":{"AWS":"` + coffertest.Account + `"},"Action":"sts:AssumeRole"}`)
	readOnly := do(t, root.IAM.CreatePolicy, &iam.CreatePolicyInput{PolicyName: aws.String("read"), PolicyDocument: aws.String(document(read))}).Policy.Arn
	host := root.user("host", `{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}`) // roots assume no roles
	statement := func(effect, arn, action string) string {
		return `{"Effect":"` + effect + `","Principal":{"AWS":"` + arn + `"},"Action":"` + action + `","Resource":"arn:aws:s3:::vault/*"}`
	}
	role := func(name string, bounded bool) (arn string, session *person) {
		arn = root.NewRole(name, trust, document(all))
		if bounded {
			do(t, root.IAM.PutRolePermissionsBoundary, &iam.PutRolePermissionsBoundaryInput{RoleName: &name, PermissionsBoundary: readOnly})
		}
		return arn, &person{host.Assume(arn, "me"), s, "arn:aws:sts::" + coffertest.Account + ":assumed-role/" + name + "/me"}
	}

	free := root.user("free", all)
	plain := root.user("plain", "")
	bound := root.user("bound", all)
	do(t, root.IAM.PutUserPermissionsBoundary, &iam.PutUserPermissionsBoundaryInput{UserName: aws.String("bound"), PermissionsBoundary: readOnly})
	theirs := accountOf(s, otherAccount).user("theirs", "")
	boundRole, byRole := role("bound", true)
	_, bySession := role("named", true)
	openRole, _ := role("open", false)
	narrow := do(t, host.STS.AssumeRole, &sts.AssumeRoleInput{
		RoleArn: &openRole, RoleSessionName: aws.String("narrow"), Policy: aws.String(document(read)),
	}).Credentials
	narrowed := &person{s.As(coffertest.Account, aws.Credentials{
		AccessKeyID: *narrow.AccessKeyId, SecretAccessKey: *narrow.SecretAccessKey, SessionToken: *narrow.SessionToken,
	}), s, ""}

	deniedFor("no permissions boundary allows the s3:PutObject action").check(t, "C5", bound.put("vault", "b"))
	allowed.check(t, "C5, what the boundary allows", bound.get("vault", "a"))
	root.bucketPolicy("vault", statement("Deny", free.arn, "s3:*")+","+
		statement("Allow", plain.arn, "s3:GetObject")+","+
		statement("Allow", theirs.arn, "s3:GetObject")+","+
		statement("Allow", bound.arn, "s3:PutObject")+","+
		statement("Allow", boundRole, "s3:PutObject")+","+
		statement("Allow", bySession.arn, "s3:PutObject"))
	deniedFor("with an explicit deny in a resource-based policy").check(t, "C1", free.get("vault", "a"))
	allowed.check(t, "C2", plain.get("vault", "a"))
	outcome{403, "AccessDenied", "Access Denied"}.check(t, "C3", theirs.get("vault", "a"))
	allowed.check(t, "C6", bound.put("vault", "b"))
	deniedFor("no permissions boundary allows the s3:PutObject action").check(t, "C7", byRole.put("vault", "b"))
	allowed.check(t, "C8", bySession.put("vault", "b"))
	deniedFor("no session policy allows the s3:PutObject action").check(t, "C9", narrowed.put("vault", "b"))
	allowed.check(t, "C9, what the session policy allows", narrowed.get("vault", "a"))
	if _, err := narrowed.S3.ListBuckets(t.Context(), &s3.ListBucketsInput{}); err == nil {
		t.Error("a narrowed session lists buckets")
	}
}
