// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// The encoder of records writes what encoding/json would, with <, > and & as they are
// so that URLs and user agents can be searched for. Every request has its record, and
// reflection would take more of its time than its signature does.

// line returns the record as JSON and a newline.
func (r *Record) line() ([]byte, error) { return r.appendLine(make([]byte, 0, typicalLine)) }

// typicalLine is a size that most lines have room in.
const typicalLine = 2 << 10

// appendLine is line in memory that is given.
func (r *Record) appendLine(b []byte) ([]byte, error) {
	w := writer{b: b}
	w.record(r)
	if w.err != nil {
		return nil, fmt.Errorf("audit: encode record: %w", w.err)
	}
	return append(w.b, '\n'), nil
}

type writer struct {
	b   []byte
	err error
}

func (w *writer) record(r *Record) {
	w.object(func() {
		w.text("eventVersion", r.EventVersion)
		w.name("userIdentity")
		w.object(func() { w.identity(&r.UserIdentity) })
		w.name("eventTime")
		w.b = append(r.EventTime.AppendFormat(append(w.b, '"'), time.RFC3339Nano), '"')
		w.text("eventSource", r.EventSource)
		w.text("eventName", r.EventName)
		w.text("awsRegion", r.AWSRegion)
		w.text("sourceIPAddress", r.SourceIPAddress)
		w.optional("userAgent", r.UserAgent)
		w.optional("errorCode", r.ErrorCode)
		w.optional("errorMessage", r.ErrorMessage)
		w.name("requestParameters")
		w.facts(r.RequestParameters, r.Parameters)
		w.name("responseElements")
		w.facts(r.ResponseElements, r.Elements)
		if len(r.AdditionalEventData)+len(r.Facts) > 0 {
			w.name("additionalEventData")
			w.facts(r.AdditionalEventData, r.Facts)
		}
		w.text("requestID", r.RequestID)
		w.text("eventID", r.EventID)
		w.name("readOnly")
		w.b = strconv.AppendBool(w.b, r.ReadOnly)
		if len(r.Resources) > 0 {
			w.name("resources")
			w.array(len(r.Resources), func(i int) { w.resource(&r.Resources[i]) })
		}
		w.text("eventType", r.EventType)
		w.name("managementEvent")
		w.b = strconv.AppendBool(w.b, r.ManagementEvent)
		w.optional("recipientAccountId", r.RecipientAccountID)
		w.optional("sharedEventID", r.SharedEventID)
		w.text("eventCategory", r.EventCategory)
		if len(r.ServiceEventDetails) > 0 {
			w.name("serviceEventDetails")
			w.other(r.ServiceEventDetails)
		}
		if t := r.TLSDetails; t != nil {
			w.name("tlsDetails")
			w.object(func() {
				w.text("tlsVersion", t.TLSVersion)
				w.text("cipherSuite", t.CipherSuite)
				w.optional("clientProvidedHostHeader", t.ClientProvidedHostHeader)
			})
		}
	})
}

func (w *writer) identity(i *Identity) {
	w.optional("type", i.Type)
	if i.PrincipalID == "" && i.AccountID == AnonymousAccount {
		w.text("principalId", "") // as CloudTrail writes nobody's
	} else {
		w.optional("principalId", i.PrincipalID)
	}
	w.optional("arn", i.ARN)
	w.optional("accountId", i.AccountID)
	w.optional("accessKeyId", i.AccessKeyID)
	w.optional("userName", i.UserName)
	if i.Session != nil {
		w.name("sessionContext")
		w.object(func() { w.session(i.Session) })
	}
	w.optional("invokedBy", i.InvokedBy)
}

func (w *writer) session(s *SessionContext) {
	if i := s.Issuer; i != nil {
		w.name("sessionIssuer")
		w.object(func() {
			w.text("type", i.Type)
			w.text("principalId", i.PrincipalID)
			w.optional("arn", i.ARN)
			w.text("accountId", i.AccountID)
			w.optional("userName", i.UserName)
		})
	}
	if s.WebIdentity != nil {
		w.name("webIdFederationData")
		w.object(func() { w.text("federatedProvider", s.WebIdentity.Provider) })
	}
	w.name("attributes")
	w.object(func() {
		w.text("creationDate", s.Attributes.CreationDate)
		w.text("mfaAuthenticated", s.Attributes.MFAAuthenticated)
	})
	w.optional("sourceIdentity", s.SourceIdentity)
}

