// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// MaxText is how long a document's text may be in bytes, whatever its kind: the bound
// of IAM's API. Services have smaller limits of their own.
const MaxText = 131072

// maxDepth bounds nesting. No document of the grammar is deeper than seven.
const maxDepth = 16

// node is a JSON value and where it stands in its text. encoding/json tells neither
// where a value is nor that a name occurs twice.
type node struct {
	kind       byte // { [ " or 0 for a number or a boolean
	start, end int  // in the text
	text       string
	members    []member
	items      []*node
}

type member struct {
	name       string
	start, end int // of the name, with its quotation marks
	value      *node
}

// under returns an object's member, nil if it has none.
func (n *node) under(name string) *node {
	for i := range n.members {
		if n.members[i].name == name {
			return n.members[i].value
		}
	}
	return nil
}

// list returns an array's items, or a value as a list of itself.
func (n *node) list() []*node {
	if n.kind == '[' {
		return n.items
	}
	return []*node{n}
}

var (
	errJSON      = errors.New("not JSON")
	errNull      = errors.New("null is no value of any element")
	errDeep      = errors.New("nested too deeply")
	errDuplicate = errors.New("a name occurs twice in one object")
)

// readJSON reads a text that must be one JSON value.
func readJSON(text string) (*node, error) {
	if len(text) > MaxText || !utf8.ValidString(text) || !json.Valid([]byte(text)) {
		return nil, errJSON
	}
	r := reader{text: text}
	return r.value(0)
}

// reader walks a text that is known to be valid JSON.
type reader struct {
	text string
	at   int
}

// next skips white space and the given separator, and returns the character there.
func (r *reader) next(separator byte) byte {
	for {
		switch c := r.text[r.at]; c {
		case ' ', '\t', '\n', '\r', separator:
			r.at++
		default:
			return c
		}
	}
}

func (r *reader) value(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, errDeep
	}
	c := r.next(':')
	n := &node{kind: c, start: r.at}
	var err error
	switch c {
	case '{':
		err = r.object(n, depth)
	case '[':
		r.at++
		for r.next(',') != ']' {
			item, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		r.at++
	case '"':
		n.text, err = r.string()
	case 'n':
		return nil, errNull
	default:
		n.kind = 0
		for r.at < len(r.text) && !ends(r.text[r.at]) {
			r.at++
		}
		n.text = r.text[n.start:r.at]
	}
	n.end = r.at
	return n, err
}

func (r *reader) object(n *node, depth int) error {
	r.at++
	seen := map[string]bool{}
	for r.next(',') != '}' {
		start := r.at
		name, err := r.string()
		if err != nil {
			return err
		}
		end := r.at
		if seen[name] {
			return errDuplicate
		}
		seen[name] = true
		value, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.members = append(n.members, member{name, start, end, value})
	}
	r.at++
	return nil
}

func (r *reader) string() (string, error) {
	start := r.at
	plain := true
	for r.at++; r.text[r.at] != '"'; r.at++ {
		if r.text[r.at] == '\\' {
			plain = false
			r.at++
		}
	}
	r.at++
	if plain {
		return r.text[start+1 : r.at-1], nil
	}
	var s string
	err := json.Unmarshal([]byte(r.text[start:r.at]), &s)
	return s, err
}

func ends(c byte) bool {
	switch c {
	case ' ', '\t', '\n', '\r', ',', ']', '}':
		return true
	}
	return false
}
