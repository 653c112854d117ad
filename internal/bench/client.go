// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// content returns n bytes that do not compress. A shorter content is the
// beginning of a longer one, and every process makes the same.
func content(n int64) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte([]byte("coffer bench: what objects hold."))).Read(b)
	return b
}

// client sends requests to one server over connections that it keeps.
type client struct {
	base      *url.URL
	signer    *signer
	transport *http.Transport
}

func newClient(endpoint string, who identity, connections int) (*client, error) {
	base, err := url.Parse(endpoint)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("the endpoint %q is no URL like http://127.0.0.1:9000", endpoint)
	}
	return &client{base: base, signer: &signer{identity: who, host: base.Host}, transport: &http.Transport{
		MaxIdleConnsPerHost: connections, IdleConnTimeout: time.Minute, DisableCompression: true,
		// A head and a small body leave in one piece.
		WriteBufferSize: 16 << 10, ReadBufferSize: 16 << 10,
		// HTTP/2 would put all requests on one connection.
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}}, nil
}

func (c *client) close() error {
	c.transport.CloseIdleConnections()
	return nil
}

// worker is one of those who send requests at the same time. What a request needs
// is kept from one to the next.
type worker struct {
	request *http.Request
	url     url.URL
	buffer  []byte
	text    []byte // of the last answer, if the call asked for it
	took    []time.Duration

	throttled int
}

func newWorker(ctx context.Context) *worker {
	w := &worker{buffer: make([]byte, 64<<10)}
	w.request = (&http.Request{
		URL: &w.url, Header: http.Header{}, ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	return w
}

// call is a request, and what its answer must be.
type call struct {
	method, path, query string
	rng, source         string // Range, x-amz-copy-source
	body                []byte
	by                  *signer // nil: the client's own

	length int64  // of the answer; -1 when it may vary
	want   []byte // the answer, to be compared; nil does not
	keep   bool   // leave the answer in the worker's text
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errThrottled: the server answered 503, which asks the client to slow down.
var errThrottled = errors.New("the server asks to slow down")

// backOff is how long a client that was throttled waits before its next request.
const backOff = 10 * time.Millisecond

// do sends a request and reads the whole answer. Errors: errThrottled, and others that
// say what was asked.
func (c *client) do(w *worker, o call) error {
	c.prepare(w, o)
	resp, err := c.transport.RoundTrip(w.request)
	if err != nil {
		return fmt.Errorf("%s %s: %w", o.method, o.path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && !(o.rng != "" && resp.StatusCode == http.StatusPartialContent) {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		err := fmt.Errorf("%s %s: %s: %s", o.method, o.path, resp.Status, bytes.TrimSpace(text))
		if resp.StatusCode == http.StatusServiceUnavailable {
			err = errors.Join(errThrottled, err)
		}
		return err
	}
	if err := w.read(resp.Body, o); err != nil {
		return fmt.Errorf("%s %s: %w", o.method, o.path, err)
	}
	return nil
}

// prepare makes the worker's request that of the call.
func (c *client) prepare(w *worker, o call) {
	w.url = url.URL{Scheme: c.base.Scheme, Host: c.base.Host, Path: o.path, RawQuery: o.query}
	r := w.request
	r.Method, r.Host = o.method, c.base.Host
	r.Body, r.ContentLength = http.NoBody, 0
	if len(o.body) > 0 {
		// Of all this only the reader must be new: the transport may look for its
		// end when the answer has long been read.
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(o.body)), int64(len(o.body))
	}
	clear(r.Header)
	set := func(name, value string) {
		if value != "" {
			r.Header[name] = []string{value}
		}
	}
	at := stamp(time.Now())
	by := c.signer
	if o.by != nil {
		by = o.by
	}
	set("X-Amz-Date", at)
	set("X-Amz-Content-Sha256", unsignedPayload)
	set("X-Amz-Copy-Source", o.source)
	set("X-Amz-Security-Token", by.token)
	set("Range", o.rng)
	set("Authorization", by.authorization(signed{method: o.method, path: o.path, query: o.query, source: o.source, at: at}))
}

// read reads an answer to its end and checks it.
func (w *worker) read(body io.Reader, o call) error {
	var n int64
	var sum uint32
	w.text = w.text[:0]
	for {
		got, err := body.Read(w.buffer)
		n += int64(got)
		if o.want != nil {
			sum = crc32.Update(sum, castagnoli, w.buffer[:got])
		}
		if o.keep {
			w.text = append(w.text, w.buffer[:got]...)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if o.length >= 0 && n != o.length {
		return fmt.Errorf("the answer has %d bytes, want %d", n, o.length)
	}
	if o.want != nil && sum != crc32.Checksum(o.want, castagnoli) {
		return errors.New("the answer has other bytes than were stored")
	}
	return nil
}

// usage is what a process has used since it began.
type usage struct {
	cpu float64 // seconds
	kms float64 // requests that S3 made
	ok  bool    // false when it cannot be known
}

func (u usage) since(before usage) usage {
	return usage{u.cpu - before.cpu, u.kms - before.kms, u.ok && before.ok}
}

// metrics asks the server's metrics. A server that does not show them is no error.
func (c *client) metrics(w *worker) (usage, error) {
	err := c.do(w, call{method: http.MethodGet, path: "/-/metrics", length: -1, keep: true})
	if errors.Is(err, context.Canceled) {
		return usage{}, err
	}
	if err != nil {
		return usage{}, nil
	}
	return readMetrics(w.text), nil
}

const (
	cpuMetric = "process_cpu_seconds_total"
	kmsMetric = "coffer_kms_requests_total"
)

// readMetrics finds what it needs in the text format of Prometheus.
func readMetrics(text []byte) (u usage) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		cut := strings.LastIndexByte(line, ' ')
		if cut < 0 {
			continue
		}
		value, err := strconv.ParseFloat(line[cut+1:], 64)
		switch name := line[:cut]; {
		case err != nil:
		case name == cpuMetric:
			u.cpu, u.ok = value, true
		case strings.HasPrefix(name, kmsMetric+"{") && strings.Contains(name, `source="s3"`):
			u.kms += value
		}
	}
	return u
}
