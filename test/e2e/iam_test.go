// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/test/coffertest"
)

const (
	readsPhotos = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"]}]}`
	allOfS3     = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
	denyAll     = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`
	accountBy   = "arn:aws:iam::" + coffertest.Account
)

// must ends the test at an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func putBy(t *testing.T, who *coffertest.Identity, bucket, key string) error {
	_, err := who.S3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("hello")})
	return err
}

func getBy(t *testing.T, who *coffertest.Identity, bucket, key string) error {
	out, err := who.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err == nil {
		out.Body.Close()
	}
	return err
}

// What a user may do follows its policies at once: none, inline, of a group, attached,
// bounded; and ends with its access key.
func TestUsersPolicies(t *testing.T) {
	t.Parallel()
	s := coffertest.Start(t)
	root := s.Root()
	do(t, root.S3.CreateBucket, &s3.CreateBucketInput{Bucket: aws.String("photos")})
	must(t, putBy(t, root, "photos", "a"))
	ann := root.NewUser("ann")

	wantCode(t, getBy(t, ann, "photos", "a"), 403, "AccessDenied")
	fails(t, ann.KMS.ListKeys, &kms.ListKeysInput{}, 400, "AccessDeniedException", "")
	fails(t, ann.IAM.ListUsers, &iam.ListUsersInput{}, 403, "AccessDenied", "User: "+accountBy+":user/ann is not authorized to perform: iam:ListUsers on resource: "+
		accountBy+":user/ because no identity-based policy allows the iam:ListUsers action")

	do(t, root.IAM.PutUserPolicy, &iam.PutUserPolicyInput{UserName: aws.String("ann"), PolicyName: aws.String("photos"), PolicyDocument: aws.String(readsPhotos)})
	must(t, getBy(t, ann, "photos", "a"))
	wantCode(t, putBy(t, ann, "photos", "b"), 403, "AccessDenied")

	do(t, root.IAM.CreateGroup, &iam.CreateGroupInput{GroupName: aws.String("writers")})
	do(t, root.IAM.PutGroupPolicy, &iam.PutGroupPolicyInput{GroupName: aws.String("writers"), PolicyName: aws.String("all"), PolicyDocument: aws.String(allOfS3)})
	do(t, root.IAM.AddUserToGroup, &iam.AddUserToGroupInput{GroupName: aws.String("writers"), UserName: aws.String("ANN")})
	must(t, putBy(t, ann, "photos", "b"))

	readOnly := "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
	do(t, root.IAM.PutUserPermissionsBoundary, &iam.PutUserPermissionsBoundaryInput{UserName: aws.String("ann"), PermissionsBoundary: &readOnly})
	err := putBy(t, ann, "photos", "c")
	if e := wantCode(t, err, 403, "AccessDenied"); e != nil && !strings.HasSuffix(e.ErrorMessage(), "because no permissions boundary allows the s3:PutObject action") {
		t.Errorf("beyond the boundary: %s", e.ErrorMessage())
	}
	must(t, getBy(t, ann, "photos", "a"))
	do(t, root.IAM.DeleteUserPermissionsBoundary, &iam.DeleteUserPermissionsBoundaryInput{UserName: aws.String("ann")})
	must(t, putBy(t, ann, "photos", "c"))

	key := do(t, root.KMS.CreateKey, &kms.CreateKeyInput{}).KeyMetadata.Arn
	generate := &kms.GenerateDataKeyInput{KeyId: key, KeySpec: kmstypes.DataKeySpecAes256}
	fails(t, ann.KMS.GenerateDataKey, generate, 400, "AccessDeniedException", "because no identity-based policy allows the kms:GenerateDataKey action")
	do(t, root.IAM.PutUserPolicy, &iam.PutUserPolicyInput{UserName: aws.String("ann"), PolicyName: aws.String("key"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:GenerateDataKey","Resource":"` + *key + `"}}`)})
	do(t, ann.KMS.GenerateDataKey, generate)
	if used := do(t, root.KMS.GetKeyLastUsage, &kms.GetKeyLastUsageInput{KeyId: key}); used.KeyLastUsage == nil || used.KeyLastUsage.Operation != kmstypes.KeyLastUsageTrackingOperationGenerateDataKey {
		t.Errorf("the key was last used for %+v", used.KeyLastUsage)
	}
	do(t, root.IAM.DeleteUserPolicy, &iam.DeleteUserPolicyInput{UserName: aws.String("ann"), PolicyName: aws.String("key")})
	fails(t, ann.KMS.GenerateDataKey, generate, 400, "AccessDeniedException", "")

	denied := do(t, root.IAM.CreatePolicy, &iam.CreatePolicyInput{PolicyName: aws.String("nothing"), PolicyDocument: aws.String(denyAll)})
	do(t, root.IAM.AttachGroupPolicy, &iam.AttachGroupPolicyInput{GroupName: aws.String("writers"), PolicyArn: denied.Policy.Arn})
	err = getBy(t, ann, "photos", "a")
	if e := wantCode(t, err, 403, "AccessDenied"); e != nil && !strings.HasSuffix(e.ErrorMessage(), "with an explicit deny in an identity-based policy") {
		t.Errorf("a denied read: %s", e.ErrorMessage())
	}
	do(t, root.IAM.DetachGroupPolicy, &iam.DetachGroupPolicyInput{GroupName: aws.String("writers"), PolicyArn: denied.Policy.Arn})
	must(t, getBy(t, ann, "photos", "a"))

	last := do(t, root.IAM.GetAccessKeyLastUsed, &iam.GetAccessKeyLastUsedInput{AccessKeyId: &ann.Keys.AccessKeyID})
	if *last.UserName != "ann" || *last.AccessKeyLastUsed.ServiceName != "s3" || *last.AccessKeyLastUsed.Region != coffertest.Region {
		t.Errorf("last used: %+v", last.AccessKeyLastUsed)
	}
	status := func(status iamtypes.StatusType) {
		t.Helper()
		do(t, root.IAM.UpdateAccessKey, &iam.UpdateAccessKeyInput{UserName: aws.String("ann"), AccessKeyId: &ann.Keys.AccessKeyID, Status: status})
	}
	status(iamtypes.StatusTypeInactive)
	wantCode(t, getBy(t, ann, "photos", "a"), 403, "InvalidAccessKeyId")
	status(iamtypes.StatusTypeActive)
	must(t, getBy(t, ann, "photos", "a"))

	do(t, root.IAM.UpdateUser, &iam.UpdateUserInput{UserName: aws.String("ann"), NewUserName: aws.String("anna"), NewPath: aws.String("/staff/")})
	must(t, getBy(t, ann, "photos", "a"))
	fails(t, ann.IAM.GetUser, &iam.GetUserInput{}, 403, "AccessDenied", "User: "+accountBy+":user/staff/anna is not")
	s.Restart()
	root = s.Root()
	keys := do(t, root.IAM.ListAccessKeys, &iam.ListAccessKeysInput{UserName: aws.String("anna")})
	last = do(t, root.IAM.GetAccessKeyLastUsed, &iam.GetAccessKeyLastUsedInput{AccessKeyId: keys.AccessKeyMetadata[0].AccessKeyId})
	if last.AccessKeyLastUsed.LastUsedDate == nil {
		t.Error("a restart forgot when the key was used")
	}
	fails(t, root.IAM.DeleteUser, &iam.DeleteUserInput{UserName: aws.String("anna")}, 409, "DeleteConflict", "")
	do(t, root.IAM.DeleteAccessKey, &iam.DeleteAccessKeyInput{UserName: aws.String("anna"), AccessKeyId: keys.AccessKeyMetadata[0].AccessKeyId})
}

