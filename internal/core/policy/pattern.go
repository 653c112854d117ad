// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// In a prepared pattern these bytes, which no valid UTF-8 holds, are the wildcards. What
// a request brings may hold any byte, so a value that a variable is replaced with has
// them behind an escape.
const (
	anyRun  = '\xff' // *
	anyOne  = '\xfe' // ?
	escaped = '\xfd' // the next byte is meant literally
)

// pattern is a text of a policy, prepared for comparing.
type pattern struct {
	text  string // prepared; without wildcards the text to equal
	wild  bool   // text has wildcards or escapes
	open  bool   // text is literal up to one * at its end, which is cut off
	parts []part // when it has variables: what the text is put together from
	globs bool   // the parts know wildcards
}

// part is a prepared piece of text and the variable that follows it, if any.
type part struct {
	text       string
	key        string // in lower case; "" at the end
	fallback   string
	defaulting bool
}

var errVariable = errors.New("malformed policy variable")

// prepare reads a text in which * and ? may be wildcards, and ${...} variables from
// byte from on; from < 0: none.
func prepare(text string, globs bool, from int) (pattern, error) {
	p := pattern{globs: globs}
	if from < 0 {
		from = len(text)
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case globs && c == '*':
			// Several in a row are one.
			if s := b.String(); s == "" || s[len(s)-1] != anyRun {
				b.WriteByte(anyRun)
			}
		case globs && c == '?':
			b.WriteByte(anyOne)
		case c == '$' && i >= from && strings.HasPrefix(text[i:], "${"):
			n := strings.IndexByte(text[i:], '}')
			if n < 0 {
				return p, errVariable
			}
			name := text[i+2 : i+n]
			i += n
			switch name {
			case "*", "?", "$":
				b.WriteString(name)
				continue
			}
			v, err := variable(name)
			if err != nil {
				return p, err
			}
			v.text = b.String()
			b.Reset()
			p.parts = append(p.parts, v)
		default:
			b.WriteByte(c)
		}
	}
	if p.parts != nil {
		p.parts = append(p.parts, part{text: b.String()})
		return p, nil
	}
	p.text = b.String()
	n := wildcard(p.text)
	p.wild = n >= 0
	if p.wild && n == len(p.text)-1 && p.text[n] == anyRun {
		p.open, p.text = true, p.text[:n]
	}
	return p, nil
}

// wildcard returns where a prepared text has its first wildcard, -1 if nowhere.
func wildcard(s string) int {
	for i := range len(s) {
		if s[i] == anyRun || s[i] == anyOne {
			return i
		}
	}
	return -1
}

// variable reads what stands between ${ and }: a key and, after a comma and a space, a
// default in single quotes.
func variable(s string) (part, error) {
	key, fallback, defaulting := strings.Cut(s, ",")
	if defaulting {
		fallback = strings.TrimPrefix(fallback, " ")
		if len(fallback) < 2 || fallback[0] != '\'' || fallback[len(fallback)-1] != '\'' {
			return part{}, errVariable
		}
		fallback = fallback[1 : len(fallback)-1]
	}
	if key == "" || strings.ContainsAny(key, " \t\r\n${") {
		return part{}, errVariable
	}
	return part{key: strings.ToLower(key), fallback: fallback, defaulting: defaulting}, nil
}

// expand replaces the variables; it is not for open patterns. ok is false when a variable has no value: the request
// lacks the key, or has several values for it, and there is no default.
func (p *pattern) expand(c Context) (text string, ok bool) {
	if p.parts == nil {
		return p.text, true
	}
	var b strings.Builder
	for i := range p.parts {
		v := &p.parts[i]
		b.WriteString(v.text)
		if v.key == "" {
			continue
		}
		value := v.fallback
		if values, present := c.Values(v.key); present && len(values) == 1 {
			value = values[0]
		} else if !v.defaulting {
			return "", false
		}
		if p.globs {
			// A colon of a value must not shift the parts of an ARN, unless the value
			// begins the ARN.
			value = literally(value, b.Len() > 0)
		}
		b.WriteString(value)
	}
	return b.String(), true
}

// literally returns a value as a piece of a prepared pattern.
func literally(s string, colons bool) string {
	special := func(c byte) bool { return c >= escaped || colons && c == ':' }
	n := 0
	for i := range len(s) {
		if special(s[i]) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	b := make([]byte, 0, len(s)+n)
	for i := range len(s) {
		if special(s[i]) {
			b = append(b, escaped)
		}
		b = append(b, s[i])
	}
	return string(b)
}

// matches reports whether a value is what the pattern says.
func (p *pattern) matches(s string, c Context) bool {
	if p.parts != nil {
		text, ok := p.expand(c)
		if !ok {
			return false
		}
		if !p.globs {
			return text == s
		}
		return glob(text, s)
	}
	switch {
	case p.open:
		return strings.HasPrefix(s, p.text)
	case p.wild:
		return glob(p.text, s)
	}
	return s == p.text
}

// glob compares a value with a prepared pattern. Its time is bounded by the product of
// their lengths: a later * makes an earlier one's choice final.
func glob(p, s string) bool {
	i, j := 0, 0
	back, from := -1, 0 // the last *, and where in s it was tried to end
	for j < len(s) || i < len(p) {
		if i < len(p) {
			switch c := p[i]; {
			case c == anyRun:
				back, from = i, j
				i++
				continue
			case j == len(s):
			case c == anyOne:
				_, n := utf8.DecodeRuneInString(s[j:])
				i, j = i+1, j+n
				continue
			case c == escaped:
				if i+1 < len(p) && p[i+1] == s[j] {
					i, j = i+2, j+1
					continue
				}
			case c == s[j]:
				i, j = i+1, j+1
				continue
			}
		}
		if back < 0 || from >= len(s) {
			return false
		}
		_, n := utf8.DecodeRuneInString(s[from:])
		from += n
		i, j = back+1, from
	}
	return true
}

// segments splits a prepared ARN at its first five colons.
func segments(p string) (parts [6]string, ok bool) {
	n := 0
	start := 0
	for i := 0; i < len(p) && n < 5; i++ {
		switch p[i] {
		case escaped:
			i++
		case ':':
			parts[n] = p[start:i]
			n++
			start = i + 1
		}
	}
	if n < 5 {
		return parts, false
	}
	parts[5] = p[start:]
	return parts, true
}

// globARN compares each of an ARN's six parts.
func globARN(p, s string) bool {
	if p == "\xff" {
		p = "\xff:\xff:\xff:\xff:\xff:\xff"
	}
	want, ok := segments(p)
	if !ok {
		return false
	}
	for i := range want {
		got := s
		if i < 5 {
			if got, s, ok = strings.Cut(s, ":"); !ok {
				return false
			}
		}
		if !glob(want[i], got) {
			return false
		}
	}
	return true
}
