// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// Recorder keeps audit records. Append returns an error when the record is not
// kept, or, if it was to be durable, not durable. Join lets a record become durable
// with a batch; committed says that it has.
type Recorder interface {
	Append(ctx context.Context, r audit.Record, durable bool) error
	Join(b *meta.Batch, r audit.Record) (committed func(), err error)
}

// Config is the road's settings.
type Config struct {
	Region   string
	Account  string // whose trail has what anonymous callers do
	Verifier *sigv4.Verifier
	// Authorize decides whether the caller may do what takes these needs; without
	// any, whether there is something that the caller may do.
	Authorize func(ctx context.Context, by iam.Caller, needs []policy.Need) error
	Trail     Recorder
	Log       *slog.Logger
	Metrics   prometheus.Registerer
	// Room returns a fault when the device is too full for more data. nil: never.
	Room func(ctx context.Context) error
	// Proxies are peers whose X-Forwarded-* headers are believed.
	Proxies []netip.Prefix
	// Deadline bounds operations that do not stream; default 30 s.
	Deadline time.Duration
	// BodyIdle is how long a client may stand still while a body moves; default 60 s.
	BodyIdle time.Duration
	// SyncReads makes audit records of reads durable before the answer, too.
	SyncReads bool
}

// Road serves every call of its families. It is an http.Handler.
type Road struct {
	cfg      Config
	families []*Family
	metrics  metrics
}

// New returns a road for the families, asked in their order.
func New(cfg Config, families ...*Family) *Road {
	if cfg.Deadline == 0 {
		cfg.Deadline = 30 * time.Second
	}
	if cfg.BodyIdle == 0 {
		cfg.BodyIdle = time.Minute
	}
	return &Road{cfg: cfg, families: families, metrics: newMetrics(cfg.Metrics)}
}

// Families returns the road's families, for documentation.
func (road *Road) Families() []*Family { return road.families }

// ServeHTTP serves one call.
func (road *Road) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &Call{Request: r, road: road, start: time.Now()}
	c.ID, c.HostID = aws.NewIDs()
	for _, f := range road.families {
		if f.Match(r) {
			c.family = f
			break
		}
	}
	road.metrics.inFlight.Inc()
	defer road.metrics.inFlight.Dec()
	rc := http.NewResponseController(w)
	// A deadline of the answer before must not end this call's.
	_ = rc.SetWriteDeadline(time.Time{})
	if r.ContentLength == 0 && r.Header["Expect"] != nil {
		goOn(w, r)
	}
	c.body = &c.reading
	c.reading = counted{c: c, src: r.Body, rc: rc, ended: r.ContentLength == 0}
	road.connection(c)
	resp, err := road.run(c)
	switch {
	case err != nil:
		c.unjoin()
		resp = road.fault(c, err)
	case resp.Err != nil:
		err = resp.Err
		road.name(c, err)
	}
	if auditErr := road.audit(c, resp, err); auditErr != nil {
		// What is not recorded must not be answered as done.
		err = fault.New(AuditFailed, "").Because(auditErr)
		closeStream(resp)
		resp = road.fault(c, err)
	}
	if c.family.Answering != nil {
		c.family.Answering(c, resp)
	}
	sent, sendErr := road.send(w, c, resp)
	road.observe(c, resp, sent, err, sendErr)
}

// goOn tells a client to go on that waits for it with an empty body. net/http does so
// for bodies alone, when they are read. But botocore takes an answer that comes
// without for one that refuses, and then misreads the next on the connection.
func goOn(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 && r.ProtoMinor == 1 && strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		w.WriteHeader(http.StatusContinue)
	}
}

// run takes the call to its result. A panic is an internal error.
func (road *Road) run(c *Call) (resp *Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			resp, err = nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if !c.family.NoQuery {
		if c.Query, err = url.ParseQuery(c.Request.URL.RawQuery); err != nil {
			return nil, fault.New(InvalidURI, "").Because(err)
		}
	}
	c.Op, err = c.family.Find(c)
	if headSize(c.Request.Header) > maxHead { // whatever it is for
		return nil, fault.New(HeadTooLarge, "").With("MaxSizeAllowed", strconv.Itoa(maxHead))
	}
	if err != nil {
		return nil, err
	}
	ctx := c.Request.Context()
	if !c.Op.Streams {
		limit := c.Op.Deadline
		if limit == 0 {
			limit = road.cfg.Deadline
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fault.New(TimedOut, ""))
		defer cancel()
		c.body.due = c.start.Add(limit)
	}
	if !c.Op.Traits.Has(Open) {
		if err := road.authenticate(c); err != nil {
			return nil, err
		}
	}
	if c.Op.Traits.Has(Grows) && road.cfg.Room != nil {
		if err := road.cfg.Room(ctx); err != nil {
			return nil, fault.New(NoRoom, "").Because(err)
		}
	}
	if c.family.First != nil && (!c.Op.Refused || c.Op.Answer != "") {
		if err := c.family.First(ctx, c); err != nil {
			return nil, err
		}
	}
	resp, err = c.Op.serve(ctx, c)
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = fault.New(TimedOut, "").Because(errors.Join(context.Cause(ctx), err))
	}
	return resp, err
}

