// SPDX-License-Identifier: Apache-2.0

package iam_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/iam/iamtest"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

func TestPlaced(t *testing.T) {
	const home, abroad = "111122223333", "444455556666"
	const text = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`
	s, ctx := iamtest.New(t, mem.New(), home, abroad), t.Context()
	root := func(account string) iam.Caller {
		return iam.Caller{Principal: iam.Principal{Type: iam.Root, Account: account, ARN: "arn:aws:iam::" + account + ":root"}}
	}
	try := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	managed := "arn:aws:iam::" + home + ":policy/x/all"
	try(s.CreatePolicy(ctx, root(home), iam.CreatePolicy{PolicyName: "all", Path: "/x/", PolicyDocument: text}))
	try(s.CreateUser(ctx, root(home), iam.CreateUser{UserName: "ann", PermissionsBoundary: managed}))
	try(s.PutUserPolicy(ctx, root(home), iam.PutUserPolicy{UserName: "ann", PolicyName: "p", PolicyDocument: text}))
	try(s.CreateGroup(ctx, root(home), iam.CreateGroup{GroupName: "staff"}))
	try(s.AddUserToGroup(ctx, root(home), iam.AddUserToGroup{GroupName: "staff", UserName: "ann"}))
	try(s.AttachGroupPolicy(ctx, root(home), iam.AttachGroupPolicy{GroupName: "staff", PolicyArn: managed}))
	try(s.CreateRole(ctx, root(abroad), iam.CreateRole{RoleName: "job", AssumeRolePolicyDocument: trust}))
	try(nil, s.SetControls(ctx, abroad, []iam.Control{{Name: "limit", Text: text}}))

	want := &iam.Placed{
		Entities: []iam.PlacedEntity{
			{ARN: "arn:aws:iam::" + home + ":user/ann", Boundary: managed, Inline: []iam.PlacedPolicy{{Name: "p", Text: text}}},
			{ARN: "arn:aws:iam::" + home + ":group/staff", Attached: []string{managed}, Members: []string{"arn:aws:iam::" + home + ":user/ann"}},
			{ARN: "arn:aws:iam::" + abroad + ":role/job"},
		},
		Managed:  []iam.PlacedPolicy{{Name: managed, Text: text}},
		Controls: []iam.PlacedControl{{Account: abroad, PlacedPolicy: iam.PlacedPolicy{Name: "limit", Text: text}}},
	}
	got, err := s.Placed(ctx)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}
