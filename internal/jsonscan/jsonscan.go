// SPDX-License-Identifier: Apache-2.0

// Package jsonscan finds members in the text of JSON, where there are many texts and little of
// each is wanted: decoding takes ten times as long.
package jsonscan

import (
	"bytes"
	"encoding/json"
)

// Scanner goes once through the text of a JSON value. The text may be anything: what is no
// JSON has no members, or some. Its slices are parts of the text. The methods that take a
// value take what comes next, whatever it is.
type Scanner struct {
	b      []byte
	i      int
	failed bool // what is at i is no JSON
}

// New returns a scanner of a text.
func New(text []byte) Scanner { return Scanner{b: text} }

// Object calls fn for the members of the object that comes next, with the name without
// its quotes. fn takes the value with a method of the scanner, or leaves it. What is no
// object has no members.
func (s *Scanner) Object(fn func(name []byte)) {
	if s.peek() != '{' {
		s.skip()
		return
	}
	for s.i++; s.peek() == '"'; s.i++ {
		name := s.string()
		if s.peek() != ':' {
			s.failed = true
			return
		}
		s.i++
		s.peek()
		begin := s.i
		fn(name)
		if s.i == begin {
			s.skip()
		}
		if s.peek() != ',' {
			break
		}
	}
	s.closed('}')
}

// Array calls fn for the elements of the array that comes next, as Object does.
func (s *Scanner) Array(fn func()) {
	if s.peek() != '[' {
		s.skip()
		return
	}
	for s.i++; s.peek() != ']'; s.i++ {
		begin := s.i
		fn()
		if s.i == begin {
			s.skip()
		}
		if s.peek() != ',' {
			break
		}
	}
	s.closed(']')
}

// Text returns what the string that comes next says; nil for another value.
func (s *Scanner) Text() []byte {
	if s.peek() != '"' {
		s.skip()
		return nil
	}
	begin := s.i
	inner := s.string()
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	var said string
	if s.failed || json.Unmarshal(s.b[begin:s.i], &said) != nil {
		return nil
	}
	return []byte(said)
}

// Value returns the text of the value that comes next.
func (s *Scanner) Value() []byte {
	s.peek()
	begin := s.i
	s.skip()
	return s.b[begin:s.i]
}

// Whole reports whether nothing comes next, and all before was JSON as far as that was
// looked at.
func (s *Scanner) Whole() bool { return s.peek() == 0 && !s.failed && s.i == len(s.b) }

// peek passes over space and returns the next byte, 0 if there is none.
func (s *Scanner) peek() byte {
	if s.failed {
		return 0
	}
	for s.i < len(s.b) {
		c := s.b[s.i]
		if c > ' ' || c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c
		}
		s.i++
	}
	return 0
}

// closed takes the bracket that ends an object or an array.
func (s *Scanner) closed(bracket byte) {
	if s.peek() != bracket {
		s.failed = true
		return
	}
	s.i++
}

// string takes the string at i, and returns it without its quotes.
func (s *Scanner) string() []byte {
	begin := s.i + 1
	for i := begin; i < len(s.b); i++ {
		n := bytes.IndexByte(s.b[i:], '"')
		if n < 0 {
			break
		}
		i += n
		slashes := 0
		for s.b[i-1-slashes] == '\\' {
			slashes++ // ends at the string's own quote, at the latest
		}
		if slashes%2 == 0 {
			s.i = i + 1
			return s.b[begin:i]
		}
	}
	s.failed = true
	return nil
}

// skip takes a value.
func (s *Scanner) skip() {
	switch s.peek() {
	case '"':
		s.string()
		return
	case '{', '[':
	default:
		begin := s.i
		for s.i < len(s.b) && inLiteral(s.b[s.i]) {
			s.i++
		}
		s.failed = s.failed || s.i == begin
		return
	}
	for depth := 0; s.i < len(s.b); {
		switch s.b[s.i] {
		case '"':
			if s.string(); s.failed {
				return
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				s.i++
				return
			}
		}
		s.i++
	}
	s.failed = true
}

// inLiteral reports whether a byte occurs in numbers, true, false and null.
func inLiteral(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || c == '.' || c == '-' || c == '+' || c == 'E'
}
