// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Client calls a server's operator's API. Its errors are one line each that says
// what to do. It is safe for concurrent use.
type Client struct {
	Endpoint    string // URL of the server
	Region      string
	Credentials aws.CredentialsProvider
	HTTP        aws.HTTPClient // nil is http.DefaultClient
}

// maxLine bounds a line of an answer: a scrub's report lists up to a thousand
// damaged objects.
const maxLine = 16 << 20

// maxAnswer bounds an answer that is one value: a preflight's has policies of all
// accounts in it, as they are and edited.
const maxAnswer = 256 << 20

// Version returns what the server says of its version, as JSON.
func (c *Client) Version(ctx context.Context) (json.RawMessage, error) {
	return c.value(ctx, http.MethodGet, "version", nil)
}

// Config returns the server's settings that are no secrets, as JSON.
func (c *Client) Config(ctx context.Context) (json.RawMessage, error) {
	return c.value(ctx, http.MethodGet, "config", nil)
}

// AuditQuery chooses records of the audit trail. The zero value chooses all that
// there are.
type AuditQuery struct {
	KMSOnly bool      // events of KMS alone
	Since   time.Time // events of that second or later
	Limit   int       // the last so many of those chosen; 0 is all
	Follow  bool      // go on with records as they are written
}

// Audit calls fn with each chosen record, as JSON that fn must not keep. It stops
// at fn's first error. Following ends with an error: ctx's, or that the server has
// ended the stream.
func (c *Client) Audit(ctx context.Context, q AuditQuery, fn func(record []byte) error) error {
	p := url.Values{}
	if q.KMSOnly {
		p.Set("kms", "1")
	}
	if !q.Since.IsZero() {
		p.Set("since", q.Since.UTC().Format(time.RFC3339))
	}
	if q.Limit > 0 {
		p.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.Follow {
		p.Set("follow", "1")
	}
	err := c.lines(ctx, http.MethodGet, "audit", p, fn)
	if err == nil && q.Follow {
		err = fmt.Errorf("the server at %s is stopping", c.Endpoint)
	}
	return err
}

// FlushKeys drops bucket keys from the server's memory and returns how many:
// those of a bucket, those under a KMS key, or both; "" is any.
func (c *Client) FlushKeys(ctx context.Context, bucket, keyARN string) (int, error) {
	p := url.Values{}
	if bucket != "" {
		p.Set("bucket", bucket)
	}
	if keyARN != "" {
		p.Set("key", keyARN)
	}
	body, err := c.value(ctx, http.MethodPost, "keys/flush", p)
	if err != nil {
		return 0, err
	}
	var out flushed
	if err := json.Unmarshal(body, &out); err != nil {
		return 0, c.notCoffer("answered something else than JSON")
	}
	return out.Flushed, nil
}

// Scrub has the server compare everything it keeps with what it knows of it, and
// calls fn with each report, as JSON that fn must not keep. The last one says
// that it is done. The scrub ends with ctx, and with fn's first error.
func (c *Client) Scrub(ctx context.Context, deep bool, fn func(report []byte) error) error {
	p := url.Values{}
	if deep {
		p.Set("deep", "1")
	}
	return c.lines(ctx, http.MethodPost, "scrub", p, fn)
}

// BucketKeys returns what is known of a bucket's bucket keys, as JSON.
func (c *Client) BucketKeys(ctx context.Context, bucket string) (json.RawMessage, error) {
	return c.value(ctx, http.MethodGet, "bucketkeys", url.Values{"bucket": {bucket}})
}

// Preflight returns what Bucket Keys on a bucket would change, as JSON: a
// preflight.Report. keyARN "" is every KMS key.
func (c *Client) Preflight(ctx context.Context, bucket, keyARN string) (json.RawMessage, error) {
	p := url.Values{"bucket": {bucket}}
	if keyARN != "" {
		p.Set("key", keyARN)
	}
	return c.value(ctx, http.MethodGet, "bucketkeys/preflight", p)
}

// Consolidate has the server consolidate a bucket's bucket keys, and calls fn with the
// job now and then, as JSON that fn must not keep. The last one says how it ended.
// The job goes on when ctx is done, or fn returned an error.
func (c *Client) Consolidate(ctx context.Context, bucket string, fn func(job []byte) error) error {
	return c.lines(ctx, http.MethodPost, "bucketkeys/consolidate", url.Values{"bucket": {bucket}}, fn)
}

// RunLifecycle has the server carry out the lifecycle rules of a bucket now, or of all
// buckets when the name is "". It returns how the sweeps stand, as JSON.
func (c *Client) RunLifecycle(ctx context.Context, bucket string) (json.RawMessage, error) {
	return c.value(ctx, http.MethodPost, "lifecycle/run", ofBuckets(bucket))
}

// LifecycleStatus returns how the last sweeps stand, as JSON: of a bucket, or of all.
func (c *Client) LifecycleStatus(ctx context.Context, bucket string) (json.RawMessage, error) {
	return c.value(ctx, http.MethodGet, "lifecycle", ofBuckets(bucket))
}

func ofBuckets(bucket string) url.Values {
	if bucket == "" {
		return nil
	}
	return url.Values{"bucket": {bucket}}
}

// SwitchConsolidation says whether upkeep may consolidate a bucket.
func (c *Client) SwitchConsolidation(ctx context.Context, bucket string, on bool) error {
	_, err := c.value(ctx, http.MethodPost, "bucketkeys/switch", switchOf(bucket, on))
	return err
}

// SwitchLegacyMode switches a bucket's legacy mode, and says how it is then.
func (c *Client) SwitchLegacyMode(ctx context.Context, bucket string, on bool) (LegacyMode, error) {
	body, err := c.value(ctx, http.MethodPost, "bucket/legacy", switchOf(bucket, on))
	if err != nil {
		return LegacyMode{}, err
	}
	var out LegacyMode
	if err := json.Unmarshal(body, &out); err != nil {
		return LegacyMode{}, c.notCoffer("answered something else than JSON")
	}
	return out, nil
}

// switchOf are the parameters of a call that switches something of a bucket.
func switchOf(bucket string, on bool) url.Values {
	p := url.Values{"bucket": {bucket}, "on": {"0"}}
	if on {
		p.Set("on", "1")
	}
	return p
}

// value reads an answer that is one JSON value.
func (c *Client) value(ctx context.Context, method, path string, p url.Values) (json.RawMessage, error) {
	resp, err := c.call(ctx, method, path, p)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, c.brokenOff(ctx, err)
	}
	body = bytes.TrimSpace(body)
	if !json.Valid(body) {
		return nil, c.notCoffer("answered something else than JSON")
	}
	return body, nil
}

