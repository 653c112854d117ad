// SPDX-License-Identifier: Apache-2.0

package preflight

import "strings"

// token is a part of a pattern: a character, or what stands for several texts.
type token struct {
	kind byte // 'c' a character, '?' any one, '*' any run, '$' a policy variable
	c    byte
	name string // of a variable
}

// parsePattern reads a value. Equal says that * and ? are characters; variables says
// that ${...} is a variable (Version 2012-10-17).
func parsePattern(s string, equal, variables bool) []token {
	var out []token
	for i := 0; i < len(s); i++ {
		if variables && strings.HasPrefix(s[i:], "${") {
			if end := strings.IndexByte(s[i:], '}'); end > 0 {
				name := s[i+2 : i+end]
				i += end
				if name == "*" || name == "?" || name == "$" {
					out = append(out, token{kind: 'c', c: name[0]})
				} else {
					out = append(out, token{kind: '$', name: name})
				}
				continue
			}
		}
		switch c := s[i]; {
		case !equal && (c == '*' || c == '?'):
			out = append(out, token{kind: c})
		default:
			out = append(out, token{kind: 'c', c: c})
		}
	}
	return out
}

// states are the places in a pattern that reading a text can lead to.
type states []bool

// begin returns the places before anything is read. May says that a variable is taken
// for any text; otherwise nothing is known of it, and it matches none.
func begin(p []token, may bool) states {
	s := make(states, len(p)+1)
	s[0] = true
	s.skip(p, may)
	return s
}

// skip goes on over what may be empty.
func (s states) skip(p []token, may bool) {
	for i, t := range p {
		if s[i] && (t.kind == '*' || t.kind == '$' && may) {
			s[i+1] = true
		}
	}
}

// read goes on over one character.
func (s states) read(p []token, c byte, may bool) states {
	next := make(states, len(s))
	for i, t := range p {
		if !s[i] {
			continue
		}
		switch {
		case t.kind == '*' || t.kind == '$' && may:
			next[i] = true
		case t.kind == '?' || t.kind == 'c' && t.c == c:
			next[i+1] = true
		}
	}
	next.skip(p, may)
	return next
}

func (s states) readAll(p []token, text string, may bool) states {
	for i := range len(text) {
		s = s.read(p, text[i], may)
	}
	return s
}

// matches reports whether a pattern matches a text.
func matches(p []token, text string, may bool) bool {
	return begin(p, may).readAll(p, text, may)[len(p)]
}

// matchesSome reports whether a pattern may match some text that begins with prefix
// and goes on.
func matchesSome(p []token, prefix string) bool {
	s := begin(p, true).readAll(p, prefix, true)
	for i := range p { // some text leads from any place to the end
		if s[i] {
			return true
		}
	}
	return false
}

// matchesAll reports whether a pattern matches every text that begins with prefix and
// goes on.
func matchesAll(p []token, prefix string) bool {
	s := begin(p, false).readAll(p, prefix, false)
	for i := range p {
		if s[i] && takesAll(p[i:]) {
			return true
		}
	}
	return false
}

// takesAll reports whether a pattern matches every text but the empty one.
func takesAll(p []token) bool {
	runs, single := 0, 0
	for _, t := range p {
		switch t.kind {
		case '*':
			runs++
		case '?':
			single++
		default:
			return false
		}
	}
	return runs > 0 && single <= 1
}
