// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// Kinds of fault that the road raises.
const (
	BodyTooLarge fault.Kind = "pipeline: body too large"
	TimedOut     fault.Kind = "pipeline: deadline exceeded"
	NoRoom       fault.Kind = "pipeline: no room on the device"
	InvalidURI   fault.Kind = "pipeline: invalid request target"
	SlowClient   fault.Kind = "pipeline: client too slow"
	AuditFailed  fault.Kind = "pipeline: audit record could not be written"
	HeadTooLarge fault.Kind = "pipeline: request head too large"
)

// Call is one request on its way. It belongs to the goroutine that serves it.
type Call struct {
	Request *http.Request
	Op      *Op
	ID      string // x-amz-request-id
	HostID  string // x-amz-id-2
	Caller  iam.Caller
	Auth    *sigv4.Result
	Bucket  string // the target, as the path or the host name says
	Key     string
	Query   url.Values
	Form    Form // of an operation that takes one
	Notes   any  // what the family keeps with the call for itself

	road    *Road
	family  *Family
	body    *counted
	payload *sigv4.Body
	whole   []byte
	isRead  bool // whole is the body
	record  audit.Record
	items   []audit.Record // of single items of the call, beside its own
	joining *joining       // when the record has gone with a commit
	owner   string         // account of the bucket's owner, "" if there is none
	allowed bool           // what the request needs
	others  []string       // accounts whose trails have the record, too
	in      int64          // bytes of body read
	start   time.Time
	read    time.Time // when something of the body was last read
	sending time.Time // when the answer began to go out

	// Memory for the body, the answer's headers and the record.
	reading    counted
	values     [3]string
	facts      [12]audit.Fact
	parameters [8]audit.Fact
	elements   [4]audit.Fact
	resources  [2]audit.Resource
}

