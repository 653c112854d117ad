// SPDX-License-Identifier: Apache-2.0

// Package syslog sends audit records to a syslog server: messages of RFC 5424, framed by
// their lengths, over TLS (RFC 5425) or TCP (RFC 6587). There is no UDP, which drops.
//
// Syslog servers answer nothing, so what they have taken must be guessed. A record counts
// as taken when the connection has outlived its being written and, on Linux, when the
// server's machine has acknowledged all bytes. A server that then ends without having read
// them breaks the connection off, and what was written last, 8 MiB of it, is sent to
// the next one again. Lost is only what a proxy between, or a server that has read it,
// loses; and what was on its way when both ends died together.
package syslog

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/cofferstore/coffer/internal/link/sink"
)

const (
	// maxWindow is what is kept of what was sent. It is more than a machine keeps for a
	// connection whose reader is slow: 6 MiB, as Linux is set.
	maxWindow = 8 << 20
	// probation is how long a new connection must last before anything counts as taken on
	// it. A server refuses a certificate, and a proxy notices that nobody is behind it,
	// only after it has accepted both the connection and what is sent over it.
	probation = time.Second
	// farewell is how long Close waits for the server to end its side too.
	farewell = time.Second
)

// Config says where records go.
type Config struct {
	Name    string      // of the sink
	Address string      // host:port
	TLS     *tls.Config // nil for plain TCP; the host's name is filled in
	Host    string      // name of this machine, in every message
}

// Syslog is a sink.
type Syslog struct {
	cfg       Config
	probation time.Duration
	conn      *connection
	window    [][]byte // what was sent last, oldest first
	kept      int      // bytes in window
	again     bool     // the window must be sent again
	closed    bool
}

var _ sink.Sink = (*Syslog)(nil)

// New returns a sink; nothing is connected yet.
func New(cfg Config) (*Syslog, error) {
	host, _, err := net.SplitHostPort(cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("syslog %s: %q is not an address like logs.example:6514", cfg.Name, cfg.Address)
	}
	if cfg.TLS != nil {
		cfg.TLS = cfg.TLS.Clone()
		cfg.TLS.ServerName = host
		cfg.TLS.MinVersion = max(cfg.TLS.MinVersion, tls.VersionTLS12)
	}
	return &Syslog{cfg: cfg, probation: probation}, nil
}

// Name is sink.Sink's.
func (s *Syslog) Name() string { return s.cfg.Name }

// Send is sink.Sink's.
func (s *Syslog) Send(ctx context.Context, records [][]byte) error {
	if s.closed {
		return errors.New("the syslog sink is closed")
	}
	if len(records) == 0 {
		return nil
	}
	var size int
	for _, r := range records {
		size += len(r) + 128
	}
	text := make([]byte, 0, size) // kept in the window
	for _, r := range records {
		text = frame(text, s.cfg.Host, r)
	}
	if err := s.send(ctx, text); err != nil {
		s.drop()
		return fmt.Errorf("syslog to %s: %w", s.cfg.Address, err)
	}
	s.keep(text)
	return nil
}

// send writes text to a connection that lasts.
func (s *Syslog) send(ctx context.Context, text []byte) error {
	if s.conn != nil && s.conn.ended() {
		s.drop()
	}
	fresh := s.conn == nil
	if fresh {
		c, err := dial(ctx, s.cfg)
		if err != nil {
			return err
		}
		s.conn = c
	}
	stop := context.AfterFunc(ctx, s.conn.abort)
	defer stop()
	if s.again {
		if _, err := s.conn.Write(bytes.Join(s.window, nil)); err != nil {
			return err
		}
	}
	if _, err := s.conn.Write(text); err != nil {
		return err
	}
	if fresh {
		if err := s.conn.lasts(ctx, s.probation); err != nil {
			return err
		}
	}
	if err := s.conn.acknowledged(ctx); err != nil {
		return err
	}
	s.again = false
	return nil
}

// keep adds to the window what was sent.
func (s *Syslog) keep(text []byte) {
	s.window = append(s.window, text)
	s.kept += len(text)
	for len(s.window) > 1 && s.kept-len(s.window[0]) >= maxWindow {
		s.kept -= len(s.window[0])
		s.window = append([][]byte(nil), s.window[1:]...)
	}
}

// drop gives a connection up. Unless the server ended it when it had read everything, it
// may have lost what was sent last.
func (s *Syslog) drop() {
	if s.conn == nil {
		return
	}
	s.again = s.again || !s.conn.endedInOrder()
	s.conn.abort()
	_ = s.conn.Close()
	<-s.conn.gone
	s.conn = nil
}

// Close is sink.Sink's. The server gets all that was sent.
func (s *Syslog) Close() error {
	s.closed = true
	if s.conn == nil {
		return nil
	}
	if c, ok := s.conn.Conn.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
		select {
		case <-s.conn.gone:
		case <-time.After(farewell):
		}
	}
	_ = s.conn.Close() // nothing is lost with it
	<-s.conn.gone
	s.conn = nil
	return nil
}

// connection is a connection that something reads, to see it end.
type connection struct {
	net.Conn
	raw  net.Conn      // under TLS
	gone chan struct{} // closed when it has ended
	err  error         // why, then
}

// dial connects to the server.
func dial(ctx context.Context, cfg Config) (*connection, error) {
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", cfg.Address)
	if err != nil {
		return nil, err
	}
	c := &connection{Conn: raw, raw: raw, gone: make(chan struct{})}
	if cfg.TLS != nil {
		secured := tls.Client(raw, cfg.TLS)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, err
		}
		c.Conn = secured
	}
	go func() {
		defer close(c.gone)
		_, c.err = io.Copy(io.Discard, c.Conn) // servers send nothing; it ends with the connection
	}()
	return c, nil
}

// abort makes reads and writes end.
func (c *connection) abort() { _ = c.raw.SetDeadline(time.Unix(1, 0)) }

func (c *connection) ended() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

// endedInOrder reports whether the server ended the connection after it had read all that
// was acknowledged: otherwise its machine breaks it off. Where it is not known what was
// acknowledged, that says nothing.
func (c *connection) endedInOrder() bool {
	return seesAcknowledgements && c.ended() && (c.err == nil || errors.Is(c.err, io.ErrUnexpectedEOF))
}

// lasts waits for a while, or returns why the connection has ended.
func (c *connection) lasts(ctx context.Context, while time.Duration) error {
	select {
	case <-c.gone:
		return c.reason()
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(while):
		return nil
	}
}

// reason says why a connection that is gone has ended.
func (c *connection) reason() error {
	if c.err == nil {
		return errors.New("the server ended the connection")
	}
	return c.err
}

// acknowledged waits until the server's machine has all that was written.
func (c *connection) acknowledged(ctx context.Context) error {
	for wait := 50 * time.Microsecond; ; wait = min(2*wait, 10*time.Millisecond) {
		pending, err := unacknowledged(c.raw)
		if err != nil {
			return err
		}
		if c.ended() {
			return c.reason()
		}
		if pending == 0 {
			return nil
		}
		if err := c.lasts(ctx, wait); err != nil {
			return err
		}
	}
}
