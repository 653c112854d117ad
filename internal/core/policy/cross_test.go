// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"strings"
	"testing"

	. "github.com/cofferstore/coffer/internal/core/policy"
)

// caller is who asks, for both evaluators.
type caller struct {
	name string
	Principal
	ref refPrincipal
}

func callers() []caller {
	var all []caller
	for _, account := range []string{home, other} {
		u, s := user(account, "alice"), session(account, "batch", "run1")
		f := Principal{Type: FederatedUser, Account: account, ARN: "arn:aws:sts::" + account + ":federated-user/fred", ID: account + ":fred"}
		r := Principal{Type: Account, Account: account, ARN: "arn:aws:iam::" + account + ":root", ID: account}
		all = append(all,
			caller{"user of " + account, u, refPrincipal{"user", account, u.ARN, ""}},
			caller{"session of " + account, s, refPrincipal{"session", account, s.ARN, s.RoleARN}},
			caller{"federated of " + account, f, refPrincipal{"federated", account, f.ARN, ""}},
			caller{"root of " + account, r, refPrincipal{"root", account, r.ARN, ""}})
	}
	return append(all,
		caller{"anonymous", nobody, refPrincipal{kind: "anonymous"}},
		caller{"service", Principal{Type: Service, ARN: "s3.amazonaws.com"}, refPrincipal{kind: "service", arn: "s3.amazonaws.com"}})
}

// choice is one way to fill a part of a question, as documents' statements.
type choice struct {
	name       string
	statements []string // nil: there is no document
}

func (c choice) document() string {
	if c.statements == nil {
		return ""
	}
	return document(c.statements...)
}

