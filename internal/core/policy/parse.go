// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"regexp"
	"slices"
	"strings"
)

// Document is a parsed policy. It does not change.
type Document struct {
	kind       Kind
	text       string
	id         string
	variables  bool // its version has them
	statements []statement
	index      index
}

// statement is one of a document's, prepared.
type statement struct {
	sid          string
	at           int // in the document, from 0
	start, end   int // in the text
	deny         bool
	principals   *principals // nil in the documents of principals
	notPrincipal bool
	actions      []action
	notAction    bool
	resources    []resource
	notResource  bool
	anywhere     bool // there are no resources to ask for, as in trust policies
	idle         bool // it has no effect, for want of actions or resources
	conditions   []condition
	written      texts
}

// texts are a statement's as they were written.
type texts struct {
	principals         []PrincipalName
	actions, resources []string
}

// Parse reads a document of a kind. own is the ARN of the resource that a Bucket or
// Key policy belongs to, "" for other kinds, and for a Bucket policy of which it is not
// known. Fault: Malformed. Its size is the caller's affair, see [Size], up to [MaxText].
func Parse(kind Kind, own, text string) (*Document, error) {
	d := &Document{kind: kind, text: text}
	if p := d.read(own); p != nil {
		return nil, p.fault(kind)
	}
	d.build()
	return d, nil
}

// Text returns the document as it was written.
func (d *Document) Text() string { return d.text }

func (d *Document) read(own string) *problem {
	root, err := readJSON(d.text)
	if err == errJSON || err == nil && (root.kind != '{' || d.kind == Bucket && d.text[0] != '{') {
		if d.kind == Bucket && err == errJSON && strings.HasPrefix(d.text, "{") {
			return &problem{flaw: brokenJSON}
		}
		return &problem{flaw: notJSON}
	}
	if err != nil {
		return &problem{flaw: syntax}
	}
	for _, m := range root.members {
		switch m.name {
		case "Version", "Id":
			if m.value.kind != '"' {
				return &problem{flaw: syntax}
			}
		case "Statement":
		default:
			return &problem{unknownElement, m.name}
		}
	}
	if n := root.under("Version"); n != nil {
		if n.text != "2012-10-17" && n.text != "2008-10-17" {
			return &problem{version, n.text}
		}
		d.variables = n.text == "2012-10-17"
	}
	if n := root.under("Id"); n != nil {
		d.id = n.text
	}
	all := root.under("Statement")
	if all == nil {
		return &problem{missing, "Statement"}
	}
	if len(all.list()) == 0 {
		return &problem{flaw: noStatements}
	}
	sids := map[string]bool{}
	for i, n := range all.list() {
		st := statement{at: i, start: n.start, end: n.end}
		if p := d.statement(&st, n, own); p != nil {
			return p
		}
		if st.sid != "" && sids[st.sid] {
			return &problem{sidTwice, st.sid}
		}
		sids[st.sid] = true
		d.statements = append(d.statements, st)
	}
	return nil
}

// statement reads one statement: its form first, and then what each element says.
func (d *Document) statement(st *statement, n *node, own string) *problem {
	if n.kind != '{' {
		return &problem{flaw: syntax}
	}
	for _, m := range n.members {
		if p := d.form(m); p != nil {
			return p
		}
	}
	for _, pair := range [][2]string{{"Principal", "NotPrincipal"}, {"Action", "NotAction"}, {"Resource", "NotResource"}} {
		if n.under(pair[0]) != nil && n.under(pair[1]) != nil {
			return &problem{flaw: syntax}
		}
	}
	for _, read := range []func(*statement, *node, string) *problem{d.effect, d.principal, d.sid, d.action, d.resource, d.condition} {
		if p := read(st, n, own); p != nil {
			return p
		}
	}
	if d.kind == Bucket {
		if p := st.applies(); p != nil {
			return p
		}
		return st.fits()
	}
	return nil
}

func (d *Document) form(m member) *problem {
	ok := true
	switch m.name {
	case "Sid", "Effect":
		ok = m.value.kind == '"'
	case "Principal", "NotPrincipal":
		ok = m.value.kind == '"' || m.value.kind == '{'
	case "Action", "NotAction", "Resource", "NotResource":
		// What is an empty list is said by kind.
		if m.value.kind != '[' || len(m.value.items) > 0 {
			_, ok = stringsOf(m.value)
		}
	case "Condition":
		ok = m.value.kind == '{'
	default:
		return &problem{unknownElement, m.name}
	}
	if !ok {
		return &problem{flaw: d.unreadable(m)}
	}
	return nil
}

// unreadable is what is wrong with an element that has not the form it must have. S3
// tells an empty string from what is no string.
func (d *Document) unreadable(m member) flaw {
	empty := slices.ContainsFunc(m.value.list(), func(n *node) bool { return n.kind == '"' && n.text == "" })
	switch {
	case d.kind != Bucket || !empty:
	case m.name == "Action" || m.name == "NotAction":
		return actionName
	case m.name == "Resource" || m.name == "NotResource":
		return resourceForm
	}
	return syntax
}

// stringsOf returns a string, or the strings of a list that is not empty.
func stringsOf(n *node) (all []string, ok bool) {
	for _, v := range n.list() {
		if v.kind != '"' || v.text == "" {
			return nil, false
		}
		all = append(all, v.text)
	}
	return all, len(all) > 0
}

