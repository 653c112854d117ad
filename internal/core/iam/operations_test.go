// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

const (
	readsAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}`
	trusts   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + home + `"},"Action":"sts:AssumeRole"}]}`
)

// rootOf returns the root of an account as it calls.
func (w *town) rootOf(account string) Caller {
	return Caller{Principal: Principal{Type: Root, Account: account, ARN: aws.RootARN(account), PrincipalID: account}, Secure: true, SourceIP: "192.0.2.1"}
}

// ok ends the test at an error.
func ok[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// refused checks kind and text of an error.
func refused(t testing.TB, what string, err error, kind fault.Kind, text string) {
	t.Helper()
	f, ok := fault.As(err)
	if !ok || f.Kind != kind || !strings.Contains(f.Message, text) {
		t.Errorf("%s: %v, want %s %q", what, err, kind, text)
	}
}

func TestWhatOperationsRefuse(t *testing.T) {
	w := newTown(t)
	ctx, by := t.Context(), w.rootOf(home)
	ok[UserResult](t)(w.CreateUser(ctx, by, CreateUser{UserName: "ann"}))
	ok[GroupResult](t)(w.CreateGroup(ctx, by, CreateGroup{GroupName: "staff"}))
	ok[RoleResult](t)(w.CreateRole(ctx, by, CreateRole{RoleName: "ops", AssumeRolePolicyDocument: trusts}))
	made := ok[PolicyResult](t)(w.CreatePolicy(ctx, by, CreatePolicy{PolicyName: "reads", PolicyDocument: readsAll})).Policy
	ok[None](t)(w.AttachUserPolicy(ctx, by, AttachUserPolicy{"ann", made.Arn}))
	theirs := ok[PolicyResult](t)(w.CreatePolicy(ctx, w.rootOf(abroad), CreatePolicy{PolicyName: "reads", PolicyDocument: readsAll})).Policy

	long := `{"Version":"2012-10-17","Statement":[{"Sid":"` + strings.Repeat("a", maxManaged) + `","Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}`
	wide := readsAll + strings.Repeat(" ", 100<<10)
	ok[None](t)(w.PutRolePolicy(ctx, by, PutRolePolicy{"ops", "p1", wide}))
	ok[None](t)(w.PutRolePolicy(ctx, by, PutRolePolicy{"ops", "p2", wide}))
	for _, test := range []struct {
		what string
		err  error
		kind fault.Kind
		text string
	}{
		{"a user twice", second(w.CreateUser(ctx, by, CreateUser{UserName: "ANN"})), EntityAlreadyExists, "User with name ANN already exists."},
		{"a group twice", second(w.CreateGroup(ctx, by, CreateGroup{GroupName: "Staff"})), EntityAlreadyExists, "Group with name Staff already exists."},
		{"a role twice", second(w.CreateRole(ctx, by, CreateRole{RoleName: "OPS", AssumeRolePolicyDocument: trusts})), EntityAlreadyExists, "Role with name OPS already exists."},
		{"a policy twice", second(w.CreatePolicy(ctx, by, CreatePolicy{PolicyName: "Reads", PolicyDocument: readsAll})), EntityAlreadyExists, "A policy called Reads already exists."},
		{"no user", second(w.GetUser(ctx, by, GetUser{"bob"})), NoSuchEntity, "The user with name bob cannot be found."},
		{"no group", second(w.GetGroup(ctx, by, GetGroup{GroupName: "bob"})), NoSuchEntity, "The group with name bob cannot be found."},
		{"no role", second(w.GetRole(ctx, by, GetRole{"bob"})), NoSuchEntity, "The role with name bob cannot be found."},
		{"no policy", second(w.GetPolicy(ctx, by, GetPolicy{made.Arn + "x"})), NoSuchEntity, "Policy " + made.Arn + "x was not found."},
		{"a policy by another path", second(w.GetPolicy(ctx, by, GetPolicy{strings.Replace(made.Arn, "policy/", "policy/a/", 1)})), NoSuchEntity, "was not found."},
		{"no inline policy", second(w.GetUserPolicy(ctx, by, GetUserPolicy{"ann", "p"})), NoSuchEntity, "The user policy with name p cannot be found."},
		{"no version", second(w.GetPolicyVersion(ctx, by, GetPolicyVersion{made.Arn, "v7"})), NoSuchEntity, "version v7 does not exist"},
		{"not attached", second(w.DetachGroupPolicy(ctx, by, DetachGroupPolicy{"staff", made.Arn})), NoSuchEntity, "was not found."},
		{"another account's policy", second(w.AttachUserPolicy(ctx, by, AttachUserPolicy{"ann", theirs.Arn})), NoSuchEntity, "does not exist or is not attachable."},
		{"another account's policy as boundary", second(w.PutUserPermissionsBoundary(ctx, by, PutUserPermissionsBoundary{"ann", theirs.Arn})), NoSuchEntity, "does not exist or is not attachable."},
		{"no boundary", second(w.DeleteUserPermissionsBoundary(ctx, by, DeleteUserPermissionsBoundary{"ann"})), NoSuchEntity, "does not have a permissions boundary"},
		{"not in the group", second(w.RemoveUserFromGroup(ctx, by, RemoveUserFromGroup{"staff", "ann"})), NoSuchEntity, "not in group"},
		{"an attached policy deleted", second(w.DeletePolicy(ctx, by, DeletePolicy{made.Arn})), DeleteConflict, "Cannot delete a policy attached to entities."},
		{"the default version deleted", second(w.DeletePolicyVersion(ctx, by, DeletePolicyVersion{made.Arn, "v1"})), DeleteConflict, "default version"},
		{"a user with policies deleted", second(w.DeleteUser(ctx, by, DeleteUser{"ann"})), DeleteConflict, "must detach all policies first"},
		{"a policy of all accounts changed", second(w.CreatePolicyVersion(ctx, by, CreatePolicyVersion{PolicyArn: "arn:aws:iam::aws:policy/IAMFullAccess", PolicyDocument: readsAll})), UnmodifiableEntity, ""},
		{"a long policy", second(w.CreatePolicy(ctx, by, CreatePolicy{PolicyName: "long", PolicyDocument: long})), LimitExceeded, "PolicySize: 6144"},
		{"a long inline policy", second(w.PutGroupPolicy(ctx, by, PutGroupPolicy{"staff", "p", long})), LimitExceeded, "Maximum policy size of 5120 bytes exceeded for group staff"},
		{"much white space", second(w.PutRolePolicy(ctx, by, PutRolePolicy{"ops", "p3", wide})), LimitExceeded, "with white space"},
		{"no policy document", second(w.PutRolePolicy(ctx, by, PutRolePolicy{"ops", "p", "{"})), policy.Malformed, ""},
		{"a principal of nobody", second(w.UpdateAssumeRolePolicy(ctx, by, UpdateAssumeRolePolicy{"ops", strings.Replace(trusts, home, "arn:aws:iam::"+home+":user/nobody", 1)})), policy.Malformed, `Invalid principal in policy: "AWS":"arn:aws:iam::` + home + `:user/nobody"`},
		{"tags twice", second(w.TagUser(ctx, by, TagUser{"ann", []Tag{{"a", "1"}, {"A", "2"}}})), InvalidInput, "Duplicate tag keys"},
		{"reserved tags", second(w.TagUser(ctx, by, TagUser{"ann", []Tag{{"AWS:a", "1"}}})), InvalidInput, "reserved"},
		{"a foreign marker", second(w.ListUsers(ctx, by, ListUsers{Paged: Paged{Marker: marker("another list", "a")}})), ValidationError, "Invalid Marker."},
		{"no name", second(w.CreateAccessKey(ctx, Caller{Principal: Principal{Type: AssumedRole, Account: home}}, CreateAccessKey{})), ValidationError, "Must specify userName when calling with non-User credentials"},
		{"a key of another user", second(w.DeleteAccessKey(ctx, by, DeleteAccessKey{"ann", "AKIAABCDEFGHIJKLMNOP"})), NoSuchEntity, "The Access Key with id AKIAABCDEFGHIJKLMNOP cannot be found."},
		{"an alias like an account", second(w.CreateAccountAlias(ctx, by, CreateAccountAlias{"123456789012"})), ValidationError, ""},
	} {
		refused(t, test.what, test.err, test.kind, test.text)
	}
}

func second[T any](_ T, err error) error { return err }

func TestQuotas(t *testing.T) {
	w := newTown(t)
	ctx, by := t.Context(), w.rootOf(home)
	ok[UserResult](t)(w.CreateUser(ctx, by, CreateUser{UserName: "ann"}))
	for i := range maxAttached + 1 {
		name := fmt.Sprintf("p%d", i)
		arn := ok[PolicyResult](t)(w.CreatePolicy(ctx, by, CreatePolicy{PolicyName: name, PolicyDocument: readsAll})).Policy.Arn
		ok[GroupResult](t)(w.CreateGroup(ctx, by, CreateGroup{GroupName: name}))
		_, attached := w.AttachUserPolicy(ctx, by, AttachUserPolicy{"ann", arn})
		_, added := w.AddUserToGroup(ctx, by, AddUserToGroup{name, "ann"})
		if i < maxAttached {
			w.must(attached)
			w.must(added)
			continue
		}
		refused(t, "one policy more", attached, LimitExceeded, "Cannot exceed quota for PoliciesPerUser: 10")
		refused(t, "one group more", added, LimitExceeded, "Cannot exceed quota for GroupsPerUser: 10")
	}
	arn := "arn:aws:iam::" + home + ":policy/p0"
	ok[None](t)(w.AttachUserPolicy(ctx, by, AttachUserPolicy{"ann", arn})) // again
	for range maxVersions - 1 {
		ok[PolicyVersionResult](t)(w.CreatePolicyVersion(ctx, by, CreatePolicyVersion{PolicyArn: arn, PolicyDocument: readsAll}))
	}
	_, err := w.CreatePolicyVersion(ctx, by, CreatePolicyVersion{PolicyArn: arn, PolicyDocument: readsAll})
	refused(t, "one version more", err, LimitExceeded, "up to 5 versions")
	ok[None](t)(w.DeletePolicyVersion(ctx, by, DeletePolicyVersion{arn, "v5"}))
	if v := ok[PolicyVersionResult](t)(w.CreatePolicyVersion(ctx, by, CreatePolicyVersion{PolicyArn: arn, PolicyDocument: readsAll})); v.PolicyVersion.VersionId != "v6" {
		t.Errorf("after v5 was deleted comes %s: numbers are not used again", v.PolicyVersion.VersionId)
	}
	_, err = w.DeletePolicy(ctx, by, DeletePolicy{"arn:aws:iam::" + home + ":policy/p0"})
	refused(t, "a policy with versions", err, DeleteConflict, "attached")
	for range maxAccessKeys {
		ok[AccessKeyResult](t)(w.CreateAccessKey(ctx, by, CreateAccessKey{"ann"}))
	}
	_, err = w.CreateAccessKey(ctx, by, CreateAccessKey{"ann"})
	refused(t, "a third access key", err, LimitExceeded, "Cannot exceed quota for AccessKeysPerUser: 2")
	for name, set := range map[string]func(*epoch){
		"users": func(e *epoch) { e.Users = maxUsers }, "groups": func(e *epoch) { e.Groups = maxGroups },
		"roles": func(e *epoch) { e.Roles = maxRoles }, "policies": func(e *epoch) { e.Policies = maxPolicies },
	} {
		w.change1(abroad, func(c *change) { set(&c.epoch); c.put("i/test", name) })
	}
	them := w.rootOf(abroad)
	refused(t, "one user more", second(w.CreateUser(ctx, them, CreateUser{UserName: "x"})), LimitExceeded, "UsersPerAccount: 5000")
	refused(t, "one group more", second(w.CreateGroup(ctx, them, CreateGroup{GroupName: "x"})), LimitExceeded, "GroupsPerAccount: 300")
	refused(t, "one role more", second(w.CreateRole(ctx, them, CreateRole{RoleName: "x", AssumeRolePolicyDocument: trusts})), LimitExceeded, "RolesPerAccount: 1000")
	refused(t, "one policy more", second(w.CreatePolicy(ctx, them, CreatePolicy{PolicyName: "x", PolicyDocument: readsAll})), LimitExceeded, "PoliciesPerAccount: 1500")
}

// Whoever may not ask is not told what there is.
func TestOperationsAreDecidedByPolicies(t *testing.T) {
	w := newTown(t)
	ctx := t.Context()
	self := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:GetUser","iam:*AccessKey*"],"Resource":"arn:aws:iam::*:user/${aws:username}"}]}`
	ann, bob := w.user(home, "ann", self), w.user(home, "bob", "")
	w.user(abroad, "ann", "")
	if u := ok[UserResult](t)(w.GetUser(ctx, ann, GetUser{})); u.User.UserName != "ann" || u.User.Arn != ann.ARN {
		t.Errorf("ann is %+v", u.User)
	}
	ok[AccessKeyResult](t)(w.CreateAccessKey(ctx, ann, CreateAccessKey{}))
	for what, err := range map[string]error{
		"another user":     second(w.GetUser(ctx, ann, GetUser{"bob"})),
		"nobody":           second(w.GetUser(ctx, ann, GetUser{"carl"})),
		"all users":        second(w.ListUsers(ctx, ann, ListUsers{})),
		"without policies": second(w.GetUser(ctx, bob, GetUser{})),
		"a new user":       second(w.CreateUser(ctx, bob, CreateUser{UserName: "dora"})),
	} {
		refused(t, what, err, AccessDenied, "because no identity-based policy allows the iam:")
	}
	_, err := w.GetUser(ctx, ann, GetUser{"bob"})
	_, absent := w.GetUser(ctx, ann, GetUser{"eve"})
	if got := strings.Replace(absent.Error(), "eve", "bob", 1); got != err.Error() {
		t.Errorf("there is a user: %v\nthere is none:  %v", err, absent)
	}

	// Attaching can be limited to some policies, making to bounded users.
	limited := `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"iam:AttachUserPolicy","Resource":"*","Condition":{"ArnEquals":{"iam:PolicyARN":"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}}},
		{"Effect":"Allow","Action":"iam:CreateUser","Resource":"*","Condition":{"StringEquals":{"iam:PermissionsBoundary":"arn:aws:iam::aws:policy/AmazonS3FullAccess","aws:RequestTag/team":"blue"}}}]}`
	carl := w.user(home, "carl", limited)
	ok[None](t)(w.AttachUserPolicy(ctx, carl, AttachUserPolicy{"bob", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}))
	refused(t, "another policy", second(w.AttachUserPolicy(ctx, carl, AttachUserPolicy{"bob", "arn:aws:iam::aws:policy/AdministratorAccess"})), AccessDenied, "iam:AttachUserPolicy")
	in := CreateUser{UserName: "dora", PermissionsBoundary: "arn:aws:iam::aws:policy/AmazonS3FullAccess", Tags: []Tag{{"Team", "blue"}}}
	ok[UserResult](t)(w.CreateUser(ctx, carl, in))
	refused(t, "an unbounded user", second(w.CreateUser(ctx, carl, CreateUser{UserName: "emil", Tags: in.Tags})), AccessDenied, "iam:CreateUser")
}

func TestListsGoOn(t *testing.T) {
	w := newTown(t)
	ctx, by := t.Context(), w.rootOf(home)
	var want []string
	for i := range 25 {
		name := fmt.Sprintf("user-%02d", i)
		path := "/even/"
		if i%2 == 1 {
			path = "/odd/"
		}
		ok[UserResult](t)(w.CreateUser(ctx, by, CreateUser{UserName: name, Path: path}))
		if i%2 == 1 {
			want = append(want, name)
		}
	}
	size := 5
	var got []string
	in := ListUsers{PathPrefix: "/odd", Paged: Paged{MaxItems: &size}}
	for {
		page := ok[Users](t)(w.ListUsers(ctx, by, in))
		for _, u := range page.Users {
			got = append(got, u.UserName)
		}
		if !page.IsTruncated {
			break
		}
		if len(page.Users) != size {
			t.Errorf("a page of %d", len(page.Users))
		}
		in.Marker = page.Marker
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got  %v\nwant %v", got, want)
	}

	// Everything in pages of one is everything.
	one := 1
	n, details := 0, GetAccountAuthorizationDetails{Paged: Paged{MaxItems: &one}}
	ok[RoleResult](t)(w.CreateRole(ctx, by, CreateRole{RoleName: "ops", AssumeRolePolicyDocument: trusts}))
	ok[PolicyResult](t)(w.CreatePolicy(ctx, by, CreatePolicy{PolicyName: "reads", PolicyDocument: readsAll}))
	ok[None](t)(w.AttachRolePolicy(ctx, by, AttachRolePolicy{"ops", "arn:aws:iam::aws:policy/IAMFullAccess"}))
	for {
		page := ok[AuthorizationDetails](t)(w.GetAccountAuthorizationDetails(ctx, by, details))
		n += len(page.UserDetailList) + len(page.RoleDetailList) + len(page.Policies)
		if details.Marker = page.Marker; !page.IsTruncated {
			break
		}
	}
	if n != 28 {
		t.Errorf("%d details, want 25 users, a role and two policies", n)
	}
}

// A marker that opens is one that was given for the list.
func FuzzMarker(f *testing.F) {
	f.Add("list", "position")
	f.Add("list", marker("list", "a"))
	f.Fuzz(func(t *testing.T, list, text string) {
		if at, err := (Paged{Marker: marker(list, text)}).after(list); text != "" && (err != nil || at != text) {
			t.Errorf("marker of %q goes on behind %q, %v", text, at, err)
		}
		if at, err := (Paged{Marker: text}).after(list); err == nil && text != "" && marker(list, at) != text {
			t.Errorf("%q goes on behind %q, whose marker is %q", text, at, marker(list, at))
		}
	})
}

// Uses of a managed policy are counted as they come and go, attached and as boundaries.
func TestUsesOfPolicies(t *testing.T) {
	w := newTown(t)
	ctx, by := t.Context(), w.rootOf(home)
	one := ok[PolicyResult](t)(w.CreatePolicy(ctx, by, CreatePolicy{PolicyName: "one", PolicyDocument: readsAll})).Policy.Arn
	two := ok[PolicyResult](t)(w.CreatePolicy(ctx, by, CreatePolicy{PolicyName: "two", PolicyDocument: readsAll})).Policy.Arn
	uses := func(after string, want ...int) { // one attached, one as boundary, two as boundary
		t.Helper()
		first, second := ok[PolicyResult](t)(w.GetPolicy(ctx, by, GetPolicy{one})).Policy, ok[PolicyResult](t)(w.GetPolicy(ctx, by, GetPolicy{two})).Policy
		got := []int{first.AttachmentCount, first.PermissionsBoundaryUsageCount, second.PermissionsBoundaryUsageCount}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("after %s: %v, want %v", after, got, want)
		}
	}
	ok[UserResult](t)(w.CreateUser(ctx, by, CreateUser{UserName: "ann", PermissionsBoundary: one}))
	ok[RoleResult](t)(w.CreateRole(ctx, by, CreateRole{RoleName: "ops", AssumeRolePolicyDocument: trusts, PermissionsBoundary: one}))
	ok[None](t)(w.AttachUserPolicy(ctx, by, AttachUserPolicy{"ann", one}))
	ok[None](t)(w.AttachUserPolicy(ctx, by, AttachUserPolicy{"ann", one}))
	uses("making", 1, 2, 0)
	ok[None](t)(w.PutUserPermissionsBoundary(ctx, by, PutUserPermissionsBoundary{"ann", two}))
	uses("another boundary", 1, 1, 1)
	ok[None](t)(w.PutUserPermissionsBoundary(ctx, by, PutUserPermissionsBoundary{"ann", two}))
	uses("the same boundary", 1, 1, 1)
	ok[None](t)(w.DetachUserPolicy(ctx, by, DetachUserPolicy{"ann", one}))
	uses("detaching", 0, 1, 1)
	_, err := w.DeletePolicy(ctx, by, DeletePolicy{one})
	refused(t, "a boundary deleted", err, DeleteConflict, "")
	ok[None](t)(w.DeleteRole(ctx, by, DeleteRole{"ops"}))
	ok[None](t)(w.DeleteUser(ctx, by, DeleteUser{"ann"}))
	uses("deleting all", 0, 0, 0)
	ok[None](t)(w.DeletePolicy(ctx, by, DeletePolicy{one}))
}