// An operation of each kind, so that the SDK has read every answer.
func TestIdentityOperations(t *testing.T) {
	t.Parallel()
	s := coffertest.Start(t)
	c := s.Root().IAM
	name, tag := aws.String("x"), []iamtypes.Tag{{Key: aws.String("Team"), Value: aws.String("blue")}}
	trust := aws.String(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + coffertest.Account + `"},"Action":"sts:AssumeRole"}}`)

	do(t, c.CreateAccountAlias, &iam.CreateAccountAliasInput{AccountAlias: aws.String("our-house")})
	aliases := do(t, c.ListAccountAliases, &iam.ListAccountAliasesInput{})
	if len(aliases.AccountAliases) != 1 || aliases.AccountAliases[0] != "our-house" {
		t.Errorf("aliases %v", aliases.AccountAliases)
	}
	do(t, c.DeleteAccountAlias, &iam.DeleteAccountAliasInput{AccountAlias: aws.String("our-house")})

	policy := do(t, c.CreatePolicy, &iam.CreatePolicyInput{PolicyName: aws.String("photos"), PolicyDocument: aws.String(readsPhotos), Path: aws.String("/team/"), Description: aws.String("reads photos")})
	arn := policy.Policy.Arn
	version := do(t, c.CreatePolicyVersion, &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: aws.String(allOfS3), SetAsDefault: true})
	do(t, c.SetDefaultPolicyVersion, &iam.SetDefaultPolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v1")})
	do(t, c.DeletePolicyVersion, &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: version.PolicyVersion.VersionId})
	do(t, c.ListPolicyVersions, &iam.ListPolicyVersionsInput{PolicyArn: arn})
	text := do(t, c.GetPolicyVersion, &iam.GetPolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v1")})
	wantDocument(t, text.PolicyVersion.Document, readsPhotos)
	do(t, c.TagPolicy, &iam.TagPolicyInput{PolicyArn: arn, Tags: tag})
	do(t, c.ListPolicyTags, &iam.ListPolicyTagsInput{PolicyArn: arn})
	do(t, c.UntagPolicy, &iam.UntagPolicyInput{PolicyArn: arn, TagKeys: []string{"team"}})

	do(t, c.CreateUser, &iam.CreateUserInput{UserName: name, PermissionsBoundary: arn, Tags: tag})
	do(t, c.CreateGroup, &iam.CreateGroupInput{GroupName: name})
	do(t, c.CreateRole, &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: trust, MaxSessionDuration: aws.Int32(7200)})
	do(t, c.AddUserToGroup, &iam.AddUserToGroupInput{GroupName: name, UserName: name})
	do(t, c.TagUser, &iam.TagUserInput{UserName: name, Tags: []iamtypes.Tag{{Key: aws.String("TEAM"), Value: aws.String("red")}}})
	user := do(t, c.GetUser, &iam.GetUserInput{UserName: name})
	if u := user.User; *u.Arn != accountBy+":user/x" || !strings.HasPrefix(*u.UserId, "AIDA") || len(*u.UserId) != 21 || *u.PermissionsBoundary.PermissionsBoundaryArn != *arn || len(u.Tags) != 1 || *u.Tags[0].Value != "red" {
		t.Errorf("user %+v", u)
	}
	do(t, c.ListUserTags, &iam.ListUserTagsInput{UserName: name})
	do(t, c.UntagUser, &iam.UntagUserInput{UserName: name, TagKeys: []string{"team"}})
	do(t, c.TagRole, &iam.TagRoleInput{RoleName: name, Tags: tag})
	do(t, c.ListRoleTags, &iam.ListRoleTagsInput{RoleName: name})
	do(t, c.UntagRole, &iam.UntagRoleInput{RoleName: name, TagKeys: []string{"team"}})

	// Policies of each, inline and attached.
	doc := aws.String(readsPhotos)
	do(t, c.PutUserPolicy, &iam.PutUserPolicyInput{UserName: name, PolicyName: name, PolicyDocument: doc})
	do(t, c.PutGroupPolicy, &iam.PutGroupPolicyInput{GroupName: name, PolicyName: name, PolicyDocument: doc})
	do(t, c.PutRolePolicy, &iam.PutRolePolicyInput{RoleName: name, PolicyName: name, PolicyDocument: doc})
	up := do(t, c.GetUserPolicy, &iam.GetUserPolicyInput{UserName: name, PolicyName: name})
	wantDocument(t, up.PolicyDocument, readsPhotos)
	gp := do(t, c.GetGroupPolicy, &iam.GetGroupPolicyInput{GroupName: name, PolicyName: name})
	wantDocument(t, gp.PolicyDocument, readsPhotos)
	rp := do(t, c.GetRolePolicy, &iam.GetRolePolicyInput{RoleName: name, PolicyName: name})
	wantDocument(t, rp.PolicyDocument, readsPhotos)
	do(t, c.ListUserPolicies, &iam.ListUserPoliciesInput{UserName: name})
	do(t, c.ListGroupPolicies, &iam.ListGroupPoliciesInput{GroupName: name})
	do(t, c.ListRolePolicies, &iam.ListRolePoliciesInput{RoleName: name})

	// What there never is.
	do(t, c.ListInstanceProfiles, &iam.ListInstanceProfilesInput{})
	if p := do(t, c.ListInstanceProfilesForRole, &iam.ListInstanceProfilesForRoleInput{RoleName: name}); p.IsTruncated || p.InstanceProfiles == nil || len(p.InstanceProfiles) > 0 {
		t.Errorf("instance profiles %+v", p)
	}
	do(t, c.ListMFADevices, &iam.ListMFADevicesInput{UserName: name})
	do(t, c.ListVirtualMFADevices, &iam.ListVirtualMFADevicesInput{})
	do(t, c.ListSSHPublicKeys, &iam.ListSSHPublicKeysInput{UserName: name})
	do(t, c.ListSigningCertificates, &iam.ListSigningCertificatesInput{UserName: name})
	do(t, c.ListServiceSpecificCredentials, &iam.ListServiceSpecificCredentialsInput{UserName: name})
	var none *iamtypes.NoSuchEntityException
	if _, err := c.GetLoginProfile(t.Context(), &iam.GetLoginProfileInput{UserName: name}); !errors.As(err, &none) {
		t.Errorf("a password: %v", err)
	}
	if _, err := c.DeleteLoginProfile(t.Context(), &iam.DeleteLoginProfileInput{UserName: name}); !errors.As(err, &none) {
		t.Errorf("a password is taken away: %v", err)
	}
	do(t, c.AttachUserPolicy, &iam.AttachUserPolicyInput{UserName: name, PolicyArn: arn})
	do(t, c.AttachGroupPolicy, &iam.AttachGroupPolicyInput{GroupName: name, PolicyArn: arn})
	do(t, c.AttachRolePolicy, &iam.AttachRolePolicyInput{RoleName: name, PolicyArn: arn})
	do(t, c.PutRolePermissionsBoundary, &iam.PutRolePermissionsBoundaryInput{RoleName: name, PermissionsBoundary: arn})
	attached := do(t, c.ListAttachedUserPolicies, &iam.ListAttachedUserPoliciesInput{UserName: name, PathPrefix: aws.String("/team/")})
	if len(attached.AttachedPolicies) != 1 || *attached.AttachedPolicies[0].PolicyName != "photos" {
		t.Errorf("attached %+v", attached.AttachedPolicies)
	}
	do(t, c.ListAttachedGroupPolicies, &iam.ListAttachedGroupPoliciesInput{GroupName: name})
	do(t, c.ListAttachedRolePolicies, &iam.ListAttachedRolePoliciesInput{RoleName: name})
	got := do(t, c.GetPolicy, &iam.GetPolicyInput{PolicyArn: arn})
	if *got.Policy.AttachmentCount != 3 || *got.Policy.PermissionsBoundaryUsageCount != 2 || *got.Policy.Description != "reads photos" {
		t.Errorf("policy %+v", got.Policy)
	}
	entities := do(t, c.ListEntitiesForPolicy, &iam.ListEntitiesForPolicyInput{PolicyArn: arn, PolicyUsageFilter: iamtypes.PolicyUsageTypePermissionsPolicy})
	if len(entities.PolicyUsers) != 1 || len(entities.PolicyGroups) != 1 || len(entities.PolicyRoles) != 1 {
		t.Errorf("entities %+v", entities)
	}

	lists(t, c)
	details := do(t, c.GetAccountAuthorizationDetails, &iam.GetAccountAuthorizationDetailsInput{})
	if len(details.UserDetailList) != 1 || len(details.GroupDetailList) != 1 || len(details.RoleDetailList) != 1 || len(details.Policies) != 1 ||
		details.UserDetailList[0].GroupList[0] != "x" || len(details.Policies[0].PolicyVersionList) != 1 {
		t.Errorf("details %+v", details)
	}
	summary := do(t, c.GetAccountSummary, &iam.GetAccountSummaryInput{})
	if summary.SummaryMap["Users"] != 1 || summary.SummaryMap["Policies"] != 1 || summary.SummaryMap["PolicyVersionsInUse"] != 1 {
		t.Errorf("summary %v", summary.SummaryMap)
	}

	do(t, c.UpdateRole, &iam.UpdateRoleInput{RoleName: name, Description: aws.String("role")})
	do(t, c.UpdateRoleDescription, &iam.UpdateRoleDescriptionInput{RoleName: name, Description: aws.String("a role")})
	do(t, c.UpdateAssumeRolePolicy, &iam.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: trust})
	role := do(t, c.GetRole, &iam.GetRoleInput{RoleName: name})
	wantDocument(t, role.Role.AssumeRolePolicyDocument, *trust)
	if *role.Role.MaxSessionDuration != 3600 || *role.Role.Description != "a role" {
		t.Errorf("role %+v", role.Role)
	}
	do(t, c.UpdateGroup, &iam.UpdateGroupInput{GroupName: name, NewGroupName: aws.String("y")})
	clearIdentities(t, c, arn)
}

