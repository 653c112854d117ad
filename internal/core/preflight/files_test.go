// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cofferstore/coffer/internal/fault"
)

// TestFiles has what the AWS CLI prints, page by page.
func TestFiles(t *testing.T) {
	policy := document("'Effect':'Allow','Action':'kms:Decrypt','Resource':'*'")
	var files Files
	for _, f := range []struct{ dir, name, text string }{
		{IAM, "1.json", `{"UserDetailList":[{"UserName":"a","Arn":"arn:aws:iam::111122223333:user/x/a","GroupList":["g"],
			"PermissionsBoundary":{"PermissionsBoundaryType":"Policy","PermissionsBoundaryArn":"arn:aws:iam::111122223333:policy/m"},
			"UserPolicyList":[{"PolicyName":"p","PolicyDocument":"` + url.PathEscape(policy) + `"}]}]}`},
		{IAM, "2.json", `{"GroupDetailList":[{"GroupName":"g","Arn":"arn:aws:iam::111122223333:group/y/g","AttachedManagedPolicies":[{"PolicyArn":"arn:aws:iam::111122223333:policy/m"}]}],
			"Policies":[{"Arn":"arn:aws:iam::111122223333:policy/m","PolicyVersionList":[{"IsDefaultVersion":false,"Document":{}},{"IsDefaultVersion":true,"Document":` + policy + `}]}]}`},
		{KeyPolicies, "k1.json", policy},
		{KeyPolicies, "1234abcd-12ab-34cd-56ef-1234567890ab.json", "\ufeff" + policy},
		{IAM, "3.json", `{"PolicyVersion":{"VersionId":"v1","Document":` + policy + `}}`},
		{IAM, "4.json", `{"RoleName":"job","PolicyName":"p","PolicyDocument":` + policy + `}`},
		{IAM, "5.json", policy},
		{Controls, "c.json", `{"Policy":{"PolicySummary":{"Name":"limits"},"Content":` + quote(policy) + `}}`},
	} {
		if err := files.Add(f.dir, f.name, f.text); err != nil {
			t.Fatal(err)
		}
	}
	want := &Input{
		Bucket: "photos", Key: key1,
		Documents: []Document{
			{Kind: Inline, Name: "user a, inline policy p", Concerns: []string{"arn:aws:iam::111122223333:user/x/a"}, Text: policy},
			{Kind: Managed, Name: "arn:aws:iam::111122223333:policy/m", Text: policy},
			{Kind: KeyPolicy, Name: "k1", Text: policy},
			{Kind: KeyPolicy, Name: "1234abcd-12ab-34cd-56ef-1234567890ab", Resource: "1234abcd-12ab-34cd-56ef-1234567890ab", Text: policy},
			{Kind: Managed, Name: "3", Concerns: []string{"whoever it is attached to"}, Text: policy},
			{Kind: Inline, Name: "role job, inline policy 4", Concerns: []string{"role job"}, Text: policy},
			{Kind: Managed, Name: "5", Concerns: []string{"whoever it is attached to"}, Text: policy},
			{Kind: ServiceControl, Name: "limits", Concerns: []string{"every principal of the accounts that it is attached to"}, Text: policy},
		},
		Attached: map[string][]Attachment{"arn:aws:iam::111122223333:policy/m": {
			{Entity: "arn:aws:iam::111122223333:user/x/a", Boundary: true}, {Entity: "arn:aws:iam::111122223333:group/y/g"},
		}},
		Members: map[string][]string{"arn:aws:iam::111122223333:group/y/g": {"arn:aws:iam::111122223333:user/x/a"}},
	}
	got := files.Input("photos", key1)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var kinds []Kind
	for _, d := range got.inUse() {
		kinds = append(kinds, d.Kind)
	}
	if diff := cmp.Diff([]Kind{Inline, Managed, Boundary, KeyPolicy, KeyPolicy, Managed, Inline, Managed, ServiceControl}, kinds); diff != "" {
		t.Error(diff)
	}
}

