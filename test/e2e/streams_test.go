// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/cofferstore/coffer/internal/store/blob"
)

// streamCounter counts what is read and written of streams.
type streamCounter struct {
	blob.Store
	calls, read, wrote atomic.Int64 // opened for one or the other; bytes
}

// around makes the counter the store that a server uses.
func (c *streamCounter) around(s blob.Store) blob.Store {
	c.Store = s
	return c
}

func (c *streamCounter) reset() {
	c.calls.Store(0)
	c.read.Store(0)
	c.wrote.Store(0)
}

// Create implements blob.Store.
func (c *streamCounter) Create(ctx context.Context, id blob.StreamID, sizeHint int64) (blob.Writer, error) {
	c.calls.Add(1)
	w, err := c.Store.Create(ctx, id, sizeHint)
	if err != nil {
		return nil, err
	}
	return countedWriter{w, c}, nil
}

type countedWriter struct {
	blob.Writer
	c *streamCounter
}

func (w countedWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.c.wrote.Add(int64(n))
	return n, err
}

// ReadAt implements blob.Store.
func (c *streamCounter) ReadAt(ctx context.Context, id blob.StreamID, at blob.Place, off, n int64) (io.ReadCloser, error) {
	c.calls.Add(1)
	r, err := c.Store.ReadAt(ctx, id, at, off, n)
	if err != nil {
		return nil, err
	}
	return countedReader{r, c}, nil
}

type countedReader struct {
	io.ReadCloser
	c *streamCounter
}

func (r countedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.c.read.Add(int64(n))
	return n, err
}

// sea is an endless body: the ocean, again and again.
type sea struct{}

// ReadAt implements io.ReaderAt.
func (sea) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		n += copy(p[n:], ocean()[(off+int64(n))%int64(len(ocean())):])
	}
	return n, nil
}
