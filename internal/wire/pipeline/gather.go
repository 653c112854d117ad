// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
)

// gatherMost is the longest answer that is gathered, head and body.
const gatherMost = 16 << 10

// Gather returns a listener for connections on which a small answer leaves in one
// piece. net/http writes what does not fit its buffer of 4 KiB in two, and each write
// wakes the client, who reads as often. It is not for TLS, where a write is a
// record. The server's ConnContext must be [Gathering].
func Gather(l net.Listener) net.Listener { return gatherer{l} }

type gatherer struct{ net.Listener }

func (l gatherer) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &gathered{Conn: c}, nil
}

type gatheredKey struct{}

// Gathering is a [net/http.Server.ConnContext] that lets calls find their connection.
func Gathering(ctx context.Context, c net.Conn) context.Context {
	if g, ok := c.(*gathered); ok {
		ctx = context.WithValue(ctx, gatheredKey{}, g)
	}
	return ctx
}

// gathered is a connection that may wait until an answer is whole. As with any of
// net/http's connections, one goroutine writes at a time.
type gathered struct {
	net.Conn
	held *bytes.Buffer // nil: nothing is waited for
	body int           // bytes that follow the head
	all  int           // bytes of the answer; 0 until the head's end was seen
}

var gatherBuffers = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, gatherMost)) }}

// gather says that the call's answer will have a head and this body. An answer that
// breaks off is never whole: its connection is closed, and what is held goes with it.
func (c *Call) gather(resp *Response) {
	body := resp.Length
	if resp.Stream == nil {
		body = int64(len(resp.Body))
	}
	if body < 0 || body > gatherMost/2 || resp.Flush {
		return
	}
	if g, ok := c.Request.Context().Value(gatheredKey{}).(*gathered); ok {
		g.held, g.body, g.all = gatherBuffers.Get().(*bytes.Buffer), int(body), 0
	}
}

var endOfHead = []byte("\r\n\r\n")

// Write holds back what it is given until the answer is whole, or longer than was said.
func (g *gathered) Write(p []byte) (int, error) {
	if g.held == nil {
		return g.Conn.Write(p)
	}
	fits := g.held.Len()+len(p) <= gatherMost
	if fits {
		g.held.Write(p)
		if g.all == 0 {
			if i := bytes.Index(g.held.Bytes(), endOfHead); i >= 0 {
				g.all = i + len(endOfHead) + g.body
			}
		}
		if g.all == 0 || g.held.Len() < g.all {
			return len(p), nil
		}
	}
	if err := g.release(); err != nil {
		return 0, err
	}
	if fits {
		return len(p), nil
	}
	return g.Conn.Write(p)
}

// release sends what is held, and holds no more.
func (g *gathered) release() error {
	held := g.held
	if held == nil {
		return nil
	}
	g.held = nil
	_, err := held.WriteTo(g.Conn)
	held.Reset()
	clear(held.AvailableBuffer()[:gatherMost]) // it may have been a customer's
	gatherBuffers.Put(held)
	return err
}

// CloseWrite is how net/http ends an answer on a connection that it will close: the
// client has all of it before what it still sends is refused.
func (g *gathered) CloseWrite() error {
	err := g.release()
	if c, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		err = errors.Join(err, c.CloseWrite())
	}
	return err
}
