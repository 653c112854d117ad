// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"slices"
	"strings"
	"testing"

	. "github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

const (
	home  = "111122223333"
	other = "444455556666"
	photo = "arn:aws:s3:::photos/cat.jpg"
)

// parse parses a document whose statements are given, with quotes as apostrophes.
func parse(t testing.TB, kind Kind, statements ...string) *Document {
	t.Helper()
	own := map[Kind]string{Bucket: "arn:aws:s3:::photos", Key: key1}[kind]
	d, err := Parse(kind, own, document(statements...))
	if err != nil {
		t.Fatalf("%s: %v", document(statements...), err)
	}
	return d
}

const key1 = "arn:aws:kms:us-east-1:111122223333:key/1"

func document(statements ...string) string {
	statements = slices.Clone(statements)
	for i, s := range statements {
		statements[i] = "{" + strings.ReplaceAll(s, "'", `"`) + "}"
	}
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func attached(t testing.TB, kind Kind, statements ...string) Attached {
	return Attached{Name: "p", Doc: parse(t, kind, statements...)}
}

func user(account, name string) Principal {
	return Principal{Type: User, Account: account, ARN: "arn:aws:iam::" + account + ":user/" + name, ID: "AIDA" + name}
}

func session(account, role, name string) Principal {
	return Principal{
		Type: AssumedRole, Account: account, ARN: "arn:aws:sts::" + account + ":assumed-role/" + role + "/" + name,
		ID: "AROA" + role, RoleARN: "arn:aws:iam::" + account + ":role/" + role,
	}
}

var (
	alice  = user(home, "alice")
	bob    = user(other, "bob")
	batch  = session(home, "batch", "run1")
	root   = Principal{Type: Account, Account: home, ARN: "arn:aws:iam::111122223333:root", ID: home}
	nobody = Principal{Type: Anonymous}
)

// allow is a statement of an identity policy.
func allow(action string) string {
	return "'Effect':'Allow','Action':'" + action + "','Resource':'*'"
}

func deny(action string) string { return strings.Replace(allow(action), "Allow", "Deny", 1) }

// grant is a statement of the photos' bucket policy or of a key's.
func grant(principal, action string) string {
	resource := "arn:aws:s3:::photos/*"
	if strings.HasPrefix(action, "kms:") {
		resource = "*"
	}
	return "'Effect':'Allow','Principal':" + principal + ",'Action':'" + action + "','Resource':'" + resource + "'"
}

func aws(arn string) string { return "{'AWS':'" + arn + "'}" }

// TestVectors goes through the evaluation vectors of the specification.
func TestVectors(t *testing.T) {
	all := attached(t, Identity, allow("s3:*"))
	gets := attached(t, Identity, allow("s3:GetObject"))
	rights := func(c RightsConfig) *Rights { return NewRights(c) }
	every := rights(RightsConfig{Policies: []Attached{all}})
	bounded := rights(RightsConfig{Policies: []Attached{all}, Boundary: &gets})
	narrowed := rights(RightsConfig{Policies: []Attached{all}, Session: []Attached{gets}, Narrowed: true})
	named := attached(t, Identity, "'Effect':'Allow','Action':'s3:*','Resource':'arn:aws:s3:::photos/${aws:username}/*'")
	old, err := Parse(Identity, "", `{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::photos/${aws:username}/*"}}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		q      Question
		want   bool
		reason string
	}{
		{"C1 explicit deny", Question{Principal: alice, Rights: every, Policy: parse(t, Bucket, strings.Replace(grant(aws(alice.ARN), "s3:GetObject"), "Allow", "Deny", 1))},
			false, "with an explicit deny in a resource-based policy"},
		{"C2 resource allows user", Question{Principal: alice, Policy: parse(t, Bucket, grant(aws(alice.ARN), "s3:GetObject"))}, true, ""},
		{"C3 of another account", Question{Principal: bob, Owner: home, Policy: parse(t, Bucket, grant(aws(bob.ARN), "s3:GetObject"))},
			false, "because no identity-based policy allows the s3:GetObject action"},
		{"C4 both accounts", Question{Principal: bob, Rights: every, Owner: home, Policy: parse(t, Bucket, grant(aws(other), "s3:GetObject"))}, true, ""},
		{"C5 boundary", Question{Principal: alice, Rights: bounded, Action: "s3:PutObject"}, false, "because no permissions boundary allows the s3:PutObject action"},
		{"C6 boundary, user named", Question{Principal: alice, Rights: bounded, Action: "s3:PutObject", Policy: parse(t, Bucket, grant(aws(alice.ARN), "s3:PutObject"))}, true, ""},
		{"C7 boundary, role named", Question{Principal: batch, Rights: bounded, Action: "s3:PutObject", Policy: parse(t, Bucket, grant(aws(batch.RoleARN), "s3:PutObject"))},
			false, "because no permissions boundary allows the s3:PutObject action"},
		{"C8 boundary, session named", Question{Principal: batch, Rights: bounded, Action: "s3:PutObject", Policy: parse(t, Bucket, grant(aws(batch.ARN), "s3:PutObject"))}, true, ""},
		{"C9 session policy", Question{Principal: batch, Rights: narrowed, Action: "s3:PutObject"}, false, "because no session policy allows the s3:PutObject action"},
		{"C15 variable, role", Question{Principal: batch, Rights: rights(RightsConfig{Policies: []Attached{named}}), Resource: "arn:aws:s3:::photos/batch/x"},
			false, "because no identity-based policy allows the s3:GetObject action"},
		{"C15 variable, user", Question{Principal: alice, Rights: rights(RightsConfig{Policies: []Attached{named}}), Resource: "arn:aws:s3:::photos/alice/x"}, true, ""},
		{"C16 literal text", Question{Principal: alice, Rights: rights(RightsConfig{Policies: []Attached{{Doc: old}}}), Resource: "arn:aws:s3:::photos/${aws:username}/x"}, true, ""},
		{"C16 no variable", Question{Principal: alice, Rights: rights(RightsConfig{Policies: []Attached{{Doc: old}}}), Resource: "arn:aws:s3:::photos/alice/x"},
			false, "because no identity-based policy allows the s3:GetObject action"},
		{"C18 action in other case", Question{Principal: alice, Rights: rights(RightsConfig{Policies: []Attached{attached(t, Identity, allow("S3:getobject"))}})}, true, ""},
		{"C19 key: root and deny", Question{Principal: alice, Rights: rights(RightsConfig{Policies: []Attached{attached(t, Identity, allow("kms:*"))}}), Action: "kms:Decrypt", Resource: key1, Decides: true,
			Policy: parse(t, Key, grant(aws(root.ARN), "kms:*"), strings.Replace(grant(aws(alice.ARN), "kms:Decrypt"), "Allow", "Deny", 1))},
			false, "with an explicit deny in a resource-based policy"},
		{"C20 grant", Question{Principal: batch, Action: "kms:Decrypt", Resource: key1, Decides: true, Granted: true, Policy: parse(t, Key, grant(aws(root.ARN), "kms:*"))}, true, ""},
		{"C20 no grant", Question{Principal: batch, Action: "kms:Decrypt", Resource: key1, Decides: true, Policy: parse(t, Key, grant(aws(root.ARN), "kms:*"))},
			false, "because no identity-based policy allows the kms:Decrypt action"},
		{"C21 NotAction", Question{Principal: alice, Rights: rights(RightsConfig{Policies: []Attached{attached(t, Identity, "'Effect':'Allow','NotAction':'iam:*','Resource':'*'")}})}, true, ""},
		{"C22 wildcard over the slash", Question{Principal: alice, Rights: rights(RightsConfig{Policies: []Attached{attached(t, Identity, "'Effect':'Allow','Action':'s3:*','Resource':'arn:aws:s3:::b*'")}}), Resource: "arn:aws:s3:::bb/x"}, true, ""},
		{"C23 recreated", Question{Principal: alice, Policy: parse(t, Bucket, grant(aws(alice.ARN), "s3:GetObject")).Bind(map[string]string{alice.ARN: "AIDAOLD"})},
			false, "because no identity-based policy allows the s3:GetObject action"},
		{"C23 not recreated", Question{Principal: alice, Policy: parse(t, Bucket, grant(aws(alice.ARN), "s3:GetObject")).Bind(map[string]string{alice.ARN: alice.ID})}, true, ""},
		{"listing buckets", Question{Principal: alice, Rights: every, Action: "s3:ListAllMyBuckets", Resource: "*"}, true, ""},
		{"listing buckets, on all of them", Question{Principal: alice, Rights: rights(RightsConfig{Policies: []Attached{attached(t, Identity, "'Effect':'Allow','Action':'s3:List*','Resource':'arn:aws:s3:::*'")}}), Action: "s3:ListAllMyBuckets", Resource: "*"}, true, ""},
		{"listing buckets, on one", Question{Principal: alice, Rights: rights(RightsConfig{Policies: []Attached{attached(t, Identity, "'Effect':'Allow','Action':'s3:List*','Resource':'arn:aws:s3:::photos'")}}), Action: "s3:ListAllMyBuckets", Resource: "*"},
			false, "because no identity-based policy allows the s3:ListAllMyBuckets action"},
		{"root", Question{Principal: root}, true, ""},
		{"root and a key without it", Question{Principal: root, Action: "kms:Decrypt", Resource: key1, Decides: true, Policy: parse(t, Key, grant(aws(alice.ARN), "kms:*"))},
			false, "because no resource-based policy allows the kms:Decrypt action"},
		{"anonymous", Question{Principal: nobody, Owner: home, Policy: parse(t, Bucket, grant("'*'", "s3:GetObject"))}, true, ""},
		{"anonymous, closed", Question{Principal: nobody, Owner: home, Closed: true, Policy: parse(t, Bucket, grant("'*'", "s3:GetObject"))},
			false, "because no resource-based policy allows the s3:GetObject action"},
		{"control", Question{Principal: root, Rights: rights(RightsConfig{Controls: [][]Attached{{attached(t, ServiceControl, allow("kms:*"))}}})},
			false, "because no service control policy allows the s3:GetObject action"},
	} {
		if test.q.Action == "" {
			test.q.Action = "s3:GetObject"
		}
		if test.q.Resource == "" {
			test.q.Resource = photo
		}
		context := Values{}
		if test.q.Principal.Type == User {
			_, name, _ := strings.Cut(test.q.Principal.ARN, "/")
			context["aws:username"] = []string{name}
		}
		test.q.Context = context
		d := Decide(&test.q)
		if d.Allowed != test.want || d.Reason(test.q.Action) != test.reason {
			t.Errorf("%s: %+v, %q; want %t, %q", test.name, d, d.Reason(test.q.Action), test.want, test.reason)
		}
		if full := Explain(&test.q); full.Allowed != d.Allowed || full.Layer != d.Layer {
			t.Errorf("%s: explained as %+v, decided as %+v", test.name, full, d)
		}
	}
}

// TestBind: who was deleted and made anew is somebody else, and who was renamed is not.
func TestBind(t *testing.T) {
	renamed := alice
	renamed.ARN = "arn:aws:iam::111122223333:user/alicia"
	anew, again := alice, batch
	anew.ID, again.ID = "AIDANEW", "AROANEW"
	for _, test := range []struct {
		name string
		who  Principal
		arn  string
		id   string
		want bool
	}{
		{"user", alice, alice.ARN, alice.ID, true},
		{"user renamed", renamed, alice.ARN, alice.ID, true},
		{"user made anew", anew, alice.ARN, alice.ID, false},
		{"user deleted", alice, alice.ARN, "", false},
		{"role", batch, batch.RoleARN, batch.ID, true},
		{"role made anew", again, batch.RoleARN, batch.ID, false},
		{"session", batch, batch.ARN, batch.ID, true},
		{"session of a role made anew", again, batch.ARN, batch.ID, false},
		{"another session of the role", session(home, "batch", "run2"), batch.ARN, batch.ID, false},
		{"another user", user(home, "mallory"), alice.ARN, alice.ID, false},
	} {
		d := parse(t, Bucket, grant(aws(test.arn), "s3:GetObject"))
		q := &Question{Principal: test.who, Action: "s3:GetObject", Resource: photo, Policy: d.Bind(map[string]string{test.arn: test.id})}
		if got := Decide(q).Allowed; got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
	id := strings.Repeat("0a", 32)
	q := &Question{Principal: alice, Action: "s3:GetObject", Resource: photo, Rights: NewRights(RightsConfig{Policies: []Attached{attached(t, Identity, allow("s3:*"))}}), Owner: other}
	q.Policy = parse(t, Bucket, grant("{'CanonicalUser':'"+id+"'}", "s3:GetObject"))
	if Decide(q).Allowed {
		t.Error("a canonical user that is not bound matches")
	}
	if q.Policy = q.Policy.Bind(map[string]string{id: home}); !Decide(q).Allowed {
		t.Error("a canonical user does not match its account")
	}
}

// TestNotPrincipal: a deny spares who is named with all that it is, and nobody else.
func TestNotPrincipal(t *testing.T) {
	account, role := root.ARN, batch.RoleARN
	federated := Principal{Type: FederatedUser, Account: home, ARN: "arn:aws:sts::111122223333:federated-user/fred", ID: home + ":fred"}
	service := Principal{Type: Service, ARN: "s3.amazonaws.com"}
	for _, test := range []struct {
		name   string
		who    Principal
		named  []string
		spared bool
	}{
		{"user and account", alice, []string{alice.ARN, account}, true},
		{"user alone", alice, []string{alice.ARN}, false},
		{"account alone", alice, []string{account}, false},
		{"another user", alice, []string{"arn:aws:iam::111122223333:user/bob", account}, false},
		{"session, role and account", batch, []string{batch.ARN, role, account}, true},
		{"session and role", batch, []string{batch.ARN, role}, false},
		{"session and account", batch, []string{batch.ARN, account}, false},
		{"role and account", batch, []string{role, account}, false},
		{"federated user and account", federated, []string{federated.ARN, account}, true},
		{"federated user alone", federated, []string{federated.ARN}, false},
		{"root", root, []string{account}, true},
		{"everyone", nobody, []string{"*"}, true},
		{"anonymous", nobody, []string{account}, false},
		{"a service that is not named", service, []string{account}, false},
	} {
		d := parse(t, Bucket, grant("'*'", "s3:GetObject"),
			"'Effect':'Deny','NotPrincipal':{'AWS':['"+strings.Join(test.named, "','")+"']},'Action':'s3:*','Resource':'arn:aws:s3:::photos/*'")
		q := &Question{Principal: test.who, Action: "s3:GetObject", Resource: photo, Owner: home, Policy: d}
		if got := Decide(q).Allowed; got != test.spared {
			t.Errorf("%s: spared %t, want %t", test.name, got, test.spared)
		}
	}
}

// TestReasons: which layer a refusal names.
func TestReasons(t *testing.T) {
	some, none := attached(t, Identity, allow("s3:GetObject")), attached(t, Identity, allow("s3:PutObject"))
	policies := []Attached{some}
	for _, test := range []struct {
		name string
		q    Question
		want Layer
	}{
		{"nothing", Question{Principal: alice}, ByIdentity},
		{"boundary", Question{Principal: alice, Rights: NewRights(RightsConfig{Policies: policies, Boundary: &none})}, ByBoundary},
		{"a boundary that is gone", Question{Principal: alice, Rights: NewRights(RightsConfig{Policies: policies, Boundary: &Attached{}})}, ByBoundary},
		{"identity before boundary", Question{Principal: alice, Rights: NewRights(RightsConfig{Boundary: &none})}, ByIdentity},
		{"session", Question{Principal: batch, Rights: NewRights(RightsConfig{Policies: policies, Narrowed: true})}, BySession},
		{"boundary before session", Question{Principal: batch, Rights: NewRights(RightsConfig{Policies: policies, Boundary: &none, Narrowed: true})}, ByBoundary},
		{"control", Question{Principal: alice, Rights: NewRights(RightsConfig{Policies: policies, Controls: [][]Attached{{some}, {none}}})}, ByControl},
		{"a level without policies", Question{Principal: alice, Rights: NewRights(RightsConfig{Policies: policies, Controls: [][]Attached{{}}})}, ByControl},
		{"role named, boundary", Question{Principal: batch, Rights: NewRights(RightsConfig{Boundary: &none}), Policy: parse(t, Bucket, grant(aws(batch.RoleARN), "s3:GetObject"))}, ByBoundary},
		{"role named, session", Question{Principal: batch, Rights: NewRights(RightsConfig{Narrowed: true}), Policy: parse(t, Bucket, grant(aws(batch.RoleARN), "s3:GetObject"))}, BySession},
		{"another account's user", Question{Principal: bob, Owner: home, Rights: NewRights(RightsConfig{Policies: policies})}, ByResource},
		{"another account's user without rights", Question{Principal: bob, Owner: home, Policy: parse(t, Bucket, grant("'*'", "s3:GetObject"))}, ByIdentity},
		{"anonymous", Question{Principal: nobody, Owner: home}, ByResource},
		{"a service", Question{Principal: Principal{Type: Service, ARN: "s3.amazonaws.com"}, Owner: home}, ByResource},
		{"deciding policy without the account", Question{Principal: alice, Rights: NewRights(RightsConfig{Policies: policies}), Decides: true}, ByResource},
		{"deciding policy with the account", Question{Principal: alice, Decides: true, Policy: parse(t, Bucket, grant(aws(home), "s3:GetObject"))}, ByIdentity},
	} {
		test.q.Action, test.q.Resource = "s3:GetObject", photo
		if d := Decide(&test.q); d.Allowed || d.Explicit || d.Layer != test.want || d.Matched != nil {
			t.Errorf("%s: %+v, want a refusal for want of %s", test.name, d, test.want)
		}
	}
	for layer, want := range map[Layer]string{
		ByIdentity: "with an explicit deny in an identity-based policy", ByResource: "with an explicit deny in a resource-based policy",
		ByBoundary: "with an explicit deny in a permissions boundary", BySession: "with an explicit deny in a session policy",
		ByControl: "with an explicit deny in a service control policy",
	} {
		if got := (Decision{Explicit: true, Layer: layer}).Reason("s3:GetObject"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func message(err error) string {
	if e, ok := fault.As(err); ok {
		return e.Message
	}
	return ""
}
