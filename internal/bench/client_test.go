// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// someone signs requests to servers that do not look.
var someone = identity{accessKeyID: "someone", secretKey: "a secret of someone", region: "r"}

// TestSignaturesAreThoseOfTheSDK compares with the general signer.
func TestSignaturesAreThoseOfTheSDK(t *testing.T) {
	who := identity{accessKeyID: "AKIDEXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", region: "eu-west-1"}
	now := time.Date(2026, 2, 28, 23, 59, 59, 0, time.UTC)
	for _, test := range []struct {
		name string
		r    signed
		copy bool
	}{
		{"put", signed{method: "PUT", path: "/bucket/0/17"}, false},
		{"list", signed{method: "GET", path: "/bucket", query: "list-type=2&max-keys=1000&prefix=list%2F"}, false},
		{"copy", signed{method: "PUT", path: "/bucket/1", source: "/bucket/set/1048576/object-00001"}, false},
	} {
		for _, token := range []string{"", "a/token=="} {
			for _, at := range []time.Time{now, now.Add(2 * time.Second)} { // the second is another day
				who := who
				who.token = token
				s := &signer{identity: who, host: "127.0.0.1:9000"}
				s.authorization(signed{at: stamp(now)}) // leaves a key of the day
				r, err := http.NewRequest(test.r.method, "http://127.0.0.1:9000"+test.r.path+"?"+test.r.query, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("X-Amz-Content-Sha256", unsignedPayload)
				if test.r.source != "" {
					r.Header.Set("X-Amz-Copy-Source", test.r.source)
				}
				credentials := aws.Credentials{AccessKeyID: who.accessKeyID, SecretAccessKey: who.secretKey, SessionToken: token}
				if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, unsignedPayload, "s3", who.region, at, func(o *v4.SignerOptions) {
					o.DisableURIPathEscaping = true
				}); err != nil {
					t.Fatal(err)
				}
				test.r.at = stamp(at)
				if got, want := s.authorization(test.r), r.Header.Get("Authorization"); got != want {
					t.Errorf("%s, token %q:\n%s\nwant\n%s", test.name, token, got, want)
				}
			}
		}
	}
}

func TestAnswersAreChecked(t *testing.T) {
	body := "what was stored"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		switch {
		case r.URL.Path == "/refused":
			http.Error(w, "<Code>SlowDown</Code>", http.StatusServiceUnavailable)
		case r.URL.Path == "/part" && r.Header.Get("Range") != "":
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, body[5:8])
		case r.Method == http.MethodPut && string(sent) != body:
			http.Error(w, "not the body", http.StatusBadRequest)
		case r.Method == http.MethodGet:
			_, _ = io.WriteString(w, body)
		}
	}))
	defer s.Close()
	c, err := newClient(s.URL, someone, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	w := newWorker(t.Context())
	for _, test := range []struct {
		name string
		call call
		says string // part of the error; "" for none
	}{
		{"put", call{method: "PUT", path: "/x", body: []byte(body)}, ""},
		{"put again", call{method: "PUT", path: "/x", body: []byte(body)}, ""},
		{"get", call{method: "GET", path: "/x", length: 15, want: []byte(body)}, ""},
		{"get of any length", call{method: "GET", path: "/x", length: -1}, ""},
		{"range", call{method: "GET", path: "/part", rng: "bytes=5-7", length: 3, want: []byte("was")}, ""},
		{"shorter than stored", call{method: "GET", path: "/x", length: 16}, "15 bytes, want 16"},
		{"other bytes", call{method: "GET", path: "/x", length: 15, want: []byte("what was STORED")}, "other bytes"},
		{"refused", call{method: "GET", path: "/refused", length: -1}, "503 Service Unavailable: <Code>SlowDown</Code>"},
		{"after all that", call{method: "GET", path: "/x", length: 15, keep: true}, ""},
	} {
		err := c.do(w, test.call)
		if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.says)
		}
	}
	if string(w.text) != body {
		t.Errorf("kept %q", w.text)
	}
	for _, endpoint := range []string{"", "127.0.0.1:9000", "ftp://x"} {
		if _, err := newClient(endpoint, someone, 1); err == nil {
			t.Errorf("%q is taken for an endpoint", endpoint)
		}
	}
}

func TestReadMetrics(t *testing.T) {
	text := `# HELP coffer_kms_requests_total KMS requests.
# TYPE coffer_kms_requests_total counter
coffer_kms_requests_total{operation="Decrypt",outcome="ok",source="s3"} 41
coffer_kms_requests_total{operation="GenerateDataKey",outcome="ok",source="s3"} 1
coffer_kms_requests_total{operation="Decrypt",outcome="ok",source="api"} 1000
process_cpu_seconds_total 1.25e+01
process_cpu_seconds_totals 7
`
	if got := readMetrics([]byte(text)); got != (usage{cpu: 12.5, kms: 42, ok: true}) {
		t.Errorf("read %+v", got)
	}
	if got := readMetrics([]byte("<html>")); got.ok {
		t.Errorf("read %+v of something else", got)
	}
}

func TestContentBeginsAlike(t *testing.T) {
	long := content(1000)
	for _, n := range []int64{1, 7, 8, 333} {
		if !bytes.HasPrefix(long, content(n)) {
			t.Errorf("%d bytes of content are not the first of 1000", n)
		}
	}
}
