// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

const outOfTea fault.Kind = "test: out of tea"

// trail keeps records in memory, or fails.
type trail struct {
	mu      sync.Mutex
	records []audit.Record
	durable []bool
	err     error
}

func (m *trail) Append(_ context.Context, r audit.Record, durable bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	m.records, m.durable = append(m.records, r.Plain()), append(m.durable, durable)
	return nil
}

func (m *trail) Join(_ *meta.Batch, r audit.Record) (func(), error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return func() { _ = m.Append(context.Background(), r, true) }, m.err
}

type nobody struct{}

func (nobody) Credential(context.Context, string, string) (sigv4.Credential, error) {
	return sigv4.Credential{}, iam.NoSuchAccessKey
}

// brew is a request of the test's one operation, which does what it is told.
type brew struct {
	c  *Call
	do func(context.Context, *Call) (*Response, error)
}

func (brew) Needs() []policy.Need { return []policy.Need{{Action: "tea:Brew", Resource: "*"}} }

type house struct {
	*httptest.Server
	trail *trail
	cfg   Config
	op    Op
	first func(context.Context, *Call) error

	answering func(*Call, *Response)

	writes atomic.Int64 // on connections
}

// open serves one operation that does do.
func open(t *testing.T, do func(context.Context, *Call) (*Response, error), edit func(*house)) *house {
	t.Helper()
	h := &house{trail: new(trail)}
	h.op = Define("Brew", 0, Route{Method: "POST", Path: "/"},
		func(c *Call) (brew, error) { return brew{c, do}, nil },
		func(ctx context.Context, _ iam.Caller, in brew) (*Response, error) { return in.do(ctx, in.c) },
		func(_ *Call, r *Response) (*Response, error) { return r, nil })
	h.cfg = Config{
		Region: "us-east-1", Verifier: sigv4.New(nobody{}, sigv4.Config{}), Trail: h.trail,
		Authorize: func(context.Context, iam.Caller, []policy.Need) error { return nil },
		Log:       slog.New(slog.DiscardHandler),
	}
	if edit != nil {
		edit(h)
	}
	road := New(h.cfg, &Family{
		Name: "tea", Source: "tea.amazonaws.com", Services: []string{"tea"},
		Match: func(*http.Request) bool { return true },
		Find:  func(*Call) (*Op, error) { return &h.op, nil },
		First: h.first, Answering: h.answering,
		Codes: Codes{
			outOfTea: As(404, "NoTea", "There is no tea"), iam.AccessDenied: As(403, "AccessDenied", "no"),
			TimedOut: As(408, "TimedOut", "late"), NoRoom: As(503, "Full", "full"), AuditFailed: As(503, "Unavailable", "later"),
			sigv4.UnknownAccessKey: As(403, "Stranger", "who"),
			sigv4.IncompleteBody:   As(400, "Incomplete", "short"), SlowClient: As(408, "Slow", "slow"),
		},
		Fault: func(_ *Call, code Code, _ []fault.Detail) *Response {
			return &Response{Status: code.Status, Body: []byte(code.Code)}
		},
	})
	h.Server = httptest.NewUnstartedServer(road)
	h.Listener = Gather(countedWrites{h.Listener, &h.writes})
	h.Config.ConnContext = Gathering
	h.Start()
	t.Cleanup(h.Close)
	return h
}

func (h *house) ask(t *testing.T, headers ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", h.URL, strings.NewReader("leaves"))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := h.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, err.Error(), resp.Header
	}
	return resp.StatusCode, string(b), resp.Header
}

// request asks without reading the answer.
func (h *house) request(ctx context.Context, t *testing.T) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "POST", h.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := h.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func answers(body string) func(context.Context, *Call) (*Response, error) {
	return func(context.Context, *Call) (*Response, error) {
		return &Response{Status: 200, Body: []byte(body)}, nil
	}
}

func fails(err error) func(context.Context, *Call) (*Response, error) {
	return func(context.Context, *Call) (*Response, error) { return nil, err }
}

