// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"fmt"
	"strings"
	"testing"
)

func TestRecent(t *testing.T) {
	r := newRecent[int](4, 100, func(v string) int { return len(v) })
	for i := range 10 {
		r.put(i, "x")
	}
	if n := len(r.young) + len(r.old); n > 8 {
		t.Errorf("%d entries of at most 8", n)
	}
	for i := range 10 {
		r.put(i, strings.Repeat("x", 60))
		if v, ok := r.get(i); !ok || len(v) != 60 {
			t.Fatalf("what was just put is not there")
		}
	}
	if n := len(r.young) + len(r.old); n > 2 {
		t.Errorf("%d entries of 60 bytes, with room for 2", n)
	}
	r.put(9, "x") // in the place of the long one
	for i := range 3 {
		r.put(i, "x")
	}
	if _, ok := r.young[9]; !ok || r.filled != 4 {
		t.Errorf("%d bytes, want 4", r.filled)
	}
	r.put(20, strings.Repeat("x", 1000)) // as well as it goes
	if _, ok := r.get(20); !ok || len(r.young) != 1 {
		t.Error("what is too large alone is not kept alone")
	}
}

// Anybody may begin any number of sessions, each with tags and so with rights of its own.
func TestMemoryOfSessionsIsBounded(t *testing.T) {
	w := newTown(t)
	ctx, root := t.Context(), w.rootOf(home)
	ann := w.user(home, "ann", allow("sts:*"))
	arn := w.role(home, "ops", strings.Replace(trusts, `"sts:AssumeRole"`, `"sts:*"`, 1), "")
	for i := range maxAttached {
		var list []string
		for j := range 70 {
			list = append(list, fmt.Sprintf(`{"Effect":"Allow","Action":"s3:a%d","Resource":"arn:aws:s3:::%c%d/*"}`, j, 'a'+i, j))
		}
		text := `{"Version":"2012-10-17","Statement":[` + strings.Join(list, ",") + `]}`
		p := ok[PolicyResult](t)(w.CreatePolicy(ctx, root, CreatePolicy{PolicyName: fmt.Sprintf("p%d", i), PolicyDocument: text})).Policy
		w.must(second(w.AttachRolePolicy(ctx, root, AttachRolePolicy{"ops", p.Arn})))
	}
	var tags []Tag
	for i := range maxTags {
		tags = append(tags, Tag{fmt.Sprintf("k%d", i), strings.Repeat("\u8a9e", 250)})
	}
	var token *openedToken
	for i := range 400 {
		tags[0].Value = fmt.Sprint(i)
		c := ok[RoleSession](t)(w.AssumeRole(ctx, ann, AssumeRole{RoleArn: arn, RoleSessionName: "monday", Tags: tags})).Credentials
		who := w.enter(c)
		w.may(who, "s3:GetObject", "arn:aws:s3:::a/b")
		token, _ = w.tokens.get(idOfToken(c.AccessKeyId, c.SessionToken))
	}
	if n := token.weight(); n < 40<<10 { // as measured
		t.Errorf("a token of %d bytes", n)
	}
	weight := 0
	for _, r := range w.rights.young {
		if len(r.all.Policies) == maxAttached && r.weight < 150<<10 { // likewise
			t.Errorf("rights of %d bytes", r.weight)
		}
		weight += r.weight
	}
	if weight > roomForRights || len(w.rights.old) == 0 {
		t.Errorf("%d bytes of rights in %d and %d entries, with room for %d", weight, len(w.rights.young), len(w.rights.old), roomForRights)
	}
}
