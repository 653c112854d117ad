// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/fault"
)

// parsed is a document with its statements.
type parsed struct {
	*Document
	root       *node
	statements []statement
	variables  bool // ${...} are variables
}

// statement is one of a policy's.
type statement struct {
	node    *node
	index   int
	sid     string
	deny    bool
	clauses []clause // on the object's ARN in the encryption context
}

// clause is one key of one operator of a condition.
type clause struct {
	operator string // as it is written
	kind     operator
	values   *node
}

// operator is what a condition operator does to one value.
type operator struct {
	equal   bool // no wildcards
	arn     bool // compares part by part
	fold    bool // ignores case
	negated bool
}

// operators are those that compare texts and ARNs. Others never match an ARN.
var operators = map[string]operator{
	"StringEquals":              {equal: true},
	"StringNotEquals":           {equal: true, negated: true},
	"StringEqualsIgnoreCase":    {equal: true, fold: true},
	"StringNotEqualsIgnoreCase": {equal: true, fold: true, negated: true},
	"StringLike":                {},
	"StringNotLike":             {negated: true},
	"ArnEquals":                 {arn: true},
	"ArnLike":                   {arn: true},
	"ArnNotEquals":              {arn: true, negated: true},
	"ArnNotLike":                {arn: true, negated: true},
}

// findOperator reads the name of an operator. Set qualifiers and IfExists change
// nothing here: the key is there in every request that S3 makes, and has one value.
func findOperator(name string) (operator, bool) {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "ForAnyValue:"), "ForAllValues:")
	op, ok := operators[strings.TrimSuffix(name, "IfExists")]
	return op, ok
}

// contextKey is the condition key in question. Names of keys ignore case.
const contextKey = "kms:encryptioncontext:aws:s3:arn"

func parseDocument(d *Document) (*parsed, error) {
	root, err := parseTree(d.Text)
	if err != nil {
		return nil, fault.New(Malformed, "%s %s: %v", d.Kind, d.Name, err)
	}
	p := &parsed{Document: d, root: root}
	list := root.get("Statement")
	if list == nil {
		return nil, fault.New(Malformed, "%s %s: it has no Statement", d.Kind, d.Name)
	}
	if version := root.get("Version"); version != nil {
		p.variables = version.text == "2012-10-17"
	}
	all := []*node{list}
	if list.kind == '[' {
		all = list.values
	}
	for i, n := range all {
		if n.kind != '{' {
			return nil, fault.New(Malformed, "%s %s: line %d: a statement is no object", d.Kind, d.Name, lineOf(d.Text, n.start))
		}
		s := statement{node: n, index: i}
		if sid := n.get("Sid"); sid != nil {
			s.sid = sid.text
		}
		effect := n.get("Effect")
		switch {
		case effect == nil || effect.text != "Allow" && effect.text != "Deny":
			return nil, fault.New(Malformed, "%s %s: line %d: the Effect of a statement is neither Allow nor Deny", d.Kind, d.Name, lineOf(d.Text, n.start))
		default:
			s.deny = effect.text == "Deny"
		}
		s.clauses = findClauses(n.get("Condition"))
		p.statements = append(p.statements, s)
	}
	return p, nil
}

func lineOf(text string, at int) int { return 1 + strings.Count(text[:at], "\n") }

func findClauses(condition *node) (out []clause) {
	if condition == nil || condition.kind != '{' {
		return nil
	}
	for i, name := range condition.names {
		op, ok := findOperator(name)
		if keys := condition.values[i]; ok && keys.kind == '{' {
			for j, key := range keys.names {
				if strings.EqualFold(key, contextKey) {
					out = append(out, clause{name, op, keys.values[j]})
				}
			}
		}
	}
	return out
}

// s3Uses are the actions that S3 needs of a key for its callers, and CreateGrant,
// whose condition is on the context that a grant is for.
var s3Uses = []string{"kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:CreateGrant"}

// covers reports whether a statement is about an action.
func (s *statement) covers(action string) bool {
	if list := s.node.get("NotAction"); list != nil {
		return !matchesAny(list.strings(), action)
	}
	return matchesAny(s.node.get("Action").strings(), action)
}

// actions returns those of S3's uses that a statement is about.
func (s *statement) actions() []string {
	return slices.DeleteFunc(slices.Clone(s3Uses), func(a string) bool { return !s.covers(a) })
}

func matchesAny(patterns []string, action string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		return matches(parsePattern(strings.ToLower(p), false, false), strings.ToLower(action), false)
	})
}

// about reports whether a statement may be about a key; "" is any KMS key.
func (p *parsed) about(s *statement, key string) bool {
	if p.Kind == KeyPolicy {
		return true // its Resource can only be the key itself
	}
	if list := s.node.get("NotResource"); list != nil {
		return !slices.ContainsFunc(list.strings(), func(v string) bool {
			pattern := parsePattern(v, false, p.variables)
			if key == "" {
				return takesAll(pattern)
			}
			return matches(pattern, key, false)
		})
	}
	return slices.ContainsFunc(s.node.get("Resource").strings(), func(v string) bool {
		pattern := parsePattern(v, false, p.variables)
		if key == "" {
			return slices.ContainsFunc(partitions, func(partition string) bool { return matchesSome(pattern, "arn:"+partition+":kms:") })
		}
		return matches(pattern, key, true)
	})
}

var partitions = []string{"aws", "aws-cn", "aws-us-gov"}

// concerns returns whom a statement is about.
func (p *parsed) concerns(s *statement) []string {
	if out := principalsOf(s.node.get("Principal")); out != nil {
		return out
	}
	if out := principalsOf(s.node.get("NotPrincipal")); out != nil {
		for i := range out {
			out[i] = "everyone but " + out[i]
		}
		return out
	}
	if len(p.Concerns) == 0 {
		return []string{"nobody: it is attached to nothing"}
	}
	return p.Concerns
}

// principalsOf lists principals: "*", ARNs, account ids, and others with their type.
func principalsOf(n *node) (out []string) {
	switch {
	case n == nil:
		return nil
	case n.kind != '{':
		return n.strings()
	}
	for i, name := range n.names {
		for _, v := range n.values[i].strings() {
			if name != "AWS" {
				v = name + " " + v
			}
			out = append(out, v)
		}
	}
	return out
}
