// SPDX-License-Identifier: Apache-2.0

// Package kafka delivers event notifications to a Kafka topic: each message is a record, whose
// key is the bucket and the key of the object, so all events of an object are in one partition
// and keep their order. It is taken when all replicas in sync have it. The topic is the
// operator's: it must exist, or the brokers must be set to make it.
package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/cofferstore/coffer/internal/link/event"
	"github.com/cofferstore/coffer/internal/secret"
)

// Config says where messages go.
type Config struct {
	Name    string   // of the target
	Brokers []string // "host:port", to begin with
	Topic   string
	TLS     *tls.Config // nil: in clear
	// User and Password, if they are not empty, are given in Mechanism: PLAIN,
	// SCRAM-SHA-256 or SCRAM-SHA-512.
	User      string
	Password  secret.Bytes
	Mechanism string
}

// Mechanisms are those of Config.Mechanism.
var Mechanisms = []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}

// idHeader is a record's header with the message's id.
const idHeader = "id"

// Target is a topic.
type Target struct {
	cfg     Config
	options []kgo.Opt
	client  *kgo.Client // nil after a send that was given up
	closed  bool
}

var _ event.Target = (*Target)(nil)

// New returns a target; nothing is connected yet.
func New(cfg Config) (*Target, error) {
	options := []kgo.Opt{
		kgo.SeedBrokers(cfg.Brokers...), kgo.ClientID("coffer"), kgo.DefaultProduceTopic(cfg.Topic),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.DialTimeout(10 * time.Second),
		// What fails is sent again by who calls, in its order; a try must end with its context.
		kgo.RecordDeliveryTimeout(25 * time.Second), kgo.UnknownTopicRetries(1), kgo.AllowAutoTopicCreation(),
	}
	if cfg.TLS != nil {
		options = append(options, kgo.DialTLSConfig(cfg.TLS))
	}
	if cfg.User != "" {
		password := func() string { return string(cfg.Password.Reveal()) }
		switch cfg.Mechanism {
		case "", "PLAIN":
			options = append(options, kgo.SASL(plain.Plain(func(context.Context) (plain.Auth, error) {
				return plain.Auth{User: cfg.User, Pass: password()}, nil
			})))
		case "SCRAM-SHA-256", "SCRAM-SHA-512":
			with := func(context.Context) (scram.Auth, error) { return scram.Auth{User: cfg.User, Pass: password()}, nil }
			mechanism := scram.Sha256(with)
			if cfg.Mechanism == "SCRAM-SHA-512" {
				mechanism = scram.Sha512(with)
			}
			options = append(options, kgo.SASL(mechanism))
		default:
			return nil, fmt.Errorf("notification target %s: unknown mechanism %q", cfg.Name, cfg.Mechanism)
		}
	}
	t := &Target{cfg: cfg, options: options}
	return t, t.open()
}

// open makes a client, if there is none.
func (t *Target) open() (err error) {
	switch {
	case t.closed:
		return errors.New("the target is closed")
	case t.client != nil:
		return nil
	}
	if t.client, err = kgo.NewClient(t.options...); err != nil {
		return fmt.Errorf("notification target %s: %w", t.cfg.Name, err)
	}
	return nil
}

// Name is event.Target's.
func (t *Target) Name() string { return t.cfg.Name }

// Records is event.Target's: a record in each message.
func (t *Target) Records() int { return 1 }

// Send is event.Target's. Records of one partition are taken in their order or fail together
// from one on; those of others may be taken behind one that fails, and come again.
func (t *Target) Send(ctx context.Context, messages []event.Message) (taken int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := t.open(); err != nil {
		return 0, err
	}
	// A client waits for a broker that has records and does not answer, whatever the context
	// says: then only its end gives them up.
	stop := context.AfterFunc(ctx, t.client.Close)
	defer func() {
		if !stop() {
			t.client = nil
		}
	}()
	records := make([]*kgo.Record, len(messages))
	for i, m := range messages {
		records[i] = &kgo.Record{
			Key: []byte(m.Key), Value: m.Body, Headers: []kgo.RecordHeader{{Key: idHeader, Value: []byte(m.ID)}},
		}
	}
	failed := map[*kgo.Record]error{}
	for _, r := range t.client.ProduceSync(ctx, records...) {
		if r.Err != nil {
			failed[r.Record] = r.Err
		}
	}
	for _, r := range records {
		if err := failed[r]; err != nil {
			return taken, t.named(err)
		}
		taken++
	}
	return taken, nil
}

// named says of which brokers an error is, and whether trying again will hardly help.
func (t *Target) named(err error) error {
	text := fmt.Errorf("brokers of Kafka at %s, topic %s: %w", strings.Join(t.cfg.Brokers, ","), t.cfg.Topic, err)
	var answer *kerr.Error
	if errors.As(err, &answer) && !answer.Retriable || errors.Is(err, kerr.UnknownTopicOrPartition) {
		return &event.Error{Refused: true, Err: text}
	}
	return text
}

// Close is event.Target's.
func (t *Target) Close() error {
	t.closed = true
	if t.client != nil {
		t.client.Close()
	}
	return nil
}
