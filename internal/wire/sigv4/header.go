// SPDX-License-Identifier: Apache-2.0

package sigv4

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
)

// claimOf finds the signature of a request. It returns nil for one that has
// none.
func (v *Verifier) claimOf(h *head, services []string) (*claim, error) {
	q, err := readQuery(h.query)
	if err != nil {
		return nil, err
	}
	values := h.r.Header["Authorization"]
	switch {
	case len(values) > 1 || len(values) == 1 && (q.v4 || q.v2):
		return nil, fault.New(MultipleAuthentication,
			"Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "+
				"Signature query string parameter or the Authorization header should be specified").
			With("ArgumentName", "Authorization")
	case len(values) == 1:
		return v.claimOfHeader(h.r.Header, values[0], services)
	case q.v4:
		return v.claimOfQuery(&q, services)
	case q.v2:
		return nil, unsupportedSignature()
	}
	return nil, nil
}

func unsupportedSignature() error {
	return fault.New(UnsupportedSignature,
		"The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
}

func (v *Verifier) claimOfHeader(headers http.Header, value string, services []string) (*claim, error) {
	c := &claim{method: Header}
	credential, err := c.readAuthorization(value)
	if err != nil {
		return nil, err
	}
	if err := v.readCredential(c, credential, services); err != nil {
		return nil, err
	}
	at, ok := signingTime(headers)
	if !ok {
		return nil, fault.New(MissingDate, "AWS authentication requires a valid Date or x-amz-date header")
	}
	if !c.setTime(at) {
		return nil, c.complain(MalformedAuthorization, "Invalid credential date. Date is not the same as X-Amz-Date.")
	}
	now, skew := time.Now(), v.skewOf(c.service)
	if off := now.Sub(c.at); off > skew || off < -skew {
		return nil, fault.New(RequestTimeTooSkewed, "").
			With("RequestTime", c.timestamp).
			With("ServerTime", now.UTC().Format(time.RFC3339)).
			With("MaxAllowedSkewMilliseconds", strconv.FormatInt(skew.Milliseconds(), 10))
	}
	c.token = headers.Get("X-Amz-Security-Token")
	return c, nil
}

// signingTime reads X-Amz-Date, or Date in its absence.
func signingTime(headers http.Header) (time.Time, bool) {
	if values := headers["X-Amz-Date"]; len(values) > 0 {
		at, err := time.Parse(timeLayout, values[0])
		return at, err == nil
	}
	date := headers.Get("Date")
	if at, err := time.Parse(timeLayout, date); err == nil {
		return at, true
	}
	at, err := http.ParseTime(date)
	return at, err == nil
}

// readAuthorization parses an Authorization header into c, but for the
// credential, which it returns.
func (c *claim) readAuthorization(value string) (credential string, err error) {
	scheme, rest, found := strings.Cut(value, " ")
	switch {
	case !found:
		return "", fault.New(UnsupportedAuthorization,
			"Authorization header is invalid -- one and only one ' ' (space) required").
			With("ArgumentName", "Authorization")
	case scheme == "AWS" || scheme == "AWS4-ECDSA-P256-SHA256":
		return "", unsupportedSignature()
	case scheme != algorithm:
		f := fault.New(UnsupportedAuthorization, "Unsupported Authorization Type").With("ArgumentName", "Authorization")
		if strings.HasPrefix(scheme, "AWS") && len(scheme) <= 64 { // anything else may be a stray secret
			f = f.With("ArgumentValue", scheme)
		}
		return "", f
	}
	if strings.Count(rest, ",") != 2 {
		return "", c.complain(MalformedAuthorization,
			"the authorization header requires three components: Credential, SignedHeaders, and Signature.")
	}
	var signedHeaders string
	for rest != "" {
		var component string
		component, rest, _ = strings.Cut(rest, ",")
		component = strings.Trim(component, " \t")
		name, text, found := strings.Cut(component, "=")
		if !found {
			return "", c.complain(MalformedAuthorization, "the authorization component "+quote(component)+" is malformed.")
		}
		switch name {
		case "Credential":
			credential = text
		case "SignedHeaders":
			signedHeaders = text
		case "Signature":
			c.signature = text
		}
	}
	for _, component := range [...]struct{ name, text string }{
		{"Credential", credential}, {"SignedHeaders", signedHeaders}, {"Signature", c.signature},
	} {
		if component.text == "" {
			return "", c.complain(MalformedAuthorization, "missing "+component.name+".")
		}
	}
	if !c.setSignedHeaders(signedHeaders) {
		return "", c.complain(MalformedAuthorization, "the authorization component "+
			quote("SignedHeaders="+signedHeaders)+" is malformed.")
	}
	return credential, nil
}

// maxSignedHeaders bounds the work of looking each header up in the list.
const maxSignedHeaders = 256

// setSignedHeaders takes the list of signed headers if it is one: names of
// headers between semicolons, none of them twice. A long value that is listed a
// hundred times would be hashed as often, before anybody has proved anything.
func (c *claim) setSignedHeaders(list string) bool {
	if strings.Count(list, ";") >= maxSignedHeaders {
		return false
	}
	start := true // of a name
	for i := 0; i < len(list); i++ {
		if list[i] == ';' {
			if start {
				return false
			}
			start = true
			continue
		}
		if !isToken(list[i]) {
			return false
		}
		start = false
	}
	if start {
		return false
	}
	c.signedHeaders = strings.ToLower(list)
	for rest := c.signedHeaders; rest != ""; {
		var name string
		if name, rest, _ = strings.Cut(rest, ";"); lists(rest, name) {
			return false
		}
	}
	return true
}

// isToken reports whether b may stand in a header's name.
func isToken(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' ||
		strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}
