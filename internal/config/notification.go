// SPDX-License-Identifier: Apache-2.0

package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/secret"
)

// Notifications are the settings of where events of buckets are delivered.
type Notifications struct {
	NotificationTargets  []NotificationTarget
	NotificationAccounts []TargetAccount
	NotificationCA       string
	NotificationMaxAge   time.Duration
	NotificationLimit    int

	// Read from the file that the setting names; nil where there is none.
	NotificationRoots *x509.CertPool

	notificationSecrets, notificationSigningKeys secret.Bytes // as given; targets have their own
}

// NotificationTarget is what ARNs in buckets' configurations of notifications can name.
type NotificationTarget struct {
	Name string
	Kind string // Webhook, NATS or Kafka
	URL  string // of a webhook
	// Of NATS and Kafka: servers as "host:port", the subject or topic, whether they are
	// reached over TLS.
	Hosts []string
	Topic string
	TLS   bool
	// Mechanism is how Kafka's user and password are given.
	Mechanism string

	// Accounts whose buckets may name it; "*" is every account.
	Accounts []string
	// Secret is a webhook's token, a token of NATS, or USER:PASSWORD; empty for none.
	Secret, SigningKey secret.Bytes

	text string // as given
}

// Kinds of targets.
const (
	Webhook = "webhook"
	NATS    = "nats"
	Kafka   = "kafka"
)

// User splits a target's secret into a user and a password; ok is false when it is a token.
func (t *NotificationTarget) User() (user string, password secret.Bytes, ok bool) {
	user, rest, ok := strings.Cut(string(t.Secret.Reveal()), ":")
	if !ok {
		return "", secret.Bytes{}, false
	}
	return user, secret.New([]byte(rest)), true
}

// tellsSecret reports whether the target's secret would be sent over a network for everybody to
// read: not in a mechanism of challenges.
func (t *NotificationTarget) tellsSecret() bool {
	return !t.TLS && (t.Kind == NATS || t.Mechanism == defaultMechanism) && slices.ContainsFunc(t.Hosts, func(h string) bool {
		host, _, _ := net.SplitHostPort(h)
		return !loopback(host)
	})
}

// String returns the target as it was given.
func (t NotificationTarget) String() string { return t.text }

// TargetAccount lets the buckets of an account name a target; "*" is every account.
type TargetAccount struct{ Target, Account string }

// String returns it as it was given.
func (a TargetAccount) String() string { return a.Target + "=" + a.Account }

const (
	maxTargets       = 64
	everyAccount     = "*"
	defaultMechanism = "PLAIN"
)

