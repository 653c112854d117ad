// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"

	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// lines is an answer of JSON lines that is made while it is sent.
type lines struct {
	write func(ctx context.Context, w io.Writer) error
	watch bool // each line is sent at once
}

// stream makes an answer of lines. An error of their writer breaks the answer off,
// and is logged by the road.
func (a *API) stream(c *pipeline.Call, l lines) (*pipeline.Response, error) {
	s := &stream{lines: l, done: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(c.Request.Context())
	s.PipeReader, s.pipe = io.Pipe()
	return &pipeline.Response{Status: http.StatusOK, Header: header("application/x-ndjson"), Stream: s, Length: -1, Flush: l.watch}, nil
}

// stream is the reading end of an answer. Its writer starts with the first Read,
// so that nothing happens before the call has been recorded.
type stream struct {
	*io.PipeReader
	pipe   *io.PipeWriter
	lines  lines
	ctx    context.Context // the call's
	cancel context.CancelFunc
	start  sync.Once
	done   chan struct{}
}

func (s *stream) Read(p []byte) (int, error) {
	s.start.Do(func() { go s.write() })
	return s.PipeReader.Read(p)
}

func (s *stream) write() {
	defer close(s.done)
	if s.lines.watch {
		s.pipe.CloseWithError(s.lines.write(s.ctx, s.pipe)) // nil is the end
		return
	}
	b := bufio.NewWriterSize(s.pipe, 64<<10)
	err := s.lines.write(s.ctx, b)
	if err == nil {
		err = b.Flush()
	}
	s.pipe.CloseWithError(err)
}

// Close ends the writer and waits for it.
func (s *stream) Close() error {
	s.start.Do(func() { close(s.done) })
	s.cancel()
	err := s.PipeReader.Close()
	<-s.done
	return err
}

// untilStopping returns a context that is also done when the server is told to
// stop.
func (a *API) untilStopping(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-a.Stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(); <-ended }
}

// stopping reports whether the server was told to stop.
func (a *API) stopping() bool {
	select {
	case <-a.Stopping:
		return true
	default:
		return false
	}
}

func writeLine(w io.Writer, value any) error {
	line, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}
