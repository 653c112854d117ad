// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"slices"
	"testing"

	. "github.com/cofferstore/coffer/internal/core/policy"
)

func TestExplainFindsAllThatMatters(t *testing.T) {
	tagged := "'Effect':'Allow','Action':'s3:GetObject','Resource':'arn:aws:s3:::photos/${aws:username}/*','Condition':{'StringEquals':{'aws:PrincipalTag/Team':['${aws:RequestTag/T}'],'s3:ExistingObjectTag/Team':'x'}}"
	rights := NewRights(RightsConfig{Policies: []Attached{
		{Name: "one", Doc: parse(t, Identity, allow("s3:*"), allow("s3:Get*"))},
		{Name: "two", Doc: parse(t, Identity, tagged, "'Effect':'Allow','Action':'s3:PutObject','Resource':'*','Condition':{'Null':{'aws:other':'true'}}")},
	}})
	q := &Question{Principal: alice, Rights: rights, Action: "s3:GetObject", Resource: "arn:aws:s3:::photos/alice/x", Context: Values{"aws:username": {"alice"}}}
	got := Explain(q)
	if !got.Allowed || got.Layer != ByIdentity || !slices.Equal(got.Matched, []Match{{ByIdentity, "one", "", 0}, {ByIdentity, "one", "", 1}}) {
		t.Errorf("got %+v", got)
	}
	if want := []string{"aws:principaltag/team", "aws:requesttag/t", "s3:existingobjecttag/team"}; !slices.Equal(got.Missing, want) {
		t.Errorf("missing %v, want %v", got.Missing, want)
	}
	q.Context = nil
	if got := Explain(q).Missing; !slices.Equal(got, []string{"aws:username"}) {
		t.Errorf("without a name missing %v, want it alone: the resource is not known to match", got)
	}
	if d := Decide(q); !slices.Equal(d.Matched, []Match{{ByIdentity, "one", "", 0}}) {
		t.Errorf("decided by %+v", d.Matched)
	}
	denied := NewRights(RightsConfig{Policies: []Attached{
		{Name: "one", Doc: parse(t, Identity, allow("s3:*"), deny("s3:Get*"), deny("s3:*"))},
	}, Boundary: &Attached{Name: "edge", Doc: parse(t, Identity, deny("*"))}})
	q.Rights = denied
	if got := Decide(q); got.Allowed || !got.Explicit || !slices.Equal(got.Matched, []Match{{ByIdentity, "one", "", 1}, {ByIdentity, "one", "", 2}, {ByBoundary, "edge", "", 0}}) {
		t.Errorf("denied by %+v", got)
	}
	keys := parse(t, Identity, tagged).ContextKeys()
	if want := []string{"aws:principaltag/team", "aws:requesttag/t", "aws:username", "s3:existingobjecttag/team"}; !slices.Equal(keys, want) {
		t.Errorf("keys %v, want %v", keys, want)
	}
}

// TestManyStatements: among many, each that speaks of the resource is found, and once.
func TestManyStatements(t *testing.T) {
	var statements []string
	for _, resource := range []string{
		"'" + photo + "'", "'arn:aws:s3:::photos/*'", "['" + photo + "','arn:aws:s3:::photos/*']", "['" + photo + "','arn:aws:s3:::photos/']", "'arn:aws:s3:::pho*'", "'*'",
		"'arn:aws:s3:::videos/*'", "['arn:aws:s3:::videos','arn:aws:s3:::videos/*']", "'arn:aws:s3:::photos'", "'arn:aws:s3:::photos/${aws:username}'", "'arn:aws:s3:::photos/c?t.jpg'",
	} {
		for _, action := range []string{"'s3:GetObject'", "['s3:GetObject','S3:getobject','s3:Get*']", "'*'", "'s3:PutObject'"} {
			statements = append(statements, "'Effect':'Allow','Action':"+action+",'Resource':"+resource)
		}
	}
	policies := attached(t, Identity, statements...)
	q := &Question{
		Principal: alice, Rights: NewRights(RightsConfig{Policies: []Attached{policies}}), Action: "s3:GetObject", Resource: photo,
		Context: Values{"aws:username": {"cat.jpg"}},
	}
	got := Explain(q).Matched
	slices.SortFunc(got, func(a, b Match) int { return a.Index - b.Index })
	want := 0
	for i, m := range got {
		if i > 0 && got[i-1].Index == m.Index {
			t.Errorf("statement %d was found twice", m.Index)
		}
	}
	for i := range statements {
		alone := *q
		alone.Rights = NewRights(RightsConfig{Policies: []Attached{attached(t, Identity, statements[i])}})
		if Decide(&alone).Allowed {
			want++
		}
	}
	if len(got) != want || want != 8*3 {
		t.Errorf("%d statements were found, %d allow by themselves", len(got), want)
	}
}
