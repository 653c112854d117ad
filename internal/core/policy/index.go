// SPDX-License-Identifier: Apache-2.0

package policy

import "strings"

// index finds the statements that may match a question by its action and its resource,
// so that those of other services, actions and buckets cost nothing.
type index struct {
	all      []*entry
	literal  map[string]*bin // by action: statements that name it
	services map[string]*bin // by service: statements with wildcards in the name
	any      bin             // the rest
}

// entry is a statement where it stands.
type entry struct {
	*statement
	match []Match // it alone, ready for an answer
}

// few is up to how many statements are asked one by one.
const few = 4

// add puts a document's statements in; a nil document has none.
func (x *index) add(layer Layer, name string, d *Document) {
	if d == nil {
		return
	}
	for i := range d.statements {
		st := &d.statements[i]
		if !st.idle {
			x.all = append(x.all, &entry{st, []Match{{layer, name, st.sid, st.at}}})
		}
	}
}

// build orders what was added.
func (x *index) build() {
	if len(x.all) <= few {
		return
	}
	x.literal, x.services = map[string]*bin{}, map[string]*bin{}
	for _, e := range x.all {
		x.place(e)
	}
	for _, bins := range []map[string]*bin{x.literal, x.services, {"": &x.any}} {
		for _, b := range bins {
			b.build()
		}
	}
}

// place puts a statement into the bins of its actions, and nowhere where it would be found
// twice.
func (x *index) place(e *entry) {
	if e.notAction {
		x.any.all = append(x.any.all, e)
		return
	}
	wild := map[string]bool{}
	for i := range e.actions {
		switch a := &e.actions[i]; {
		case a.service == "":
			x.any.all = append(x.any.all, e)
			return
		case a.name.wild:
			wild[a.service] = true
		}
	}
	for service := range wild {
		into(x.services, service, e)
	}
	seen := map[string]bool{}
	for i := range e.actions {
		if name, ok := e.actions[i].literal(); ok && !wild[e.actions[i].service] && !seen[name] {
			seen[name] = true
			into(x.literal, name, e)
		}
	}
}

func into(bins map[string]*bin, key string, e *entry) {
	b := bins[key]
	if b == nil {
		b = &bin{}
		bins[key] = b
	}
	b.all = append(b.all, e)
}

// bin is statements that may match one action, by their resources if they are many.
type bin struct {
	all   []*entry
	exact map[string][]*entry // by a resource's ARN, and by an ARN up to its first /
	rest  []*entry
}

func (b *bin) build() {
	if len(b.all) <= few {
		return
	}
	b.exact = map[string][]*entry{}
	for _, e := range b.all {
		places, ok := e.places()
		if !ok {
			b.rest = append(b.rest, e)
			continue
		}
		for _, p := range places {
			b.exact[p] = append(b.exact[p], e)
		}
	}
}

// places returns the keys of a statement's resources: of one without wildcards its ARN,
// of others what precedes the first /. ok is false when one has none.
func (st *statement) places() (all []string, ok bool) {
	if st.notResource || st.anywhere {
		return nil, false
	}
	seen := map[string]bool{}
	for i := range st.resources {
		key, ok := st.resources[i].key()
		if !ok {
			return nil, false
		}
		if !seen[key] {
			seen[key] = true
			all = append(all, key)
		}
	}
	// A resource without wildcards below one with them would be found twice.
	for _, p := range all {
		if below := folder(p); below != p && seen[below] {
			return nil, false
		}
	}
	return all, true
}

func (r *resource) key() (string, bool) {
	if r.all {
		return "", false
	}
	literal := r.pattern.text
	if r.pattern.parts != nil {
		literal = r.pattern.parts[0].text
	} else if !r.pattern.wild {
		return literal, true
	}
	if n := special(literal); n >= 0 {
		literal = literal[:n]
	}
	if f := folder(literal); strings.HasSuffix(f, "/") {
		return f, true
	}
	return "", false
}

// special returns where a prepared text ceases to be literal, -1 if nowhere.
func special(s string) int {
	for i := range len(s) {
		if s[i] >= escaped {
			return i
		}
	}
	return -1
}

// folder returns an ARN up to its first /, or the whole of one that has none.
func folder(arn string) string {
	if n := strings.IndexByte(arn, '/'); n >= 0 {
		return arn[:n+1]
	}
	return arn
}

// each calls visit for all statements that may match.
func (x *index) each(action *lowered, resource string, visit func(*entry)) {
	if x.literal == nil {
		for _, e := range x.all {
			visit(e)
		}
		return
	}
	x.literal[action.whole].each(resource, visit)
	x.services[action.service].each(resource, visit)
	x.any.each(resource, visit)
}

func (b *bin) each(resource string, visit func(*entry)) {
	if b == nil {
		return
	}
	if b.exact == nil {
		for _, e := range b.all {
			visit(e)
		}
		return
	}
	for _, e := range b.exact[resource] {
		visit(e)
	}
	if f := folder(resource); f != resource {
		for _, e := range b.exact[f] {
			visit(e)
		}
	}
	for _, e := range b.rest {
		visit(e)
	}
}

// build makes the index of a document that is asked by itself.
func (d *Document) build() {
	d.index = index{}
	d.index.add(ByResource, "", d)
	d.index.build()
}
