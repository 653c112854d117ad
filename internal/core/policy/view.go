// SPDX-License-Identifier: Apache-2.0

package policy

// PrincipalName is one of a statement's principals as it is written. Type is "AWS",
// "Service", "Federated" or "CanonicalUser"; of the principal "*" alone both are "*".
type PrincipalName struct{ Type, Value string }

// Condition is one key under one operator, as they are written.
type Condition struct {
	Operator string // "ForAllValues:StringLikeIfExists"
	Key      string
	Values   []string
}

// Statement is a statement as it is written. Elements that it lacks are nil.
type Statement struct {
	Sid   string
	Index int // in the document, from 0
	Start int // of its text in the document's
	End   int // behind its text
	Allow bool
	// Principals are those of NotPrincipal if NotPrincipal; likewise the next two.
	Principals   []PrincipalName
	NotPrincipal bool
	Actions      []string
	NotAction    bool
	Resources    []string
	NotResource  bool
	Conditions   []Condition // in the document's order
}

// Kind returns what the document was parsed as.
func (d *Document) Kind() Kind { return d.kind }

// ID returns the element Id, "" if there is none.
func (d *Document) ID() string { return d.id }

// Variables reports whether the document's version has policy variables.
func (d *Document) Variables() bool { return d.variables }

// Statements returns the statements in the document's order. They are the caller's to
// keep, but what they hold must not be changed.
func (d *Document) Statements() []Statement {
	all := make([]Statement, len(d.statements))
	for i := range d.statements {
		st := &d.statements[i]
		s := Statement{
			Sid: st.sid, Index: st.at, Start: st.start, End: st.end, Allow: !st.deny,
			Principals: st.written.principals, NotPrincipal: st.notPrincipal,
			Actions: st.written.actions, NotAction: st.notAction,
			Resources: st.written.resources, NotResource: st.notResource,
		}
		for j := range st.conditions {
			c := &st.conditions[j]
			v := Condition{Operator: c.name, Key: c.written}
			for k := range c.values {
				v.Values = append(v.Values, c.values[k].text)
			}
			s.Conditions = append(s.Conditions, v)
		}
		all[i] = s
	}
	return all
}

// Position is a place in a document's text: line and column, both from 1. Columns count
// characters.
type Position struct{ Line, Column int }

// Positions returns where each statement begins and where it ends, by its index, as
// simulations name them.
func (d *Document) Positions() [][2]Position {
	all := make([][2]Position, len(d.statements))
	here, at := Position{1, 1}, 0
	to := func(offset int) Position {
		for _, c := range d.text[at:offset] {
			if here.Column++; c == '\n' {
				here = Position{here.Line + 1, 1}
			}
		}
		at = offset
		return here
	}
	for i := range d.statements {
		all[i] = [2]Position{to(d.statements[i].start), to(d.statements[i].end)}
	}
	return all
}

// namesOf returns the principals of a valid Principal or NotPrincipal.
func namesOf(n *node) []PrincipalName {
	if n.kind == '"' {
		return []PrincipalName{{"*", "*"}}
	}
	var all []PrincipalName
	for _, m := range n.members {
		values, _ := stringsOf(m.value)
		for _, v := range values {
			all = append(all, PrincipalName{m.name, v})
		}
	}
	return all
}
