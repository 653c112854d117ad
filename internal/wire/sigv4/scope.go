// SPDX-License-Identifier: Apache-2.0

package sigv4

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
)

const usEast1 = "us-east-1"

// claim is what a request says about its signature, parsed and not yet proved.
type claim struct {
	method Method

	credential            string // as sent
	accessKey             string
	date, region, service string
	scope                 string // date/region/service/aws4_request
	token                 string

	signedHeaders string // lower case, as listed
	signature     string
	timestamp     string // in timeLayout
	at            time.Time
	expires       time.Duration // Query: after at
	payloadHash   string        // Query: X-Amz-Content-Sha256
}

// complain words a problem of the credential as the claim's method does. The
// kind is that of the header; the other methods keep it as the cause.
func (c *claim) complain(kind fault.Kind, problem string) *fault.Error {
	switch c.method {
	case Query:
		f := fault.New(QueryParameters, "%s", "Error parsing the X-Amz-Credential parameter; "+problem)
		if kind != MalformedAuthorization {
			f = f.Because(kind)
		}
		return f
	case Form:
		f := formFault("X-Amz-Credential", problem).With("ArgumentValue", c.credential)
		if kind != MalformedAuthorization {
			f = f.Because(kind)
		}
		return f
	default:
		return fault.New(kind, "%s", "The authorization header is malformed; "+problem)
	}
}

// readCredential splits a credential and checks its scope.
func (v *Verifier) readCredential(c *claim, credential string, services []string) error {
	c.credential = credential
	accessKey, scope, _ := strings.Cut(credential, "/")
	date, rest, _ := strings.Cut(scope, "/")
	region, rest, _ := strings.Cut(rest, "/")
	service, end, found := strings.Cut(rest, "/")
	if !found || accessKey == "" || len(accessKey) > 128 || len(credential) > 512 || strings.Contains(end, "/") {
		return c.complain(MalformedAuthorization,
			`the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`)
	}
	if end != terminal {
		return c.complain(MalformedAuthorization,
			"incorrect terminal "+quote(end)+`. This endpoint uses "aws4_request".`)
	}
	if !slices.Contains(services, service) {
		return c.complain(WrongService, "incorrect service "+quote(service)+
			`. This endpoint belongs to "`+strings.Join(services, `", "`)+`".`)
	}
	if region != v.region && !(region == usEast1 && global(service)) {
		return c.complain(WrongRegion, "the region '"+region+"' is wrong; expecting '"+v.region+"'").
			With("Region", v.region)
	}
	if _, err := time.Parse(dateLayout, date); err != nil {
		return c.complain(MalformedAuthorization, "incorrect date format "+quote(date)+
			`. This date in the credential must be in the format "yyyyMMdd".`)
	}
	c.accessKey, c.scope, c.date, c.region, c.service = accessKey, scope, date, region, service
	return nil
}

// global reports whether clients of a region sign for us-east-1 all the same,
// because the service has one endpoint for the world.
func global(service string) bool { return service == "iam" || service == "sts" }

// quote bounds what a stranger's text adds to a message.
func quote(s string) string {
	if len(s) > 64 {
		s = s[:64] + "..."
	}
	return `"` + s + `"`
}

// setTime takes the time of signing and compares it with the scope's date.
func (c *claim) setTime(at time.Time) bool {
	c.at = at.UTC()
	c.timestamp = c.at.Format(timeLayout)
	return c.timestamp[:len(dateLayout)] == c.date
}

// ClaimedScope returns the service and the region that a request's credential
// names, before anything is verified: for routing only. Both are "" if the
// request has no credential.
func ClaimedScope(r *http.Request) (service, region string) {
	_, credential, found := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if found {
		credential, _, _ = strings.Cut(credential, ",")
	} else if q, err := readQuery(headOf(r).query); err == nil {
		credential = q.credential
	}
	parts := strings.SplitN(credential, "/", 6)
	if len(parts) != 5 {
		return "", ""
	}
	return parts[3], parts[2]
}