// The characters of a Sid: IAM's are narrow, resources' policies take any that print.
var (
	identitySid = regexp.MustCompile(`^[A-Za-z0-9]*$`)
	resourceSid = regexp.MustCompile(`^[\x20-\x{d7ff}\x{e000}-\x{fffd}]*$`)
)

func (d *Document) sid(st *statement, n *node, _ string) *problem {
	s := n.under("Sid")
	if s == nil {
		return nil
	}
	allowed := identitySid
	if d.kind == Bucket || d.kind == Key {
		allowed = resourceSid
	}
	if st.sid = s.text; !allowed.MatchString(s.text) {
		return &problem{sid, s.text}
	}
	return nil
}

func (d *Document) effect(st *statement, n *node, _ string) *problem {
	e := n.under("Effect")
	switch {
	case e == nil && d.kind == Key:
		return &problem{effect, ""}
	case e == nil:
		return &problem{missing, "Effect"}
	case e.text != "Allow" && e.text != "Deny":
		return &problem{effect, e.text}
	}
	st.deny = e.text == "Deny"
	return nil
}

// ofResource says that documents of the kind name principals.
func (k Kind) ofResource() bool { return k == Trust || k == Bucket || k == Key }

func (d *Document) principal(st *statement, n *node, _ string) *problem {
	of := n.under("Principal")
	if not := n.under("NotPrincipal"); not != nil {
		of, st.notPrincipal = not, true
	}
	switch {
	case !d.kind.ofResource() && of != nil:
		return &problem{flaw: principalForbidden}
	case !d.kind.ofResource():
		return nil
	case of == nil && d.kind == Key:
		return &problem{flaw: principalForbidden}
	case of == nil:
		return &problem{missing, "Principal"}
	case st.notPrincipal && (!st.deny || d.kind == Trust):
		return &problem{flaw: notPrincipalAllowed}
	}
	var p *problem
	st.principals, p = newPrincipals(d.kind, of)
	if p == nil {
		st.written.principals = namesOf(of)
	}
	return p
}

func (d *Document) action(st *statement, n *node, _ string) *problem {
	of := n.under("Action")
	if not := n.under("NotAction"); not != nil {
		of, st.notAction = not, true
	}
	if of == nil || len(of.list()) == 0 {
		if d.kind == Key && of == nil {
			st.idle = true
			return nil
		}
		if d.kind == Key {
			return &problem{flaw: syntax}
		}
		if d.kind == Bucket && of != nil {
			return &problem{flaw: actionName}
		}
		return &problem{flaw: actionNone}
	}
	st.written.actions, _ = stringsOf(of)
	for _, text := range st.written.actions {
		a, f := newAction(text)
		if f == actionVendor {
			text, _, _ = strings.Cut(text, ":")
		}
		if f != fine {
			return &problem{f, text}
		}
		if d.kind == Trust && a.service != "sts" {
			return &problem{actionTrust, text}
		}
		if d.kind == Bucket && !knownS3(&a) {
			return &problem{actionName, text}
		}
		st.actions = append(st.actions, a)
	}
	return nil
}

func (d *Document) resource(st *statement, n *node, own string) *problem {
	of := n.under("Resource")
	name := "Resource"
	if not := n.under("NotResource"); not != nil {
		of, st.notResource, name = not, true, "NotResource"
	}
	switch {
	case d.kind == Trust && of != nil:
		return &problem{resourceForbidden, name}
	case d.kind == Trust:
		st.anywhere = true
		return nil
	case of == nil && d.kind == Key:
		st.idle = true
		return nil
	case of != nil && len(of.list()) == 0 && d.kind == Key:
		return &problem{flaw: syntax}
	case of != nil && len(of.list()) == 0 && d.kind == Bucket:
		return &problem{flaw: resourceForm}
	case of == nil || len(of.list()) == 0:
		return &problem{flaw: resourceNone}
	}
	st.written.resources, _ = stringsOf(of)
	for _, text := range st.written.resources {
		r, f := newResource(text, d.variables)
		if f == fine && d.kind == Bucket && !r.within(own) {
			f = resourceForeign
		}
		if f != fine {
			return &problem{f, text}
		}
		st.resources = append(st.resources, r)
	}
	return nil
}

func (d *Document) condition(st *statement, n *node, _ string) *problem {
	of := n.under("Condition")
	if of == nil {
		return nil
	}
	for _, operator := range of.members {
		if operator.value.kind != '{' {
			return &problem{flaw: syntax}
		}
		for _, key := range operator.value.members {
			var values []string
			for _, v := range key.value.list() {
				if v.kind == '{' || v.kind == '[' {
					return &problem{flaw: syntax}
				}
				values = append(values, v.text)
			}
			if len(values) == 0 || key.name == "" {
				return &problem{flaw: syntax}
			}
			if d.kind == Key && overlyPermissive(operator.name, key.name) {
				return &problem{tooPermissive, operator.name + " with " + key.name}
			}
			c, ok := newCondition(operator.name, key.name, values, d.variables)
			if !ok {
				if _, known := newCondition(operator.name, "", nil, false); known {
					return &problem{variableInvalid, operator.name}
				}
				return &problem{operatorUnknown, operator.name}
			}
			if d.kind == Bucket && c.key == "aws:sourceip" && slices.ContainsFunc(values, func(v string) bool {
				_, ok := parseNetwork(v)
				return !ok
			}) {
				return &problem{conditionAddress, key.name}
			}
			st.conditions = append(st.conditions, c)
		}
		if _, known := newCondition(operator.name, "", nil, false); !known {
			return &problem{operatorUnknown, operator.name}
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
