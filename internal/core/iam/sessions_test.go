// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

const (
	home   = "111122223333"
	abroad = "444455556666"
)

// town is two accounts with users and roles.
type town struct {
	*Service
	t testing.TB
}

func newTown(t testing.TB) *town {
	t.Helper()
	store := mem.New()
	t.Cleanup(func() { _ = store.Close() })
	sealKey := secret.Random(secret.Size)
	root, _, err := OpenRoot(t.Context(), store, sealKey, RootConfig{Account: home})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), store, sealKey, root, Config{Region: "eu-central-1"})
	if err == nil {
		_, err = s.CreateAccount(t.Context(), abroad, "abroad")
	}
	if err != nil {
		t.Fatal(err)
	}
	return &town{s, t}
}

func (w *town) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) change1(account string, f func(c *change)) {
	w.t.Helper()
	w.must(w.change(w.t.Context(), account, func(c *change) error { f(c); return nil }))
}

func (w *town) entity(account, prefix, name, rights string) entity {
	e := entity{Version: formatOfRows, Account: account, ID: newID(prefix), Name: name, Path: "/", Created: time.Now()}
	if rights != "" {
		e.Inline = []named{{"rights", rights}}
	}
	return e
}

// user makes a user with an access key, and returns who calls with it.
func (w *town) user(account, name, rights string) Caller {
	w.t.Helper()
	u := user{entity: w.entity(account, prefixUser, name, rights)}
	id, key := newAccessKey()
	u.Keys = []string{id}
	w.change1(account, func(c *change) {
		c.create(userRow(account, name), u)
		c.create(idRow(u.ID), identity{account, kindUser, name})
		c.create(accessKeyRow(id), w.newKeyRow(id, key, account, u.ID, time.Now()))
	})
	_, who, err := w.Lookup(w.t.Context(), id)
	w.must(err)
	return Caller{Principal: who, Secure: true, SigV4: true, SourceIP: "192.0.2.1"}
}

// role makes a role and returns its ARN.
func (w *town) role(account, name, trust, rights string) string {
	w.t.Helper()
	r := role{entity: w.entity(account, prefixRole, name, rights), MaxSession: 7200, Trust: trust, Tags: []Tag{{"team", "blue"}}}
	r.Path = "/ops/"
	d, err := policy.Parse(policy.Trust, "", trust)
	w.must(err)
	r.Principals, err = w.Bind(w.t.Context(), d)
	w.must(err)
	w.change1(account, func(c *change) {
		c.create(roleRow(account, name), r)
		c.create(idRow(r.ID), identity{account, kindRole, name})
	})
	return r.arn()
}

func (w *town) drop(account string, rows ...string) {
	w.t.Helper()
	w.change1(account, func(c *change) {
		for _, row := range rows {
			c.delete(row)
		}
	})
}

// enter looks credentials up.
func (w *town) enter(c Credentials) Caller {
	w.t.Helper()
	key, who, err := w.LookupSession(w.t.Context(), c.AccessKeyId, c.SessionToken)
	w.must(err)
	if !key.Equal(c.SecretAccessKey) {
		w.t.Error("the session's secret is another one")
	}
	return Caller{Principal: who, Secure: true, SigV4: true, SourceIP: "192.0.2.1"}
}

func (w *town) assume(by Caller, in AssumeRole) RoleSession {
	w.t.Helper()
	out, err := w.AssumeRole(w.t.Context(), by, in)
	w.must(err)
	return out
}

// may reports whether a caller may do something to a resource of its own account.
func (w *town) may(by Caller, action, resource string) bool {
	w.t.Helper()
	err := w.Authorize(w.t.Context(), by, []policy.Need{{Action: action, Resource: resource}})
	if err != nil && !errors.Is(err, AccessDenied) {
		w.t.Fatal(err)
	}
	return err == nil
}

func allow(what ...string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["` + strings.Join(what, `","`) + `"],"Resource":"*"}]}`
}

func trusting(principal string, actions ...string) string {
	return trustingIf(principal, "{}", actions...)
}

func trustingIf(principal, condition string, actions ...string) string {
	if len(actions) == 0 {
		actions = []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"}
	}
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":["` +
		strings.Join(actions, `","`) + `"],"Condition":` + condition + `}]}`
}

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

