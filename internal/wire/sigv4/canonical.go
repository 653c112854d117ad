// SPDX-License-Identifier: Apache-2.0

package sigv4

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// head is the signed part of a request, and how to write it canonically.
type head struct {
	r           *http.Request
	path, query string // as sent

	signed    string // list of headers
	payload   string // the last line
	presigned bool   // the query holds the signature
	reencode  bool   // escape the path once more, as every service but S3 signs it
	recode    bool   // write the path's escapes canonically, not as sent
	hide      bool   // values that are secrets
}

// headOf takes the target from the request line, which no middleware rewrites
// and which keeps the client's escapes.
func headOf(r *http.Request) *head {
	h := &head{r: r}
	if strings.HasPrefix(r.RequestURI, "/") {
		h.path, h.query, _ = strings.Cut(r.RequestURI, "?")
		return h
	}
	h.path, h.query = r.URL.EscapedPath(), r.URL.RawQuery
	if h.path == "" {
		h.path = "/"
	}
	return h
}

// scratch is the memory of one verification, kept for the next.
type scratch struct {
	text       []byte // the canonical request
	toSign     []byte
	sum        []byte // its code
	parameters []byte // the query's, encoded
	order      []parameter
	name       []byte // of a header
}

// parameter is where a name and a value lie in scratch.parameters.
type parameter struct{ name, value, end int }

// clear forgets the request, whose headers may hold keys and tokens. It reports
// whether the memory is small enough to keep.
func (s *scratch) clear() bool {
	clear(s.text)
	clear(s.parameters)
	clear(s.sum)
	return cap(s.text)+cap(s.parameters) <= 64<<10
}

// canonical writes the canonical request to s.text.
func (s *scratch) canonical(h *head) {
	method := h.r.Method
	if method == "" {
		method = http.MethodGet
	}
	t := append(s.text[:0], method...)
	t = append(t, '\n')
	switch {
	case h.reencode:
		t = appendEscaped(t, h.path, true, false)
	case h.recode:
		t = appendEscaped(t, h.path, true, true)
	default:
		t = append(t, h.path...)
	}
	t = append(t, '\n')
	t = s.appendQuery(t, h)
	t = append(t, '\n')
	for list := h.signed; list != ""; {
		var name string
		name, list, _ = strings.Cut(list, ";")
		t = append(t, name...)
		t = append(t, ':')
		t = s.appendHeader(t, h, name)
		t = append(t, '\n')
	}
	t = append(t, '\n')
	t = append(t, h.signed...)
	t = append(t, '\n')
	s.text = append(t, h.payload...)
}

// appendQuery writes the parameters, encoded and then sorted by name and value.
func (s *scratch) appendQuery(t []byte, h *head) []byte {
	s.parameters, s.order = s.parameters[:0], s.order[:0]
	for raw := h.query; raw != ""; {
		if raw[0] == '&' { // nothing, unlike "=", which is an empty name
			raw = raw[1:]
			continue
		}
		var name, value string
		name, value, raw = nextParameter(raw)
		p := parameter{name: len(s.parameters)}
		s.parameters = appendParameter(s.parameters, name)
		if h.presigned && string(s.parameters[p.name:]) == signatureParameter {
			s.parameters = s.parameters[:p.name]
			continue
		}
		p.value = len(s.parameters)
		if h.hide && secretHeader(s.parameters[p.name:]) {
			value = hidden
		}
		s.parameters = appendParameter(s.parameters, value)
		p.end = len(s.parameters)
		s.order = append(s.order, p)
	}
	all := s.parameters
	slices.SortFunc(s.order, func(a, b parameter) int {
		if byName := bytes.Compare(all[a.name:a.value], all[b.name:b.value]); byName != 0 {
			return byName
		}
		return bytes.Compare(all[a.value:a.end], all[b.value:b.end])
	})
	for i, p := range s.order {
		if i > 0 {
			t = append(t, '&')
		}
		t = append(t, all[p.name:p.value]...)
		t = append(t, '=')
		t = append(t, all[p.value:p.end]...)
	}
	return t
}

