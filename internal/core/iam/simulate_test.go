// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func outcome(r EvaluationResult) string {
	var from []string
	for _, m := range r.MatchedStatements {
		from = append(from, fmt.Sprintf("%s/%s@%d:%d", m.SourcePolicyType, m.SourcePolicyId, m.StartPosition.Line, m.StartPosition.Column))
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", r.EvalDecision, r.EvalActionName, strings.Join(from, ","), strings.Join(r.MissingContextValues, ",")))
}

func TestSimulateCustomPolicy(t *testing.T) {
	w := newTown(t)
	by := w.user(home, "ann", allow("iam:Simulate*"))
	const key = "arn:aws:s3:::b/k"
	ips := `{"Version":"2012-10-17","Statement":[` + "\n" + `{"Effect":"Allow","Action":"s3:Get*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}]}`
	deny := strings.Replace(allow("s3:GetObject"), "Allow", "Deny", 1)
	bucket := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + by.ARN + `"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}`
	for _, test := range []struct {
		name string
		in   SimulateCustomPolicy
		want string
	}{
		{"allowed", SimulateCustomPolicy{PolicyInputList: []string{allow("s3:GetObject")}}, "allowed s3:GetObject none/PolicyInputList.1@1:38"},
		{"nothing says so", SimulateCustomPolicy{PolicyInputList: []string{allow("s3:PutObject")}}, "implicitDeny s3:GetObject"},
		{"denied", SimulateCustomPolicy{PolicyInputList: []string{allow("s3:*"), deny}}, "explicitDeny s3:GetObject none/PolicyInputList.2@1:38"},
		{"a key is missing", SimulateCustomPolicy{PolicyInputList: []string{ips}}, "implicitDeny s3:GetObject  aws:SourceIp"},
		{"a key is given", SimulateCustomPolicy{PolicyInputList: []string{ips}, Simulated: Simulated{
			ContextEntries: []ContextEntry{{"aws:SourceIp", []string{"192.0.2.7"}, "ip"}},
		}}, "allowed s3:GetObject none/PolicyInputList.1@2:1"},
		{"boundary", SimulateCustomPolicy{PolicyInputList: []string{allow("s3:*")}, Simulated: Simulated{
			PermissionsBoundaryPolicyInputList: []string{allow("s3:PutObject")},
		}}, "implicitDeny s3:GetObject"},
		{"the resource's policy", SimulateCustomPolicy{PolicyInputList: []string{allow("s3:PutObject")}, Simulated: Simulated{
			ResourcePolicy: bucket, CallerArn: by.ARN,
		}}, "allowed s3:GetObject resource/ResourcePolicy@1:38"},
	} {
		test.in.ActionNames, test.in.ResourceArns = []string{"s3:GetObject"}, []string{key}
		out, err := w.SimulateCustomPolicy(t.Context(), by, test.in)
		if err != nil || len(out.EvaluationResults) != 1 {
			t.Errorf("%s: %+v, %v", test.name, out, err)
			continue
		}
		r := out.EvaluationResults[0]
		if got := outcome(r); got != test.want || r.EvalResourceName != key {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		if test.name == "boundary" && (r.PermissionsBoundaryDecisionDetail == nil || r.PermissionsBoundaryDecisionDetail.AllowedByPermissionsBoundary) {
			t.Errorf("boundary: %+v", r.PermissionsBoundaryDecisionDetail)
		}
	}
}

func TestSimulatePrincipalPolicy(t *testing.T) {
	w := newTown(t)
	by := w.user(home, "ann", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:Simulate*","Resource":"*"},
	{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${aws:username}/*"}]}`)
	role := w.role(home, "worker", trusting(home), allow("s3:PutObject"))
	for _, test := range []struct{ who, action, resource, want string }{
		{by.ARN, "s3:GetObject", "arn:aws:s3:::b/ann/k", "allowed s3:GetObject user/user_ann_rights@2:2"},
		{by.ARN, "s3:GetObject", "arn:aws:s3:::b/bob/k", "implicitDeny s3:GetObject"},
		{role, "s3:PutObject", "arn:aws:s3:::b/k", "allowed s3:PutObject role/role_worker_rights@1:38"},
		{role, "s3:GetObject", "arn:aws:s3:::b/k", "implicitDeny s3:GetObject"},
	} {
		out, err := w.SimulatePrincipalPolicy(t.Context(), by, SimulatePrincipalPolicy{PolicySourceArn: test.who, Simulated: Simulated{
			ActionNames: []string{test.action}, ResourceArns: []string{test.resource},
		}})
		if err != nil || len(out.EvaluationResults) != 1 || outcome(out.EvaluationResults[0]) != test.want {
			t.Errorf("%s %s: %+v, %v, want %s", test.who, test.action, out, err, test.want)
		}
	}
}

func TestSimulationsArePaged(t *testing.T) {
	w := newTown(t)
	by := Caller{Principal: w.root.Principal()}
	two := 2
	in := SimulateCustomPolicy{PolicyInputList: []string{allow("s3:GetObject")}, Simulated: Simulated{
		ActionNames: []string{"s3:GetObject", "s3:PutObject"}, ResourceArns: []string{"arn:aws:s3:::a/k", "arn:aws:s3:::b/k", "arn:aws:s3:::c/k"},
		Paged: Paged{MaxItems: &two},
	}}
	var got []string
	for pages := 0; ; pages++ {
		out, err := w.SimulateCustomPolicy(t.Context(), by, in)
		w.must(err)
		for _, r := range out.EvaluationResults {
			got = append(got, r.EvalActionName+" "+r.EvalResourceName+" "+r.EvalDecision)
		}
		if !out.IsTruncated {
			if pages != 2 || len(got) != 6 || got[5] != "s3:PutObject arn:aws:s3:::c/k implicitDeny" || got[2] != "s3:GetObject arn:aws:s3:::c/k allowed" {
				t.Errorf("%d pages: %q", pages+1, got)
			}
			return
		}
		in.Marker = out.Marker
	}
}

func TestSimulationsRefused(t *testing.T) {
	w := newTown(t)
	root := Caller{Principal: w.root.Principal()}
	bob := w.user(home, "bob", "")
	get := Simulated{ActionNames: []string{"s3:GetObject"}}
	with := func(change func(*Simulated)) Simulated { s := get; change(&s); return s }
	custom := func(by Caller, text string, in Simulated) error {
		_, err := w.SimulateCustomPolicy(t.Context(), by, SimulateCustomPolicy{PolicyInputList: []string{text}, Simulated: in})
		return err
	}
	principal := func(by Caller, arn string) error {
		_, err := w.SimulatePrincipalPolicy(t.Context(), by, SimulatePrincipalPolicy{PolicySourceArn: arn, Simulated: get})
		return err
	}
	for name, test := range map[string]struct{ err, kind error }{
		"no rights":         {custom(bob, allow("*"), get), AccessDenied},
		"no policy":         {custom(root, "{", get), InvalidInput},
		"no action":         {custom(root, allow("*"), with(func(s *Simulated) { s.ActionNames = []string{"s3"} })), InvalidInput},
		"many actions":      {custom(root, allow("*"), with(func(s *Simulated) { s.ActionNames = []string{"s3:*"} })), InvalidInput},
		"a marker":          {custom(root, allow("*"), with(func(s *Simulated) { s.Marker = "x" })), ValidationError},
		"no resource's":     {custom(root, allow("*"), with(func(s *Simulated) { s.ResourcePolicy = "{}" })), InvalidInput},
		"no caller":         {custom(root, allow("*"), with(func(s *Simulated) { s.CallerArn = bob.ARN + "x" })), InvalidInput},
		"no such user":      {principal(root, bob.ARN+"x"), NoSuchEntity},
		"another account's": {principal(root, strings.Replace(bob.ARN, home, abroad, 1)), AccessDenied},
		"a policy":          {principal(root, "arn:aws:iam::"+home+":policy/p"), InvalidInput},
		"no rights to ask":  {principal(bob, bob.ARN), AccessDenied},
	} {
		if !errors.Is(test.err, test.kind) {
			t.Errorf("%s: %v, want %v", name, test.err, test.kind)
		}
	}
}

func TestSimulationsKnowGroupsBoundariesAndControls(t *testing.T) {
	w := newTown(t)
	ctx := t.Context()
	root := Caller{Principal: w.root.Principal()}
	must := func(_ any, err error) { t.Helper(); w.must(err) }
	must(w.CreateUser(ctx, root, CreateUser{UserName: "eve"}))
	must(w.CreateGroup(ctx, root, CreateGroup{GroupName: "staff"}))
	must(w.AddUserToGroup(ctx, root, AddUserToGroup{GroupName: "staff", UserName: "eve"}))
	must(w.AttachGroupPolicy(ctx, root, AttachGroupPolicy{GroupName: "staff", PolicyArn: "arn:aws:iam::aws:policy/AmazonS3FullAccess"}))
	must(w.PutUserPermissionsBoundary(ctx, root, PutUserPermissionsBoundary{UserName: "eve", PermissionsBoundary: "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}))
	simulate := func(by Caller, arn, action string) EvaluationResult {
		t.Helper()
		out, err := w.SimulatePrincipalPolicy(ctx, by, SimulatePrincipalPolicy{PolicySourceArn: arn, Simulated: Simulated{ActionNames: []string{action}}})
		w.must(err)
		return out.EvaluationResults[0]
	}
	eve, staff := entityARN(home, kindUser, "/", "eve"), entityARN(home, kindGroup, "/", "staff")
	for _, test := range []struct{ arn, action, want, boundary string }{
		{eve, "s3:GetObject", "allowed s3:GetObject aws-managed/AmazonS3FullAccess@1:38", "true"},
		{eve, "s3:PutObject", "implicitDeny s3:PutObject", "false"},
		{staff, "s3:PutObject", "allowed s3:PutObject aws-managed/AmazonS3FullAccess@1:38", "none"},
	} {
		r := simulate(root, test.arn, test.action)
		boundary := "none"
		if d := r.PermissionsBoundaryDecisionDetail; d != nil {
			boundary = fmt.Sprint(d.AllowedByPermissionsBoundary)
		}
		if outcome(r) != test.want || boundary != test.boundary || r.OrganizationsDecisionDetail != nil {
			t.Errorf("%s %s: %s, boundary %s; want %s, %s", test.arn, test.action, outcome(r), boundary, test.want, test.boundary)
		}
	}

	carl := w.user(abroad, "carl", allow("*"))
	w.must(w.SetControls(ctx, abroad, []Control{{"reads", allow("s3:Get*", "iam:*")}}))
	for action, want := range map[string]string{"s3:GetObject": "allowed true", "s3:PutObject": "implicitDeny false"} {
		r := simulate(carl, carl.ARN, action)
		if d := r.OrganizationsDecisionDetail; d == nil || fmt.Sprint(r.EvalDecision, " ", d.AllowedByOrganizations) != want {
			t.Errorf("%s under a service control policy: %s, %+v; want %s", action, r.EvalDecision, d, want)
		}
	}
}

// A page ends when it has become long, however many results were asked for.
func TestSimulationsOfManyStatementsEndEarly(t *testing.T) {
	w := newTown(t)
	one := `{"Effect":"Allow","Action":"*","Resource":"*"},`
	text := `{"Version":"2012-10-17","Statement":[` + strings.TrimSuffix(strings.Repeat(one, 2600), ",") + `]}`
	in := SimulateCustomPolicy{
		PolicyInputList: slices.Repeat([]string{text}, 5),
		Simulated:       Simulated{ActionNames: []string{"s3:GetObject", "s3:PutObject"}},
	}
	for page := range in.ActionNames {
		out := ok[Simulation](t)(w.SimulateCustomPolicy(t.Context(), w.rootOf(home), in))
		if len(out.EvaluationResults) != 1 || out.IsTruncated == (page == 1) {
			t.Fatalf("page %d has %d results, and more follow: %t", page, len(out.EvaluationResults), out.IsTruncated)
		}
		r := out.EvaluationResults[0]
		if r.EvalActionName != in.ActionNames[page] || len(r.MatchedStatements) != 5*2600 {
			t.Errorf("%s has %d statements", r.EvalActionName, len(r.MatchedStatements))
		}
		in.Marker = out.Marker
	}
}
