// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"testing"

	"github.com/cofferstore/coffer/internal/fault"
)

// Every answer is seen before it is sent, whatever became of the call.
func TestAnswering(t *testing.T) {
	answers := map[string]func() (*Response, error){
		"200":  func() (*Response, error) { return &Response{Status: 200}, nil },
		"404":  func() (*Response, error) { return nil, fault.New(outOfTea, "") },
		"500":  func() (*Response, error) { return nil, errors.New("broken") },
		"500 ": func() (*Response, error) { panic("broken") },
	}
	var which string
	h := open(t, func(context.Context, *Call) (*Response, error) { return answers[which]() }, func(h *house) {
		h.answering = func(_ *Call, resp *Response) {
			if resp.Header == nil {
				resp.Header = make(http.Header)
			}
			resp.Header.Set("Seen", strconv.Itoa(resp.Status))
		}
	})
	for which = range answers {
		status, _, header := h.ask(t)
		if seen := header.Get("Seen"); seen != which[:3] || strconv.Itoa(status) != seen {
			t.Errorf("%s: answered with %d, seen with %q", which, status, seen)
		}
	}
}

// An answer that tells of its error in its own way is recorded as an error.
func TestAnErrorToldInAnotherWay(t *testing.T) {
	h := open(t, func(context.Context, *Call) (*Response, error) {
		return &Response{Status: 404, Body: []byte("<h1>sorry</h1>"), Err: fault.New(outOfTea, "")}, nil
	}, nil)
	if status, body, _ := h.ask(t); status != 404 || body != "<h1>sorry</h1>" {
		t.Errorf("%d %s", status, body)
	}
	if r := h.trail.records[0]; r.ErrorCode != "NoTea" || r.ErrorMessage != "There is no tea" {
		t.Errorf("recorded %+v", r)
	}
}