func (w *writer) resource(r *Resource) {
	w.object(func() {
		w.optional("accountId", r.AccountID)
		w.text("type", r.Type)
		w.text("ARN", r.ARN)
	})
}

// object writes an object whose members f writes, each with a name before it.
func (w *writer) object(f func()) {
	w.b = append(w.b, '{')
	f()
	w.b = append(w.b, '}')
}

func (w *writer) array(n int, element func(i int)) {
	w.b = append(w.b, '[')
	for i := range n {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		element(i)
	}
	w.b = append(w.b, ']')
}

// name writes the name of the next member of an object. It is the code's own and has
// nothing in it to escape.
func (w *writer) name(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

// foreign is name for one that may be anybody's.
func (w *writer) foreign(name string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.string(name)
	w.b = append(w.b, ':')
}

func (w *writer) text(name, value string) {
	w.name(name)
	w.string(value)
}

// optional leaves out an empty member.
func (w *writer) optional(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

// members writes a map in the order of its names.
func (w *writer) members(m map[string]any) {
	if m == nil {
		w.b = append(w.b, "null"...)
		return
	}
	names := make([]string, 0, 16)
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	w.object(func() {
		for _, name := range names {
			w.foreign(name)
			w.value(m[name])
		}
	})
}

func (w *writer) value(v any) {
	switch v := v.(type) {
	case nil:
		w.b = append(w.b, "null"...)
	case string:
		w.string(v)
	case bool:
		w.b = strconv.AppendBool(w.b, v)
	case int:
		w.b = strconv.AppendInt(w.b, int64(v), 10)
	case int64:
		w.b = strconv.AppendInt(w.b, v, 10)
	case map[string]any:
		w.members(v)
	case []any:
		if v == nil {
			w.other(v)
			return
		}
		w.array(len(v), func(i int) { w.value(v[i]) })
	default:
		w.other(v)
	}
}

// other writes what occurs in few records.
func (w *writer) other(v any) {
	text, err := marshal(v)
	if err != nil {
		w.err = err
	}
	w.b = append(w.b, bytes.TrimSuffix(text, []byte("\n"))...)
}

const hexDigits = "0123456789abcdef"

func (w *writer) string(s string) {
	begun := len(w.b)
	w.b = append(append(w.b, '"'), s...)
	if isPlain(w.b[begun+1:]) {
		w.b = append(w.b, '"')
		return
	}
	w.b = w.b[:begun]
	w.escaped(s)
}

// isPlain reports whether JSON has a text as it is: ASCII without control characters,
// quotes and backslashes. It looks at eight bytes at a time, and each of its terms has
// the highest bit of a byte set if, among others, that byte is not plain.
func isPlain(b []byte) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		quote, slash := x^ones*'"', x^ones*'\\'
		if (x|(x-ones*' ')&^x|(quote-ones)&^quote|(slash-ones)&^slash)&high != 0 {
			return false
		}
	}
	for _, c := range b {
		if c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// escaped writes a text in which something must be escaped.
func (w *writer) escaped(s string) {
	b := append(w.b, '"')
	start := 0
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\b':
				b = append(b, '\\', 'b')
			case '\f':
				b = append(b, '\\', 'f')
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		// The two separators end a line in JavaScript.
		if separator := r == '\u2028' || r == '\u2029'; separator || r == utf8.RuneError && n == 1 {
			b = append(b, s[start:i]...)
			if separator {
				b = append(b, `\u202`...)
				b = append(b, hexDigits[r&15])
			} else {
				b = append(b, `\ufffd`...)
			}
			start = i + n
		}
		i += n
	}
	w.b = append(append(b, s[start:]...), '"')
}
