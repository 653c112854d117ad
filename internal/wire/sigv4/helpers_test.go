// SPDX-License-Identifier: Apache-2.0

package sigv4_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// The credential of the published examples.
const (
	accessKey = "AKIAIOSFODNN7EXAMPLE"
	secretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	region    = "us-east-1"
	timestamp = "20130524T000000Z"
	emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// keyring holds secrets by access key; a session's also has its token.
type keyring map[string]struct{ secret, token string }

func (k keyring) Credential(_ context.Context, accessKeyID, sessionToken string) (sigv4.Credential, error) {
	entry, ok := k[accessKeyID]
	if !ok || entry.token != sessionToken {
		return sigv4.Credential{}, iam.NoSuchAccessKey
	}
	return sigv4.Credential{
		Secret:    secret.New([]byte(entry.secret)),
		Principal: iam.Principal{Type: iam.IAMUser, Account: "111122223333", UserName: "alice", AccessKeyID: accessKeyID},
	}, nil
}

func verifier() *sigv4.Verifier {
	return sigv4.New(keyring{accessKey: {secret: secretKey}}, sigv4.Config{Region: region})
}

// timeless accepts the examples' date at any time.
func timeless() *sigv4.Verifier {
	return sigv4.New(keyring{accessKey: {secret: secretKey}}, sigv4.Config{Region: region, Skew: 200 * 365 * 24 * time.Hour})
}

// atTime runs f when the clock shows the time.
func atTime(t *testing.T, at time.Time, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(at))
		f(t)
	})
}

// signer returns the SDK's signer as the service's client sets it up.
func signer(service string) *v4.Signer {
	return v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
}

func sign(t fataler, r *http.Request, hash, service string, at time.Time, token string) {
	creds := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey, SessionToken: token}
	if err := signer(service).SignHTTP(context.Background(), creds, r, hash, service, region, at); err != nil {
		t.Fatal(err)
	}
}

type fataler interface{ Fatal(...any) }

// received sends a client's request over the wire and returns what a server
// gets of it.
func received(t fataler, r *http.Request) *http.Request {
	var wire bytes.Buffer
	if err := r.Write(&wire); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// request makes a client's request; headers are "Name: value".
func request(t fataler, method, url string, headers ...string) *http.Request {
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// wantFault checks an error's kind and the details it must have.
func wantFault(t *testing.T, err error, kind fault.Kind, details ...string) *fault.Error {
	t.Helper()
	f, ok := fault.As(err)
	if !ok || f.Kind != kind {
		t.Errorf("got %v, want %s", err, kind)
		return &fault.Error{}
	}
	for _, d := range details {
		name, value, _ := strings.Cut(d, "=")
		if got := detail(f, name); got != value {
			t.Errorf("%s: detail %s is %q, want %q", kind, name, got, value)
		}
	}
	return f
}

func detail(f *fault.Error, name string) string {
	for _, d := range f.Details {
		if d.Name == name {
			return d.Value
		}
	}
	return ""
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// stream encodes a payload as aws-chunked, independently of the code under test.
type stream struct {
	seed     string   // signature of the head; "" encodes without signatures
	chunks   []string // data
	trailers []string // name:value
	dialect  bool     // minio-go's line ends
	trailing bool     // the mode has a trailer
}

func signingKey(date string) []byte {
	return mac(mac(mac(mac([]byte("AWS4"+secretKey), date), region), "s3"), "aws4_request")
}

func (s stream) encode() []byte {
	scope := timestamp + "\n" + timestamp[:8] + "/" + region + "/s3/aws4_request\n"
	key, previous := signingKey(timestamp[:8]), s.seed
	var out bytes.Buffer
	for i := range len(s.chunks) + 1 {
		data := ""
		if i < len(s.chunks) {
			data = s.chunks[i]
		}
		fmt.Fprintf(&out, "%x", len(data))
		if s.seed != "" {
			previous = hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256-PAYLOAD\n"+scope+previous+"\n"+emptyHash+"\n"+hexSum([]byte(data))))
			out.WriteString(";chunk-signature=" + previous)
		}
		out.WriteString("\r\n")
		if data != "" {
			out.WriteString(data + "\r\n")
		}
	}
	end := "\r\n"
	if s.dialect {
		end = "\n"
	}
	signed := ""
	for _, t := range s.trailers {
		out.WriteString(t + end)
		signed += t + "\n"
	}
	if s.dialect {
		out.WriteString("\r\n")
	}
	if s.seed != "" && s.trailing {
		out.WriteString("x-amz-trailer-signature:" +
			hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256-TRAILER\n"+scope+previous+"\n"+hexSum([]byte(signed)))) + "\r\n")
	}
	out.WriteString("\r\n")
	return out.Bytes()
}

func (s stream) payload() string { return strings.Join(s.chunks, "") }

// mode returns the value of x-amz-content-sha256.
func (s stream) mode() string {
	switch {
	case s.seed == "":
		return "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	case s.trailing:
		return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	}
	return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
}

// open verifies a head for the stream and returns the reader of a body. For a
// signed stream the seed is that of this head.
func (s *stream) open(t fataler, announce string, length int) func(src io.Reader) (*sigv4.Body, error) {
	r := request(t, "PUT", "http://s3.amazonaws.com/examplebucket/chunkObject.txt",
		"Content-Encoding: aws-chunked", fmt.Sprint("X-Amz-Decoded-Content-Length: ", length))
	if announce != "" {
		r.Header.Set("X-Amz-Trailer", announce)
	}
	r.Header.Set("X-Amz-Content-Sha256", s.mode())
	at, _ := time.Parse("20060102T150405Z", timestamp)
	sign(t, r, s.mode(), "s3", at, "")
	if s.seed != "" {
		_, s.seed, _ = strings.Cut(r.Header.Get("Authorization"), "Signature=")
	}
	res, err := timeless().Verify(received(t, r), "s3")
	if err != nil {
		t.Fatal(err)
	}
	return func(src io.Reader) (*sigv4.Body, error) { return res.Body(src, -1) }
}

func awsCredentials() aws.Credentials {
	return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}
}
