// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync/atomic"
	"time"
)

// signer writes SigV4 signatures of requests whose body is not signed. It keeps
// the signing key of the day, and takes a tenth of what a general signer takes:
// the load generator shares the machine with the server. It is safe for
// concurrent use.
type signer struct {
	identity
	host  string
	today atomic.Pointer[signingDay]
}

// identity is who signs, and for which region.
type identity struct{ accessKeyID, secretKey, token, region string }

// signingDay is what stays the same for a day.
type signingDay struct {
	date  string // 20060102
	scope string
	key   []byte
}

// signed is what a signature covers. Path and query are in canonical form.
type signed struct {
	method, path, query string
	source              string // x-amz-copy-source
	at                  string // x-amz-date
}

const (
	unsignedPayload = "UNSIGNED-PAYLOAD"
	amzDate         = "20060102T150405Z"
)

func stamp(now time.Time) string { return now.UTC().Format(amzDate) }

// authorization returns the Authorization header.
func (s *signer) authorization(r signed) string {
	day := s.day(r.at[:8])
	names := "host;x-amz-content-sha256;"
	var b strings.Builder
	b.Grow(512)
	b.WriteString(r.method + "\n" + r.path + "\n" + r.query + "\nhost:" + s.host + "\nx-amz-content-sha256:" + unsignedPayload + "\n")
	if r.source != "" {
		names += "x-amz-copy-source;"
		b.WriteString("x-amz-copy-source:" + r.source + "\n")
	}
	names += "x-amz-date"
	b.WriteString("x-amz-date:" + r.at + "\n")
	if s.token != "" {
		names += ";x-amz-security-token"
		b.WriteString("x-amz-security-token:" + s.token + "\n")
	}
	b.WriteString("\n" + names + "\n" + unsignedPayload)
	canonical := sha256.Sum256([]byte(b.String()))
	signature := mac(day.key, "AWS4-HMAC-SHA256\n"+r.at+"\n"+day.scope+"\n"+hex.EncodeToString(canonical[:]))
	return "AWS4-HMAC-SHA256 Credential=" + s.accessKeyID + "/" + day.scope + ", SignedHeaders=" + names + ", Signature=" + hex.EncodeToString(signature)
}

func (s *signer) day(date string) *signingDay {
	if d := s.today.Load(); d != nil && d.date == date {
		return d
	}
	key := mac([]byte("AWS4"+s.secretKey), date)
	for _, part := range []string{s.region, "s3", "aws4_request"} {
		key = mac(key, part)
	}
	d := &signingDay{date: date, scope: date + "/" + s.region + "/s3/aws4_request", key: key}
	s.today.Store(d)
	return d
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
