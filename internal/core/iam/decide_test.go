// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/policy"
)

// The keys of spec 5.4, for everybody who can call.
func TestGlobalConditionKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		session := &Session{
			Name: "monday", Issued: began, MFA: true, Tags: map[string]string{"Team": "red"}, SourceIdentity: "ann", Provider: "accounts.example.com",
		}
		user := Principal{Type: IAMUser, Account: home, ARN: "arn:aws:iam::" + home + ":user/ann", PrincipalID: "AIDAANN", UserName: "ann"}
		role := Principal{
			Type: AssumedRole, Account: home, ARN: "arn:aws:sts::" + home + ":assumed-role/ops/monday", PrincipalID: "AROAOPS:monday",
			RoleARN: "arn:aws:iam::" + home + ":role/x/ops", RoleID: "AROAOPS", Session: session,
		}
		federated := Principal{
			Type: FederatedUser, Account: home, ARN: "arn:aws:sts::" + home + ":federated-user/bob", PrincipalID: home + ":bob", Session: &Session{Issued: began},
		}
		root := Principal{Type: Root, Account: home, ARN: "arn:aws:iam::" + home + ":root", PrincipalID: home}
		nobody := Principal{Type: Anonymous}
		service := Principal{Type: AWSService, ARN: "s3.amazonaws.com"}
		all := []Principal{root, user, role, federated, nobody, service}
		const absent = "(absent)"
		want := map[string][]string{ // in this order
			"aws:principalarn":            {root.ARN, user.ARN, role.RoleARN, federated.ARN, absent, absent},
			"aws:principalaccount":        {home, home, home, home, "anonymous", absent},
			"aws:principaltype":           {"Account", "User", "AssumedRole", "FederatedUser", "Anonymous", "Service"},
			"aws:userid":                  {home, "AIDAANN", "AROAOPS:monday", home + ":bob", "anonymous", absent},
			"aws:username":                {absent, "ann", absent, absent, absent, absent},
			"aws:principaltag/team":       {"blue", "blue", "red", "blue", "blue", "blue"},
			"aws:principaltag/other":      {absent, absent, absent, absent, absent, absent},
			"aws:principalisawsservice":   {"false", "false", "false", "false", "false", "true"},
			"aws:principalservicename":    {absent, absent, absent, absent, absent, "s3.amazonaws.com"},
			"aws:viaawsservice":           {"false", "false", "false", "false", "false", "false"},
			"aws:sourceip":                slices.Repeat([]string{"192.0.2.7"}, 6),
			"aws:securetransport":         slices.Repeat([]string{"true"}, 6),
			"aws:useragent":               slices.Repeat([]string{"test"}, 6),
			"aws:requestedregion":         slices.Repeat([]string{"eu-central-1"}, 6),
			"aws:resourceaccount":         slices.Repeat([]string{abroad}, 6),
			"aws:currenttime":             slices.Repeat([]string{"2000-01-01T00:00:00Z"}, 6), // synctest's
			"aws:epochtime":               slices.Repeat([]string{"946684800"}, 6),
			"aws:tokenissuetime":          {absent, absent, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z", absent, absent},
			"aws:multifactorauthpresent":  {absent, absent, "true", "false", absent, absent},
			"aws:sourceidentity":          {absent, absent, "ann", absent, absent, absent},
			"aws:federatedprovider":       {absent, absent, "accounts.example.com", absent, absent, absent},
			"aws:nonesuch":                slices.Repeat([]string{absent}, 6),
			"s3:prefix":                   slices.Repeat([]string{"a/"}, 6), // the asking service's
			"kms:viaservice":              slices.Repeat([]string{absent}, 6),
			"aws:principalservicenamesli": slices.Repeat([]string{absent}, 6),
		}
		for key, values := range want {
			for i, p := range all {
				f := &facts{
					own: policy.Values{"s3:prefix": {"a/"}}, region: "eu-central-1", owner: abroad, tags: map[string]string{"team": "blue"},
					by: Caller{Principal: p, SourceIP: "192.0.2.7", UserAgent: "test", Secure: true},
				}
				got := absent
				if v, ok := f.Values(key); ok {
					got = strings.Join(v, ",")
				}
				if got != values[i] {
					t.Errorf("%s of %s is %s, want %s", key, p.Type, got, values[i])
				}
			}
		}
	})
}

// A service's own keys stand before those of every request.
func TestServicesOwnKeysWin(t *testing.T) {
	f := &facts{own: policy.Values{"aws:viaawsservice": {"true"}}, by: Caller{Principal: Principal{Type: Root}}}
	if v, ok := f.Values("aws:viaawsservice"); !ok || v[0] != "true" {
		t.Errorf("aws:ViaAWSService is %v", v)
	}
}

