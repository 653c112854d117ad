// SPDX-License-Identifier: Apache-2.0

// Package nats delivers event notifications to a NATS JetStream stream: each message is
// published to the subject of the target, and taken when the stream has acknowledged it. Its
// id is in Nats-Msg-Id, so a stream drops what it gets twice within its duplicate window. The
// stream is the operator's: it must exist and have the subject.
package nats

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cofferstore/coffer/internal/link/event"
	"github.com/cofferstore/coffer/internal/secret"
)

// Config says where messages go.
type Config struct {
	Name    string // of the target
	Server  string // "host:port"
	Subject string
	TLS     *tls.Config // nil: in clear
	// User and Password, or a Token, if they are not empty.
	User            string
	Password, Token secret.Bytes
}

const (
	dialTimeout = 10 * time.Second
	ackTimeout  = 10 * time.Second
)

// Target is a subject of a stream.
type Target struct {
	cfg    Config
	conn   *connection // nil until the first send, and after one is lost
	closed bool
}

// connection is one to the server. gone ends with it.
type connection struct {
	conn *nats.Conn
	js   jetstream.JetStream
	gone context.Context
}

var _ event.Target = (*Target)(nil)

// New returns a target; nothing is connected yet.
func New(cfg Config) (*Target, error) {
	if cfg.Subject == "" {
		return nil, fmt.Errorf("notification target %s: no subject", cfg.Name)
	}
	return &Target{cfg: cfg}, nil
}

// Name is event.Target's.
func (t *Target) Name() string { return t.cfg.Name }

// Records is event.Target's: a record in each message.
func (t *Target) Records() int { return 1 }

// connect makes a connection, if there is none. One that is lost is not mended behind the
// target's back, where what is published could wait: the next send makes another.
func (t *Target) connect(ctx context.Context) error {
	switch {
	case t.closed:
		return errors.New("the target is closed")
	case t.conn != nil && t.conn.gone.Err() == nil:
		return nil
	}
	gone, lost := context.WithCancel(context.Background())
	dial := &dialer{ctx: ctx}
	defer dial.release()
	options := []nats.Option{
		nats.Name("coffer"), nats.Timeout(dialTimeout), nats.NoReconnect(), nats.NoEcho(),
		nats.SetCustomDialer(dial),
		nats.ClosedHandler(func(*nats.Conn) { lost() }), nats.DisconnectErrHandler(func(*nats.Conn, error) { lost() }),
	}
	scheme := "nats://"
	if t.cfg.TLS != nil {
		options, scheme = append(options, nats.Secure(t.cfg.TLS)), "tls://"
	}
	if t.cfg.User != "" {
		options = append(options, nats.UserInfo(t.cfg.User, string(t.cfg.Password.Reveal())))
	}
	if t.cfg.Token.Len() > 0 {
		options = append(options, nats.Token(string(t.cfg.Token.Reveal())))
	}
	conn, err := nats.Connect(scheme+t.cfg.Server, options...)
	if err != nil {
		lost()
		return t.named(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return t.named(err)
	}
	t.conn = &connection{conn, js, gone}
	return nil
}

// dialer dials for a send, as long as that may take. Until it is released, what it has dialed is
// closed by then: the library waits for a server's answers, whatever the context says. It is for
// one goroutine.
type dialer struct {
	ctx   context.Context
	stops []func() bool
}

// Dial is nats.CustomDialer's.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(d.ctx, network, address)
	if err == nil {
		d.stops = append(d.stops, context.AfterFunc(d.ctx, func() { conn.Close() }))
	}
	return conn, err
}

func (d *dialer) release() {
	for _, stop := range d.stops {
		stop()
	}
}

// named says of which server an error is, and whether trying again will hardly help.
func (t *Target) named(err error) error {
	text := fmt.Errorf("NATS server %s: %w", t.cfg.Server, err)
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return &event.Error{Refused: true, Err: text}
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
		return &event.Error{Refused: true, Err: fmt.Errorf("NATS server %s: no JetStream stream has the subject %s: make one", t.cfg.Server, t.cfg.Subject)}
	case errors.Is(err, nats.ErrMaxPayload):
		return &event.Error{Refused: true, Err: text}
	}
	return text
}

// Send is event.Target's. Messages are published one by one, each after the one before it was
// acknowledged: so those of a key keep their order also when one fails.
func (t *Target) Send(ctx context.Context, messages []event.Message) (taken int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := t.connect(ctx); err != nil {
		return 0, err
	}
	for _, m := range messages {
		if err := t.publish(ctx, m); err != nil {
			return taken, t.named(err)
		}
		taken++
	}
	return taken, nil
}

// publish sends a message and waits for the stream's answer.
func (t *Target) publish(ctx context.Context, m event.Message) error {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	defer context.AfterFunc(t.conn.gone, cancel)() // nobody answers any more
	msg := &nats.Msg{Subject: t.cfg.Subject, Data: m.Body}
	_, err := t.conn.js.PublishMsg(ctx, msg, jetstream.WithMsgID(m.ID), jetstream.WithRetryAttempts(0))
	if err != nil && t.conn.gone.Err() != nil {
		return errors.New("the connection is lost")
	}
	return err
}

// Close is event.Target's.
func (t *Target) Close() error {
	t.closed = true
	if t.conn != nil {
		t.conn.conn.Close()
	}
	return nil
}
