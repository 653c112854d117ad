// SPDX-License-Identifier: Apache-2.0

package syslog

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/link/sink/sinktest"
)

// certificates returns the configurations of a server and of a client that trusts it.
func certificates(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, &tls.Config{RootCAs: roots}
}

// open returns a sink that sends to a server.
func open(t *testing.T, to *sinktest.Syslog, config *tls.Config) *Syslog {
	t.Helper()
	s, err := New(Config{Name: "logs", Address: to.Address, TLS: config, Host: "store-1"})
	if err != nil {
		t.Fatal(err)
	}
	s.probation = time.Millisecond // nobody refuses anything late
	t.Cleanup(func() { s.Close() })
	return s
}

// await waits until a sink has seen its connection end.
func await(s *Syslog) {
	if s.conn != nil {
		<-s.conn.gone
	}
}

func TestSyslog(t *testing.T) {
	server, client := certificates(t)
	for name, config := range map[string][2]*tls.Config{"tcp": {}, "tls": {server, client}} {
		t.Run(name, func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) sinktest.Harness {
				to := sinktest.NewSyslog(t, config[0])
				s := open(t, to, config[1])
				return sinktest.Harness{Sink: s, Inbox: &to.Inbox, Down: func(down bool) {
					to.Down(down)
					if s.probation = time.Millisecond; down {
						s.probation = time.Hour // it ends when the server breaks it off
						await(s)
					}
				}}
			})
		})
	}
}

func records(ids ...string) (out [][]byte) {
	for _, id := range ids {
		out = append(out, fmt.Appendf(nil, `{"eventTime":"2026-07-14T09:30:00Z","eventName":"PutObject","eventID":%q}`, id))
	}
	return out
}

// came returns the ids of the records that came, repeated ones too.
func came(to *sinktest.Syslog, n int) (out []string) {
	for _, r := range to.Inbox.Await(n) {
		_, id, _ := strings.Cut(r, `"eventID":"`)
		out = append(out, strings.TrimSuffix(id, `"}`))
	}
	return out
}

// What was sent last is sent again after the connection broke, and not after the server
// ended it in order.
func TestWindow(t *testing.T) {
	server, client := certificates(t)
	for name, config := range map[string][2]*tls.Config{"tcp": {}, "tls": {server, client}} {
		t.Run(name, func(t *testing.T) {
			to := sinktest.NewSyslog(t, config[0])
			s := open(t, to, config[1])
			send := func(ids ...string) {
				t.Helper()
				if err := s.Send(t.Context(), records(ids...)); err != nil {
					t.Fatal(err)
				}
			}
			send("1", "2")
			send("3")
			came(to, 3)
			to.HangUp()
			await(s)
			send("4")
			want := []string{"1", "2", "3", "4"}
			if !seesAcknowledgements {
				want = []string{"1", "2", "3", "1", "2", "3", "4"}
			}
			if got := came(to, 4); !slices.Equal(got, want) {
				t.Errorf("after the server hung up: %q", got)
			}
			to.Down(true)
			await(s)
			to.Down(false)
			send("5")
			want = append(want, "1", "2", "3", "4", "5")
			if got := came(to, 5); !slices.Equal(got, want) {
				t.Errorf("after the connection broke: %q, want %q", got, want)
			}
		})
	}
}

// The window is bounded.
func TestWindowIsBounded(t *testing.T) {
	to := sinktest.NewSyslog(t, nil)
	s := open(t, to, nil)
	for i := range 40 {
		big := fmt.Sprintf(`{"eventID":"%d","userAgent":"%s"}`, i, strings.Repeat("x", 200<<10))
		if err := s.Send(t.Context(), [][]byte{[]byte(big), []byte(big)}); err != nil {
			t.Fatal(err)
		}
	}
	total := 0
	for _, text := range s.window {
		total += len(text)
	}
	if total != s.kept || total < maxWindow || total > maxWindow+maxWindow/8 {
		t.Errorf("%d bytes are kept, counted as %d", total, s.kept)
	}
}