func TestErrorsAreNamedByTheTable(t *testing.T) {
	for name, c := range map[string]struct {
		do     func(context.Context, *Call) (*Response, error)
		edit   func(*house)
		status int
		body   string
	}{
		"a result":         {answers("tea"), nil, 200, "tea"},
		"a known fault":    {fails(fault.New(outOfTea, "")), nil, 404, "NoTea"},
		"a wrapped fault":  {fails(errors.Join(fault.New(outOfTea, ""), errors.New("x"))), nil, 404, "NoTea"},
		"an unknown fault": {fails(fault.New("test: unheard of", "secret text")), nil, 500, "InternalError"},
		"a plain error":    {fails(errors.New("secret text")), nil, 500, "InternalError"},
		"a panic":          {func(context.Context, *Call) (*Response, error) { panic("secret text") }, nil, 500, "InternalError"},
		"a refusal": {answers("tea"), func(h *house) {
			h.cfg.Authorize = func(context.Context, iam.Caller, []policy.Need) error { return iam.AccessDenied }
		}, 403, "AccessDenied"},
		"a full device": {answers("tea"), func(h *house) {
			h.op.Traits |= Grows
			h.cfg.Room = func(context.Context) error { return errors.New("full") }
		}, 503, "Full"},
		"too late": {func(ctx context.Context, _ *Call) (*Response, error) { <-ctx.Done(); return nil, ctx.Err() }, func(h *house) {
			h.op.Deadline = time.Millisecond
		}, 408, "TimedOut"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, c.do, c.edit)
			status, body, header := h.ask(t)
			if status != c.status || body != c.body {
				t.Errorf("got %d %q, want %d %q", status, body, c.status, c.body)
			}
			if len(header.Get("X-Amz-Request-Id")) != 16 || header.Get("X-Amz-Id-2") == "" {
				t.Errorf("request ids: %v", header)
			}
			if r := h.trail.records; len(r) != 1 || r[0].RequestID != header.Get("X-Amz-Request-Id") || (r[0].ErrorCode == "") != (status == 200) {
				t.Errorf("records: %+v", r)
			}
		})
	}
}

// TestFirst: what a family asks first comes before the operation reads anything, and
// after who is calling.
func TestFirst(t *testing.T) {
	reached := false
	h := open(t, answers("tea"), func(h *house) {
		h.first = func(_ context.Context, c *Call) error {
			if c.Auth == nil {
				t.Error("asked before it is known who is calling")
			}
			return fault.New(outOfTea, "")
		}
		h.op.serve = func(context.Context, *Call) (*Response, error) { reached = true; return nil, errors.New("read") }
	})
	if status, body, _ := h.ask(t); status != 404 || body != "NoTea" || reached {
		t.Errorf("%d %q, the operation was reached: %t", status, body, reached)
	}
	h.op.Refused = true
	if h.ask(t); !reached {
		t.Error("what is not offered is asked about")
	}
}

func TestWhatIsNotRecordedIsNotAnsweredAsDone(t *testing.T) {
	h := open(t, answers("tea"), nil)
	h.trail.err = errors.New("disk full")
	if status, body, _ := h.ask(t); status != 503 || body != "Unavailable" {
		t.Errorf("got %d %q", status, body)
	}
}

func TestWhichRecordsAreDurableBeforeTheAnswer(t *testing.T) {
	for _, c := range []struct {
		traits Traits
		sync   bool
		want   []bool
	}{
		{0, false, []bool{true}}, {Data, false, []bool{true}},
		{Read, false, []bool{true}}, // a key that is given out, a setting that is told
		{Read | Data, false, []bool{false}}, {Read | Data, true, []bool{true}}, {Silent, false, nil},
	} {
		h := open(t, answers("tea"), func(h *house) { h.op.Traits = c.traits; h.cfg.SyncReads = c.sync })
		h.ask(t)
		if len(h.trail.durable) != len(c.want) || len(c.want) > 0 && h.trail.durable[0] != c.want[0] {
			t.Errorf("traits %b, sync reads %t: %v", c.traits, c.sync, h.trail.durable)
		}
	}
}

