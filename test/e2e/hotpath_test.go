// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/cofferstore/coffer/test/coffertest"
)

// The hot paths of the whole server, without a network and without a client's work:
// requests are signed once and served again and again by the handler.

func BenchmarkPut(b *testing.B) {
	for _, c := range hotPaths(b) {
		b.Run(c.name, func(b *testing.B) {
			body := bytes.Repeat([]byte("x"), c.size)
			reqs := make([]*http.Request, 256) // of objects apart, or writers would wait for each other
			for i := range reqs {
				reqs[i] = c.signed(b, "PUT", fmt.Sprint("hot", i), int64(len(body)))
			}
			var next atomic.Uint32
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			b.SetParallelism(8) // what is synced together is not waited for apart
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r := reqs[next.Add(1)%uint32(len(reqs))].Clone(b.Context())
					r.Body = io.NopCloser(bytes.NewReader(body))
					c.serve(b, r)
				}
			})
		})
	}
}

func BenchmarkGet(b *testing.B) {
	for _, c := range hotPaths(b) {
		b.Run(c.name, func(b *testing.B) {
			body := bytes.Repeat([]byte("x"), c.size)
			put := c.signed(b, "PUT", "hot", int64(len(body)))
			put.Body = io.NopCloser(bytes.NewReader(body))
			c.serve(b, put)
			req := c.signed(b, "GET", "hot", 0)
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			b.SetParallelism(8) // what is synced together is not waited for apart
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					c.serve(b, req.Clone(b.Context()))
				}
			})
		})
	}
}

// What a small request allocates is most of what it costs beside the system calls, and a
// bucket key adds next to nothing. The limits have room for what runs in the background.
func TestAllocationsOfSmallRequests(t *testing.T) {
	if raced {
		t.Skip("pools are emptied at random")
	}
	body := bytes.Repeat([]byte("x"), 4<<10)
	found := map[string]float64{}
	for _, c := range hotPaths(t) {
		if c.size != len(body) {
			continue
		}
		put, get := c.signed(t, "PUT", "few", int64(len(body))), c.signed(t, "GET", "few", 0)
		for method, request := range map[string]func(){
			"PUT": func() {
				r := put.Clone(t.Context())
				r.Body = io.NopCloser(bytes.NewReader(body))
				c.serve(t, r)
			},
			"GET": func() { c.serve(t, get.Clone(t.Context())) },
		} {
			if method == "GET" {
				r := put.Clone(t.Context())
				r.Body = io.NopCloser(bytes.NewReader(body))
				c.serve(t, r)
			}
			least := math.Inf(1)
			for range 5 {
				least = min(least, testing.AllocsPerRun(100, request))
			}
			found[method+" "+c.bucket] = least
		}
	}
	for method, most := range map[string]float64{"GET": 115, "PUT": 215} {
		plain, keyed := found[method+" sse-s3"], found[method+" bucket-key"]
		if plain > most || keyed > plain+10 {
			t.Errorf("%s: %v allocations with SSE-S3 and %v with a bucket key, want at most %v and 10 more", method, plain, keyed, most)
		}
	}
}

type hotPath struct {
	s            *coffertest.Server
	name, bucket string
	size         int
}

func hotPaths(b testing.TB) []hotPath {
	s := coffertest.Start(b)
	key := s.Key()
	s.Bucket("sse-s3", "AES256", "", false)
	s.Bucket("bucket-key", "aws:kms", key, true)
	var all []hotPath
	for _, size := range []int{4 << 10, 1 << 20} {
		for _, bucket := range []string{"sse-s3", "bucket-key"} {
			all = append(all, hotPath{s, fmt.Sprintf("%s/%dKiB", bucket, size>>10), bucket, size})
		}
	}
	return all
}

func (c hotPath) signed(b testing.TB, method, key string, length int64) *http.Request {
	req, err := http.NewRequestWithContext(b.Context(), method, c.s.URL+"/"+c.bucket+"/"+key, nil)
	if err != nil {
		b.Fatal(err)
	}
	const payload = "UNSIGNED-PAYLOAD"
	req.Header.Set("X-Amz-Content-Sha256", payload)
	if method == "PUT" {
		req.ContentLength = length
		req.Header.Set("Content-Length", fmt.Sprint(length))
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	err = signer.SignHTTP(b.Context(), aws.Credentials{AccessKeyID: coffertest.AccessKeyID, SecretAccessKey: coffertest.SecretAccessKey},
		req, payload, "s3", coffertest.Region, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	req.RemoteAddr, req.RequestURI = "127.0.0.1:1", req.URL.RequestURI()
	return req
}

func (c hotPath) serve(b testing.TB, r *http.Request) {
	w := &discard{h: make(http.Header)}
	c.s.Core.Handler().ServeHTTP(w, r)
	if w.status != 200 {
		b.Errorf("%s: %d %s", r.Method, w.status, w.text)
	}
}

// discard is an answer that nobody reads.
type discard struct {
	h      http.Header
	status int
	text   []byte
}

func (d *discard) Header() http.Header { return d.h }

func (d *discard) WriteHeader(status int) { d.status = status }

func (d *discard) Write(p []byte) (int, error) {
	if d.status != 200 {
		d.text = append(d.text, p...)
	}
	return len(p), nil
}