// TestCrossProduct compares all combinations of what the parts of a decision may say with
// the reference.
func TestCrossProduct(t *testing.T) {
	const action, never = "s3:GetObject", "s3:ListBucket"
	identities := []choice{{"none", []string{allow(never), deny(never)}}, {"allow", []string{allow(action)}}, {"deny", []string{allow("*"), deny(action)}}}
	boundaries := []choice{{"none", nil}, {"allow", []string{allow("s3:*")}}, {"without", []string{allow(never)}}, {"deny", []string{allow("*"), deny("s3:Get*")}}}
	sessions := []choice{{"none", nil}, {"allow", []string{allow("s3:*")}}, {"without", []string{allow(never)}}, {"deny", []string{allow("*"), deny("s3:Get*")}}}
	controls := []choice{{"none", nil}, {"allow", []string{allow("*")}}, {"without", []string{"'Effect':'Allow','NotAction':'s3:*','Resource':'*'"}}}
	kms := strings.NewReplacer("s3:GetObject", "kms:Decrypt", "s3:ListBucket", "kms:Encrypt", "s3:Get*", "kms:De*", "s3:*", "kms:*", `"arn:aws:s3:::photos/*"`, `"*"`)

	cases, allowed := 0, 0
	for _, by := range callers() {
		self := "{'AWS':'" + by.ARN + "'}"
		switch by.Type {
		case Service:
			self = "{'Service':'" + by.ARN + "'}"
		case Anonymous:
			self = aws(alice.ARN)
		}
		account := by.Account
		if account == "" {
			account = other
		}
		role := "arn:aws:iam::" + account + ":role/batch"
		refuse := func(s string) string { return strings.Replace(s, "Allow", "Deny", 1) }
		not := func(list string) string {
			return "'Effect':'Deny','NotPrincipal':" + list + ",'Action':'" + action + "','Resource':'arn:aws:s3:::photos/*'"
		}
		everyone := grant("'*'", action)
		policies := []choice{
			{"none", nil},
			{"allow self", []string{grant(self, action)}},
			{"allow role", []string{grant(aws(role), action)}},
			{"allow account", []string{grant(aws(account), action)}},
			{"allow role and account", []string{grant("{'AWS':['"+role+"','"+account+"']}", action)}},
			{"allow everyone", []string{everyone}},
			{"allow strangers", []string{grant(aws("arn:aws:iam::"+account+":user/mallory"), action), grant(aws("999988887777"), action)}},
			{"deny self", []string{grant(self, action), refuse(grant(self, action))}},
			{"deny account", []string{everyone, refuse(grant(aws(account), action))}},
			{"deny role", []string{everyone, refuse(grant(aws(role), action))}},
			{"deny everyone", []string{grant(self, action), refuse(everyone)}},
			{"deny all but account", []string{everyone, not(aws(account))}},
			{"deny all but self", []string{everyone, not(self)}},
			{"deny all but self and account", []string{everyone, not("{'AWS':['" + by.ARN + "','" + account + "','" + role + "']}")}},
		}
		if by.Type == Service || by.Type == Anonymous {
			policies = policies[:len(policies)-1]
		}
		for _, policy := range policies {
			for _, identity := range identities {
				for _, boundary := range boundaries {
					for _, narrow := range sessions {
						for _, control := range controls {
							for mode := range 16 {
								q := refQuestion{
									by: by.ref, action: action, resource: photo, owner: home, closed: mode&1 != 0, grant: mode&2 != 0, decides: mode&4 != 0,
									boundary: boundary.document(), narrowed: narrow.statements != nil || mode == 8, policy: policy.document(),
								}
								// The empty session, no owner, controls, and closed buckets need not meet all else.
								if mode&8 != 0 && mode != 8 && mode != 9 && mode != 12 || control.statements != nil && mode&3 != 0 ||
									mode&1 != 0 && mode != 9 && narrow.statements != nil {
									continue
								}
								if mode == 9 {
									q.owner = ""
								}
								if identity.statements != nil {
									q.identity = []string{identity.document()}
								}
								if narrow.statements != nil {
									q.session = []string{narrow.document()}
								}
								if control.statements != nil {
									q.controls = [][]string{{document(allow("*"))}, {control.document()}}
								}
								kind := Bucket
								if q.decides {
									kind = Key
									for _, docs := range [][]string{q.identity, q.session} {
										for i := range docs {
											docs[i] = kms.Replace(docs[i])
										}
									}
									for _, level := range q.controls {
										for i := range level {
											level[i] = kms.Replace(level[i])
										}
									}
									q.boundary, q.policy = kms.Replace(q.boundary), kms.Replace(q.policy)
									q.action, q.resource = "kms:Decrypt", key1
								}
								question := q.question(t, by.Principal, kind)
								cases++
								want, explicit := refDecide(q)
								got := Decide(question)
								if got.Allowed != want || got.Explicit != explicit {
									t.Fatalf("%s, policy %s, identity %s, boundary %s, session %s, control %s, mode %d: %+v, want allowed %t, explicit %t",
										by.name, policy.name, identity.name, boundary.name, narrow.name, control.name, mode, got, want, explicit)
								}
								if full := Explain(question); full.Allowed != want || full.Explicit != explicit || full.Layer != got.Layer {
									t.Fatalf("explained as %+v, decided as %+v", full, got)
								}
								if got.Layer == "" || want != (got.Reason(q.action) == "") {
									t.Fatalf("%+v has the reason %q", got, got.Reason(q.action))
								}
								if want {
									allowed++
								}
							}
						}
					}
				}
			}
		}
	}
	t.Logf("%d cases, %d of them allowed", cases, allowed)
	if cases < 2000 || allowed < cases/20 {
		t.Errorf("%d cases, %d of them allowed: too few to tell", cases, allowed)
	}
}

var parsed = map[string]*Document{}

// question is the reference's question for the evaluator that is tested.
func (q *refQuestion) question(t testing.TB, by Principal, kind Kind) *Question {
	t.Helper()
	read := func(kind Kind, text string) *Document {
		key := kinds[kind] + text
		if d := parsed[key]; d != nil {
			return d
		}
		own := map[Kind]string{Bucket: "arn:aws:s3:::photos", Key: key1}[kind]
		d, err := Parse(kind, own, text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if len(parsed) > 10000 {
			clear(parsed)
		}
		parsed[key] = d
		return d
	}
	attach := func(kind Kind, texts []string) (all []Attached) {
		for _, text := range texts {
			all = append(all, Attached{Doc: read(kind, text)})
		}
		return all
	}
	c := RightsConfig{Policies: attach(Identity, q.identity), Session: attach(Session, q.session), Narrowed: q.narrowed}
	if q.boundary != "" {
		c.Boundary = &Attached{Doc: read(Identity, q.boundary)}
	}
	for _, level := range q.controls {
		c.Controls = append(c.Controls, attach(ServiceControl, level))
	}
	question := &Question{
		Principal: by, Rights: NewRights(c), Action: q.action, Resource: q.resource, Owner: q.owner, Context: Values(q.context),
		Decides: q.decides, Granted: q.grant, Closed: q.closed,
	}
	if q.policy != "" {
		question.Policy = read(kind, q.policy)
	}
	return question
}
