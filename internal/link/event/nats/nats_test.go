// SPDX-License-Identifier: Apache-2.0

package nats

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	natsgo "github.com/nats-io/nats.go"

	"github.com/cofferstore/coffer/internal/link/event"
	"github.com/cofferstore/coffer/internal/link/event/eventtest"
	"github.com/cofferstore/coffer/internal/secret"
)

// start starts a server that keeps its streams in a directory. Port -1 is any.
func start(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true,
		Authorization: eventtest.Secret,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not come up")
	}
	return s
}

func admin(t *testing.T, s *server.Server) (*natsgo.Conn, jetstream.JetStream) {
	t.Helper()
	conn, err := natsgo.Connect(s.ClientURL(), natsgo.Token(eventtest.Secret))
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return conn, js
}

func TestTarget(t *testing.T) {
	eventtest.Run(t, func(t *testing.T) eventtest.Harness {
		dir := t.TempDir()
		s := start(t, dir, -1)
		port := s.Addr().(*net.TCPAddr).Port
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		conn, js := admin(t, s)
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"s3.>"}}); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		target, err := New(Config{Name: "bus", Server: s.Addr().String(), Subject: "s3.events", Token: secret.New([]byte(eventtest.Secret))})
		if err != nil {
			t.Fatal(err)
		}
		return eventtest.Harness{
			Target: target,
			Came:   func() []string { return stored(t, s) },
			Down: func(down bool) {
				if down {
					s.Shutdown()
					s.WaitForShutdown()
					return
				}
				s = start(t, dir, port)
			},
		}
	})
}

// stored returns what the stream has.
func stored(t *testing.T, s *server.Server) (out []string) {
	t.Helper()
	conn, js := admin(t, s)
	defer conn.Close()
	stream, err := js.Stream(t.Context(), "EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for n := info.State.FirstSeq; n <= info.State.LastSeq; n++ {
		m, err := stream.GetMsg(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		if body := string(m.Data); !slices.Contains(out, body) {
			out = append(out, body)
		}
	}
	return out
}

// Without a stream nothing is durable, and the error says what to do.
func TestNoStream(t *testing.T) {
	s := start(t, t.TempDir(), -1)
	defer func() { s.Shutdown(); s.WaitForShutdown() }()
	target, err := New(Config{Name: "bus", Server: s.Addr().String(), Subject: "nobody", Token: secret.New([]byte(eventtest.Secret))})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	_, err = target.Send(t.Context(), []event.Message{{ID: "1", Body: []byte("{}")}})
	var told *event.Error
	if !errors.As(err, &told) || !told.Refused {
		t.Errorf("got %v", err)
	}
}

// A token that is wrong is told without it.
func TestWrongToken(t *testing.T) {
	s := start(t, t.TempDir(), -1)
	defer func() { s.Shutdown(); s.WaitForShutdown() }()
	target, err := New(Config{Name: "bus", Server: s.Addr().String(), Subject: "a", Token: secret.New([]byte("another-secret-01"))})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	_, err = target.Send(t.Context(), []event.Message{{ID: "1", Body: []byte("{}")}})
	var told *event.Error
	if !errors.As(err, &told) || !told.Refused {
		t.Errorf("got %v", err)
	}
}

// A server that stops to answer while a connection is made is not waited for behind the end
// of the context.
func TestServerHangs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	left := make(chan struct{})
	go func() {
		defer close(left)
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, `INFO {"server_id":"A","version":"2.10.0","proto":1,"max_payload":1048576}`+"\r\n")
		r := bufio.NewReader(conn)
		for line := ""; err == nil && !strings.HasPrefix(line, "PING"); {
			line, err = r.ReadString('\n')
		}
		cancel()
		_, _ = io.Copy(io.Discard, r) // until the other side goes
	}()
	target, err := New(Config{Name: "bus", Server: l.Addr().String(), Subject: "a"})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if n, err := target.Send(ctx, []event.Message{{ID: "1", Body: []byte("{}")}}); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d were taken by nobody, %v", n, err)
	}
	<-left
}