func TestWhatNarrowsASession(t *testing.T) {
	w := newTown(t)
	ann := w.user(home, "ann", allow("sts:*"))
	arn := w.role(home, "worker", trusting(home), allow("s3:*"))
	session := func(change func(*AssumeRole)) Caller {
		in := AssumeRole{RoleArn: arn, RoleSessionName: "monday"}
		change(&in)
		return w.enter(w.assume(ann, in).Credentials)
	}
	plain := session(func(*AssumeRole) {})
	reads := session(func(in *AssumeRole) { in.Policy = allow("s3:GetObject") })
	again := session(func(in *AssumeRole) { in.Policy = allow("s3:GetObject") })
	writes := session(func(in *AssumeRole) { in.Policy = allow("s3:PutObject", "iam:*") })
	offered := session(func(in *AssumeRole) {
		in.PolicyArns = []PolicyDescriptor{{"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}}
	})
	tagged := session(func(in *AssumeRole) { in.Tags = []Tag{{"Team", "red"}} })

	all := []Caller{plain, reads, writes, offered, tagged}
	for i, a := range all {
		for j, b := range all {
			if (a.Requester() == b.Requester()) != (i == j) {
				t.Errorf("sessions %d and %d: requesters %v and %v", i, j, a.Requester(), b.Requester())
			}
		}
	}
	if reads.Requester() != again.Requester() {
		t.Error("two sessions with one policy are two requesters")
	}
	for i, test := range []struct {
		by           Caller
		reads, write bool
	}{{plain, true, true}, {reads, true, false}, {writes, false, true}, {offered, true, false}, {tagged, true, true}} {
		if w.may(test.by, "s3:GetObject", "arn:aws:s3:::b/k") != test.reads || w.may(test.by, "s3:PutObject", "arn:aws:s3:::b/k") != test.write {
			t.Errorf("session %d may something else than its policies", i)
		}
		if w.may(test.by, "iam:CreateUser", "*") {
			t.Errorf("session %d may what its role may not", i)
		}
	}
}

func TestTrust(t *testing.T) {
	w := newTown(t)
	everything := allow("*")
	ann := w.user(home, "ann", everything)
	bob := w.user(home, "bob", "")
	carl := w.user(abroad, "carl", everything)
	dora := w.user(abroad, "dora", "")
	root := Caller{Principal: w.root.Principal(), Secure: true}
	own := w.role(home, "own", trusting(home), "")
	named := w.role(home, "named", trusting(bob.ARN), "")
	theirs := w.role(home, "theirs", trusting(abroad), "")
	ext := w.role(home, "ext", trustingIf(abroad, `{"StringEquals":{"sts:ExternalId":"e-17"}}`), "")
	sessionName := w.role(home, "sessionname", trustingIf(home, `{"StringEquals":{"sts:RoleSessionName":"${aws:username}"}}`), "")
	plain := w.role(home, "plain", trusting(home, "sts:AssumeRole"), "")
	id := func(s string) *string { return &s }

	for _, test := range []struct {
		name string
		by   Caller
		in   AssumeRole
		want string // "" is granted
	}{
		{"account, with rights", ann, AssumeRole{RoleArn: own}, ""},
		{"account, without rights", bob, AssumeRole{RoleArn: own}, "User: " + bob.ARN + " is not authorized to perform: sts:AssumeRole on resource: " + own},
		{"named, without rights", bob, AssumeRole{RoleArn: named}, ""},
		{"another is named", ann, AssumeRole{RoleArn: named}, "User: " + ann.ARN + " is not authorized to perform: sts:AssumeRole on resource: " + named},
		{"stranger", carl, AssumeRole{RoleArn: own}, "is not authorized"},
		{"there is none", carl, AssumeRole{RoleArn: own + "x"}, "User: " + carl.ARN + " is not authorized to perform: sts:AssumeRole on resource: " + own + "x"},
		{"another path", ann, AssumeRole{RoleArn: strings.Replace(own, "/ops/", "/", 1)}, "is not authorized"},
		{"across, with rights", carl, AssumeRole{RoleArn: theirs}, ""},
		{"across, without rights", dora, AssumeRole{RoleArn: theirs}, "is not authorized"},
		{"external id", carl, AssumeRole{RoleArn: ext, ExternalId: id("e-17")}, ""},
		{"wrong external id", carl, AssumeRole{RoleArn: ext, ExternalId: id("e-18")}, "is not authorized"},
		{"no external id", carl, AssumeRole{RoleArn: ext}, "is not authorized"},
		{"session name", ann, AssumeRole{RoleArn: sessionName, RoleSessionName: "ann"}, ""},
		{"another session name", ann, AssumeRole{RoleArn: sessionName, RoleSessionName: "bob"}, "is not authorized"},
		{"root", root, AssumeRole{RoleArn: own}, "Roles may not be assumed by root accounts."},
		{"tags", ann, AssumeRole{RoleArn: own, Tags: []Tag{{"a", "b"}}}, ""},
		{"tags that nobody allows", ann, AssumeRole{RoleArn: plain, Tags: []Tag{{"a", "b"}}}, "sts:TagSession on resource: " + plain},
		{"source identity that nobody allows", ann, AssumeRole{RoleArn: plain, SourceIdentity: "ann"}, "sts:SetSourceIdentity on resource: " + plain},
		{"a second factor", ann, AssumeRole{RoleArn: own, SerialNumber: id("arn:aws:iam::1:mfa/x"), TokenCode: id("123456")}, "MultiFactorAuthentication failed"},
	} {
		if test.in.RoleSessionName == "" {
			test.in.RoleSessionName = "monday"
		}
		_, err := w.AssumeRole(t.Context(), test.by, test.in)
		if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, AccessDenied) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestRequestsForASessionRefused(t *testing.T) {
	w := newTown(t)
	ann := w.user(home, "ann", allow("*"))
	arn := w.role(home, "worker", trusting("*"), allow("*"))
	chained := w.enter(w.assume(ann, AssumeRole{
		RoleArn: arn, RoleSessionName: "first", SourceIdentity: "ann", Tags: []Tag{{"Team", "red"}}, TransitiveTagKeys: []string{"team"},
	}).Credentials)
	seconds := func(n int) *int { return &n }
	many := make([]Tag, 50)
	for i := range many {
		many[i] = Tag{secretText(100), secretText(200)}
	}
	for _, test := range []struct {
		name string
		by   Caller
		in   AssumeRole
		kind fault.Kind
		says string
	}{
		{"longer than the role's", ann, AssumeRole{DurationSeconds: seconds(7201)}, ValidationError, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."},
		{"a chain over an hour", chained, AssumeRole{DurationSeconds: seconds(3601)}, ValidationError, "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"},
		{"no policy", ann, AssumeRole{Narrowing: Narrowing{Policy: "{"}}, policy.Malformed, ""},
		{"a principal in it", ann, AssumeRole{Narrowing: Narrowing{Policy: trusting("*")}}, policy.Malformed, ""},
		{"no such policy", ann, AssumeRole{Narrowing: Narrowing{PolicyArns: []PolicyDescriptor{{"arn:aws:iam::" + home + ":policy/none"}}}}, ValidationError, "does not exist"},
		{"another account's", ann, AssumeRole{Narrowing: Narrowing{PolicyArns: []PolicyDescriptor{{"arn:aws:iam::" + abroad + ":policy/none"}}}}, ValidationError, "does not exist"},
		{"one key twice", ann, AssumeRole{Tags: []Tag{{"a", "1"}, {"A", "2"}}}, ValidationError, "Duplicate tag keys"},
		{"a reserved key", ann, AssumeRole{Tags: []Tag{{"AWS:a", "1"}}}, ValidationError, "reserved"},
		{"transitive and none", ann, AssumeRole{Tags: []Tag{{"a", "1"}}, TransitiveTagKeys: []string{"b"}}, ValidationError, "transitive tag key b"},
		{"an inherited tag", chained, AssumeRole{Tags: []Tag{{"TEAM", "blue"}}}, ValidationError, "inherited"},
		{"another source", chained, AssumeRole{SourceIdentity: "bob"}, ValidationError, "source identity"},
		{"too many tags", ann, AssumeRole{Tags: many}, PackedPolicyTooLarge, "consumes"},
	} {
		test.in.RoleArn, test.in.RoleSessionName = arn, "monday"
		_, err := w.AssumeRole(t.Context(), test.by, test.in)
		if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %s %s", test.name, err, test.kind, test.says)
		}
	}
}

// secretText is text that does not pack.
func secretText(n int) string {
	return base64.RawURLEncoding.EncodeToString(secret.Random(n).Reveal())[:n]
}

func TestChain(t *testing.T) {
	w := newTown(t)
	ann := w.user(home, "ann", allow("*"))
	arn := w.role(home, "worker", trusting("*"), allow("*"))
	step := func(by Caller, in AssumeRole) Caller {
		t.Helper()
		in.RoleArn, in.RoleSessionName = arn, "monday"
		return w.enter(w.assume(by, in).Credentials)
	}
	first := step(ann, AssumeRole{SourceIdentity: "ann", Tags: []Tag{{"Team", "red"}, {"Shift", "late"}}, TransitiveTagKeys: []string{"team"}})
	second := step(first, AssumeRole{Tags: []Tag{{"Desk", "7"}}})
	third := step(second, AssumeRole{})
	if first.Session.Chained || !second.Session.Chained || !third.Session.Chained {
		t.Error("chains are not told")
	}
	if got := second.Session.Tags; !maps.Equal(got, map[string]string{"Team": "red", "Desk": "7"}) {
		t.Errorf("the second session's tags are %v", got)
	}
	if got := third.Session.Tags; !maps.Equal(got, map[string]string{"Team": "red"}) || !slices.Equal(third.Session.Transitive, []string{"Team"}) {
		t.Errorf("the third session's tags are %v", got)
	}
	if third.Session.SourceIdentity != "ann" {
		t.Errorf("source identity %q", third.Session.SourceIdentity)
	}
	if got := third.Session.Expires.Sub(third.Session.Issued); got != time.Hour {
		t.Errorf("a chained session of %v", got)
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
		w.tokens = newRecent[tokenID, *openedToken](1)
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
