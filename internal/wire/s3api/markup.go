// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// markup writes an XML document piece by piece. Listings are the largest answers
// that S3 gives and the most frequent after objects; reflection over their entries
// would cost more than finding them.
type markup struct{ buf []byte }

// xmlHeader begins every document, with the line break that S3 has there.
const xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

func (m *markup) declare() { m.buf = append(m.buf, xmlHeader...) }

func (m *markup) open(name string) {
	m.buf = append(m.buf, '<')
	m.buf = append(m.buf, name...)
	m.buf = append(m.buf, '>')
}

// root opens the document's element in S3's namespace.
func (m *markup) root(name string) {
	m.declare()
	m.buf = append(m.buf, '<')
	m.buf = append(m.buf, name...)
	m.buf = append(m.buf, ` xmlns="`+namespace+`">`...)
}

func (m *markup) close(name string) {
	m.buf = append(m.buf, "</"...)
	m.buf = append(m.buf, name...)
	m.buf = append(m.buf, '>')
}

// element writes text in an element. Characters that XML cannot hold are dropped.
func (m *markup) element(name, text string) {
	m.open(name)
	m.buf = appendText(m.buf, text, false)
	m.close(name)
}

// raw writes an element of which it is known that nothing needs escaping.
func (m *markup) raw(name, text string) {
	m.open(name)
	m.buf = append(m.buf, text...)
	m.close(name)
}

func (m *markup) number(name string, n int64) {
	m.open(name)
	m.buf = strconv.AppendInt(m.buf, n, 10)
	m.close(name)
}

func (m *markup) flag(name string, b bool) {
	m.open(name)
	m.buf = strconv.AppendBool(m.buf, b)
	m.close(name)
}

// etag writes an entity tag in its quotes.
func (m *markup) etag(tag string) {
	m.buf = append(m.buf, "<ETag>&quot;"...)
	m.buf = appendText(m.buf, tag, false)
	m.buf = append(m.buf, "&quot;</ETag>"...)
}

func (m *markup) time(name string, t time.Time) {
	m.open(name)
	m.buf = t.UTC().Truncate(time.Second).AppendFormat(m.buf, timestampLayout)
	m.close(name)
}

// key writes an object key or a part of one. With encoding "url" it is
// percent-encoded. Without, characters that XML 1.0 cannot hold are written as
// character references, as S3 does: most parsers refuse them, but none takes the
// key for another one. A client that wants to list such keys asks for the encoding.
func (m *markup) key(name, key, encoding string) {
	m.open(name)
	if encoding == "url" {
		m.buf = appendURLEncoded(m.buf, key)
	} else {
		m.buf = appendText(m.buf, key, true)
	}
	m.close(name)
}

// appendText escapes text. What XML 1.0 cannot hold becomes a character reference
// if refer is set, else it is dropped.
func appendText(dst []byte, s string, refer bool) []byte {
	plain := 0 // start of what needs no escaping
	for i := 0; i < len(s); {
		escape := ""
		size := 1
		switch b := s[i]; {
		case b == '&':
			escape = "&amp;"
		case b == '<':
			escape = "&lt;"
		case b == '>':
			escape = "&gt;"
		case b == '"':
			escape = "&quot;"
		case b == '\r': // a parser would make it a line feed
			escape = "&#13;"
		case b >= ' ' && b < utf8.RuneSelf, b == '\n', b == '\t':
			i++
			continue
		case b < ' ':
			if refer {
				escape = "&#x" + strconv.FormatInt(int64(b), 16) + ";"
			}
		default:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			invalid := r == utf8.RuneError && size == 1
			if !invalid && r != 0xFFFE && r != 0xFFFF {
				i += size
				continue
			}
			if refer && !invalid {
				escape = "&#x" + strconv.FormatInt(int64(r), 16) + ";"
			}
		}
		dst = append(dst, s[plain:i]...)
		dst = append(dst, escape...)
		i += size
		plain = i
	}
	return append(dst, s[plain:]...)
}

// appendURLEncoded writes a key as S3 does for encoding-type=url: like a form, but
// for the slash, which stays.
func appendURLEncoded(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		switch b := s[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9',
			b == '-', b == '_', b == '.', b == '*', b == '/':
			dst = append(dst, b)
		case b == ' ':
			dst = append(dst, '+')
		default:
			dst = append(dst, '%', hex[b>>4], hex[b&15])
		}
	}
	return dst
}
