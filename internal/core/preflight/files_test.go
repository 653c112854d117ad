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
			{Kind: KeyPolicy, Name: "k1", Resource: "k1", Text: policy},
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
	if diff := cmp.Diff([]Kind{Inline, Managed, Boundary, KeyPolicy, ServiceControl}, kinds); diff != "" {
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
