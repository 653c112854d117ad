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
