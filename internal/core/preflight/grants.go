// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// pair is the pair of the encryption context that S3 adds.
const pair = "aws:s3:arn"

// grantRequest is the document of CreateGrant (aws kms create-grant --cli-input-json).
type grantRequest struct {
	Name              string           `json:"Name,omitempty"`
	KeyID             string           `json:"KeyId"`
	GranteePrincipal  string           `json:"GranteePrincipal"`
	RetiringPrincipal string           `json:"RetiringPrincipal,omitempty"`
	Operations        []string         `json:"Operations"`
	Constraints       GrantConstraints `json:"Constraints,omitzero"`
}

// maxGrantName bounds the name of a grant (KMS API Reference, CreateGrant).
const maxGrantName = 256

// grant looks at one grant. Its constraints are compared as texts: there are no
// wildcards in them.
func (e *examiner) grant(g *Grant) {
	object := ""
	for _, v := range []string{g.Constraints.Equals[pair], g.Constraints.Subset[pair]} {
		if strings.HasPrefix(v, e.target.prefix) {
			object = v
		}
	}
	if object == "" || !slices.ContainsFunc(s3Uses, func(a string) bool { return slices.Contains(g.Operations, strings.TrimPrefix(a, "kms:")) }) {
		return
	}
	second := grantRequest{
		Name: g.Name, KeyID: g.KeyID, GranteePrincipal: g.GranteePrincipal, RetiringPrincipal: g.RetiringPrincipal, Operations: g.Operations,
		Constraints: GrantConstraints{e.target.moved(g.Constraints.Equals), e.target.moved(g.Constraints.Subset)},
	}
	if g.Name != "" && len(g.Name)+len(grantSuffix) <= maxGrantName {
		second.Name = g.Name + grantSuffix
	}
	f := Finding{
		Kind: GrantOf, Policy: g.GrantID, Key: g.KeyID, Sid: g.Name, Concerns: []string{g.GranteePrincipal}, Effect: StopsAllowing, Widens: true,
		Why: fmt.Sprintf("With a Bucket Key the encryption context is %s, and the grant's constraint is %s: the grant would not allow KMS requests for what is written from then on.", e.target.bucket, object),
		Advice: []string{
			"A grant cannot be changed: create a second one beside it with this request (aws kms create-grant --cli-input-json), and keep the old one for the objects that exist.",
			fmt.Sprintf("A Bucket Key serves every object of the bucket: the second grant allows KMS requests for all of %s. Let the Resource of statements for s3:GetObject and s3:PutObject be what the grantee may use.", e.target.name),
		},
	}
	f.Statement, _ = json.Marshal(g) // of texts they cannot fail
	f.Edited, _ = json.Marshal(second)
	f.Covered = slices.ContainsFunc(e.in.Grants, func(other Grant) bool {
		return other.KeyID == g.KeyID && other.GranteePrincipal == g.GranteePrincipal && containsAll(other.Operations, g.Operations) &&
			proveGrant(g, &other, object, e.target.bucket) == nil
	})
	if err := proveGrant(g, &Grant{Constraints: second.Constraints, Operations: second.Operations}, object, e.target.bucket); err != nil {
		f.Unproven = err.Error()
	} else {
		f.Proven = true
	}
	e.out.Findings = append(e.out.Findings, f)
}

const grantSuffix = "-bucket-key"

func containsAll(have, want []string) bool {
	return !slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(have, w) })
}

// moved returns the pairs with the bucket's ARN for an object's.
func (t *target) moved(pairs map[string]string) map[string]string {
	if !strings.HasPrefix(pairs[pair], t.prefix) {
		return pairs
	}
	pairs = maps.Clone(pairs)
	pairs[pair] = t.bucket
	return pairs
}

// admits reports whether a grant is for a context (KMS API Reference,
// GrantConstraints).
func (c *GrantConstraints) admits(context map[string]string) bool {
	if c.Equals != nil && !maps.Equal(c.Equals, context) {
		return false
	}
	for k, v := range c.Subset {
		if have, ok := context[k]; !ok || have != v {
			return false
		}
	}
	return true
}

// proveGrant shows that a second grant allows, in the bucket's context, what a grant
// allows in an object's, with the pairs that the constraints ask for and with more.
func proveGrant(old, second *Grant, object, bucket string) error {
	if !containsAll(second.Operations, old.Operations) {
		return fmt.Errorf("the second grant has not all operations of the first")
	}
	matched := false
	for _, more := range []string{"", "department"} {
		context := map[string]string{}
		maps.Copy(context, old.Constraints.Equals)
		maps.Copy(context, old.Constraints.Subset)
		if more != "" {
			context[more] = "10103.0"
		}
		context[pair] = object
		before := old.Constraints.admits(context)
		matched = matched || before
		context[pair] = bucket
		if before && !second.Constraints.admits(context) {
			return fmt.Errorf("the second grant does not admit %v", context)
		}
	}
	if !matched {
		return fmt.Errorf("no encryption context fulfils both constraints of the grant")
	}
	return nil
}
