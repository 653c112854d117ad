// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

func TestSessionIsItsRole(t *testing.T) {
	w := newTown(t)
	ann := w.user(home, "ann", allow("sts:AssumeRole"))
	arn := w.role(home, "reader", trusting(home), allow("s3:GetObject"))
	in := AssumeRole{RoleArn: arn, RoleSessionName: "monday"}
	out := w.assume(ann, in)
	by := w.enter(out.Credentials)
	if out.AssumedRoleUser.Arn != "arn:aws:sts::"+home+":assumed-role/reader/monday" || by.ARN != out.AssumedRoleUser.Arn ||
		by.PrincipalID != out.AssumedRoleUser.AssumedRoleId || by.RoleARN != arn || by.Account != home || out.PackedPolicySize != nil {
		t.Errorf("session %+v of %+v", by.Principal, out)
	}
	if !strings.HasPrefix(out.Credentials.AccessKeyId, "ASIA") || len(out.Credentials.AccessKeyId) != 20 || out.Credentials.SecretAccessKey.Len() != 40 {
		t.Errorf("credentials %+v", out.Credentials)
	}
	if !w.may(by, "s3:GetObject", "arn:aws:s3:::photos/cat") || w.may(by, "s3:PutObject", "arn:aws:s3:::photos/cat") {
		t.Error("the session may not what its role may")
	}
	recorded := by.Identity()
	if c := recorded.Session; c == nil || *c.Issuer != (audit.Issuer{Type: "Role", PrincipalID: by.RoleID, ARN: arn, AccountID: home, UserName: "reader"}) ||
		c.Attributes.MFAAuthenticated != "false" || c.Attributes.CreationDate != by.Session.Issued.Format(time.RFC3339) {
		t.Errorf("recorded as %+v", recorded)
	}
	tuesday := w.enter(w.assume(ann, AssumeRole{RoleArn: arn, RoleSessionName: "tuesday"}).Credentials)
	if by.Requester() != tuesday.Requester() || by.Requester() != (Requester{Account: home, ARN: arn}) {
		t.Errorf("two sessions of a role are two requesters: %v, %v", by.Requester(), tuesday.Requester())
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	w := newTown(t)
	ann := w.user(home, "ann", allow("*"))
	arn := w.role(home, "worker", trusting(home), "")
	in := AssumeRole{RoleArn: arn, RoleSessionName: "monday"}
	a, b := w.assume(ann, in).Credentials, w.assume(ann, in).Credentials
	raw, err := base64.StdEncoding.DecodeString(a.SessionToken)
	w.must(err)
	refuse := func(name, id, token string) {
		t.Helper()
		key, who, err := w.LookupSession(t.Context(), id, token)
		if !errors.Is(err, InvalidToken) || key.Len() != 0 || who.ARN != "" {
			t.Errorf("%s: %v %v, want InvalidToken", name, who, err)
		}
	}
	w.enter(a) // what the cache has must not help
	refuse("another key's", a.AccessKeyId, b.SessionToken)
	refuse("a long-term key's", ann.AccessKeyID, a.SessionToken)
	refuse("none", a.AccessKeyId, "")
	refuse("no base64", a.AccessKeyId, "!"+a.SessionToken)
	refuse("a line break", a.AccessKeyId, a.SessionToken[:8]+"\n"+a.SessionToken[8:])
	refuse("too long", a.AccessKeyId, strings.Repeat("A", maxToken+4))
	for i := range raw {
		changed := slices.Clone(raw)
		changed[i] ^= 1
		refuse("a changed byte", a.AccessKeyId, base64.StdEncoding.EncodeToString(changed))
		refuse("a cut one", a.AccessKeyId, base64.StdEncoding.EncodeToString(raw[:i]))
	}
	other := newTown(t)
	if _, _, err := other.LookupSession(t.Context(), a.AccessKeyId, a.SessionToken); !errors.Is(err, InvalidToken) {
		t.Errorf("another installation's token: %v", err)
	}
	w.enter(a)
}

func TestSessionsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		ann := w.user(home, "ann", allow("*"))
		n := 900
		c := w.assume(ann, AssumeRole{RoleArn: w.role(home, "worker", trusting(home), ""), RoleSessionName: "monday", DurationSeconds: &n}).Credentials
		look := func() error {
			_, _, err := w.LookupSession(t.Context(), c.AccessKeyId, c.SessionToken)
			return err
		}
		time.Sleep(time.Until(c.Expiration) - time.Nanosecond)
		w.must(look())
		time.Sleep(time.Nanosecond)
		if err := look(); !errors.Is(err, ExpiredToken) {
			t.Errorf("at its end, while the cache has it: %v", err)
		}
		w.tokens = newRecent[tokenID](1, roomForTokens, (*openedToken).weight)
		if err := look(); !errors.Is(err, ExpiredToken) {
			t.Errorf("at its end: %v", err)
		}
	})
}

