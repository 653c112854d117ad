// SPDX-License-Identifier: Apache-2.0

package iamapi

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// signedFor returns a request whose header names a service in its scope. Nobody looks
// at the signature of a request that is not served.
func signedFor(service string) *http.Request {
	r := httptest.NewRequest("POST", "/", strings.NewReader("Action=GetCallerIdentity&Version=2011-06-15"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260102/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=00")
	return r
}

func TestClientsAreToldInTheirForm(t *testing.T) {
	road := pipeline.New(pipeline.Config{Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, API{}.Family())
	for _, service := range []string{"iam", "sts"} {
		w := httptest.NewRecorder()
		road.ServeHTTP(w, signedFor(service))
		const want = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidAction</Code><Message>This server has no IAM and no STS"
		if w.Code != 400 || !strings.HasPrefix(w.Body.String(), want) || w.Header().Get("Content-Type") != "text/xml" {
			t.Errorf("%s: %d %s", service, w.Code, w.Body)
		}
	}
}

func TestOthersRequestsAreLeftToThem(t *testing.T) {
	for _, service := range []string{"s3", "kms", "sns"} {
		if (API{}).Family().Match(signedFor(service)) {
			t.Errorf("a request signed for %s was taken", service)
		}
	}
}