// appendHeader writes the values of a header, given in lower case: trimmed,
// inner spaces folded, several joined by commas. net/http keeps three headers
// elsewhere. An absent header has no value.
func (s *scratch) appendHeader(t []byte, h *head, name string) []byte {
	switch name {
	case "host":
		return appendFolded(t, h.r.Host)
	case "transfer-encoding":
		return append(t, strings.Join(h.r.TransferEncoding, ",")...)
	}
	// The map's keys are canonical MIME names; a conversion in the index
	// expression does not allocate.
	s.name = s.name[:0]
	first := true
	for i := 0; i < len(name); i++ {
		b := name[i]
		if first && 'a' <= b && b <= 'z' {
			b -= 'a' - 'A'
		}
		first = b == '-'
		s.name = append(s.name, b)
	}
	values := h.r.Header[string(s.name)]
	if len(values) == 0 && name == "content-length" && h.r.ContentLength >= 0 {
		return strconv.AppendInt(t, h.r.ContentLength, 10)
	}
	if h.hide && len(values) > 0 && secretHeader(s.name) {
		return append(t, hidden...)
	}
	for i, value := range values {
		if i > 0 {
			t = append(t, ',')
		}
		t = appendFolded(t, value)
	}
	return t
}

const hidden = "[hidden]"

// secretHeader reports whether the values of a header or parameter are
// credentials, which must not come back in an error and its log line.
func secretHeader(name []byte) bool {
	for _, s := range [...]string{
		"X-Amz-Security-Token",
		"X-Amz-Server-Side-Encryption-Customer-Key",
		"X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key",
		"Authorization", "Cookie", "Proxy-Authorization",
	} {
		if strings.EqualFold(string(name), s) {
			return true
		}
	}
	return false
}

func appendFolded(t []byte, value string) []byte {
	value = strings.Trim(value, " \t")
	if !strings.Contains(value, "  ") {
		return append(t, value...)
	}
	for i := 0; i < len(value); i++ {
		if value[i] != ' ' || value[i-1] != ' ' {
			t = append(t, value[i])
		}
	}
	return t
}

// appendParameter writes one side of a query's pair in canonical escapes. A
// plus sign is a space, as it is to whoever decodes the query.
func appendParameter(t []byte, raw string) []byte {
	if strings.IndexByte(raw, '+') < 0 {
		return appendEscaped(t, raw, false, true)
	}
	for i, word := range strings.Split(raw, "+") {
		if i > 0 {
			t = append(t, "%20"...)
		}
		t = appendEscaped(t, word, false, true)
	}
	return t
}

const upperHex = "0123456789ABCDEF"

// appendEscaped escapes all but RFC 3986's unreserved characters and, in a
// path, slashes. With decode, escapes in s stand for their characters; a
// percent sign that begins none stands for itself.
func appendEscaped(t []byte, s string, path, decode bool) []byte {
	for i := 0; i < len(s); i++ {
		b := s[i]
		if decode && b == '%' && i+2 < len(s) {
			high, low := unhex(s[i+1]), unhex(s[i+2])
			if high >= 0 && low >= 0 {
				b = byte(high<<4 | low)
				i += 2
			}
		}
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9',
			b == '-', b == '.', b == '_', b == '~', path && b == '/':
			t = append(t, b)
		default:
			t = append(t, '%', upperHex[b>>4], upperHex[b&15])
		}
	}
	return t
}

func unhex(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= b && b <= 'f':
		return int(b-'a') + 10
	case 'A' <= b && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}

// stringToSign writes what the signature of s.text is over.
func (s *scratch) stringToSign(c *claim) {
	sum := sha256.Sum256(s.text)
	t := append(s.toSign[:0], algorithm...)
	t = append(t, '\n')
	t = append(t, c.timestamp...)
	t = append(t, '\n')
	t = append(t, c.scope...)
	t = append(t, '\n')
	s.toSign = hex.AppendEncode(t, sum[:])
}

// matches reports whether the claimed signature is that of s.text.
func (s *scratch) matches(c *claim, key *signingKey) bool {
	s.stringToSign(c)
	s.sum = key.sign(s.sum[:0], s.toSign)
	return isHex(s.sum, c.signature)
}

// isHex compares a code with a signature in lower-case hex in constant time.
func isHex(sum []byte, signature string) bool {
	var want [2 * sha256.Size]byte
	hex.Encode(want[:], sum)
	return subtle.ConstantTimeCompare(want[:], []byte(signature)) == 1
}

// lists reports whether a list of signed headers has the name, in any case.
func lists(list, name string) bool {
	for list != "" {
		var entry string
		entry, list, _ = strings.Cut(list, ";")
		if strings.EqualFold(entry, name) {
			return true
		}
	}
	return false
}

func sortedList(names []string) string {
	slices.Sort(names)
	return strings.Join(names, ", ")
}