func TestSessionsEndWithWhatTheyAreOf(t *testing.T) {
	w := newTown(t)
	ctx := t.Context()
	for _, test := range []struct {
		name  string
		begin func() (Credentials, func())
	}{
		{"role deleted", func() (Credentials, func()) {
			out := w.assume(w.user(home, "u1", allow("*")), AssumeRole{RoleArn: w.role(home, "r1", trusting(home), ""), RoleSessionName: "monday"})
			id, _, _ := strings.Cut(out.AssumedRoleUser.AssumedRoleId, ":")
			return out.Credentials, func() { w.drop(home, roleRow(home, "r1"), idRow(id)) }
		}},
		{"role made again", func() (Credentials, func()) {
			out := w.assume(w.user(home, "u2", allow("*")), AssumeRole{RoleArn: w.role(home, "r2", trusting(home), ""), RoleSessionName: "monday"})
			id, _, _ := strings.Cut(out.AssumedRoleUser.AssumedRoleId, ":")
			return out.Credentials, func() { w.drop(home, roleRow(home, "r2"), idRow(id)); w.role(home, "r2", trusting(home), "") }
		}},
		{"user deleted", func() (Credentials, func()) {
			u := w.user(home, "u3", "")
			out, err := w.GetSessionToken(ctx, u, GetSessionToken{})
			w.must(err)
			return out.Credentials, func() { w.drop(home, userRow(home, "u3"), idRow(u.PrincipalID)) }
		}},
		{"access key deleted", func() (Credentials, func()) {
			u := w.user(home, "u4", "")
			out, err := w.GetSessionToken(ctx, u, GetSessionToken{})
			w.must(err)
			return out.Credentials, func() { w.drop(home, accessKeyRow(u.AccessKeyID)) }
		}},
		{"access key inactive, federated", func() (Credentials, func()) {
			u := w.user(home, "u5", allow("sts:GetFederationToken"))
			out, err := w.GetFederationToken(ctx, u, GetFederationToken{Name: "guest"})
			w.must(err)
			return out.Credentials, func() {
				w.change1(home, func(c *change) {
					key := &accessKey{}
					if _, err := c.get(accessKeyRow(u.AccessKeyID), key); err != nil {
						t.Fatal(err)
					}
					key.Active = false
					c.put(accessKeyRow(u.AccessKeyID), key)
				})
			}
		}},
		{"account closed", func() (Credentials, func()) {
			u := w.user(abroad, "u6", "")
			out, err := w.GetSessionToken(ctx, u, GetSessionToken{})
			w.must(err)
			return out.Credentials, func() { w.must(w.DeleteAccount(ctx, abroad)) }
		}},
	} {
		c, end := test.begin()
		w.enter(c)
		end()
		if _, who, err := w.LookupSession(ctx, c.AccessKeyId, c.SessionToken); !errors.Is(err, InvalidToken) {
			t.Errorf("%s: still %v, %v", test.name, who.ARN, err)
		}
	}
}

