// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/policy"
)

// TestEveryCondition compares what is said of every operator with every pair of values
// with what the policies' own evaluator decides.
func TestEveryCondition(t *testing.T) {
	values := []string{"photos/*", "photos", "photos/in/*", "photos/a", "pho*", "*/a", "videos/*", "photos/${aws:username}/*", "photos/?*"}
	// Asterisks may stand in keys of objects, where operators of equality look for them.
	objects := []string{"photos/a", "photos/in/x", "photos/zz", "photos/ann/x", "photos/*", "photos/in/*", "photos/?*", "photos/ann/*"}
	cases := 0
	for _, name := range slices.Sorted(maps.Keys(operators)) {
		for i := range values {
			for j := i; j < len(values); j++ {
				for _, effect := range []string{"Allow", "Deny"} {
					cases++
					all := slices.Compact([]string{values[i], values[j]})
					doc := inline(effect, "'Action':'kms:*','Resource':'*'", on(name, all...))
					allows := evaluator(t, doc.Text, effect == "Deny")
					some, every := false, true
					for _, o := range objects {
						some, every = some || allows(o), every && allows(o)
					}
					bucket := allows("photos")
					var want []Effect
					if some && !bucket {
						want = append(want, map[string]Effect{"Allow": StopsAllowing, "Deny": StartsDenying}[effect])
					}
					if !every && bucket {
						want = append(want, map[string]Effect{"Allow": StartsAllowing, "Deny": StopsDenying}[effect])
					}
					r := run(t, &Input{Documents: []Document{doc}})
					label := effect + " " + name + " " + strings.Join(all, " ")
					named := slices.ContainsFunc(all, func(v string) bool {
						return matches(parsePattern(v, operators[name].equal, true), "photos", false)
					})
					switch {
					case len(r.Findings) > 1:
						t.Errorf("%s: found %+v", label, r.Findings)
					case len(r.Findings) == 1 && !slices.Contains(want, r.Findings[0].Effect):
						t.Errorf("%s: %s, and the evaluator says %v", label, r.Findings[0].Effect, want)
					case len(r.Findings) == 0 && len(want) > 0 && !named:
						// With the bucket named the policy is as an edit leaves it.
						t.Errorf("%s: nothing is found, and the evaluator says %v", label, want)
					case len(r.Findings) == 1 && len(r.Findings[0].Edited) > 0 && !r.Findings[0].Proven:
						t.Errorf("%s: not proven: %s", label, r.Findings[0].Unproven)
					}
				}
			}
		}
	}
	if cases < 800 {
		t.Errorf("%d cases", cases)
	}
}

// evaluator says what a policy allows ann in a context; beside is that another policy
// allows everything.
func evaluator(t *testing.T, text string, beside bool) func(resource string) bool {
	t.Helper()
	doc, err := policy.Parse(policy.Identity, "", text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	everything, err := policy.Parse(policy.Identity, "", allowAll)
	if err != nil {
		t.Fatal(err)
	}
	policies := []policy.Attached{{Name: "p", Doc: doc}}
	if beside {
		policies = append(policies, policy.Attached{Name: "all", Doc: everything})
	}
	rights := policy.NewRights(policy.RightsConfig{Policies: policies})
	return func(resource string) bool {
		return policy.Decide(&policy.Question{
			Principal: policy.Principal{Type: policy.User, Account: anyAccount, ARN: "arn:aws:iam::" + anyAccount + ":user/ann", ID: "AIDAANN"},
			Rights:    rights, Action: "kms:Decrypt", Resource: key1, Owner: anyAccount,
			Context: policy.Values{contextKey: {"arn:aws:s3:::" + resource}, "aws:username": {"ann"}},
		}).Allowed
	}
}