// lists reads all lists of the account.
func lists(t *testing.T, c *iam.Client) {
	t.Helper()
	users := do(t, c.ListUsers, &iam.ListUsersInput{})
	groups := do(t, c.ListGroups, &iam.ListGroupsInput{})
	roles := do(t, c.ListRoles, &iam.ListRolesInput{})
	if len(users.Users) != 1 || len(groups.Groups) != 1 || len(roles.Roles) != 1 {
		t.Errorf("%d users, %d groups, %d roles", len(users.Users), len(groups.Groups), len(roles.Roles))
	}
	of := do(t, c.ListGroupsForUser, &iam.ListGroupsForUserInput{UserName: aws.String("x")})
	group := do(t, c.GetGroup, &iam.GetGroupInput{GroupName: aws.String("x")})
	if len(of.Groups) != 1 || len(group.Users) != 1 {
		t.Errorf("groups %v with users %v", of.Groups, group.Users)
	}
	names := map[string]bool{}
	for pages := iam.NewListPoliciesPaginator(c, &iam.ListPoliciesInput{MaxItems: aws.Int32(2)}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		must(t, err)
		for _, p := range page.Policies {
			names[*p.PolicyName] = true
		}
	}
	if len(names) != 10 || !names["photos"] || !names["AdministratorAccess"] {
		t.Errorf("policies %v", names)
	}
}

