// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
)

// documented is the expression with which S3's documentation has Athena read access logs
// (S3 User Guide, "Using Amazon S3 server access logs to identify requests").
var documented = regexp.MustCompile(`^([^ ]*) ([^ ]*) \[(.*?)\] ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ("[^"]*"|-) (-|[0-9]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*|"[^"]*") ("[^"]*"|-) ([^ ]*)(?: ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*))$`)

var photos = &bucket.Logged{
	Name: "photos", Owner: "000000000001", OwnerID: "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be", Region: "us-east-1",
	Logging: bucket.Logging{Target: "logs", Prefix: "p/"},
}

func whole() *Entry {
	return &Entry{
		Time: time.Date(2026, 3, 4, 5, 12, 1, 999, time.FixedZone("", 3600)), RemoteIP: "203.0.113.9",
		Requester: "arn:aws:iam::000000000001:user/alice", RequestID: "3XQ7EXAMPLE0001A", Operation: "REST.GET.OBJECT", Key: "a b/ü+.csv",
		URI: "GET /photos/a%20b/%C3%BC+.csv?versionId=v HTTP/1.1", Status: 206, Code: "", Sent: 10, Size: 4096,
		Total: 41 * time.Millisecond, Turnaround: 12900 * time.Microsecond, Referer: "http://example.com/a b", UserAgent: "aws-cli/2.30",
		VersionID: "v", HostID: "host+/=", Signature: "SigV4", Cipher: "TLS_AES_128_GCM_SHA256", Auth: "AuthHeader",
		Host: "photos.s3.example.com:9000", TLS: "TLSv1.3", ACLRequired: true,
	}
}

func TestLine(t *testing.T) {
	edit := func(f func(*Entry)) *Entry { e := whole(); f(e); return e }
	const begin = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be photos [04/Mar/2026:04:12:01 +0000] "
	for name, c := range map[string]struct {
		entry *Entry
		want  string
	}{
		"everything": {whole(), `203.0.113.9 arn:aws:iam::000000000001:user/alice 3XQ7EXAMPLE0001A REST.GET.OBJECT a%20b/%C3%BC%2B.csv "GET /photos/a%20b/%C3%BC+.csv?versionId=v HTTP/1.1" 206 - 10 4096 41 12 "http://example.com/a b" "aws-cli/2.30" v host+/= SigV4 TLS_AES_128_GCM_SHA256 AuthHeader photos.s3.example.com:9000 TLSv1.3 - Yes`},
		"nothing":    {&Entry{Time: whole().Time, Status: 403, Code: "AccessDenied", Size: -1}, `- - - - - - 403 AccessDenied - - 0 0 "-" "-" - - - - - - - - -`},
		"a part of another request": {edit(func(e *Entry) {
			e.Part, e.Operation, e.URI, e.Referer, e.UserAgent, e.Sent, e.Size, e.Total, e.Turnaround = true, "BATCH.DELETE.OBJECT", "", "", "", 0, -1, -1, -1
		}), `203.0.113.9 arn:aws:iam::000000000001:user/alice 3XQ7EXAMPLE0001A BATCH.DELETE.OBJECT a%20b/%C3%BC%2B.csv - 206 - - - - - - - v host+/= SigV4 TLS_AES_128_GCM_SHA256 AuthHeader photos.s3.example.com:9000 TLSv1.3 - Yes`},
		"what would break a line": {edit(func(e *Entry) {
			e.UserAgent, e.Referer, e.Key, e.Host, e.VersionID = "a\" 200\n\x00b\\", "ü", "\n\"", "a b\"", " "
		}), `203.0.113.9 arn:aws:iam::000000000001:user/alice 3XQ7EXAMPLE0001A REST.GET.OBJECT %0A%22 "GET /photos/a%20b/%C3%BC+.csv?versionId=v HTTP/1.1" 206 - 10 4096 41 12 "%C3%BC" "a%22 200%0A%00b\" %20 host+/= SigV4 TLS_AES_128_GCM_SHA256 AuthHeader a%20b%22 TLSv1.3 - Yes`},
		"an empty object": {edit(func(e *Entry) { e.Sent, e.Size, e.ACLRequired = 0, 0, false }), `203.0.113.9 arn:aws:iam::000000000001:user/alice 3XQ7EXAMPLE0001A REST.GET.OBJECT a%20b/%C3%BC%2B.csv "GET /photos/a%20b/%C3%BC+.csv?versionId=v HTTP/1.1" 206 - - 0 41 12 "http://example.com/a b" "aws-cli/2.30" v host+/= SigV4 TLS_AES_128_GCM_SHA256 AuthHeader photos.s3.example.com:9000 TLSv1.3 - -`},
	} {
		got := string(c.entry.appendLine(nil, photos))
		if got != begin+c.want+"\n" {
			t.Errorf("%s:\n got %swant %s", name, got, begin+c.want)
		}
		if !documented.MatchString(strings.TrimSuffix(got, "\n")) {
			t.Errorf("%s: the documented expression does not match %s", name, got)
		}
	}
	if got := len(edit(func(e *Entry) { e.UserAgent = strings.Repeat("a", 1<<20) }).appendLine(nil, photos)); got > maxField+1<<10 {
		t.Errorf("a line of %d bytes", got)
	}
}

// FuzzLine: whatever clients send, a line has all its fields and no more, and the key can
// be read back.
func FuzzLine(f *testing.F) {
	f.Add("a/b c", "GET /photos HTTP/1.1", "ref", "agent \"", "id", "host")
	f.Add("\n", "\" 200 \"", "\xff", "\\", "- -", "\"")
	f.Add("", "", "", "", "", "")
	f.Fuzz(func(t *testing.T, name, uri, referer, agent, version, host string) {
		e := whole()
		e.Key, e.URI, e.Referer, e.UserAgent, e.VersionID, e.Host = name, uri, referer, agent, version, host
		line := string(e.appendLine(nil, photos))
		body, ok := strings.CutSuffix(line, "\n")
		m := documented.FindStringSubmatch(body)
		if !ok || strings.Contains(body, "\n") || m == nil || m[7] != e.Operation || m[10] != "206" || m[len(m)-1] != "Yes" {
			t.Fatalf("%q", line)
		}
		if got, err := url.PathUnescape(m[8]); err != nil || got != name && name != "" && len(name) <= maxField {
			t.Errorf("key %q became %q, %v", name, m[8], err)
		}
		if got, err := url.QueryUnescape(m[8]); err != nil || got != name && name != "" && len(name) <= maxField {
			t.Errorf("key %q became %q, %v", name, m[8], err)
		}
	})
}