func TestOwnSessions(t *testing.T) {
	w := newTown(t)
	ctx := t.Context()
	ann := w.user(home, "ann", allow("s3:GetObject", "sts:GetFederationToken", "sts:TagSession"))
	own, err := w.GetSessionToken(ctx, ann, GetSessionToken{})
	w.must(err)
	by := w.enter(own.Credentials)
	if by.ARN != ann.ARN || by.PrincipalID != ann.PrincipalID || by.UserName != "ann" || by.Requester() != ann.Requester() {
		t.Errorf("a session of %s is %+v", ann.ARN, by.Principal)
	}
	if !w.may(by, "s3:GetObject", "arn:aws:s3:::b/k") || w.may(by, "s3:PutObject", "arn:aws:s3:::b/k") {
		t.Error("the session may something else than its user")
	}
	if got := own.Credentials.Expiration.Sub(by.Session.Issued); got != 12*time.Hour {
		t.Errorf("a session of %v", got)
	}
	root := Caller{Principal: w.root.Principal()}
	n := 43200
	owns, err := w.GetSessionToken(ctx, root, GetSessionToken{DurationSeconds: &n})
	w.must(err)
	if r := w.enter(owns.Credentials); r.Type != Root || r.ARN != root.ARN || r.Session.Expires.Sub(r.Session.Issued) != time.Hour {
		t.Errorf("root's session is %+v", r.Principal)
	}

	guest := func(in GetFederationToken) Caller {
		t.Helper()
		in.Name = "guest"
		out, err := w.GetFederationToken(ctx, ann, in)
		w.must(err)
		by := w.enter(out.Credentials)
		if by.ARN != out.FederatedUser.Arn || by.ARN != "arn:aws:sts::"+home+":federated-user/guest" || by.PrincipalID != home+":guest" {
			t.Errorf("federated %+v", by.Principal)
		}
		return by
	}
	if w.may(guest(GetFederationToken{}), "s3:GetObject", "arn:aws:s3:::b/k") {
		t.Error("a guest without policies may what the user may")
	}
	narrowed := guest(GetFederationToken{Narrowing: Narrowing{Policy: allow("s3:*")}})
	if !w.may(narrowed, "s3:GetObject", "arn:aws:s3:::b/k") || w.may(narrowed, "s3:PutObject", "arn:aws:s3:::b/k") {
		t.Error("a guest may not what both user and policy allow")
	}
	if !w.may(ann, "s3:GetObject", "arn:aws:s3:::b/k") {
		t.Error("the user may no more what it may")
	}
	for name, by := range map[string]Caller{"session": by, "guest": narrowed} {
		if _, err := w.GetSessionToken(ctx, by, GetSessionToken{}); !errors.Is(err, AccessDenied) {
			t.Errorf("GetSessionToken by a %s: %v", name, err)
		}
		if _, err := w.GetFederationToken(ctx, by, GetFederationToken{Name: "x2"}); !errors.Is(err, AccessDenied) {
			t.Errorf("GetFederationToken by a %s: %v", name, err)
		}
	}
	if _, err := w.GetFederationToken(ctx, w.user(home, "bob", ""), GetFederationToken{Name: "guest"}); !errors.Is(err, AccessDenied) ||
		!strings.Contains(err.Error(), "sts:GetFederationToken on resource: arn:aws:sts::"+home+":federated-user/guest") {
		t.Errorf("GetFederationToken without rights: %v", err)
	}
	for _, test := range []struct {
		by        Caller
		service   string
		operation string
		ok        bool
	}{
		{ann, "iam", "GetUser", true}, {by, "iam", "GetUser", false}, {narrowed, "iam", "GetUser", false},
		{by, "sts", "AssumeRole", true}, {narrowed, "sts", "AssumeRole", false}, {by, "sts", "GetAccessKeyInfo", false},
		{by, "sts", "GetCallerIdentity", true}, {narrowed, "sts", "GetCallerIdentity", true},
	} {
		if err := w.MayCall(test.by, test.service, test.operation); (err == nil) != test.ok {
			t.Errorf("%s calls %s: %v", test.by.Type, test.operation, err)
		}
	}
}

// FuzzToken: what opens was sealed here for this access key.
func FuzzToken(f *testing.F) {
	box := newTokenBox(secret.Random(secret.Size))
	id := newTemporaryID()
	token, err := box.seal(id, &tokenDocument{Type: AssumedRole, Account: home, ID: "AROA", Name: "monday", Tags: []Tag{{"a", "b"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(id, token)
	f.Add(id, "")
	f.Add("ASIA", "AQ==")
	f.Add(id, base64.StdEncoding.EncodeToString(append([]byte{tokenVersion}, deflated(tokenDocument{Account: home})...)))
	f.Fuzz(func(t *testing.T, accessKeyID, text string) {
		if d, err := box.open(accessKeyID, text); (err == nil) != (accessKeyID == id && text == token) {
			t.Errorf("%q opens as %+v, %v", text, d, err)
		}
	})
}

func BenchmarkLookupSession(b *testing.B) {
	w := newTown(b)
	arn := w.role(home, "worker", trusting(home), "")
	c := w.assume(w.user(home, "ann", allow("*")), AssumeRole{RoleArn: arn, RoleSessionName: "monday"}).Credentials
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := w.LookupSession(context.Background(), c.AccessKeyId, c.SessionToken); err != nil {
			b.Fatal(err)
		}
	}
}

// restless is a store in which an account changes whenever somebody looks.
type restless struct{ meta.Store }

func (r *restless) Get(ctx context.Context, keys ...[]byte) ([]meta.Item, error) {
	items, err := r.Store.Get(ctx, keys...)
	if err == nil && string(keys[0]) == epochRow(home) {
		var b meta.Batch
		b.Put(keys[0], items[0].Value)
		_, err = r.Store.Commit(ctx, &b)
	}
	return items, err
}

// A session of an account that changes all the time is told to try again, in words that
// every service has.
func TestSessionsWhileTheAccountChanges(t *testing.T) {
	w := newTown(t)
	ann := w.user(home, "ann", allow("sts:AssumeRole"))
	arn := w.role(home, "ops", trusts, "")
	c := ok[RoleSession](t)(w.AssumeRole(t.Context(), ann, AssumeRole{RoleArn: arn, RoleSessionName: "monday"})).Credentials
	w.store = &restless{w.store}
	if _, _, err := w.LookupSession(t.Context(), c.AccessKeyId, c.SessionToken); !errors.Is(err, meta.Unavailable) {
		t.Errorf("%v", err)
	}
}