// Header returns a request header, "" when absent.
func (c *Call) Header(name string) string {
	if values := c.Values(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// Has reports whether a request header is present, even if empty.
func (c *Call) Has(name string) bool { return c.Values(name) != nil }

// Values returns all values of a request header, nil when it is absent. As with Header
// and Has, the name is one that the code knows, not one that a client sent: its
// canonical form is kept.
func (c *Call) Values(name string) []string { return c.Request.Header[canonical(name)] }

// canonicalNames are the canonical forms of the header names that the code asks for.
var canonicalNames atomic.Pointer[map[string]string]

// canonical is http.CanonicalHeaderKey, which makes a new string each time.
func canonical(name string) string {
	known := canonicalNames.Load()
	if known != nil {
		if c, ok := (*known)[name]; ok {
			return c
		}
	}
	c := http.CanonicalHeaderKey(name)
	more := map[string]string{name: c}
	if known != nil {
		maps.Copy(more, *known)
	}
	canonicalNames.CompareAndSwap(known, &more) // or the next one does
	return c
}

// Payload returns the body as the client signed it: decoded, and verified when it
// has been read to its end. It may be called more than once.
func (c *Call) Payload() (*sigv4.Body, error) {
	if c.payload == nil {
		p, err := c.Auth.Body(c.body, c.Request.ContentLength)
		if err != nil {
			return nil, err
		}
		c.payload = p
	}
	return c.payload, nil
}

// Document reads the body whole, up to the operation's bound. What a request needs is
// known only once its document has been read; so whoever may do nothing at all is
// refused here, before a stranger's megabytes are read and parsed. Faults:
// BodyTooLarge, and Authorize's.
func (c *Call) Document() ([]byte, error) {
	if c.family.Whole {
		return c.whole, nil
	}
	if err := c.authorize(c.Request.Context(), nil); err != nil {
		return nil, err
	}
	p, err := c.Payload()
	if err != nil {
		return nil, err
	}
	return readBounded(p, c.Op.maxBody())
}

// ReadWhole reads the body of a call whose operation is named in it, up to a limit: it
// is for the Find of a Whole family. A request that is signed for another service or
// by an unknown access key is refused before its body is read. One that is not signed
// may be for an operation that is Open, so it is read, but no more than maxUnsigned;
// nothing else comes of it. Faults: BodyTooLarge, and the verifier's.
func (c *Call) ReadWhole(limit int64) (body []byte, err error) {
	err = c.road.cfg.Verifier.Precheck(c.Request, c.family.Services...)
	switch {
	case errors.Is(err, sigv4.MissingAuthentication):
		limit = min(limit, maxUnsigned)
	case err != nil:
		return nil, err
	}
	c.body.due = c.start.Add(c.road.cfg.Deadline)
	if c.whole, err = readBounded(c.body, limit); err != nil {
		return nil, err
	}
	c.isRead = true
	return c.whole, nil
}

// maxUnsigned bounds what is read of a request that nobody signed, to learn what it
// asks for. The largest honest one has an identity token of 20,000 characters and a
// policy, percent-encoded.
const maxUnsigned = 128 << 10

// Identify says who made a call that was not signed, when the operation itself has
// proved it: then the call is recorded as theirs.
func (c *Call) Identify(p iam.Principal) {
	c.Auth, c.Caller.Principal = &sigv4.Result{Principal: p}, p
}

// authorize asks the family, or else the road, whether the caller may do what in needs;
// with nil, whether there is something that the caller may be allowed.
func (c *Call) authorize(ctx context.Context, in Needer) error {
	if c.family.Authorize != nil {
		return c.family.Authorize(ctx, c, in)
	}
	var needs []policy.Need
	if in != nil {
		needs = in.Needs()
	}
	return c.road.cfg.Authorize(ctx, c.Caller, needs)
}

func (op *Op) maxBody() int64 {
	if op.MaxBody > 0 {
		return op.MaxBody
	}
	return DefaultMaxBody
}

func readBounded(r io.Reader, limit int64) ([]byte, error) {
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		if _, ok := fault.As(err); ok {
			return nil, err
		}
		return nil, fault.New(sigv4.IncompleteBody, "").Because(err)
	case n > limit:
		return nil, fault.New(BodyTooLarge, "").With("MaxMessageLengthBytes", fmt.Sprint(limit))
	}
	return b.Bytes(), nil
}

// Response is an answer that has not been sent.
type Response struct {
	Status int
	Header http.Header // nil is empty
	Body   []byte      // the whole body, or …
	Stream io.ReadCloser
	Length int64 // … a stream of this many bytes; -1 unknown
	// Flush sends what is read of the stream at once: for answers that a client
	// watches as they grow.
	Flush bool
	// Err is an error that the answer tells of in its own way. It is recorded as any other.
	Err error
}

// counted counts what is read of a body and turns the transport's own errors into
// faults.
type counted struct {
	c     *Call
	src   io.Reader
	rc    *http.ResponseController
	at    time.Time // when the read deadline was last moved
	due   time.Time // when the body must have come; zero: whenever it does
	ended bool      // read to its end, or broken
}

// Read moves the connection's read deadline: a slow upload may take as long as it
// moves at all, but for one that is due.
func (r *counted) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(r.at) > r.c.road.cfg.BodyIdle/4 {
		r.at = now
		by := now.Add(r.c.road.cfg.BodyIdle)
		if !r.due.IsZero() && r.due.Before(by) {
			by = r.due
		}
		// Not every connection has deadlines (HTTP/2 streams of some kinds):
		// then the server's own timeouts stand.
		_ = r.rc.SetReadDeadline(by)
	}
	n, err := r.src.Read(p)
	r.c.in += int64(n)
	if r.c.Notes != nil {
		r.c.read = time.Now()
	}
	r.ended = r.ended || err != nil
	switch {
	case err == nil:
	case err == io.EOF:
		// A deadline that stood would end the call while it is being answered: the
		// server goes on reading the connection to learn when the client has gone.
		_ = r.rc.SetReadDeadline(time.Time{})
	case isTooLarge(err):
		err = fault.New(BodyTooLarge, "").Because(err)
	case isTimeout(err):
		err = fault.New(SlowClient, "").Because(err)
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled):
		err = fault.New(sigv4.IncompleteBody, "").Because(err)
	}
	return n, err
}

// lingerFor is how long what nobody has read of a body may take to come, so that a
// client that is still sending it gets to see its answer.
const lingerFor = 5 * time.Second

// linger bounds how long the server waits for the rest of a body before it answers,
// and returns when it will have waited. net/http reads on by itself, and without a
// deadline a client that announced a body and sends none would hold its connection
// for ever.
func (r *counted) linger() time.Time {
	now := time.Now()
	if r.ended {
		return now
	}
	by := now.Add(min(lingerFor, r.c.road.cfg.BodyIdle))
	_ = r.rc.SetReadDeadline(by)
	return by
}

func isTooLarge(err error) bool { return errors.As(err, new(*http.MaxBytesError)) }

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// host returns the host name of a request in lower case, without its port and the dot with
// which a name may end: with it, it is the same name.
func host(r *http.Request) string {
	h := r.Host
	if i := strings.LastIndexByte(h, ':'); i >= 0 && !strings.HasSuffix(h, "]") {
		h = h[:i]
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(h, "[]"), "."))
}

// Host returns the host name that the client asked for, without a port.
func (c *Call) Host() string { return host(c.Request) }
