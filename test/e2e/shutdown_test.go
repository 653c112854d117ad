// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/test/coffertest"
)

// halfUpload sends half of an upload and returns what sends the rest and waits for
// the answer.
func halfUpload(t *testing.T, s *coffertest.Server, target string, data []byte) (rest func() (int, error)) {
	t.Helper()
	req := request{method: "PUT", target: target, body: string(data)}.signed(t, s.URL)
	source, sink := io.Pipe()
	req.Body = source
	type outcome struct {
		status int
		err    error
	}
	answered := make(chan outcome, 1)
	go func() {
		resp, err := (&http.Client{Transport: &http.Transport{}}).Do(req)
		if err != nil {
			answered <- outcome{err: err}
			return
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		answered <- outcome{resp.StatusCode, err}
	}()
	if _, err := sink.Write(data[:len(data)/2]); err != nil {
		t.Fatal(err)
	}
	coffertest.Eventually(t, "the upload", func() bool {
		a := request{method: "GET", target: "/-/metrics", anonymous: true}.do(s)
		return strings.Contains(a.body, "\ncoffer_requests_in_flight 2\n") // this one, too
	})
	return func() (int, error) {
		_, err := sink.Write(data[len(data)/2:])
		sink.Close()
		o := <-answered
		if o.err == nil {
			o.err = err
		}
		return o.status, o.err
	}
}

// TestShutdownFinishesWhatIsUnderWay: a server that is told to stop takes no new
// connections, and answers the upload that is in flight.
func TestShutdownFinishesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Bucket("vault", "aws:kms", s.Key(), true)
	data := bytes.Repeat([]byte("0123456789"), 100_000)
	rest := halfUpload(t, s, "/vault/k", data)
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop() }()
	coffertest.Eventually(t, "the end of listening", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-stopped:
		t.Fatalf("stopped with an upload in flight: %v", err)
	default:
	}
	if status, err := rest(); status != 200 || err != nil {
		t.Errorf("upload: %d, %v", status, err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	s.Restart()
	if got, _ := s.Get("vault", "k"); got != string(data) {
		t.Errorf("%d bytes come back", len(got))
	}
}

// TestShutdownDoesNotWaitForever: an upload that does not move is cut, and leaves
// nothing.
func TestShutdownDoesNotWaitForever(t *testing.T) {
	t.Parallel()
	s := start(t, coffertest.Flags("--shutdown-timeout", "100ms"))
	s.Bucket("vault", "", "", false)
	rest := halfUpload(t, s, "/vault/k", make([]byte, 1<<20))
	if err := s.Stop(); err == nil || !strings.Contains(err.Error(), "some requests did not end within 100ms") {
		t.Errorf("stop: %v", err)
	}
	if status, err := rest(); err == nil {
		t.Errorf("upload: %d", status)
	}
	s.Restart()
	_, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("vault"), Key: aws.String("k")})
	wantCode(t, err, 404, "NoSuchKey")
}
