// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
)

// drip sends a head that announces more than ever comes, then a byte every so often,
// and returns the answer.
func (h *house) drip(t *testing.T, every time.Duration) (status int, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", h.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: tea\r\nContent-Length: 100000\r\n\r\n")
	if every > 0 {
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			for tick := time.Tick(every); ; {
				select {
				case <-stop:
					return
				case <-tick:
					if _, err := io.WriteString(conn, "x"); err != nil {
						return
					}
				}
			}
		}()
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("answer breaks off: %v", err)
	}
	return resp.StatusCode, string(b)
}

// Whoever announces a body and does not send it must not hold a connection for it.
func TestABodyThatNobodyReadsIsNotWaitedFor(t *testing.T) {
	for name, every := range map[string]time.Duration{"nothing comes": 0, "it drips": 10 * time.Millisecond} {
		h := open(t, answers("tea"), func(h *house) { h.cfg.BodyIdle = 50 * time.Millisecond })
		if status, body := h.drip(t, every); status != 200 || body != "tea" {
			t.Errorf("%s: got %d %q", name, status, body)
		}
	}
}

// An operation's deadline is its body's, too: moving does not extend it.
func TestABodyIsDueWithItsOperation(t *testing.T) {
	h := open(t, func(_ context.Context, c *Call) (*Response, error) {
		p, err := c.Payload()
		if err != nil {
			return nil, err
		}
		_, err = io.ReadAll(p)
		return &Response{Status: 200}, err
	}, func(h *house) { h.cfg.BodyIdle, h.op.Deadline = time.Second, 100*time.Millisecond })
	if status, body := h.drip(t, 10*time.Millisecond); status != 408 || body != "Slow" {
		t.Errorf("got %d %q", status, body)
	}
}

func TestNobodyReadsAStrangersDocument(t *testing.T) {
	var read int64
	h := open(t, func(_ context.Context, c *Call) (*Response, error) {
		_, err := c.Document()
		read = c.in
		return nil, err
	}, func(h *house) {
		h.cfg.Authorize = func(_ context.Context, by iam.Caller, needs []policy.Need) error {
			if len(needs) == 0 && by.IsAnonymous() {
				return iam.AccessDenied
			}
			return nil
		}
	})
	if status, body, _ := h.ask(t); status != 403 || body != "AccessDenied" || read != 0 {
		t.Errorf("got %d %q after %d bytes", status, body, read)
	}
}
