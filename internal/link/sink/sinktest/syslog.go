// SPDX-License-Identifier: Apache-2.0

package sinktest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Syslog is a server that takes records as messages of RFC 5424 that are framed by their
// lengths. It ends with the test.
type Syslog struct {
	Address string
	Inbox   Inbox

	t        testing.TB
	listener net.Listener

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]bool
}

// NewSyslog starts a server; config is nil for plain TCP.
func NewSyslog(t testing.TB, config *tls.Config) *Syslog {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Syslog{Address: l.Addr().String(), t: t, listener: l, conns: map[net.Conn]bool{}}
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			c := raw
			if config != nil {
				c = tls.Server(raw, config)
			}
			if s.add(raw) {
				ended.Go(func() { s.serve(raw, c) })
			}
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.Down(true)
		ended.Wait()
	})
	return s
}

// Down breaks all connections off, and each that is made until it is up again.
func (s *Syslog) Down(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
	if down {
		for c := range s.conns {
			breakOff(c)
		}
	}
}

// HangUp ends all connections in order.
func (s *Syslog) HangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

func (s *Syslog) add(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		breakOff(c)
		return false
	}
	s.conns[c] = true
	return true
}

// breakOff ends a connection as a machine does whose program did not read everything.
func breakOff(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// serve reads messages to the end of a connection.
func (s *Syslog) serve(raw, c net.Conn) {
	in := bufio.NewReader(c)
	for {
		record, err := message(in)
		if err != nil {
			if errors.Is(err, errForm) {
				s.t.Error(err)
			}
			break
		}
		s.Inbox.Put(record)
	}
	_ = c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, raw)
}

var (
	errForm = errors.New("this is no message of RFC 5424")
	// headForm is the header of RFC 5424, 6, with no process id and no structured data.
	headForm = regexp.MustCompile(`^<(\d{1,3})>1 (-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) [!-~]{1,255} coffer - [!-~]{1,32} - $`)
)

// message reads a message.
func message(in *bufio.Reader) (record string, err error) {
	length, err := in.ReadString(' ')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, " "))
	if err != nil || n < 1 || n > 1<<20 || length[0] == '0' {
		return "", fmt.Errorf("%w: length %q", errForm, length)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(in, text); err != nil {
		return "", err
	}
	i := strings.Index(string(text), "{")
	if i < 0 || !headForm.MatchString(string(text[:i])) {
		return "", fmt.Errorf("%w: %q", errForm, text)
	}
	return string(text[i:]), nil
}