// What is kept in memory follows every change at once.
func TestDecisionsFollowChanges(t *testing.T) {
	w := newTown(t)
	ctx, root := t.Context(), w.rootOf(home)
	const object = "arn:aws:s3:::photos/a"
	ann := w.user(home, "ann", "")
	may := func(want bool, after string) {
		t.Helper()
		if got := w.may(ann, "s3:GetObject", object); got != want {
			t.Errorf("after %s: allowed: %t", after, got)
		}
	}
	may(false, "nothing")
	ok[None](t)(w.PutUserPolicy(ctx, root, PutUserPolicy{"ann", "p", readsAll}))
	may(true, "an inline policy")
	ok[None](t)(w.DeleteUserPolicy(ctx, root, DeleteUserPolicy{"ann", "p"}))
	may(false, "its end")
	ok[None](t)(w.PutUserPolicy(ctx, root, PutUserPolicy{"ann", "p", strings.Replace(readsAll, "{", "{"+strings.Repeat("\n", maxKept), 1)}))
	may(true, "one with much white space")
	ok[None](t)(w.DeleteUserPolicy(ctx, root, DeleteUserPolicy{"ann", "p"}))
	may(false, "its end, too")
	ok[GroupResult](t)(w.CreateGroup(ctx, root, CreateGroup{GroupName: "staff"}))
	ok[None](t)(w.PutGroupPolicy(ctx, root, PutGroupPolicy{"staff", "p", readsAll}))
	may(false, "a policy of a group of others")
	ok[None](t)(w.AddUserToGroup(ctx, root, AddUserToGroup{"staff", "ann"}))
	may(true, "joining the group")
	ok[None](t)(w.UpdateGroup(ctx, root, UpdateGroup{GroupName: "staff", NewGroupName: "crew"}))
	may(true, "the group's new name")
	ok[None](t)(w.RemoveUserFromGroup(ctx, root, RemoveUserFromGroup{"crew", "ann"}))
	may(false, "leaving the group")
	p := ok[PolicyResult](t)(w.CreatePolicy(ctx, root, CreatePolicy{PolicyName: "p", PolicyDocument: readsAll})).Policy
	ok[None](t)(w.AttachUserPolicy(ctx, root, AttachUserPolicy{"ann", p.Arn}))
	may(true, "an attached policy")
	ok[PolicyVersionResult](t)(w.CreatePolicyVersion(ctx, root, CreatePolicyVersion{p.Arn, strings.Replace(readsAll, "s3:Get", "s3:List", 1), true}))
	may(false, "another version")
	ok[None](t)(w.SetDefaultPolicyVersion(ctx, root, SetDefaultPolicyVersion{p.Arn, "v1"}))
	may(true, "the first version again")
	ok[None](t)(w.PutUserPermissionsBoundary(ctx, root, PutUserPermissionsBoundary{"ann", "arn:aws:iam::aws:policy/IAMFullAccess"}))
	may(false, "a boundary")
	ok[None](t)(w.DeleteUserPermissionsBoundary(ctx, root, DeleteUserPermissionsBoundary{"ann"}))
	may(true, "the boundary's end")
	ok[None](t)(w.DetachUserPolicy(ctx, root, DetachUserPolicy{"ann", p.Arn}))
	may(false, "detaching")
}

