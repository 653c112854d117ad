// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

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
