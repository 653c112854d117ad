// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// node is an element of a document. Configurations that S3 validates against a schema are
// read as trees: nothing unknown, nothing twice, nothing missing.
type node struct {
	XMLName  xml.Name
	Text     string `xml:",chardata"`
	Children []node `xml:",any"`
}

func (n *node) name() string { return n.XMLName.Local }

// recorded returns the element as audit records have it.
func (n *node) recorded() any {
	if len(n.Children) == 0 {
		return strings.TrimSpace(n.Text)
	}
	members := map[string]any{}
	for i := range n.Children {
		c := &n.Children[i]
		switch known := members[c.name()].(type) {
		case nil:
			members[c.name()] = c.recorded()
		case []any:
			members[c.name()] = append(known, c.recorded())
		default:
			members[c.name()] = []any{known, c.recorded()}
		}
	}
	return members
}

// parseTree reads a document with that root. Fault: MalformedXML.
func parseTree(b []byte, root string) (*node, error) {
	n := new(node)
	return n, parseXML(b, root, n)
}

// once refuses a document with an element that comes twice in another, but for those that
// may: of two, a decoder into fields would take the last. Fault: MalformedXML.
func once(b []byte, root string, but ...string) error {
	n, err := parseTree(b, root)
	if err != nil {
		return err
	}
	return n.once(but)
}

func (n *node) once(but []string) error {
	seen := make(map[string]bool, len(n.Children))
	for i := range n.Children {
		c := &n.Children[i]
		if seen[c.name()] && !slices.Contains(but, c.name()) {
			return malformedXML(fmt.Errorf("element %q more than once in %q", c.name(), n.name()))
		}
		seen[c.name()] = true
		if err := c.once(but); err != nil {
			return err
		}
	}
	return nil
}

// schema reads elements as a schema has them, and remembers the first thing that is not so.
// After an error it returns what is empty.
type schema struct{ err error }

func (s *schema) fail(format string, args ...any) {
	if s.err == nil {
		s.err = malformedXML(fmt.Errorf(format, args...))
	}
}

// only demands that the element has no other children than these.
func (s *schema) only(n *node, names ...string) {
	for i := range n.Children {
		if c := n.Children[i].name(); !slices.Contains(names, c) {
			s.fail("unknown element %q in %q", c, n.name())
		}
	}
	if len(n.Children) > 0 && strings.TrimSpace(n.Text) != "" {
		s.fail("text in %q", n.name())
	}
}

// all returns the children of that name.
func (s *schema) all(n *node, name string) []*node {
	var found []*node
	for i := range n.Children {
		if n.Children[i].name() == name {
			found = append(found, &n.Children[i])
		}
	}
	return found
}

// maybe returns the child of that name, nil for none.
func (s *schema) maybe(n *node, name string) *node {
	found := s.all(n, name)
	if len(found) > 1 {
		s.fail("element %q more than once in %q", name, n.name())
	}
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// one returns the child of that name.
func (s *schema) one(n *node, name string) *node {
	if c := s.maybe(n, name); c != nil {
		return c
	}
	s.fail("no element %q in %q", name, n.name())
	return new(node)
}

// text returns the text of the child of that name, as it is.
func (s *schema) text(n *node, name string) string {
	c := s.one(n, name)
	s.only(c)
	return c.Text
}

// word returns the text of the child of that name without the space around it.
func (s *schema) word(n *node, name string) string { return strings.TrimSpace(s.text(n, name)) }

// optional returns the text of the child of that name, nil when there is none.
func (s *schema) optional(n *node, name string) *string {
	c := s.maybe(n, name)
	if c == nil {
		return nil
	}
	s.only(c)
	return &c.Text
}

// number returns the number in the child of that name.
func (s *schema) number(n *node, name string) int {
	text := s.word(n, name)
	i, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		s.fail("%q is no number", text)
	}
	return int(i)
}
