// SPDX-License-Identifier: Apache-2.0

// Package webhook sends audit records to an HTTP server: a POST has a document
// {"Records":[…]} as CloudTrail's files have, and any answer of class 2 means that all of
// them were taken. It keeps one connection, follows no redirections, and reads nothing of
// answers but their heads.
package webhook

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/link/sink"
	"github.com/cofferstore/coffer/internal/secret"
)

// Config says where records go.
type Config struct {
	Name string // of the sink
	URL  string // http or https
	// Header and Value are a header of every request, in which "{token}" stands for the
	// token; with an empty token there is none.
	Header, Value string
	Token         secret.Bytes
	// SigningKey, if it is not empty, authenticates every request: see [Signature].
	SigningKey secret.Bytes
	Gzip       bool           // compress bodies
	Roots      *x509.CertPool // who vouches for the server; nil means whom the system trusts
}

// SignatureHeader is the header that a signed request has: "t=<seconds since 1970>,v1=<hex>".
const SignatureHeader = "Coffer-Signature"

// Placeholder stands for the token in a header's value.
const Placeholder = "{token}"

const (
	maxHead  = 64 << 10 // bytes of an answer's head
	maxDrain = 64 << 10 // bytes of its body, for the connection to be used again

	// drainTime is how long those are waited for: the head has said all there is to know.
	drainTime = 500 * time.Millisecond
)

// Webhook is a sink.
type Webhook struct {
	cfg    Config
	host   string
	client *http.Client
	body   bytes.Buffer
	zip    *gzip.Writer
	closed bool
}

var _ sink.Sink = (*Webhook)(nil)

// New returns a webhook; nothing is connected yet.
func New(cfg Config) (*Webhook, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("webhook %s: its URL is not like https://host/path", cfg.Name) // which may have a secret in it
	}
	return &Webhook{
		cfg: cfg, host: u.Host,
		client: &http.Client{
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, MaxConnsPerHost: 1, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
				TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.Roots},
				TLSHandshakeTimeout:    10 * time.Second,
				MaxResponseHeaderBytes: maxHead,
				DisableCompression:     true,
			},
			// Records and token are for the server that the operator named.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		zip: gzip.NewWriter(io.Discard),
	}, nil
}

// Name is sink.Sink's.
func (w *Webhook) Name() string { return w.cfg.Name }

// Close is sink.Sink's.
func (w *Webhook) Close() error {
	w.closed = true
	w.client.CloseIdleConnections()
	return nil
}

// Send is sink.Sink's.
func (w *Webhook) Send(ctx context.Context, records [][]byte) error {
	if len(records) == 0 && !w.closed {
		return nil
	}
	return w.post(ctx, func(to io.Writer) { writeRecords(to, records) })
}

// Post sends a JSON document of the caller's. Answers and errors are as those of Send.
func (w *Webhook) Post(ctx context.Context, document []byte) error {
	return w.post(ctx, func(to io.Writer) { _, _ = to.Write(document) }) // to memory: it does not fail
}

// post sends what write writes.
func (w *Webhook) post(ctx context.Context, write func(io.Writer)) error {
	if w.closed {
		return errors.New("the webhook is closed")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := w.request(ctx, write)
	if err != nil {
		return err
	}
	resp, err := w.client.Do(r)
	if err != nil {
		return fmt.Errorf("POST to %s: %w", w.host, bare(err))
	}
	defer resp.Body.Close()
	defer time.AfterFunc(drainTime, cancel).Stop()
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
	return w.judge(resp, time.Now())
}

// bare takes the URL off an error: there may be a secret in its query.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// request makes the request with a document.
func (w *Webhook) request(ctx context.Context, write func(io.Writer)) (*http.Request, error) {
	if err := w.encode(write); err != nil {
		return nil, err
	}
	// A copy: the transport may go on reading the body after an answer came.
	body := bytes.Clone(w.body.Bytes())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return nil, bare(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "coffer")
	if w.cfg.Gzip {
		r.Header.Set("Content-Encoding", "gzip")
	}
	if w.cfg.Token.Len() > 0 {
		r.Header.Set(w.cfg.Header, strings.ReplaceAll(w.cfg.Value, Placeholder, string(w.cfg.Token.Reveal())))
	}
	if w.cfg.SigningKey.Len() > 0 {
		now := time.Now()
		r.Header.Set(SignatureHeader, fmt.Sprintf("t=%d,v1=%s", now.Unix(), Signature(w.cfg.SigningKey, now, body)))
	}
	return r, nil
}

// encode writes a document to w.body.
func (w *Webhook) encode(write func(io.Writer)) error {
	w.body.Reset()
	if !w.cfg.Gzip {
		write(&w.body)
		return nil
	}
	w.zip.Reset(&w.body)
	write(w.zip)
	return w.zip.Close()
}

// writeRecords writes the document of records to memory, which does not fail.
func writeRecords(to io.Writer, records [][]byte) {
	_, _ = io.WriteString(to, `{"Records":[`)
	for i, r := range records {
		if i > 0 {
			_, _ = io.WriteString(to, ",")
		}
		_, _ = to.Write(r)
	}
	_, _ = io.WriteString(to, "]}")
}

// Signature returns HMAC-SHA256 over the time in whole seconds since 1970, a dot, and the
// body as it is sent, in lower-case hexadecimal digits. A receiver compares it in constant
// time, and refuses times that are minutes away from its own.
func Signature(key secret.Bytes, at time.Time, body []byte) string {
	h := hmac.New(sha256.New, key.Reveal())
	fmt.Fprintf(h, "%d.", at.Unix())
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// judge makes an error of an answer, or nil.
func (w *Webhook) judge(resp *http.Response, now time.Time) error {
	code := resp.StatusCode
	if code >= 200 && code < 300 {
		return nil
	}
	e := &sink.Error{Err: fmt.Errorf("%s answers %d %s", w.host, code, http.StatusText(code))}
	switch {
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		e.After = after(resp.Header.Get("Retry-After"), now)
	case code >= 300 && code < 400:
		e.Refused = true
		e.Err = fmt.Errorf("%w: redirections are not followed, name the place itself", e.Err)
	default:
		e.Refused = true
	}
	return e
}

// after reads a Retry-After header: seconds or a date (RFC 9110, 10.2.3); 0 for neither.
func after(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
