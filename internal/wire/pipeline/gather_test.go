// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
)

// countedWrites is a listener that counts the writes on its connections.
type countedWrites struct {
	net.Listener
	n *atomic.Int64
}

func (l countedWrites) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return writeCounter{c, l.n}, err
}

type writeCounter struct {
	net.Conn
	n *atomic.Int64
}

func (c writeCounter) Write(p []byte) (int, error) {
	c.n.Add(1)
	return c.Conn.Write(p)
}

func stream(body io.Reader, length int64) func(context.Context, *Call) (*Response, error) {
	return func(context.Context, *Call) (*Response, error) {
		return &Response{Status: 200, Stream: io.NopCloser(body), Length: length}, nil
	}
}

func TestASmallAnswerLeavesInOnePiece(t *testing.T) {
	for _, size := range []int{0, 1, 4 << 10, gatherMost / 2} {
		want := strings.Repeat("x", size)
		h := open(t, answers(want), nil)
		for range 3 { // on one connection
			h.writes.Store(0)
			if status, got, _ := h.ask(t); status != 200 || got != want || h.writes.Load() != 1 {
				t.Errorf("%d bytes: status %d, %d bytes in %d writes", size, status, len(got), h.writes.Load())
			}
		}
		h = open(t, stream(iotest.OneByteReader(strings.NewReader(want)), int64(size)), nil)
		if status, got, _ := h.ask(t); status != 200 || got != want || h.writes.Load() != 1 {
			t.Errorf("stream of %d bytes: status %d, %d bytes in %d writes", size, status, len(got), h.writes.Load())
		}
	}
}

// Whatever is not small, known and whole goes out as it is written.
func TestOtherAnswersAreNotGathered(t *testing.T) {
	long := strings.Repeat("x", gatherMost)
	for name, do := range map[string]func(context.Context, *Call) (*Response, error){
		"long": answers(long), "of unknown length": stream(strings.NewReader(long), -1),
	} {
		if status, got, _ := open(t, do, nil).ask(t); status != 200 || got != long {
			t.Errorf("%s: status %d, %d bytes", name, status, len(got))
		}
	}
	if _, got, _ := open(t, func(context.Context, *Call) (*Response, error) { return &Response{Status: 204}, nil }, nil).ask(t); got != "" {
		t.Errorf("no content: %q", got)
	}
}

func TestASmallAnswerThatBreaksOffIsNoAnswer(t *testing.T) {
	for name, body := range map[string]io.Reader{
		"ends early": strings.NewReader("half"), "fails": io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errors.New("bit rot"))),
	} {
		h := open(t, stream(body, 8), nil)
		resp, err := h.Client().Post(h.URL, "", nil)
		if err != nil {
			continue // nothing of it was sent
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil {
			t.Errorf("%s: a whole answer %q", name, got)
		}
	}
}