// clearIdentities takes everything away again.
func clearIdentities(t *testing.T, c *iam.Client, arn *string) {
	t.Helper()
	name, renamed := aws.String("x"), aws.String("y")
	fails(t, c.DeleteGroup, &iam.DeleteGroupInput{GroupName: renamed}, 409, "DeleteConflict", "")
	fails(t, c.DeletePolicy, &iam.DeletePolicyInput{PolicyArn: arn}, 409, "DeleteConflict", "")
	do(t, c.RemoveUserFromGroup, &iam.RemoveUserFromGroupInput{GroupName: renamed, UserName: name})
	do(t, c.DeleteUserPolicy, &iam.DeleteUserPolicyInput{UserName: name, PolicyName: name})
	do(t, c.DeleteGroupPolicy, &iam.DeleteGroupPolicyInput{GroupName: renamed, PolicyName: name})
	do(t, c.DeleteRolePolicy, &iam.DeleteRolePolicyInput{RoleName: name, PolicyName: name})
	do(t, c.DetachUserPolicy, &iam.DetachUserPolicyInput{UserName: name, PolicyArn: arn})
	do(t, c.DetachGroupPolicy, &iam.DetachGroupPolicyInput{GroupName: renamed, PolicyArn: arn})
	do(t, c.DetachRolePolicy, &iam.DetachRolePolicyInput{RoleName: name, PolicyArn: arn})
	fails(t, c.DetachRolePolicy, &iam.DetachRolePolicyInput{RoleName: name, PolicyArn: arn}, 404, "NoSuchEntity", "")
	do(t, c.DeleteRolePermissionsBoundary, &iam.DeleteRolePermissionsBoundaryInput{RoleName: name})
	do(t, c.DeleteUser, &iam.DeleteUserInput{UserName: name})
	do(t, c.DeleteGroup, &iam.DeleteGroupInput{GroupName: renamed})
	do(t, c.DeleteRole, &iam.DeleteRoleInput{RoleName: name})
	do(t, c.DeletePolicy, &iam.DeletePolicyInput{PolicyArn: arn})
}

func wantDocument(t *testing.T, got *string, want string) {
	t.Helper()
	if text, err := url.PathUnescape(aws.ToString(got)); err != nil || text != want {
		t.Errorf("document %s, want %s", aws.ToString(got), want)
	}
}
