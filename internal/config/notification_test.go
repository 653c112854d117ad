// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"
	"strings"
	"testing"
)

func TestNotificationTargets(t *testing.T) {
	for text, want := range map[string]NotificationTarget{
		"hook=https://h.example/in?a=b":                         {Name: "hook", Kind: Webhook, URL: "https://h.example/in?a=b"},
		"local=http://127.0.0.1:8080/":                          {Name: "local", Kind: Webhook, URL: "http://127.0.0.1:8080/"},
		"bus=nats://n.example:4222/s3.events":                   {Name: "bus", Kind: NATS, Hosts: []string{"n.example:4222"}, Topic: "s3.events"},
		"bus=nats+tls://n.example:4222/s3":                      {Name: "bus", Kind: NATS, Hosts: []string{"n.example:4222"}, Topic: "s3", TLS: true},
		"log=kafka://a:9092;b:9093/s3-events":                   {Name: "log", Kind: Kafka, Hosts: []string{"a:9092", "b:9093"}, Topic: "s3-events", Mechanism: "PLAIN"},
		"log=kafka+tls://[::1]:9092/s3?mechanism=SCRAM-SHA-512": {Name: "log", Kind: Kafka, Hosts: []string{"[::1]:9092"}, Topic: "s3", TLS: true, Mechanism: "SCRAM-SHA-512"},
	} {
		got, err := notificationTarget(text)
		if err != nil || got.Name != want.Name || got.Kind != want.Kind || got.URL != want.URL || !slices.Equal(got.Hosts, want.Hosts) ||
			got.Topic != want.Topic || got.TLS != want.TLS || got.Mechanism != want.Mechanism || got.String() != text {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"https://h.example/":                      "does not begin with a name",
		"Hook=https://h.example/":                 "does not begin with a name",
		"hook=h.example":                          "no scheme",
		"hook=ftp://h.example/":                   "does not begin with https://",
		"hook=http://h.example/":                  "in clear",
		"hook=https://me:secret12@h.example/":     "credentials",
		"hook=https://h.example/#a":               "not like https://",
		"bus=nats://n.example/s3":                 "HOST:PORT",
		"bus=nats://n.example:4222":               "subject",
		"bus=nats://n.example:4222/s3.>":          "subject",
		"bus=nats://a:4222;b:4222/s3":             "more than one server",
		"bus=nats://me:secret12@n.example:4222/s": "credentials",
		"log=kafka://a:9092/":                     "topic",
		"log=kafka://a:9092/t?acks=1":             "mechanism",
		"log=kafka://a:9092;/t":                   "HOST:PORT",
	} {
		if _, err := notificationTarget(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret12") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestNotificationSettings(t *testing.T) {
	c := mustLoad(t, flagsOf(t, "--notification-target=hook=https://h.example/,bus=nats+tls://n:4222/s3,tok=nats://127.0.0.1:4222/s4,log=kafka://k:9092/t?mechanism=SCRAM-SHA-256",
		"--notification-accounts=hook=111122223333,hook=444455556666,bus=*"),
		"COFFER_NOTIFICATION_CREDENTIALS=hook=token-of-the-hook\nbus=me:pass:word\ntok=token-of-the-bus\nlog=you:password-of-kafka\n",
		"COFFER_NOTIFICATION_SIGNING_KEY=hook=0123456789abcdef")
	for i, want := range []struct{ accounts, secret, user string }{
		{"111122223333 444455556666", "token-of-the-hook", ""}, {"*", "me:pass:word", "me"}, {c.AccountID, "token-of-the-bus", ""}, {c.AccountID, "you:password-of-kafka", "you"},
	} {
		got := c.NotificationTargets[i]
		user, _, _ := got.User()
		if strings.Join(got.Accounts, " ") != want.accounts || string(got.Secret.Reveal()) != want.secret || user != want.user {
			t.Errorf("%s: for %q, user %q", got.Name, got.Accounts, user)
		}
	}
	if string(c.NotificationTargets[0].SigningKey.Reveal()) != "0123456789abcdef" {
		t.Error("no signing key")
	}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"same name":           {[]string{"--notification-target=a=https://h/,a=https://i/"}, "has a twice"},
		"account of nobody":   {[]string{"--notification-accounts=a=*"}, "names a, which is no notification-target"},
		"no account":          {[]string{"--notification-target=a=https://h/", "--notification-accounts=a=me"}, "twelve digits"},
		"secret of nobody":    {[]string{"COFFER_NOTIFICATION_CREDENTIALS=a=secret12345678"}, "line 1 does not begin"},
		"empty secret":        {[]string{"--notification-target=a=https://h/", "COFFER_NOTIFICATION_CREDENTIALS=a="}, "has no secret"},
		"token in clear":      {[]string{"--notification-target=a=nats://h:1/t", "COFFER_NOTIFICATION_CREDENTIALS=a=secret12345678"}, "would be sent in clear: use nats+tls://"},
		"password in clear":   {[]string{"--notification-target=a=kafka://[::1]:1;h:1/t", "COFFER_NOTIFICATION_CREDENTIALS=a=me:secret12345678"}, "would be sent in clear: use kafka+tls://"},
		"token for kafka":     {[]string{"--notification-target=a=kafka://h:1/t", "COFFER_NOTIFICATION_CREDENTIALS=a=secret12345678"}, "USER:PASSWORD"},
		"header characters":   {[]string{"--notification-target=a=https://h/", "COFFER_NOTIFICATION_CREDENTIALS=a=secret\x0112345678"}, "no header"},
		"signing for nats":    {[]string{"--notification-target=a=nats://h:1/t", "COFFER_NOTIFICATION_SIGNING_KEY=a=0123456789abcdef"}, "webhook"},
		"short signing key":   {[]string{"--notification-target=a=https://h/", "COFFER_NOTIFICATION_SIGNING_KEY=a=short"}, "at least 16"},
		"no such certificate": {[]string{"--notification-ca=/nowhere"}, "cannot be read"},
	} {
		var flags, environ []string
		for _, a := range test.args {
			if strings.HasPrefix(a, "--") {
				flags = append(flags, a)
			} else {
				environ = append(environ, a)
			}
		}
		got := strings.Join(mistakes(t, flagsOf(t, flags...), environ...), "\n")
		if !strings.Contains(got, test.want) || strings.Contains(got, "12345678") {
			t.Errorf("%s: %s", name, got)
		}
	}
}