// TestBadFiles has the name and the line of what is wrong.
func TestBadFiles(t *testing.T) {
	for _, test := range []struct{ dir, text, says string }{
		{KeyPolicies, "", "line 1: the document ends early"},
		{KeyPolicies, "[]", "line 1: it is no JSON object"},
		{KeyPolicies, "{\n\"Version\":\n\"2012-10-17\"\n}", "line 1: it has no Statement"},
		{KeyPolicies, "{\n\"Statement\":[\n{\"Effect\":\"allow\"}]}", "line 3: the Effect of a statement is neither Allow nor Deny"},
		{KeyPolicies, "{\n\"Statement\":[\n\n3]}", "line 4: a statement is no object"},
		{KeyPolicies, "{\n\"a\":1,\n\"a\":2}", `line 3: "a" stands there twice`},
		{KeyPolicies, "{\"Statement\":\n[}", "line 2: invalid character"},
		{KeyPolicies, "{\"Statement\":[]}\n{}", "line 2: something follows"},
		{KeyPolicies, "{\n\"Policy\": \"{\\\"Statement\\\":\\n[\"}", "line 2: in the text of the policy: key policy f: line 2: the document ends early"},
		{KeyPolicies, "{\n\"Policy\": 3}", "line 2: here should be a policy"},
		{KeyPolicies, strings.Repeat(`{"a":`, 100), "line 1: the document is nested deeper than 64"},
		{IAM, "{}", "line 1: it is not what aws iam get-account-authorization-details prints"},
		{IAM, "{\"UserDetailList\":[\n{}]}", "line 2: here should be a user with UserName and Arn"},
		{IAM, "{\"RoleDetailList\":[{\"RoleName\":\"r\",\"Arn\":\"a\",\n\"RolePolicyList\":[\n{}]}]}", "line 3: here should be an inline policy"},
		{IAM, "{\"RoleDetailList\":[{\"RoleName\":\"r\",\"Arn\":\"a\",\"RolePolicyList\":[{\"PolicyName\":\"p\",\"PolicyDocument\":{\n\"Statement\":[\n1]}}]}]}", "line 3: a statement is no object"},
		{IAM, "{\"Policies\":[{\"Arn\":\"p\",\n\"PolicyVersionList\":[]}]}", "line 1: the managed policy has no default version"},
		{Grants, "{}", "line 1: it has no list Grants"},
		{Grants, "{\"Grants\":[\n{\"KeyId\":3}]}", "line 2: this is no grant"},
		{Grants, "{\"Grants\":[\n\n{}]}", "line 3: a grant without"},
		{"elsewhere", "{}", "line 1: no files are read"},
	} {
		var files Files
		err := files.Add(test.dir, "f.json", test.text)
		f, ok := fault.As(err)
		if !ok || f.Kind != Malformed || !strings.HasPrefix(f.Message, test.dir+"/f.json: "+test.says) {
			t.Errorf("%s %q: %v, want %q", test.dir, test.text, err, test.says)
		}
	}
}

// TestKeysOfFiles has key policies of which the file does not say whose they are.
func TestKeysOfFiles(t *testing.T) {
	const elsewhere = "arn:aws:kms:eu-west-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	for name, text := range map[string]string{
		"an account":           "'Effect':'Allow','Principal':{'AWS':'arn:aws:iam::444455556666:role/r'},'Action':'kms:*','Resource':'*'",
		"an account by number": "'Effect':'Allow','Principal':{'AWS':'444455556666'},'Action':'kms:*','Resource':'*'",
		"the key":              "'Effect':'Allow','Principal':'*','Action':'kms:*','Resource':'" + elsewhere + "'",
		"nothing":              "'Effect':'Allow','Principal':'*','Action':'kms:*','Resource':'*'",
	} {
		for _, key := range []string{"", elsewhere} {
			var files Files
			if err := files.Add(KeyPolicies, "mine.json", document(text+on("StringLike", "photos/*"))); err != nil {
				t.Fatal(err)
			}
			r := run(t, files.Input("photos", key))
			if len(r.Findings) != 1 || !r.Findings[0].Proven {
				t.Errorf("%s, asked about %q: %+v", name, key, r.Findings)
			}
		}
	}
}