// Who may rename users below a path can neither take them from elsewhere nor put them
// elsewhere.
func TestRenamingNeedsBothNames(t *testing.T) {
	w := newTown(t)
	ctx, by := t.Context(), w.rootOf(home)
	moves := w.user(home, "ann", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:UpdateUser","Resource":"arn:aws:iam::`+home+`:user/staff/*"}]}`)
	ok[UserResult](t)(w.CreateUser(ctx, by, CreateUser{UserName: "bob", Path: "/staff/"}))
	ok[UserResult](t)(w.CreateUser(ctx, by, CreateUser{UserName: "carl"}))
	ok[None](t)(w.UpdateUser(ctx, moves, UpdateUser{UserName: "bob", NewUserName: "bert"}))
	refused(t, "out of the path", second(w.UpdateUser(ctx, moves, UpdateUser{UserName: "bert", NewPath: "/admins/"})), AccessDenied, "user/admins/bert")
	refused(t, "into the path", second(w.UpdateUser(ctx, moves, UpdateUser{UserName: "carl", NewPath: "/staff/"})), AccessDenied, "user/carl")
	refused(t, "a name that is taken", second(w.UpdateUser(ctx, by, UpdateUser{UserName: "bert", NewUserName: "Carl"})), EntityAlreadyExists, "User with name Carl already exists.")
	ok[None](t)(w.UpdateUser(ctx, by, UpdateUser{UserName: "carl", NewUserName: "Carl"})) // the same but for its case
	if u := ok[UserResult](t)(w.GetUser(ctx, by, GetUser{"CARL"})).User; u.UserName != "Carl" {
		t.Errorf("renamed to %s", u.UserName)
	}
}

func TestInactiveAccessKeys(t *testing.T) {
	w := newTown(t)
	ctx, by := t.Context(), w.rootOf(home)
	ann := w.user(home, "ann", "")
	for _, status := range []string{statusInactive, statusActive, statusInactive} {
		ok[None](t)(w.UpdateAccessKey(ctx, by, UpdateAccessKey{"ann", ann.AccessKeyID, status}))
		_, who, err := w.Lookup(ctx, ann.AccessKeyID)
		if status == statusActive && (err != nil || who != ann.Principal) {
			t.Errorf("an active key: %+v, %v", who, err)
		}
		if status == statusInactive {
			refused(t, "an inactive key", err, NoSuchAccessKey, "")
		}
		if list := ok[AccessKeys](t)(w.ListAccessKeys(ctx, by, ListAccessKeys{UserName: "ann"})); list.AccessKeyMetadata[0].Status != status {
			t.Errorf("%s key is listed as %s", status, list.AccessKeyMetadata[0].Status)
		}
	}
}