// A body that fails half way must not look like a whole one.
func TestABrokenStreamBreaksTheConnection(t *testing.T) {
	h := open(t, func(context.Context, *Call) (*Response, error) {
		body := io.MultiReader(strings.NewReader(strings.Repeat("half", 100_000)), broken{})
		return &Response{Status: 200, Stream: io.NopCloser(body), Length: -1}, nil
	}, nil)
	if _, body, _ := h.ask(t); body != io.ErrUnexpectedEOF.Error() {
		t.Errorf("the client read %q to a clean end", body)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("damaged") }

func TestWhoCountsAsSecure(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, c := range []struct {
		proxies []netip.Prefix
		headers []string
		secure  bool
		ip      string
	}{
		{nil, nil, true, "127.0.0.1"}, // loopback
		{nil, []string{"X-Forwarded-Proto", "http", "X-Forwarded-For", "1.2.3.4"}, true, "127.0.0.1"}, // no listed proxy
		{proxies, nil, false, "127.0.0.1"},
		{proxies, []string{"X-Forwarded-Proto", "https"}, true, "127.0.0.1"},
		{proxies, []string{"X-Forwarded-Proto", "http"}, false, "127.0.0.1"},
		{proxies, []string{"X-Forwarded-For", "6.6.6.6, 1.2.3.4, 127.0.0.9"}, false, "1.2.3.4"},
		{proxies, []string{"X-Forwarded-For", "6.6.6.6, nonsense"}, false, "127.0.0.1"},
		// A proxy that adds a line of its own behind the client's.
		{proxies, []string{"X-Forwarded-For", "6.6.6.6", "X-Forwarded-For", "1.2.3.4"}, false, "1.2.3.4"},
		{proxies, []string{"X-Forwarded-Proto", "https", "X-Forwarded-Proto", "http"}, false, "127.0.0.1"},
		{proxies, []string{"X-Forwarded-Proto", "https, http"}, false, "127.0.0.1"},
		{proxies, []string{"X-Forwarded-Proto", "https", "X-Forwarded-Proto", "HTTPS"}, true, "127.0.0.1"},
	} {
		var got iam.Caller
		h := open(t, func(_ context.Context, call *Call) (*Response, error) {
			got = call.Caller
			return &Response{Status: 204}, nil
		}, func(h *house) { h.cfg.Proxies = c.proxies })
		h.ask(t, c.headers...)
		if got.Secure != c.secure || got.SourceIP != c.ip {
			t.Errorf("proxies %v, %v: secure %t from %s", c.proxies, c.headers, got.Secure, got.SourceIP)
		}
	}
}

func TestItemsHaveRecordsOfTheirOwn(t *testing.T) {
	h := open(t, func(_ context.Context, c *Call) (*Response, error) {
		c.AuditItem("SipTea", map[string]any{"cup": "1"}, nil, Code{})
		c.AuditItem("SipTea", map[string]any{"cup": "2"}, nil, c.CodeOf(fault.New(outOfTea, "")))
		return &Response{Status: 200}, nil
	}, nil)
	_, _, header := h.ask(t)
	if len(h.trail.records) != 3 {
		t.Fatalf("%d records", len(h.trail.records))
	}
	codes := map[string]int{}
	for _, r := range h.trail.records {
		codes[r.EventName+" "+r.ErrorCode]++
		if r.RequestID != header.Get("X-Amz-Request-Id") || r.EventSource != "tea.amazonaws.com" {
			t.Errorf("%+v", r)
		}
	}
	if codes["Brew "] != 1 || codes["SipTea "] != 1 || codes["SipTea NoTea"] != 1 {
		t.Errorf("%v", codes)
	}
}

// A client that stands still in the middle of its body is given up; one that keeps
// moving may take as long as it likes.
func TestOnlyClientsThatStandStillAreGivenUp(t *testing.T) {
	h := open(t, func(_ context.Context, c *Call) (*Response, error) {
		p, err := c.Payload()
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(p)
		return &Response{Status: 200, Body: b}, err
	}, func(h *house) { h.cfg.BodyIdle = 300 * time.Millisecond; h.op.Streams = true })
	body, still := io.Pipe()
	go still.Write([]byte("some"))
	req, err := http.NewRequestWithContext(t.Context(), "POST", h.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 10
	resp, err := h.Client().Do(req)
	if err == nil {
		defer resp.Body.Close()
		if resp.StatusCode != 408 {
			t.Errorf("a client that stands still got %d", resp.StatusCode)
		}
	}
	still.Close()
}

// card is a form with two fields: the access key of its sender, and the rest.
type card struct {
	access string
	rest   io.Reader
}

func (f card) Authentication() sigv4.PostForm {
	if f.access == "-" {
		return sigv4.PostForm{}
	}
	return sigv4.PostForm{
		Policy: "p", Algorithm: "AWS4-HMAC-SHA256", Credential: f.access + "/20260304/us-east-1/tea/aws4_request",
		Date: "20260304T050607Z", Signature: "s",
	}
}

// A form says in its body who sends it: the road reads so much of it before the
// operation sees anything, and leaves it the rest.
func TestAFormIsAuthenticatedByItsFields(t *testing.T) {
	for name, c := range map[string]struct {
		read    string // what the form's reader takes for the access key
		err     error  // what it finds
		status  int
		answer  string
		records int
	}{
		"an anonymous form":  {"-", nil, 200, "leaves", 1},
		"a stranger's form":  {"AKIA", nil, 403, "Stranger", 0},
		"a form that is bad": {"-", fault.New(outOfTea, ""), 404, "NoTea", 0},
	} {
		t.Run(name, func(t *testing.T) {
			decoded := false
			h := open(t, func(_ context.Context, call *Call) (*Response, error) {
				decoded = true
				b, err := io.ReadAll(call.Form.(card).rest)
				return &Response{Status: 200, Body: b}, err
			}, func(h *house) {
				h.op.Form = func(_ *Call, body io.Reader) (Form, error) { return card{c.read, body}, c.err }
			})
			// What the head says of a signature is not asked.
			status, body, _ := h.ask(t, "Authorization", "AWS4-HMAC-SHA256 nonsense")
			if status != c.status || body != c.answer {
				t.Errorf("got %d %q, want %d %q", status, body, c.status, c.answer)
			}
			if decoded != (status == 200) || len(h.trail.records) != c.records {
				t.Errorf("decoded: %t, %d records", decoded, len(h.trail.records))
			}
		})
	}
}