// Principals that there are none of any more are refused whatever the resource says;
// and a user of the same name is another one.
func TestDeletedPrincipalsAreRefused(t *testing.T) {
	w := newTown(t)
	ctx, root := t.Context(), w.rootOf(home)
	ann := w.user(home, "ann", readsAll)
	everybody, err := policy.Parse(policy.Bucket, "arn:aws:s3:::photos", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}]}`)
	w.must(err)
	asks := func(who Caller) bool {
		t.Helper()
		d, err := w.Decide(ctx, who, &policy.Question{Action: "s3:GetObject", Resource: "arn:aws:s3:::photos/a", Owner: home, Policy: everybody})
		w.must(err)
		return d.Allowed
	}
	if !asks(ann) || !asks(Caller{Principal: Principal{Type: Anonymous}}) {
		t.Fatal("a public object is not")
	}
	ok[None](t)(w.DeleteAccessKey(ctx, root, DeleteAccessKey{"ann", ann.AccessKeyID}))
	if _, _, err := w.Lookup(ctx, ann.AccessKeyID); !errors.Is(err, NoSuchAccessKey) {
		t.Errorf("a deleted key: %v", err)
	}
	ok[None](t)(w.DeleteUserPolicy(ctx, root, DeleteUserPolicy{"ann", "rights"}))
	ok[None](t)(w.DeleteUser(ctx, root, DeleteUser{"ann"}))
	w.user(home, "ann", readsAll)
	if asks(ann) {
		t.Error("a deleted user still reads")
	}
	if err := w.Authorize(ctx, ann, nil); !errors.Is(err, AccessDenied) {
		t.Errorf("a deleted user may begin: %v", err)
	}
	w.must(w.DeleteAccount(ctx, abroad))
	if asks(w.rootOf(abroad)) {
		t.Error("the root of a deleted account still reads")
	}
}

// Nobody becomes a root by an id.
func TestRootIsByTypeAlone(t *testing.T) {
	w := newTown(t)
	p := Principal{Type: IAMUser, Account: home, ARN: "arn:aws:iam::" + home + ":user/eve", PrincipalID: home}
	w.may(w.rootOf(home), "s3:GetObject", "*") // kept
	if w.may(Caller{Principal: p}, "s3:GetObject", "*") {
		t.Error("a user with an account's id is its root")
	}
}

func TestServiceControlPolicies(t *testing.T) {
	w := newTown(t)
	ctx := t.Context()
	ann, root := w.user(abroad, "ann", readsAll), w.rootOf(abroad)
	controls := []Control{{"all", allowEverything}, {"no-get", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:GetObject","Resource":"*"}]}`}}
	w.must(w.SetControls(ctx, abroad, controls))
	for _, who := range []Caller{ann, root} {
		if w.may(who, "s3:GetObject", "*") || !w.may(who, "s3:GetObjectTagging", "*") {
			t.Errorf("%s is not controlled", who.ARN)
		}
	}
	w.must(w.SetControls(ctx, abroad, controls[1:]))
	if w.may(root, "s3:GetObjectTagging", "*") {
		t.Error("without an allow there is none")
	}
	w.must(w.SetControls(ctx, abroad, nil))
	if !w.may(ann, "s3:GetObject", "*") || !w.may(root, "s3:GetObject", "*") {
		t.Error("controls that were removed still count")
	}
	refused(t, "the first account controlled", w.SetControls(ctx, home, controls), InvalidAccount, "cannot limit it")
	refused(t, "no policy", w.SetControls(ctx, abroad, []Control{{"x", "{"}}), policy.Malformed, "")
	refused(t, "a name twice", w.SetControls(ctx, abroad, []Control{controls[0], controls[0]}), InvalidAccount, "Two")
	refused(t, "six", w.SetControls(ctx, abroad, slices.Repeat(controls, 3)), InvalidAccount, "at most 5")
	refused(t, "no account", w.SetControls(ctx, "000000000009", controls), NoSuchAccount, "")
}

// The operator's API is the first account's, for those of its users whom policies
// allow it, too.
func TestWhoOperates(t *testing.T) {
	w := newTown(t)
	operates := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"coffer:*","Resource":"*"}]}`
	for who, want := range map[*Caller]bool{
		new(w.rootOf(home)): true, new(w.user(home, "ann", operates)): true, new(w.user(home, "bob", readsAll)): false,
		new(w.rootOf(abroad)): false, new(w.user(abroad, "ann", operates)): false,
	} {
		if got := w.may(*who, "coffer:Scrub", "*"); got != want {
			t.Errorf("%s operates: %t", who.ARN, got)
		}
	}
}

// BenchmarkDecide decides for one of 100 users, with 10 of 500 managed policies each.
func BenchmarkDecide(b *testing.B) {
	w := newTown(b)
	ctx, root := b.Context(), w.rootOf(home)
	for i := range 500 {
		text := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::bucket-%d/*"}]}`, i)
		ok[PolicyResult](b)(w.CreatePolicy(ctx, root, CreatePolicy{PolicyName: fmt.Sprintf("p%d", i), PolicyDocument: text}))
	}
	users := make([]Caller, 100)
	for i := range users {
		name := fmt.Sprintf("u%d", i)
		users[i] = w.user(home, name, "")
		for j := range 10 {
			ok[None](b)(w.AttachUserPolicy(ctx, root, AttachUserPolicy{name, fmt.Sprintf("arn:aws:iam::%s:policy/p%d", home, (i*5+j)%500)}))
		}
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		i := n % len(users)
		d, err := w.Decide(ctx, users[i], &policy.Question{Action: "s3:GetObject", Resource: fmt.Sprintf("arn:aws:s3:::bucket-%d/a", (i*5+9)%500)})
		if err != nil || !d.Allowed {
			b.Fatal(d, err)
		}
	}
}
