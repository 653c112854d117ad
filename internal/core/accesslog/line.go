// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"strconv"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
)

// Entry is one request on a bucket, as a line tells of it. Text that is "" is shown as a
// dash. Whatever is in it, the line is one line of all its fields: what would break it is
// percent-encoded. Secrets must not be in it.
type Entry struct {
	Time      time.Time // when the request was received
	RemoteIP  string
	Requester string // ARN, or canonical user id; "" for who did not sign
	RequestID string
	Operation string // REST.GET.OBJECT
	Key       string // as it is, not encoded
	URI       string // the request line; "" in entries that are a part of another request
	Status    int    // 0 for what nobody asked for
	Code      string // of the error
	Sent      int64  // bytes of body
	Size      int64  // of the object; -1: none, or not known

	Total, Turnaround time.Duration // -1 in entries that are a part of another request

	// Part says that the entry is a part of another request, whose own has Referer and
	// UserAgent.
	Part               bool
	Referer, UserAgent string

	VersionID   string // that the request asks for
	HostID      string
	Signature   string // SigV4
	Cipher      string // "" without TLS
	Auth        string // AuthHeader or QueryString
	Host        string
	TLS         string // TLSv1.3
	ACLRequired bool   // nothing but a list of grants allows it

	// ofDelivery says that the request is one of this service's own.
	ofDelivery bool
}

// maxField bounds a field, in bytes: the longest request line that matters has a key of
// 1024 bytes, percent-encoded, and a session token.
const maxField = 16 << 10

// appendLine appends the entry as a line of a bucket's log (S3 User Guide, "Amazon S3
// server access log format").
func (e *Entry) appendLine(b []byte, of *bucket.Logged) []byte {
	b = append(b, of.OwnerID...)
	b = word(b, of.Name)
	b = e.Time.UTC().AppendFormat(b, " [02/Jan/2006:15:04:05 +0000]")
	b = word(b, e.RemoteIP)
	b = word(b, e.Requester)
	b = word(b, e.RequestID)
	b = word(b, e.Operation)
	b = key(b, e.Key)
	b = quoted(b, e.URI, true)
	b = number(b, int64(e.Status), e.Status > 0)
	b = word(b, e.Code)
	b = number(b, e.Sent, e.Sent > 0)
	b = number(b, e.Size, e.Size >= 0)
	b = number(b, e.Total.Milliseconds(), e.Total >= 0)
	b = number(b, e.Turnaround.Milliseconds(), e.Turnaround >= 0)
	b = quoted(b, e.Referer, e.Part)
	b = quoted(b, e.UserAgent, e.Part)
	b = word(b, e.VersionID)
	b = word(b, e.HostID)
	b = word(b, e.Signature)
	b = word(b, e.Cipher)
	b = word(b, e.Auth)
	b = word(b, e.Host)
	b = word(b, e.TLS)
	b = append(b, " -"...) // access point
	if e.ACLRequired {
		b = append(b, " Yes"...)
	} else {
		b = append(b, " -"...)
	}
	return append(b, '\n')
}

const upperHex = "0123456789ABCDEF"

// word appends a field that has no spaces.
func word(b []byte, s string) []byte {
	b = append(b, ' ')
	if s == "" {
		return append(b, '-')
	}
	return escaped(b, s, func(c byte) bool { return c > ' ' && c < 0x7f && c != '"' })
}

// quoted appends a field in quotes; as a bare dash if it is empty and may be.
func quoted(b []byte, s string, bare bool) []byte {
	b = append(b, ' ')
	switch {
	case s == "" && bare:
		return append(b, '-')
	case s == "":
		return append(b, `"-"`...)
	}
	b = append(b, '"')
	b = escaped(b, s, func(c byte) bool { return c >= ' ' && c < 0x7f && c != '"' })
	return append(b, '"')
}

// key appends an object's key, percent-encoded but for its slashes. A space is %20, and a
// plus %2B: the two ways to decode agree on these.
func key(b []byte, s string) []byte {
	b = append(b, ' ')
	if s == "" {
		return append(b, '-')
	}
	return escaped(b, s, func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			c == '-' || c == '_' || c == '.' || c == '~' || c == '/'
	})
}

// escaped appends text with the bytes that may not stand there percent-encoded.
func escaped(b []byte, s string, plain func(byte) bool) []byte {
	for i := range min(len(s), maxField) {
		if c := s[i]; plain(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return b
}

func number(b []byte, n int64, ok bool) []byte {
	b = append(b, ' ')
	if !ok {
		return append(b, '-')
	}
	return strconv.AppendInt(b, n, 10)
}
