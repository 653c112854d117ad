// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"slices"
	"strings"
	"testing"
)

// An administrator who may manage only users with a boundary (IAM User Guide,
// "Delegating responsibility to others using permissions boundaries").
func TestAdministratorsOfBoundedUsers(t *testing.T) {
	w := newTown(t)
	ctx, root := t.Context(), w.rootOf(home)
	limit := ok[PolicyResult](t)(w.CreatePolicy(ctx, root, CreatePolicy{PolicyName: "limit", PolicyDocument: readsAll})).Policy.Arn
	by := w.user(home, "admin", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"iam:*","Resource":"*","Condition":{"StringEquals":{"iam:PermissionsBoundary":"`+limit+`"}}},
		{"Effect":"Deny","Action":["iam:DeleteUserPermissionsBoundary","iam:DeleteRolePermissionsBoundary"],"Resource":"*","Condition":{"StringEquals":{"iam:PermissionsBoundary":"`+limit+`"}}}]}`)
	w.must(second(w.CreateUser(ctx, by, CreateUser{UserName: "ann", PermissionsBoundary: limit})))
	w.must(second(w.CreateRole(ctx, by, CreateRole{RoleName: "ops", AssumeRolePolicyDocument: trusts, PermissionsBoundary: limit})))
	w.must(second(w.CreateUser(ctx, root, CreateUser{UserName: "bob"})))
	w.must(second(w.CreateRole(ctx, root, CreateRole{RoleName: "dev", AssumeRolePolicyDocument: trusts})))
	all := "arn:aws:iam::aws:policy/AdministratorAccess"
	for name, do := range map[string]func(by Caller, user, role string) error{
		"AttachUserPolicy": func(by Caller, user, _ string) error {
			return second(w.AttachUserPolicy(ctx, by, AttachUserPolicy{user, all}))
		},
		"PutUserPolicy": func(by Caller, user, _ string) error {
			return second(w.PutUserPolicy(ctx, by, PutUserPolicy{user, "p", readsAll}))
		},
		"AttachRolePolicy": func(by Caller, _, role string) error {
			return second(w.AttachRolePolicy(ctx, by, AttachRolePolicy{role, all}))
		},
		"PutRolePolicy": func(by Caller, _, role string) error {
			return second(w.PutRolePolicy(ctx, by, PutRolePolicy{role, "p", readsAll}))
		},
	} {
		if err := do(by, "ann", "ops"); err != nil {
			t.Errorf("%s on who has the boundary: %v", name, err)
		}
		refused(t, name+" on who has none", do(by, "bob", "dev"), AccessDenied, "not authorized")
	}
	for name, do := range map[string]func() error{
		"DeleteUserPolicy": func() error { return second(w.DeleteUserPolicy(ctx, by, DeleteUserPolicy{"ann", "p"})) },
		"DeleteRolePolicy": func() error { return second(w.DeleteRolePolicy(ctx, by, DeleteRolePolicy{"ops", "p"})) },
		"DetachUserPolicy": func() error { return second(w.DetachUserPolicy(ctx, by, DetachUserPolicy{"ann", all})) },
		"DetachRolePolicy": func() error { return second(w.DetachRolePolicy(ctx, by, DetachRolePolicy{"ops", all})) },
	} {
		if err := do(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused(t, "another boundary", second(w.PutUserPermissionsBoundary(ctx, by, PutUserPermissionsBoundary{"ann", all})), AccessDenied, "not authorized")
	// Who may do everything else is held to the deny.
	w.must(second(w.PutUserPolicy(ctx, root, PutUserPolicy{"admin", "more", allow("iam:*")})))
	refused(t, "a user's boundary removed", second(w.DeleteUserPermissionsBoundary(ctx, by, DeleteUserPermissionsBoundary{"ann"})), AccessDenied, "explicit deny")
	refused(t, "a role's boundary removed", second(w.DeleteRolePermissionsBoundary(ctx, by, DeleteRolePermissionsBoundary{"ops"})), AccessDenied, "explicit deny")
}

// A tag without a value is a tag all the same.
func TestTagsWithoutValuesArePresent(t *testing.T) {
	w := newTown(t)
	ctx, root := t.Context(), w.rootOf(home)
	w.must(second(w.CreateUser(ctx, root, CreateUser{UserName: "ann", Tags: []Tag{{"protected", ""}}})))
	by := w.user(home, "admin", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"iam:*","Resource":"*"},
		{"Effect":"Deny","Action":"iam:DeleteUser","Resource":"*","Condition":{"Null":{"aws:ResourceTag/protected":"false"}}}]}`)
	refused(t, "a protected user", second(w.DeleteUser(ctx, by, DeleteUser{"ann"})), AccessDenied, "explicit deny")
}

