// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"maps"
)

// Fact is a member of requestParameters, responseElements or additionalEventData. Every
// request has some twenty, and maps of them would take more of its time than writing them.
type Fact struct {
	Name  string
	text  string
	value any // nil: it is text
}

// Facts are members of one object. They are only ever appended: of two of one name the
// later one counts, and who keeps the first few has them as they were.
type Facts []Fact

// Text adds a text.
func (f *Facts) Text(name, text string) { *f = append(*f, Fact{Name: name, text: text}) }

// Add adds a value of any of the types that the members of a record's maps have.
func (f *Facts) Add(name string, value any) {
	if text, ok := value.(string); ok {
		f.Text(name, text)
		return
	}
	if value == nil {
		value = null{}
	}
	*f = append(*f, Fact{Name: name, value: value})
}

// null is the value of a fact whose value is nil.
type null struct{}

// Value returns a fact's value.
func (f *Fact) Value() any {
	switch f.value.(type) {
	case nil:
		return f.text
	case null:
		return nil
	}
	return f.value
}

// Find returns the last fact of a name, nil for none.
func (f Facts) Find(name string) *Fact {
	for i := len(f) - 1; i >= 0; i-- {
		if f[i].Name == name {
			return &f[i]
		}
	}
	return nil
}

// onto returns a map with the facts and with what a map has.
func (f Facts) onto(m map[string]any) map[string]any {
	if len(f) == 0 {
		return m
	}
	out := make(map[string]any, len(f)+len(m))
	maps.Copy(out, m)
	for i := range f {
		out[f[i].Name] = f[i].Value()
	}
	return out
}

// Plain returns the record with all its members in its maps.
func (r Record) Plain() Record {
	r.RequestParameters, r.Parameters = r.Parameters.onto(r.RequestParameters), nil
	r.ResponseElements, r.Elements = r.Elements.onto(r.ResponseElements), nil
	r.AdditionalEventData, r.Facts = r.Facts.onto(r.AdditionalEventData), nil
	return r
}

// maxOrdered is how many facts are put into order without taking memory.
const maxOrdered = 32

// facts writes an object of the members of a map and of facts.
func (w *writer) facts(m map[string]any, f Facts) {
	if len(f) == 0 || len(m) > 0 || len(f) > maxOrdered {
		w.members(f.onto(m))
		return
	}
	var memory [maxOrdered]uint8
	order := memory[:0]
	for i := range f {
		at := len(order)
		for at > 0 && f[order[at-1]].Name > f[i].Name {
			at--
		}
		if at > 0 && f[order[at-1]].Name == f[i].Name {
			order[at-1] = uint8(i)
			continue
		}
		order = append(order, 0)
		copy(order[at+1:], order[at:])
		order[at] = uint8(i)
	}
	w.b = append(w.b, '{')
	for _, i := range order {
		w.foreign(f[i].Name)
		if f[i].value == nil {
			w.string(f[i].text)
		} else {
			w.value(f[i].Value())
		}
	}
	w.b = append(w.b, '}')
}