// lines reads an answer of JSON lines.
func (c *Client) lines(ctx context.Context, method, path string, p url.Values, fn func([]byte) error) error {
	resp, err := c.call(ctx, method, path, p)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	s := bufio.NewScanner(resp.Body)
	s.Buffer(nil, maxLine)
	for s.Scan() {
		if err := fn(s.Bytes()); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		return c.brokenOff(ctx, err)
	}
	return nil
}

// call sends a signed request and returns the answer if it is a success.
func (c *Client) call(ctx context.Context, method, path string, p url.Values) (*http.Response, error) {
	return c.send(ctx, method, path, p, nil)
}

// send is call with a body.
func (c *Client) send(ctx context.Context, method, path string, p url.Values, body []byte) (*http.Response, error) {
	base, err := url.Parse(c.Endpoint)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("the endpoint %q is no URL like http://127.0.0.1:9000: set AWS_ENDPOINT_URL", c.Endpoint)
	}
	base.Path, base.RawQuery = apiPrefix+path, p.Encode()
	r, err := http.NewRequestWithContext(ctx, method, base.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	credentials, err := c.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, errors.New("no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to those of the server's root, which its first start printed")
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, r, hex.EncodeToString(sum[:]), service, c.Region, time.Now()); err != nil {
		return nil, fmt.Errorf("sign request: %w", err)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, c.refusal(resp)
	}
	return resp, nil
}

// unreachable explains why there is no answer.
func (c *Client) unreachable(ctx context.Context, err error) error {
	var inner *url.Error
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no server listens at %s: start one with \"coffer serve\", or set AWS_ENDPOINT_URL to where it is", c.Endpoint)
	case errors.As(err, &inner):
		err = inner.Err // without the method and the URL
	}
	return fmt.Errorf("no answer from %s: %w", c.Endpoint, err)
}

// refusal explains an answer that is no success.
func (c *Client) refusal(resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var f failure
	if err != nil || json.Unmarshal(body, &f) != nil || f.Code == "" {
		return c.notCoffer("answered " + resp.Status)
	}
	message := strings.TrimSuffix(f.Message, ".")
	if message == "" {
		message = resp.Status
	}
	return fmt.Errorf("%s: %s (request %s)", f.Code, message, f.RequestID)
}

func (c *Client) notCoffer(what string) error {
	return fmt.Errorf("%s %s: it may be no Coffer server; set AWS_ENDPOINT_URL to where one is", c.Endpoint, what)
}

func (c *Client) brokenOff(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("the server at %s broke off its answer: its log says why (%w)", c.Endpoint, err)
}
