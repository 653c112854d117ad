// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
)

// fragile is a body that notes when it is read after it was closed, or by two at a time.
type fragile struct {
	io.Reader
	reading atomic.Bool
	closed  atomic.Bool
	misused atomic.Bool
}

func (f *fragile) Read(p []byte) (int, error) {
	if f.closed.Load() || !f.reading.CompareAndSwap(false, true) {
		f.misused.Store(true)
	}
	defer f.reading.Store(false)
	return f.Reader.Read(p)
}

func (f *fragile) Close() error {
	if f.reading.Load() {
		f.misused.Store(true)
	}
	f.closed.Store(true)
	return nil
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("secret text") }

func streams(body io.ReadCloser, length int64) func(context.Context, *Call) (*Response, error) {
	return func(context.Context, *Call) (*Response, error) {
		return &Response{Status: 200, Stream: body, Length: length}, nil
	}
}

func TestLongBodiesAreReadAhead(t *testing.T) {
	for _, size := range []int{aheadFrom, 5*pieceSize + 1, 16 << 20} {
		want := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		body := &fragile{Reader: iotest.HalfReader(bytes.NewReader(want))}
		h := open(t, streams(body, int64(size)), nil)
		if status, got, _ := h.ask(t); status != 200 || got != string(want) {
			t.Errorf("%d bytes: status %d, %d bytes", size, status, len(got))
		}
		if !body.closed.Load() || body.misused.Load() {
			t.Errorf("%d bytes: closed %t, misused %t", size, body.closed.Load(), body.misused.Load())
		}
	}
}

func TestALongBodyThatBreaksBreaksTheConnection(t *testing.T) {
	part := strings.Repeat("x", aheadFrom)
	for name, rest := range map[string]io.Reader{
		"an error": iotest.ErrReader(errors.New("bit rot")), "a panic": panicking{}, "an early end": strings.NewReader(""),
	} {
		body := &fragile{Reader: io.MultiReader(strings.NewReader(part), rest)}
		h := open(t, streams(body, 2*aheadFrom), nil)
		if _, got, _ := h.ask(t); !strings.Contains(got, "EOF") {
			t.Errorf("%s: a whole answer of %d bytes", name, len(got))
		}
		if !body.closed.Load() || body.misused.Load() {
			t.Errorf("%s: closed %t, misused %t", name, body.closed.Load(), body.misused.Load())
		}
	}
}

// A client that goes away ends the reading, also where no end of the body is in sight.
func TestReadingAheadEndsWithTheClient(t *testing.T) {
	closed := make(chan struct{})
	body := &endless{closed: closed}
	h := open(t, streams(body, 1<<50), nil)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	resp := h.request(ctx, t)
	if _, err := io.ReadFull(resp.Body, make([]byte, 3*pieceSize)); err != nil {
		t.Fatal(err)
	}
	leave()
	resp.Body.Close()
	<-closed
}

type endless struct{ closed chan struct{} }

func (*endless) Read(p []byte) (int, error) { return len(p), nil }
func (e *endless) Close() error             { close(e.closed); return nil }
