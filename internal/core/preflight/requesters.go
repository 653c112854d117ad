// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// requester is what is known of one who may use keys.
type requester struct {
	// generates and decrypts are the keys that he is allowed to use so: patterns of
	// ARNs. Conditions are not looked at: whoever may sometimes, may.
	generates, decrypts []string
	policies            []string // that allow GenerateDataKey
}

const (
	generate = "kms:GenerateDataKey"
	decrypt  = "kms:Decrypt"
)

// collect notes what a policy allows whom.
func (e *examiner) collect(all map[string]*requester, p *parsed) {
	if p.Kind != KeyPolicy && p.Kind != Inline && p.Kind != Managed {
		return
	}
	for i := range p.statements {
		s := &p.statements[i]
		writes, reads := s.covers(generate), s.covers(decrypt)
		if s.deny || !writes && !reads || !p.about(s, e.target.key) {
			continue
		}
		keys := s.node.get("Resource").strings()
		switch {
		case p.Kind == KeyPolicy:
			keys = []string{p.Resource}
		case s.node.get("NotResource") != nil:
			keys = []string{"*"}
		}
		for _, who := range e.requesters(p, s) {
			note(all, who, keys, writes, reads, p.Name)
		}
	}
}

// requesters lists whom a statement allows something, group by group their users.
func (e *examiner) requesters(p *parsed, s *statement) []string {
	if who := s.node.get("Principal"); who != nil {
		return principalsOf(who)
	}
	var out []string
	for _, c := range p.Concerns {
		if users, ok := e.in.Members[c]; ok {
			out = append(out, users...)
		} else {
			out = append(out, c)
		}
	}
	return out
}

func collectGrant(all map[string]*requester, g *Grant) {
	note(all, g.GranteePrincipal, []string{g.KeyID}, slices.Contains(g.Operations, "GenerateDataKey"), slices.Contains(g.Operations, "Decrypt"), "grant "+g.GrantID)
}

func note(all map[string]*requester, who string, keys []string, writes, reads bool, policy string) {
	r := all[who]
	if r == nil {
		r = &requester{}
		all[who] = r
	}
	if writes {
		r.generates = append(r.generates, keys...)
		if !slices.Contains(r.policies, policy) {
			r.policies = append(r.policies, policy)
		}
	}
	if reads {
		r.decrypts = append(r.decrypts, keys...)
	}
}

// writers warns of those who may generate data keys and not decrypt them: with a
// Bucket Key, parts of an upload and replicas are sealed under a key that is there
// already, which is opened by Decrypt.
func (e *examiner) writers(all map[string]*requester) {
	for _, who := range slices.Sorted(maps.Keys(all)) {
		r := all[who]
		var without []string
		for _, key := range r.generates {
			if e.target.key != "" {
				key = e.target.key
			}
			pattern := func(have string) bool {
				return have == key || matches(parsePattern(have, false, true), key, true) || strings.HasSuffix(have, "/"+key) || strings.HasSuffix(key, "/"+have) && have != ""
			}
			if !slices.ContainsFunc(r.decrypts, pattern) && !slices.Contains(without, key) {
				without = append(without, key)
			}
		}
		if len(without) > 0 {
			e.warn(who, strings.Join(r.policies, ", "), fmt.Sprintf("may use kms:GenerateDataKey and not kms:Decrypt on %s: with Bucket Keys, those who write need both, for multipart uploads and for replication", strings.Join(without, ", ")))
		}
	}
}
