// SPDX-License-Identifier: Apache-2.0

package policy

import "slices"

// Explanation is a decision with everything that bears on it.
type Explanation struct {
	Decision
	// Missing are the condition keys, in lower case and sorted, that statements which
	// speak of the action, the resource and the principal ask for, and that the request
	// does not have.
	Missing []string
}

// Explain decides as [Decide] does, and goes on where Decide may stop: Matched has every
// statement that allows, or that denies, and all keys that are asked for are looked up.
func Explain(q *Question) Explanation {
	x := &explanation{absent: map[string]bool{}}
	e := evaluation{asked: ask(q, x)}
	d := Explanation{Decision: e.decide(q)}
	for key := range x.absent {
		d.Missing = append(d.Missing, key)
	}
	slices.Sort(d.Missing)
	return d
}

type explanation struct{ absent map[string]bool }

// missing notes those of the keys that the request lacks.
func (x *explanation) missing(keys func(add func(string)), c Context) {
	keys(func(key string) {
		if _, present := c.Values(key); !present {
			x.absent[key] = true
		}
	})
}

// keys calls add for each condition key that the statement asks for.
func (st *statement) keys(add func(string)) {
	for i := range st.resources {
		st.resources[i].pattern.keys(add)
	}
	for i := range st.conditions {
		st.conditions[i].keys(add)
	}
}

// ContextKeys returns the condition keys that the document asks for, in lower case and
// sorted, each once: those of Condition and of variables.
func (d *Document) ContextKeys() []string {
	seen := map[string]bool{}
	var all []string
	for i := range d.statements {
		d.statements[i].keys(func(key string) {
			if !seen[key] {
				seen[key] = true
				all = append(all, key)
			}
		})
	}
	slices.Sort(all)
	return all
}
