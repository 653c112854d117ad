// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/cofferstore/coffer/internal/fault"
)

// checkPolicy reports whether text is a key policy: a policy document whose
// statements have an effect and a principal. What it allows is not asked here.
// Errors: LimitExceeded for its size, MalformedPolicy.
func checkPolicy(text string) error {
	if len(text) > maxPolicy {
		return fault.New(LimitExceeded, "The key policy exceeds %d bytes.", maxPolicy)
	}
	var d policyDocument
	if err := strictly([]byte(text), &d); err != nil {
		return fault.New(MalformedPolicy, "Syntax errors in policy.").Because(err)
	}
	if d.Version != "" && d.Version != "2012-10-17" && d.Version != "2008-10-17" {
		return malformed("Policy has an unknown version.")
	}
	if len(d.Statement) == 0 {
		return malformed("Policy must contain a statement.")
	}
	sids := map[string]bool{}
	for i := range d.Statement {
		st := &d.Statement[i]
		if st.Sid != "" && sids[st.Sid] {
			return malformed("Statement IDs (SID) in a single policy must be unique.")
		}
		sids[st.Sid] = true
		if err := st.check(); err != nil {
			return err
		}
	}
	return nil
}

func malformed(text string) error { return fault.New(MalformedPolicy, "%s", text) }

type policyDocument struct {
	Version   string
	ID        string `json:"Id"`
	Statement oneOrMore[statement]
}

// statement may lack actions or resources: KMS accepts that, and the statement
// then has no effect.
type statement struct {
	Sid          string
	Effect       string
	Principal    *principals
	NotPrincipal *principals
	Action       oneOrMore[string]
	NotAction    oneOrMore[string]
	Resource     oneOrMore[string]
	NotResource  oneOrMore[string]
	Condition    map[string]map[string]oneOrMore[scalar]
}

// action is a service's prefix and a pattern, or everything.
var action = regexp.MustCompile(`^(\*|[a-zA-Z0-9-]+:[a-zA-Z0-9*?]+)$`)

func (st *statement) check() error {
	if st.Effect != "Allow" && st.Effect != "Deny" {
		return malformed("Policy statement must have an effect of Allow or Deny.")
	}
	if (st.Principal == nil) == (st.NotPrincipal == nil) {
		return malformed("Policy statement must contain either a principal or a NotPrincipal.")
	}
	if st.Action != nil && st.NotAction != nil || st.Resource != nil && st.NotResource != nil {
		return malformed("Syntax errors in policy.")
	}
	for _, a := range append(append([]string(nil), st.Action...), st.NotAction...) {
		if !action.MatchString(a) {
			return malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
		}
	}
	for _, r := range append(append([]string(nil), st.Resource...), st.NotResource...) {
		if r != "*" && !strings.HasPrefix(r, "arn:") {
			return malformed(fmt.Sprintf(`Resource %s must be in ARN format or "*".`, r))
		}
	}
	for operator, keys := range st.Condition {
		for key := range keys {
			if overlyPermissive(operator, key) {
				return malformed("OverlyPermissiveCondition: " + operator + " with " + key + " also allows requests without it.")
			}
		}
	}
	return nil
}

// overlyPermissive: ForAllValues is true when the key is absent, which is never
// what is meant with these.
func overlyPermissive(operator, key string) bool {
	key = strings.ToLower(key)
	return strings.HasPrefix(strings.ToLower(operator), "forallvalues:") &&
		(strings.HasPrefix(key, "kms:encryptioncontext:") || strings.HasPrefix(key, "aws:requesttag/"))
}

// oneOrMore is a JSON value or an array of such values.
type oneOrMore[T any] []T

func (l *oneOrMore[T]) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		var many []T
		if err := strictly(b, &many); err != nil {
			return err
		}
		if len(many) == 0 {
			return fmt.Errorf("empty list")
		}
		*l = many
		return nil
	}
	var one T
	if err := strictly(b, &one); err != nil {
		return err
	}
	*l = oneOrMore[T]{one}
	return nil
}

// principals is "*" or lists of principals by type.
type principals struct{ named map[string]oneOrMore[string] }

func (p *principals) UnmarshalJSON(b []byte) error {
	if string(b) == `"*"` {
		return nil
	}
	if err := strictly(b, &p.named); err != nil {
		return err
	}
	if len(p.named) == 0 {
		return fmt.Errorf("no principal")
	}
	for kind := range p.named {
		switch kind {
		case "AWS", "Service", "Federated", "CanonicalUser":
		default:
			return fmt.Errorf("unknown principal type %q", kind)
		}
	}
	return nil
}

// scalar is a condition's value.
type scalar struct{}

func (*scalar) UnmarshalJSON(b []byte) error {
	if b[0] == '{' || b[0] == '[' || string(b) == "null" {
		return fmt.Errorf("condition value %s", b)
	}
	return nil
}

// strictly decodes one JSON value and refuses members that the type lacks. null
// is no value of any element.
func strictly(b []byte, into any) error {
	if string(bytes.TrimSpace(b)) == "null" {
		return fmt.Errorf("null")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("more than one JSON value")
	}
	return nil
}