// A server that accepts a connection and refuses it only then has taken nothing: one that
// wants a certificate, and a proxy with nobody behind it.
func TestLateRefusal(t *testing.T) {
	server, client := certificates(t)
	server.ClientAuth = tls.RequireAnyClientCert
	t.Run("certificate", func(t *testing.T) {
		to := sinktest.NewSyslog(t, server)
		s := open(t, to, client)
		s.probation = time.Hour
		if err := s.Send(t.Context(), records("1")); err == nil {
			t.Error("records were taken by a server that refuses us")
		}
	})
	t.Run("proxy", func(t *testing.T) {
		to := sinktest.NewSyslog(t, nil)
		to.Down(true)
		s := open(t, to, nil)
		s.probation = time.Hour
		if err := s.Send(t.Context(), records("1")); err == nil {
			t.Error("records were taken by a server that hangs up")
		}
	})
}

// A server that does not read holds a send up until its time is over.
func TestServerDoesNotRead(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // whoever connects waits to be accepted
	s, err := New(Config{Name: "logs", Address: l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.probation = time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	big := make([][]byte, 64)
	for i := range big { // 16 MiB are more than two machines keep
		big[i] = []byte(`{"userAgent":"` + strings.Repeat("x", 256<<10) + `"}`)
	}
	if err := s.Send(ctx, big); err == nil {
		t.Error("records were taken by nobody")
	}
}

// A server for which nobody vouches gets no records.
func TestUnknownServer(t *testing.T) {
	server, _ := certificates(t)
	to := sinktest.NewSyslog(t, server)
	if err := open(t, to, &tls.Config{RootCAs: x509.NewCertPool()}).Send(t.Context(), records("1")); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error %v", err)
	}
}

// Golden: messages as RFC 5424 has them, whatever is in a record.
func TestFrame(t *testing.T) {
	for _, test := range []struct{ host, record, want string }{
		{"store-1", `{"eventTime":"2026-07-14T09:30:00Z","eventName":"PutObject"}`, "<110>1 2026-07-14T09:30:00Z store-1 coffer - PutObject - "},
		{"store-1", `{"eventTime":"2026-07-14T09:30:00Z","eventName":"GetObject","errorCode":"NoSuchKey"}`, "<108>1 2026-07-14T09:30:00Z store-1 coffer - GetObject - "},
		{"", `{"eventTime":"yesterday <1>","eventName":""}`, "<110>1 - - coffer - - - "},
		{"a b\n", `{"eventTime":7,"eventName":"A B\u00e9\n<C>"}`, "<110>1 - ab coffer - AB<C> - "},
		{strings.Repeat("h", 300), `{"eventName":"` + strings.Repeat("n", 40) + `"}`, "<110>1 - " + strings.Repeat("h", 255) + " coffer - " + strings.Repeat("n", 32) + " - "},
	} {
		want := fmt.Sprintf("%d %s%s", len(test.want)+len(test.record), test.want, test.record)
		if got := string(frame(nil, test.host, []byte(test.record))); got != want {
			t.Errorf("%s becomes\n%s, want\n%s", test.record, got, want)
		}
	}
}

// FuzzFrame: whatever a record is, its message has the length that is said, a header of
// RFC 5424, and the record.
func FuzzFrame(f *testing.F) {
	f.Add("store-1", []byte(`{"eventTime":"2026-07-14T09:30:00Z","eventName":"PutObject","errorCode":"x"}`))
	f.Add("", []byte(`{"eventTime":"2026-07-14T09:30:00+02:00","eventName":"\u0000 <1>"}`))
	f.Add("a b", []byte("not JSON\n"))
	header := regexp.MustCompile(`^<1(08|10)>1 (-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) [!-~]{1,255} coffer - [!-~]{1,32} - `)
	f.Fuzz(func(t *testing.T, host string, record []byte) {
		length, message, _ := strings.Cut(string(frame(nil, host, record)), " ")
		if length != strconv.Itoa(len(message)) {
			t.Fatalf("%s bytes are said of %q", length, message)
		}
		head := header.FindString(message)
		if head == "" || message[len(head):] != string(record) {
			t.Errorf("message %q", message)
		}
	})
}
