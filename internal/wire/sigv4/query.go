// SPDX-License-Identifier: Apache-2.0

package sigv4

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
)

// query is what a URL says about its own signature.
type query struct {
	v4, v2 bool // it has parameters of that version

	algorithm, credential, date, expires  string
	signedHeaders, signature, token, hash string
}

// parameter returns the field that holds a parameter of version 4.
func (q *query) parameter(name string) *string {
	switch name {
	case "X-Amz-Algorithm":
		return &q.algorithm
	case "X-Amz-Credential":
		return &q.credential
	case "X-Amz-Date":
		return &q.date
	case "X-Amz-Expires":
		return &q.expires
	case "X-Amz-SignedHeaders":
		return &q.signedHeaders
	case signatureParameter:
		return &q.signature
	case "X-Amz-Security-Token":
		return &q.token
	case "X-Amz-Content-Sha256":
		return &q.hash
	}
	return nil
}

const signatureParameter = "X-Amz-Signature"

// readQuery finds the authentication parameters. A parameter that comes twice
// is refused, since two readers might take different ones.
func readQuery(raw string) (q query, err error) {
	var twice, broken string
	for raw != "" {
		var name, value string
		name, value, raw = nextParameter(raw)
		if strings.ContainsAny(name, "%+") {
			decoded, err := url.QueryUnescape(name)
			if err != nil {
				continue
			}
			name = decoded
		}
		if name == "AWSAccessKeyId" || name == "Signature" {
			q.v2 = true
			continue
		}
		field := q.parameter(name)
		if field == nil {
			continue
		}
		text, err := url.QueryUnescape(value)
		switch {
		case err != nil:
			broken = name
		case *field != "":
			twice = name
		}
		*field = text
	}
	q.v4 = q.algorithm != "" || q.credential != "" || q.signature != ""
	switch {
	case !q.v4:
	case broken != "":
		return q, fault.New(QueryParameters, "Error parsing the %s parameter", broken)
	case twice != "":
		return q, fault.New(QueryParameters, "The %s parameter is given more than once", twice)
	}
	return q, nil
}

// nextParameter splits the first parameter off a query, as it is written.
func nextParameter(raw string) (name, value, rest string) {
	pair, rest, _ := strings.Cut(raw, "&")
	name, value, _ = strings.Cut(pair, "=")
	return name, value, rest
}

// maxExpires is the longest life of a presigned URL, in seconds: a week.
const maxExpires = 604800

func (v *Verifier) claimOfQuery(q *query, services []string) (*claim, error) {
	c := &claim{method: Query, token: q.token, signature: q.signature, payloadHash: q.hash}
	for _, mandatory := range [...]string{q.algorithm, q.credential, q.signature, q.date, q.signedHeaders} {
		if mandatory == "" {
			return nil, missingParameters()
		}
	}
	switch q.algorithm {
	case algorithm:
	case "AWS4-ECDSA-P256-SHA256":
		return nil, unsupportedSignature()
	default:
		return nil, fault.New(QueryParameters, `X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"`)
	}
	if err := v.readCredential(c, q.credential, services); err != nil {
		return nil, err
	}
	at, err := time.Parse(timeLayout, q.date)
	if err != nil {
		return nil, fault.New(QueryParameters,
			`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`)
	}
	if !c.setTime(at) {
		return nil, fault.New(QueryParameters,
			"Invalid credential date %q. This date is not the same as X-Amz-Date: %q.", c.date, c.timestamp[:len(dateLayout)])
	}
	if !c.setSignedHeaders(q.signedHeaders) {
		return nil, fault.New(QueryParameters, "Error parsing the X-Amz-SignedHeaders parameter")
	}
	if err := v.readExpires(c, q.expires); err != nil {
		return nil, err
	}
	return c, v.checkLife(c)
}

func missingParameters() error {
	return fault.New(QueryParameters, "Query-string authentication version 4 requires the X-Amz-Algorithm, "+
		"X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
}

func (v *Verifier) readExpires(c *claim, text string) error {
	if text == "" {
		// Only S3's signers always say it; the others' URLs live as long as a
		// signed header does.
		if c.service == "s3" {
			return missingParameters()
		}
		c.expires = v.skewOf(c.service)
		return nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return fault.New(QueryParameters, "X-Amz-Expires should be a number")
	case seconds < 0:
		return fault.New(QueryParameters, "X-Amz-Expires must be non-negative")
	case seconds > maxExpires:
		return fault.New(QueryParameters, "X-Amz-Expires must be less than a week (in seconds); "+
			"that is, the given X-Amz-Expires must be less than %d seconds", maxExpires)
	}
	c.expires = time.Duration(seconds) * time.Second
	return nil
}

// checkLife compares the claim's life with the clock. A URL of zero seconds
// parses and is never valid.
func (v *Verifier) checkLife(c *claim) error {
	now, end := time.Now(), c.at.Add(c.expires)
	var f *fault.Error
	switch {
	case c.at.After(now.Add(v.skewOf(c.service))):
		f = fault.New(NotYetValid, "Request is not valid yet")
	case c.expires == 0 || !now.Before(end):
		f = fault.New(Expired, "Request has expired")
	default:
		return nil
	}
	return f.With("X-Amz-Expires", strconv.FormatInt(int64(c.expires/time.Second), 10)).
		With("Expires", end.Format(time.RFC3339)).
		With("ServerTime", now.UTC().Format(time.RFC3339))
}