// Keys of tags are told apart as policies tell them apart.
func TestTagsThatOnlyLookAlike(t *testing.T) {
	w := newTown(t)
	ctx, root := t.Context(), w.rootOf(home)
	w.must(second(w.CreateUser(ctx, root, CreateUser{UserName: "ann", Tags: []Tag{{"secret", "yes"}}})))
	by := w.user(home, "admin", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"iam:*","Resource":"*"},
		{"Effect":"Deny","Action":["iam:TagUser","iam:UntagUser"],"Resource":"*","Condition":{"Null":{"aws:RequestTag/secret":"false"}}}]}`)
	w.must(second(w.TagUser(ctx, by, TagUser{"ann", []Tag{{"\u017fecret", "no"}}}))) // a long s
	tags := ok[Tags](t)(w.ListUserTags(ctx, root, ListUserTags{UserName: "ann"})).Tags
	if !slices.Contains(tags, Tag{"secret", "yes"}) {
		t.Errorf("tags %v", tags)
	}
}

// A provider has one ARN: under another that differs in what policies look at, it is none.
func TestProvidersByOtherARNs(t *testing.T) {
	w := newTown(t)
	ctx, root := t.Context(), w.rootOf(home)
	arn := ok[CreatedProvider](t)(w.CreateOpenIDConnectProvider(ctx, root, CreateOpenIDConnectProvider{Url: "https://id.example.com"})).OpenIDConnectProviderArn
	by := w.user(home, "admin", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"iam:*","Resource":"*"},
		{"Effect":"Deny","Action":"iam:*","Resource":"`+arn+`"}]}`)
	for _, other := range []string{strings.Replace(arn, "arn:aws:", "arn:aws-cn:", 1), strings.Replace(arn, ":iam::", ":iam:us-east-1:", 1)} {
		_, err := w.AddClientIDToOpenIDConnectProvider(ctx, by, ProviderClient{ProviderName{other}, "mine"})
		refused(t, other, err, NoSuchEntity, "not found")
	}
}

// A marker that somebody made up shows nothing of other accounts.
func TestForgedMarkersStayInTheAccount(t *testing.T) {
	w := newTown(t)
	ctx := t.Context()
	w.user(home, "ann", readsAll)
	for _, rows := range []string{"a" + userRows, "a" + accountRows, "a" + userRows + home + "/", "c" + roleRows, "d" + policyRows} {
		got, err := w.GetAccountAuthorizationDetails(ctx, w.rootOf(abroad), GetAccountAuthorizationDetails{Paged: Paged{Marker: marker("details of "+abroad, rows)}})
		if n := len(got.UserDetailList) + len(got.GroupDetailList) + len(got.RoleDetailList) + len(got.Policies); n > 0 {
			t.Errorf("behind %s: %d of another account", rows, n)
		}
		w.must(err)
	}
}

// What is written of a role's use goes with its account.
func TestAccountsTakeTheirRowsWithThem(t *testing.T) {
	w := newTown(t)
	ctx := t.Context()
	ann := w.user(abroad, "ann", allow("sts:AssumeRole"))
	arn := w.role(abroad, "ops", strings.ReplaceAll(trusts, home, abroad), "")
	c := ok[RoleSession](t)(w.AssumeRole(ctx, ann, AssumeRole{RoleArn: arn, RoleSessionName: "monday"})).Credentials
	w.may(w.enter(c), "s3:GetObject", "arn:aws:s3:::photos/a")
	w.must(w.Flush(ctx))
	w.must(w.Flush(ctx))
	w.must(w.DeleteAccount(ctx, abroad))
	w.must(w.scan(ctx, lastUsedRows, "", func(row string, _ []byte) (bool, error) {
		t.Errorf("%s is left", row)
		return true, nil
	}))
}
