// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// slowly gives text a piece at a time, each a second after the last, and then an error.
type slowly struct {
	pieces []string
	end    error
}

func (s *slowly) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	if len(s.pieces) == 0 {
		return 0, s.end
	}
	n := copy(p, s.pieces[0])
	s.pieces = s.pieces[1:]
	return n, nil
}

func (s *slowly) Close() error { return nil }

// The family is told of each call that it keeps notes of, and once: what was answered, how much of it went out, and how
// long it took from the end of the call, and in all.
func TestAnsweredCalls(t *testing.T) {
	whole := func(context.Context, *Call) (*Response, error) {
		time.Sleep(10 * time.Second)
		return &Response{Status: 200, Body: []byte("tea")}, nil
	}
	stream := func(end error, length int64) func(context.Context, *Call) (*Response, error) {
		return func(context.Context, *Call) (*Response, error) {
			return &Response{Status: 200, Stream: &slowly{[]string{"te", "a"}, end}, Length: length}, nil
		}
	}
	reads := func(_ context.Context, c *Call) (*Response, error) {
		time.Sleep(time.Second)
		p, err := c.Payload()
		if err == nil {
			_, err = io.Copy(io.Discard, p)
		}
		time.Sleep(5 * time.Second)
		return &Response{Status: 204}, err
	}
	for name, c := range map[string]struct {
		do   func(context.Context, *Call) (*Response, error)
		body []string
		edit func(*Config)
		want Answer
	}{
		"a body":              {whole, nil, nil, Answer{Status: 200, Sent: 3, Total: 10 * time.Second, Turnaround: 10 * time.Second}},
		"a stream":            {stream(io.EOF, 3), nil, nil, Answer{Status: 200, Sent: 3, Total: 3 * time.Second}},
		"a stream that fails": {stream(errors.New("disk"), 3), nil, nil, Answer{Status: 200, Sent: 3, Total: 3 * time.Second}},
		"a slow upload":       {reads, []string{"l", "eaves"}, nil, Answer{Status: 204, Total: 9 * time.Second, Turnaround: 5 * time.Second}},
		"a fault": {func(context.Context, *Call) (*Response, error) { return nil, fault.New(outOfTea, "") }, nil, nil,
			Answer{Status: 404, Code: "NoTea", Sent: 5}},
		"a panic": {func(context.Context, *Call) (*Response, error) { panic("cup") }, nil, nil,
			Answer{Status: 500, Code: "InternalError", Sent: 13}},
		"what was not recorded": {whole, nil, func(c *Config) { c.Trail = &trail{err: errors.New("full")} },
			Answer{Status: 503, Code: "Unavailable", Sent: 11, Total: 10 * time.Second, Turnaround: 10 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []Answer
				op := Define("Brew", 0, Route{Method: "POST", Path: "/"},
					func(call *Call) (brew, error) { return brew{call, c.do}, nil },
					func(ctx context.Context, _ iam.Caller, in brew) (*Response, error) { return in.do(ctx, in.c) },
					func(_ *Call, r *Response) (*Response, error) { return r, nil })
				cfg := Config{
					Region: "us-east-1", Verifier: sigv4.New(nobody{}, sigv4.Config{}), Trail: new(trail), Log: slog.New(slog.DiscardHandler),
					Authorize: func(context.Context, iam.Caller, []policy.Need) error { return nil },
				}
				if c.edit != nil {
					c.edit(&cfg)
				}
				road := New(cfg, &Family{
					Name: "tea", Source: "tea.amazonaws.com", Services: []string{"tea"},
					Match:    func(*http.Request) bool { return true },
					Find:     func(c *Call) (*Op, error) { c.Notes = t; return &op, nil },
					Answered: func(_ *Call, a Answer) { got = append(got, a) },
					Codes:    Codes{outOfTea: As(404, "NoTea", "There is no tea"), AuditFailed: As(503, "Unavailable", "later")},
					Fault: func(_ *Call, code Code, _ []fault.Detail) *Response {
						return &Response{Status: code.Status, Body: []byte(code.Code)}
					},
				})
				began := time.Now()
				r := httptest.NewRequest("POST", "/", http.NoBody)
				if c.body != nil {
					r = httptest.NewRequest("POST", "/", &slowly{c.body, io.EOF})
					r.ContentLength = int64(len(strings.Join(c.body, "")))
				}
				func() {
					defer func() { _ = recover() }() // a stream that fails ends the connection
					road.ServeHTTP(httptest.NewRecorder(), r)
				}()
				c.want.Began = began
				if len(got) != 1 || got[0] != c.want {
					t.Errorf("told of %+v, want %+v", got, c.want)
				}
			})
		})
	}
}

// A client that waits to be told to go on is told so with an empty body too.
func TestEmptyBodiesAreWaitedWith(t *testing.T) {
	h := open(t, answers("tea"), nil)
	conn, err := net.Dial("tcp", h.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for range 2 {
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: tea\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n")
		// ReadResponse takes 100 for an answer of its own.
		for _, want := range []int{100, 200} {
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != want || resp.Close {
				t.Fatalf("got %d, %v, close %v, want %d", resp.StatusCode, err, resp.Close, want)
			}
		}
	}
}