// authenticate sets the call's caller.
func (road *Road) authenticate(c *Call) (err error) {
	switch {
	case c.Op.Form != nil:
		if c.Form, err = c.Op.Form(c, c.body); err != nil {
			return err
		}
		c.Auth, err = road.cfg.Verifier.VerifyForm(c.Request.Context(), c.Form.Authentication(), c.family.Services...)
	case c.isRead:
		c.Auth, err = road.cfg.Verifier.VerifyWhole(c.Request, c.whole, c.family.Services...)
	case c.family.Whole:
		if err := road.cfg.Verifier.Precheck(c.Request, c.family.Services...); err != nil {
			return err
		}
		if c.whole, err = readBounded(c.body, c.Op.maxBody()); err != nil {
			return err
		}
		c.Auth, err = road.cfg.Verifier.VerifyWhole(c.Request, c.whole, c.family.Services...)
	default:
		c.Auth, err = road.cfg.Verifier.Verify(c.Request, c.family.Services...)
	}
	if err != nil {
		return err
	}
	if c.family.Whole {
		if err := c.Auth.RequireSigned(); err != nil {
			c.Auth = nil // to these services nobody is no caller
			return err
		}
	}
	c.Caller.Principal = c.Auth.Principal
	c.Caller.SigV4 = c.Auth.Method != sigv4.None
	return nil
}

// internal is the code of an error that no table names.
var internal = As(http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again.")

// fault renders an error and notes it in the audit record.
func (road *Road) fault(c *Call, err error) *Response {
	code, details := road.name(c, err)
	return c.family.Fault(c, code, details)
}

// name names an error and notes it in the audit record.
func (road *Road) name(c *Call, err error) (Code, []fault.Detail) {
	code, details, known := c.family.Codes.name(err, internal)
	if !known {
		road.cfg.Log.Error("internal error", "request_id", c.ID, "operation", c.operation(), "error", err)
	}
	c.record.ErrorCode, c.record.ErrorMessage = code.Code, code.Message
	if event := audit.EventOf(err); event != "" { // the KMS refused, and tells why
		c.AuditText("cofferKmsEventId", event)
	}
	return code, details
}

// operation names the call's operation for logs and metrics.
func (c *Call) operation() string {
	if c.Op == nil {
		return "Unknown"
	}
	return c.Op.Name
}

// send writes the answer and returns how many bytes of body went out. A stream
// that fails half way ends the connection without a clean end, so that no client
// takes a part for the whole.
func (road *Road) send(w http.ResponseWriter, c *Call, resp *Response) (int64, error) {
	defer closeStream(resp)
	if c.Notes != nil {
		c.sending = time.Now()
	}
	h := w.Header()
	for name, values := range resp.Header {
		h[name] = values
	}
	c.values = [...]string{c.ID, c.HostID, "Coffer"}
	h["X-Amz-Request-Id"], h["X-Amz-Id-2"], h["Server"] = c.values[0:1:1], c.values[1:2:2], c.values[2:3:3]
	head := c.Request.Method == http.MethodHead
	bodyless := resp.Status == http.StatusNoContent || resp.Status == http.StatusNotModified
	switch {
	case bodyless:
	case resp.Stream != nil:
		if resp.Length >= 0 {
			h.Set("Content-Length", strconv.FormatInt(resp.Length, 10))
		}
	case !head || h.Get("Content-Length") == "":
		h.Set("Content-Length", strconv.Itoa(len(resp.Body)))
	}
	// Not every connection has deadlines: then the server's own timeouts stand.
	_ = http.NewResponseController(w).SetWriteDeadline(c.body.linger().Add(road.cfg.BodyIdle))
	w.WriteHeader(resp.Status)
	if head || bodyless {
		return 0, nil
	}
	c.gather(resp)
	if resp.Stream == nil {
		n, err := w.Write(resp.Body)
		return int64(n), err
	}
	n, err := road.stream(w, resp)
	if err == nil && resp.Length >= 0 && n != resp.Length {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		road.cfg.Log.Error("answer broken off", "request_id", c.ID, "operation", c.operation(), "error", err)
		road.observe(c, resp, n, err, err)
		panic(http.ErrAbortHandler)
	}
	return n, nil
}

var streamBuffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

// stream copies a body out, moving the write deadline as it moves.
func (road *Road) stream(w http.ResponseWriter, resp *Response) (n int64, err error) {
	rc := http.NewResponseController(w)
	flush := func() error {
		if !resp.Flush {
			return nil
		}
		return rc.Flush()
	}
	// The head, too: the first byte of the body may be long in coming.
	if err := flush(); err != nil {
		return 0, err
	}
	var moved time.Time
	write := func(p []byte) error {
		// After the read, which may have taken any time.
		if now := time.Now(); now.Sub(moved) > road.cfg.BodyIdle/4 {
			moved = now
			_ = rc.SetWriteDeadline(now.Add(road.cfg.BodyIdle))
		}
		k, err := w.Write(p)
		n += int64(k)
		if err != nil {
			return err
		}
		return flush()
	}
	if resp.Length >= aheadFrom {
		from := readAhead(resp.Stream)
		defer from.close()
		err := from.each(write)
		return n, err
	}
	buf := streamBuffers.Get().(*[]byte)
	defer streamBuffers.Put(buf)
	for {
		m, err := resp.Stream.Read(*buf)
		if m > 0 {
			if err := write((*buf)[:m]); err != nil {
				return n, err
			}
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

func closeStream(resp *Response) {
	if resp.Stream != nil {
		resp.Stream.Close()
	}
}
