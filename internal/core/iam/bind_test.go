// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/policy"
)

// policyFor is a bucket's policy for a principal.
func policyFor(principal string) string {
	return `{"Version":"2012-10-17","Statement":[{"Sid":"` + "x" + `","Effect":"Allow","Principal":{"AWS":` + principal + `},"Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}]}`
}

func TestPrincipalsAreBoundToTheirIds(t *testing.T) {
	w := newTown(t)
	ctx, root := t.Context(), w.rootOf(home)
	ann := ok[UserResult](t)(w.CreateUser(ctx, root, CreateUser{UserName: "ann", Path: "/staff/"})).User
	ops := ok[RoleResult](t)(w.CreateRole(ctx, root, CreateRole{RoleName: "ops", AssumeRolePolicyDocument: trusts})).Role
	for principal, want := range map[string]map[string]string{
		`"` + ann.Arn + `"`:                     {ann.Arn: ann.UserId},
		`["` + ops.Arn + `","` + ann.Arn + `"]`: {ann.Arn: ann.UserId, ops.Arn: ops.RoleId},
		`"arn:aws:iam::` + home + `:root"`:      nil,
		`"` + abroad + `"`:                      nil,
		`"*"`:                                   nil,
		`"arn:aws:sts::` + home + `:assumed-role/ops/monday"`:            {"arn:aws:sts::" + home + ":assumed-role/ops/monday": ops.RoleId},
		`"arn:aws:iam::` + home + `:user/ann"`:                           {"": "the path is part of the name"},
		`"arn:aws:iam::` + home + `:user/staff/Ann"`:                     {"": "case counts"},
		`"arn:aws:iam::` + home + `:role/none"`:                          {"": "there is no such role"},
		`"arn:aws:iam::` + abroad + `:user/staff/ann"`:                   {"": "another account"},
		`"arn:aws:iam::999999999999:root"`:                               {"": "there is no such account"},
		`"arn:aws:sts::` + home + `:assumed-role/none/monday"`:           {"": "there is no such role"},
		`"arn:aws:iam::` + home + `:group/staff"`:                        {"": "groups are no principals"},
		`["` + ann.Arn + `","arn:aws:iam::` + home + `:user/staff/bob"]`: {"": "one of two"},
	} {
		d, err := policy.Parse(policy.Bucket, "arn:aws:s3:::photos", policyFor(principal))
		var ids map[string]string
		if err == nil {
			ids, err = w.Bind(ctx, d)
		}
		if why, bad := want[""]; bad {
			if err == nil {
				t.Errorf("%s is bound to %v: %s", principal, ids, why)
			}
			continue
		}
		for arn, id := range ids { // accounts may be there without an id
			if id == "" {
				delete(ids, arn)
			}
		}
		if err != nil || !maps.Equal(ids, want) {
			t.Errorf("%s is bound to %v, %v; want %v", principal, ids, err, want)
		}
	}
}

// Policies show who their principals are now, and nothing else of them changes.
func TestPoliciesShowWhoIsMeant(t *testing.T) {
	w := newTown(t)
	ctx, root := t.Context(), w.rootOf(home)
	ann := ok[UserResult](t)(w.CreateUser(ctx, root, CreateUser{UserName: "ann"})).User
	bob := ok[UserResult](t)(w.CreateUser(ctx, root, CreateUser{UserName: "bob"})).User
	text := ` { "Statement" : [ {"Effect":"Deny", "NotPrincipal" : {"AWS" :
		"` + ann.Arn + `" }, "Action":"s3:*", "Resource":"` + ann.Arn + `"},
		{"Principal":{"AWS":["` + bob.Arn + `", "\u0061rn:aws:iam::` + home + `:user/ann","*"]},"Sid":"` + ann.Arn + `",
		 "Condition":{"ArnEquals":{"aws:PrincipalArn":["` + ann.Arn + `"],"Principal":"` + ann.Arn + `"}}}, {"Principal":"` + ann.Arn + `"} ] } `
	ids := map[string]string{ann.Arn: ann.UserId, bob.Arn: bob.UserId}
	if got := ok[string](t)(w.Show(ctx, text, ids)); got != text {
		t.Errorf("nothing has changed:\n%s", got)
	}
	ok[None](t)(w.UpdateUser(ctx, root, UpdateUser{UserName: "ann", NewUserName: "anna"}))
	ok[None](t)(w.DeleteUser(ctx, root, DeleteUser{"bob"}))
	ok[UserResult](t)(w.CreateUser(ctx, root, CreateUser{UserName: "bob"})) // another one
	renamed := ann.Arn + "a"
	want := ` { "Statement" : [ {"Effect":"Deny", "NotPrincipal" : {"AWS" :
		"` + renamed + `" }, "Action":"s3:*", "Resource":"` + ann.Arn + `"},
		{"Principal":{"AWS":["` + bob.UserId + `", "` + renamed + `","*"]},"Sid":"` + ann.Arn + `",
		 "Condition":{"ArnEquals":{"aws:PrincipalArn":["` + ann.Arn + `"],"Principal":"` + ann.Arn + `"}}}, {"Principal":"` + renamed + `"} ] } `
	if got := ok[string](t)(w.Show(ctx, text, ids)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// FuzzRename: of a document, only principals change.
func FuzzRename(f *testing.F) {
	f.Add(policyFor(`"arn"`))
	f.Add(policyFor(`["arn","b"]`))
	f.Add(`{"Statement":{"Principal":"arn","a":[{"NotPrincipal":["arn",{"x":"arn"}]}]}}`)
	f.Add(`{"Statement":[[{"Principal":{"":"arn","Principal":["arn"]},"arn":"arn"}]],"Principal":"arn"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var before any
		if json.Unmarshal([]byte(text), &before) != nil {
			return
		}
		changed := rename(text, map[string]string{"arn": "new"})
		var after any
		if err := json.Unmarshal([]byte(changed), &after); err != nil {
			t.Fatalf("%s became %s: %v", text, changed, err)
		}
		if !strings.Contains(text, "rincipal") && !strings.Contains(text, `\u`) && changed != text {
			t.Errorf("%s became %s", text, changed)
		}
		if back := rename(changed, map[string]string{"new": "arn"}); !strings.Contains(text, "new") && !strings.Contains(text, `\u`) {
			var again any
			if err := json.Unmarshal([]byte(back), &again); err != nil || !reflect.DeepEqual(again, before) {
				t.Errorf("%s became %s and then %s", text, changed, back)
			}
		}
	})
}
