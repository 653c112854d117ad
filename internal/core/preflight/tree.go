// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/cofferstore/coffer/internal/fault"
)

// Malformed: a text is no document of the kind that it should be. The message has the
// name and the line.
const Malformed fault.Kind = "preflight: malformed document"

// Bounds of what is read. The largest real file is the listing of an account's
// policies: 1,500 managed policies of 6 KiB, five versions each, and as much again
// inline.
const (
	MaxFile  = 128 << 20
	maxDepth = 64
)

// node is a JSON value that knows where in the text it stands, so that the text can be
// edited and all else stays as it was written.
type node struct {
	kind       byte // '{', '[', '"', or 'v' for a number, a boolean or null
	start, end int  // in the text
	text       string
	names      []string // of members
	values     []*node  // members' values, or elements
	blank      string   // of a list: what is between its bracket and its first element
}

// get returns a member, nil when there is none.
func (n *node) get(name string) *node {
	if n == nil || n.kind != '{' {
		return nil
	}
	for i, have := range n.names {
		if have == name {
			return n.values[i]
		}
	}
	return nil
}

// strings returns a value or the elements of a list, as texts.
func (n *node) strings() []string {
	switch {
	case n == nil || n.kind == '{':
		return nil
	case n.kind != '[':
		return []string{n.text}
	}
	out := make([]string, 0, len(n.values))
	for _, v := range n.values {
		if v.kind == '"' || v.kind == 'v' {
			out = append(out, v.text)
		}
	}
	return out
}

// parseTree reads JSON. The error has the line.
func parseTree(text string) (*node, error) {
	p := &treeParser{text: text, dec: json.NewDecoder(strings.NewReader(text))}
	p.dec.UseNumber()
	root, err := p.value(0)
	if err == nil {
		if _, more := p.dec.Token(); more != io.EOF {
			err = fmt.Errorf("something follows the end of the document")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", 1+strings.Count(text[:p.failedAt(err)], "\n"), plain(err))
	}
	return root, nil
}

type treeParser struct {
	text string
	dec  *json.Decoder
}

func (p *treeParser) failedAt(err error) int {
	at := p.dec.InputOffset()
	if syntax, ok := err.(*json.SyntaxError); ok {
		at = syntax.Offset
	}
	return int(min(max(at, 0), int64(len(p.text))))
}

func plain(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("the document ends early")
	}
	return err
}

// next returns the next token and where it begins.
func (p *treeParser) next() (json.Token, int, error) {
	from := int(p.dec.InputOffset())
	t, err := p.dec.Token()
	if err != nil {
		return nil, from, err
	}
	for from < len(p.text) && strings.IndexByte(" \t\r\n,:", p.text[from]) >= 0 {
		from++
	}
	return t, from, nil
}

func (p *treeParser) value(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("the document is nested deeper than %d", maxDepth)
	}
	t, start, err := p.next()
	if err != nil {
		return nil, err
	}
	n := &node{start: start}
	switch t := t.(type) {
	case json.Delim:
		n.kind = byte(t)
		err = p.inside(n, depth)
	case string:
		n.kind, n.text = '"', t
	default:
		n.kind, n.text = 'v', fmt.Sprint(t)
	}
	n.end = int(p.dec.InputOffset())
	return n, err
}

func (p *treeParser) inside(n *node, depth int) error {
	seen := map[string]bool{}
	for p.dec.More() {
		if n.kind == '{' {
			t, _, err := p.next()
			if err != nil {
				return err
			}
			name, _ := t.(string)
			if seen[name] {
				return fmt.Errorf("%q stands there twice", name)
			}
			seen[name] = true
			n.names = append(n.names, name)
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		if n.kind == '[' && len(n.values) == 0 {
			n.blank = p.text[n.start+1 : v.start]
		}
		n.values = append(n.values, v)
	}
	_, err := p.dec.Token() // the closing one
	return err
}

// insertion is text to be put into a document.
type insertion struct {
	at   int
	text string
}

// insert returns the part of a text from start to end with insertions, which are in
// order.
func insert(text string, start, end int, all []insertion) string {
	var b strings.Builder
	at := start
	for _, i := range all {
		if i.at < start || i.at > end {
			continue
		}
		b.WriteString(text[at:i.at])
		b.WriteString(i.text)
		at = i.at
	}
	b.WriteString(text[at:end])
	return b.String()
}

// quote writes a JSON string as people do, with <, > and & as they are.
func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // of a string it cannot fail
	return strings.TrimRight(b.String(), "\n")
}