var (
	mechanisms  = []string{defaultMechanism, "SCRAM-SHA-256", "SCRAM-SHA-512"}
	subjectForm = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	topicForm   = regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`)
)

// notificationTarget parses NAME=URL.
func notificationTarget(text string) (NotificationTarget, error) {
	name, rest, ok := strings.Cut(text, "=")
	if !ok || !labelForm.MatchString(name) {
		return NotificationTarget{}, errors.New("does not begin with a name of lower-case letters, digits and dashes, and =")
	}
	t := NotificationTarget{Name: name, text: text}
	scheme, address, ok := strings.Cut(rest, "://")
	if !ok {
		return t, fmt.Errorf("the URL of %s has no scheme", name)
	}
	switch scheme {
	case "http", "https":
		t.Kind, t.URL = Webhook, rest
		return t, t.checkWebhook()
	case "nats", "nats+tls":
		t.Kind = NATS
	case "kafka", "kafka+tls":
		t.Kind = Kafka
	default:
		return t, fmt.Errorf("the URL of %s does not begin with https://, nats://, nats+tls://, kafka:// or kafka+tls://", name)
	}
	t.TLS = strings.HasSuffix(scheme, "+tls")
	return t, t.parseBroker(address)
}

func (t *NotificationTarget) checkWebhook() error {
	u, err := url.Parse(t.URL)
	switch {
	case err != nil || u.Hostname() == "" || u.Fragment != "" || u.Port() != "" && !validPort(u.Port()):
		return fmt.Errorf("the URL of %s is not like https://host/path", t.Name) // which may have a secret in it
	case u.User != nil:
		return fmt.Errorf("the URL of %s has credentials in it: give them as a secret", t.Name)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return fmt.Errorf("the URL of %s would send events in clear: use https", t.Name)
	}
	return nil
}

// parseBroker reads HOST:PORT[;HOST:PORT]/TOPIC[?mechanism=NAME].
func (t *NotificationTarget) parseBroker(address string) error {
	hosts, path, _ := strings.Cut(address, "/")
	path, query, options := strings.Cut(path, "?")
	if strings.Contains(hosts, "@") {
		return fmt.Errorf("the URL of %s has credentials in it: give them as a secret", t.Name)
	}
	for h := range strings.SplitSeq(hosts, ";") {
		host, port, err := net.SplitHostPort(h)
		if err != nil || host == "" || !validPort(port) {
			return fmt.Errorf("the URL of %s does not name servers as HOST:PORT, with ; between them", t.Name)
		}
		t.Hosts = append(t.Hosts, h)
	}
	t.Topic = path
	switch {
	case t.Kind == NATS && len(t.Hosts) > 1:
		return fmt.Errorf("the URL of %s names more than one server: NATS tells of the others itself", t.Name)
	case t.Kind == NATS && (!subjectForm.MatchString(path) || options):
		return fmt.Errorf("the URL of %s does not end in a subject, like nats://host:4222/s3.events", t.Name)
	case t.Kind == Kafka && !topicForm.MatchString(path):
		return fmt.Errorf("the URL of %s does not end in a topic, like kafka://host:9092/s3-events", t.Name)
	}
	if t.Kind == NATS {
		return nil
	}
	if t.Mechanism = defaultMechanism; options {
		mechanism, ok := strings.CutPrefix(query, "mechanism=")
		if !ok || !slices.Contains(mechanisms, mechanism) {
			return fmt.Errorf("the URL of %s has %q behind the topic; there can be ?mechanism= with one of %s", t.Name, query, strings.Join(mechanisms, ", "))
		}
		t.Mechanism = mechanism
	}
	return nil
}

// targetAccount parses NAME=ACCOUNT.
func targetAccount(text string) (TargetAccount, error) {
	name, account, ok := strings.Cut(text, "=")
	if !ok || account != everyAccount && !aws.ValidAccount(account) {
		return TargetAccount{}, fmt.Errorf("%q is not the name of a target, =, and an account of twelve digits or %s", text, everyAccount)
	}
	return TargetAccount{name, account}, nil
}

// notifications checks what is said of targets together, and gives them what is theirs.
func (l *loader) notifications() {
	c := l.config
	targets := c.NotificationTargets
	origin := func(setting string) string { return c.origins[setting] }
	if len(targets) > maxTargets {
		l.mistake("notification-target", origin("notification-target"), "has %d targets; %d are the most", len(targets), maxTargets)
	}
	find := func(name string) *NotificationTarget {
		for i := range targets {
			if targets[i].Name == name {
				return &targets[i]
			}
		}
		return nil
	}
	for i := range targets {
		if find(targets[i].Name) != &targets[i] {
			l.mistake("notification-target", origin("notification-target"), "has %s twice: give each another name", targets[i].Name)
		}
	}
	for _, a := range c.NotificationAccounts {
		t := find(a.Target)
		if t == nil {
			l.mistake("notification-accounts", origin("notification-accounts"), "names %s, which is no notification-target", a.Target)
			continue
		}
		t.Accounts = append(t.Accounts, a.Account)
	}
	for i := range targets {
		if len(targets[i].Accounts) == 0 {
			targets[i].Accounts = []string{c.AccountID}
		}
	}
	l.targetSecrets("notification-credentials", c.notificationSecrets, find, func(t *NotificationTarget, s secret.Bytes) error {
		t.Secret = s
		_, _, user := t.User()
		switch {
		case t.Kind == Webhook && !valueForm.Match(s.Reveal()):
			return errors.New("has characters that no header can have")
		case t.Kind == Kafka && !user:
			return errors.New("is not USER:PASSWORD")
		case t.tellsSecret():
			return fmt.Errorf("would be sent in clear: use %s+tls://", t.Kind)
		}
		return nil
	})
	l.targetSecrets("notification-signing-key", c.notificationSigningKeys, find, func(t *NotificationTarget, s secret.Bytes) error {
		if t.Kind != Webhook {
			return errors.New("is not of a webhook, which alone are signed for")
		}
		if s.Len() < leastSigning {
			return fmt.Errorf("has %d characters; it needs at least %d", s.Len(), leastSigning)
		}
		t.SigningKey = s
		return nil
	})
	c.NotificationRoots = l.roots("notification-ca", c.NotificationCA)
}

// targetSecrets gives targets their secrets, one each from a line with its name.
func (l *loader) targetSecrets(setting string, text secret.Bytes, find func(string) *NotificationTarget, give func(*NotificationTarget, secret.Bytes) error) {
	if text.Len() == 0 {
		return
	}
	origin := l.config.origins[setting]
	for i, line := range strings.Split(strings.TrimRight(string(text.Reveal()), "\r\n"), "\n") {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\r"), "=")
		t := find(name)
		if !ok || t == nil {
			l.mistake(setting, origin, "line %d does not begin with the name of a notification-target and =", i+1)
			continue
		}
		if value == "" {
			l.mistake(setting, origin, "line %d has no secret", i+1)
			continue
		}
		if err := give(t, secret.New([]byte(value))); err != nil {
			l.mistake(setting, origin, "line %d %s", i+1, err)
		}
	}
}
