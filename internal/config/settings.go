// SPDX-License-Identifier: Apache-2.0

package config

import (
	"log/slog"
	"net/netip"
	"strconv"
	"time"

	"github.com/cofferstore/coffer/internal/secret"
)

// setting is all there is to say of one setting.
type setting struct {
	name   string // of the flag and the YAML key
	form   string // what its value looks like, in a word or two
	def    string // default, as an operator would write it
	help   string
	secret bool // set by the environment alone, and never shown
	access
}

// access reads and writes a setting's field as text.
type access struct {
	set func(*Config, string) error
	get func(*Config) string
}

func field[T any](at func(*Config) *T, parse func(string) (T, error), format func(T) string) access {
	return access{
		set: func(c *Config, text string) error {
			v, err := parse(text)
			if err == nil {
				*at(c) = v
			}
			return err
		},
		get: func(c *Config) string { return format(*at(c)) },
	}
}

const (
	boolean  = "true or false"
	duration = "duration"
	size     = "size"
)

// settings is the table, in the order of docs/configuration.md.
var settings = []setting{
	{name: "data", form: "directory", def: "./data",
		help:   "Where everything is kept. It is made at the first start, readable by its owner alone.",
		access: field(func(c *Config) *string { return &c.Data }, notEmpty, asIs)},
	{name: "listen", form: "host:port", def: "127.0.0.1:9000",
		help:   "Address that serves every API. The default is for this machine alone.",
		access: field(func(c *Config) *string { return &c.Listen }, hostPort, asIs)},
	{name: "region", form: "name", def: "us-east-1",
		help:   "Region that clients sign for, and that ARNs name. It is part of every key's ARN: choose it before the first start.",
		access: field(func(c *Config) *string { return &c.Region }, label, asIs)},
	{name: "account-id", form: "12 digits", def: "000000000001",
		help:   "The account that owns everything. It is part of every key's ARN: choose it before the first start.",
		access: field(func(c *Config) *string { return &c.AccountID }, account, asIs)},
	{name: "domain", form: "list of host names", def: "localhost,s3.localhost",
		help:   "Host names under which `BUCKET.NAME` means a bucket (virtual-host style). Path style works under every name.",
		access: field(func(c *Config) *[]string { return &c.Domain }, list(hostName), unlist(asIs))},
	{name: "website-domain", form: "list of host names", def: "s3-website.localhost",
		help:   "Host names under which `BUCKET.NAME` is the website of a bucket, as its website configuration says. Of names in `domain` and here, the longest that fits counts.",
		access: field(func(c *Config) *[]string { return &c.WebsiteDomain }, list(hostName), unlist(asIs))},
	{name: "website-listen", form: "host:port", def: "",
		help:   "Address that serves websites and nothing else, by HTTPS if there is a certificate. There, a host name that is not under `website-domain` is itself the name of a bucket. Without it websites are at `listen` alone.",
		access: field(func(c *Config) *string { return &c.WebsiteListen }, hostPortOrNone, asIs)},
	{name: "tls-cert", form: "file", def: "",
		help:   "PEM file with the server's certificate and its chain. Without it the server speaks plain HTTP.",
		access: field(func(c *Config) *string { return &c.TLSCert }, anything, asIs)},
	{name: "tls-key", form: "file", def: "",
		help:   "PEM file with the certificate's private key.",
		access: field(func(c *Config) *string { return &c.TLSKey }, anything, asIs)},
	{name: "trusted-proxies", form: "list of CIDRs", def: "",
		help:   "Peers whose `X-Forwarded-Proto` and `X-Forwarded-For` are believed. SSE-KMS and SSE-C need TLS, a loopback peer, or such a proxy's word for it.",
		access: field(func(c *Config) *[]netip.Prefix { return &c.TrustedProxies }, list(prefix), unlist(netip.Prefix.String))},
	{name: "metrics-peers", form: "list of CIDRs", def: "",
		help:   "Peers that may read health and metrics under `/-/`, besides loopback.",
		access: field(func(c *Config) *[]netip.Prefix { return &c.MetricsPeers }, list(prefix), unlist(netip.Prefix.String))},
	{name: "bucket-key-ttl", form: duration, def: "5m",
		help:   "How long a requester's permission to use a bucket key lasts before KMS is asked, and the request audited, again; 0 to 1h. Changed policies and disabled keys act at once whatever this says.",
		access: field(func(c *Config) *time.Duration { return &c.BucketKeyTTL }, durationOf(0, time.Hour), showDuration)},
	{name: "kms-request-quota", form: "number", def: "0",
		help:   "Cryptographic KMS requests that an account may make per second, S3's for it included, as AWS bounds them; 0 is no bound. To rehearse the bottleneck that Bucket Keys remove.",
		access: field(func(c *Config) *int { return &c.KMSRequestQuota }, countOf(0, 1_000_000), strconv.Itoa)},
	{name: "new-bucket-defaults", form: "current or legacy", def: Current,
		help:   "What a new bucket begins with: `current` as S3 does today (SSE-C blocked, owner enforced, public access blocked), or `legacy` as it did before.",
		access: field(func(c *Config) *string { return &c.NewBucketDefaults }, oneOf(Current, Legacy), asIs)},
	{name: "kms-key-id-condition", form: "effective or header-only", def: Effective,
		help:   "What the condition key `s3:x-amz-server-side-encryption-aws-kms-key-id` says of a write: the key that it uses, also where the bucket's default chose it (`effective`), or only one that the request's header names (`header-only`), as some older accounts of S3 have it.",
		access: field(func(c *Config) *string { return &c.KMSKeyIDCondition }, oneOf(Effective, HeaderOnly), asIs)},
	{name: "lifecycle-day", form: duration, def: "24h",
		help:   "How long the days of lifecycle rules are, from midnight UTC on; 1s to 24h. A shorter day is for trying out rules: what they say of 30 days happens after 30 of these.",
		access: field(func(c *Config) *time.Duration { return &c.LifecycleDay }, durationOf(time.Second, 24*time.Hour), showDuration)},
	{name: "inline-limit", form: size, def: "16KiB",
		help:   "Objects up to this size are kept beside their metadata, larger ones in packs or in files of their own; at most 64KiB.",
		access: field(func(c *Config) *int64 { return &c.InlineLimit }, sizeOf(0, 64<<10), showSize)},
	{name: "pack-limit", form: size, def: "256KiB",
		help:   "Objects and parts up to this size share pack files, and the syncs of them, with others, larger ones have files of their own; at most 1MiB, 0 is no packs. What was written before stays where it is.",
		access: field(func(c *Config) *int64 { return &c.PackLimit }, sizeOf(0, 1<<20), showSize)},
	{name: "min-free", form: "size, percentage or both", def: "1GiB,2%",
		help:   "Writes are refused while the data directory's file system has less free than any of these. Reads and deletes go on.",
		access: field(func(c *Config) *MinFree { return &c.MinFree }, minFree, showMinFree)},
	{name: "audit", form: boolean, def: "true",
		help:   "For measurements alone: false records nothing of what anybody does.",
		access: field(func(c *Config) *bool { return &c.Audit }, truth, showBool)},
	{name: "audit-sync-reads", form: boolean, def: "false",
		help:   "Make the audit record of a read durable before it is answered, as those of writes, management and KMS always are. Otherwise it is durable within a second.",
		access: field(func(c *Config) *bool { return &c.AuditSyncReads }, truth, showBool)},
	{name: "audit-required", form: boolean, def: "true",
		help:   "Refuse calls whose audit record cannot be written. With `false` they are served: records that the metadata store takes are written later, and of the others it is recorded how many there were, and when.",
		access: field(func(c *Config) *bool { return &c.AuditRequired }, truth, showBool)},
	{name: "audit-s3-name", form: "fas.s3.amazonaws.com or s3.amazonaws.com", def: S3Now,
		help:   "Who the KMS requests that S3 makes for its callers are invoked by, in their records: as CloudTrail has it now, or as it was before, for tools that look for that.",
		access: field(func(c *Config) *string { return &c.AuditS3Name }, oneOf(S3Now, S3Before), asIs)},
	{name: "audit-retention", form: "duration, also in days", def: "0",
		help:   "How long files of the audit trail are kept, like `90d` or `36h`; 0 is for ever. What goes is stated in the trail and in the log before. What a trail, sink or index has not taken stays.",
		access: field(func(c *Config) *time.Duration { return &c.AuditRetention }, spanOf(time.Hour, 100*365*day), showSpan)},
	{name: "audit-max-size", form: size, def: "0",
		help:   "How large the audit trail may grow before its oldest files go, at least 64MiB; 0 is no bound. As with `audit-retention`, this is stated before, and what has not been taken stays.",
		access: field(func(c *Config) *int64 { return &c.AuditMaxSize }, sizeOrNone(64<<20, 1<<60), showSize)},
	{name: "trail-interval", form: duration, def: "5m",
		help:   "How long the first event of a CloudTrail log file waits for others until the file is delivered; 1s to 1h. A file that is full does not wait.",
		access: field(func(c *Config) *time.Duration { return &c.TrailInterval }, durationOf(time.Second, time.Hour), showDuration)},
	{name: "audit-webhook", form: "list of [name=]URL", def: "",
		help:   "HTTPS URLs to which audit records are posted, as `{\"Records\":[…]}`. A name, or else the host, tells how far each has come, also after its URL changes.",
		access: field(func(c *Config) *[]AuditSink { return &c.AuditWebhooks }, list(webhook), unlist(AuditSink.String))},
	{name: "audit-webhook-header", form: "header", def: defaultTokenHeader,
		help:   "Header with which `audit-webhook-token` is sent, in the place of `" + TokenPlaceholder + "`.",
		access: field(func(c *Config) *TokenHeader { return &c.AuditWebhookHeader }, tokenHeader, TokenHeader.String)},
	{name: "audit-webhook-gzip", form: boolean, def: "false",
		help:   "Compress what is posted (`Content-Encoding: gzip`).",
		access: field(func(c *Config) *bool { return &c.AuditWebhookGzip }, truth, showBool)},
	{name: "audit-webhook-ca", form: "file", def: "",
		help:   "PEM file with the certificates of those who vouch for the webhooks' servers, instead of whom the system trusts.",
		access: field(func(c *Config) *string { return &c.AuditWebhookCA }, anything, asIs)},
	{name: "audit-webhook-events", form: "list of management, data, kms", def: allEvents,
		help:   "Events that webhooks get: `management`, `data` (of objects), `kms`.",
		access: field(func(c *Config) *[]string { return &c.AuditWebhookEvents }, events, unlist(asIs))},
	{name: "audit-syslog", form: "list of [name=]tls://host:port", def: "",
		help:   "Syslog servers that audit records are sent to, as messages of RFC 5424 over TLS (RFC 5425), or with `tcp://` in clear. Names as those of `audit-webhook`.",
		access: field(func(c *Config) *[]AuditSink { return &c.AuditSyslogs }, list(syslog), unlist(AuditSink.String))},
	{name: "audit-syslog-ca", form: "file", def: "",
		help:   "PEM file with the certificates of those who vouch for the syslog servers, instead of whom the system trusts.",
		access: field(func(c *Config) *string { return &c.AuditSyslogCA }, anything, asIs)},
	{name: "audit-syslog-cert", form: "file", def: "",
		help:   "PEM file with the certificate, and its chain, that is shown to syslog servers.",
		access: field(func(c *Config) *string { return &c.AuditSyslogCert }, anything, asIs)},
	{name: "audit-syslog-key", form: "file", def: "",
		help:   "PEM file with that certificate's private key.",
		access: field(func(c *Config) *string { return &c.AuditSyslogKey }, anything, asIs)},
	{name: "audit-syslog-events", form: "list of management, data, kms", def: allEvents,
		help:   "Events that syslog servers get.",
		access: field(func(c *Config) *[]string { return &c.AuditSyslogEvents }, events, unlist(asIs))},
	{name: "audit-sink-start", form: "now or oldest", def: Now,
		help:   "Where a webhook or syslog server that is new begins: with what is recorded from `now` on, or with the `oldest` record that there is.",
		access: field(func(c *Config) *string { return &c.AuditSinkStart }, oneOf(Now, Oldest), asIs)},
	{name: "notification-target", form: "list of NAME=URL", def: "",
		help:   "Where events of buckets can be delivered: `https://host/path`, `nats://host:4222/subject` (JetStream) or `kafka://host:9092;host:9092/topic`, with `nats+tls://` and `kafka+tls://` over TLS. Buckets address a target as `arn:aws:sqs:REGION:ACCOUNT:NAME`, or of `sns`, or `arn:aws:lambda:REGION:ACCOUNT:function:NAME`.",
		access: field(func(c *Config) *[]NotificationTarget { return &c.NotificationTargets }, list(notificationTarget), unlist(NotificationTarget.String))},
	{name: "notification-accounts", form: "list of NAME=ACCOUNT", def: "",
		help:   "Accounts whose buckets may name a target, `*` for every account; a target that is not in the list is for `account-id` alone.",
		access: field(func(c *Config) *[]TargetAccount { return &c.NotificationAccounts }, list(targetAccount), unlist(TargetAccount.String))},
	{name: "notification-ca", form: "file", def: "",
		help:   "PEM file with the certificates of those who vouch for the targets' servers, instead of whom the system trusts.",
		access: field(func(c *Config) *string { return &c.NotificationCA }, anything, asIs)},
	{name: "notification-max-age", form: "duration, also in days", def: "3d",
		help:   "How long an event waits for a target that does not take it before it is dropped; 1m to 365d.",
		access: field(func(c *Config) *time.Duration { return &c.NotificationMaxAge }, spanOf(time.Minute, 365*day), showSpan)},
	{name: "notification-limit", form: "number", def: "1000000",
		help:   "How many events wait for one target before its oldest are dropped. Each takes about a kilobyte.",
		access: field(func(c *Config) *int { return &c.NotificationLimit }, countOf(1, 1_000_000_000), strconv.Itoa)},
	{name: "require-fips", form: boolean, def: "false",
		help:   "Refuse to start unless the FIPS 140-3 cryptographic module is in use.",
		access: field(func(c *Config) *bool { return &c.RequireFIPS }, truth, showBool)},
	{name: "log-format", form: "text or json", def: Text,
		help:   "Format of the log on standard error.",
		access: field(func(c *Config) *string { return &c.LogFormat }, oneOf(Text, JSON), asIs)},
	{name: "log-level", form: "debug, info, warn or error", def: "info",
		help:   "The least severe log lines to write.",
		access: field(func(c *Config) *slog.Level { return &c.LogLevel }, level, showLevel)},
	{name: "idle-timeout", form: duration, def: "2m",
		help:   "How long a connection may wait for its next request; 1s to 1h.",
		access: field(func(c *Config) *time.Duration { return &c.IdleTimeout }, durationOf(time.Second, time.Hour), showDuration)},
	{name: "read-timeout", form: duration, def: "30s",
		help:   "How long a client may pause within the body that it sends; 1s to 1h.",
		access: field(func(c *Config) *time.Duration { return &c.ReadTimeout }, durationOf(time.Second, time.Hour), showDuration)},
	{name: "shutdown-timeout", form: duration, def: "30s",
		help:   "How long requests under way may take to end when the server is told to stop; 0 to 1h.",
		access: field(func(c *Config) *time.Duration { return &c.ShutdownTimeout }, durationOf(0, time.Hour), showDuration)},
	{name: "kms-latency", form: duration, def: "0",
		help:   "For measurements alone: how long each KMS request that S3 makes is held up, as by a key service elsewhere; 0 to 10s.",
		access: field(func(c *Config) *time.Duration { return &c.KMSLatency }, durationOf(0, 10*time.Second), showDuration)},
	{name: "root-access-key-id", form: "access key id", def: "",
		help:   "Access key id of the account's root. With `root-secret-access-key` it replaces the stored pair at every start; without both, the first start makes a pair.",
		access: field(func(c *Config) *string { return &c.RootAccessKeyID }, anything, asIs)},
	{name: "root-secret-access-key", form: "secret", secret: true,
		help:   "Secret access key of the account's root, at least 16 characters.",
		access: field(func(c *Config) *secret.Bytes { return &c.RootSecretAccessKey }, secretOf(minRootSecret), hide)},
	{name: "audit-webhook-token", form: "secret", secret: true,
		help:   "Token that webhooks are sent. With more than one webhook, a line `NAME=TOKEN` for each that has one; the name of one without a name is its host.",
		access: field(func(c *Config) *secret.Bytes { return &c.auditTokens }, secretOf(1), hide)},
	{name: "audit-webhook-signing-key", form: "secret", secret: true,
		help:   "Key of at least 16 characters with which posts to webhooks are signed (HMAC-SHA256). With more than one webhook, a line `NAME=KEY` for each that has one.",
		access: field(func(c *Config) *secret.Bytes { return &c.auditSigningKeys }, secretOf(1), hide)},
	{name: "notification-credentials", form: "secret", secret: true,
		help:   "A line `NAME=SECRET` for each notification target that wants credentials: a webhook's token, sent as `Authorization: Bearer`; `USER:PASSWORD`, or a token, of NATS; `USER:PASSWORD` of Kafka, given as PLAIN or as `?mechanism=` in its URL says. NATS, and PLAIN, need TLS for it, except on this host.",
		access: field(func(c *Config) *secret.Bytes { return &c.notificationSecrets }, secretOf(1), hide)},
	{name: "notification-signing-key", form: "secret", secret: true,
		help:   "A line `NAME=KEY` for each webhook among the notification targets whose posts are signed, as those of `audit-webhook-signing-key` are.",
		access: field(func(c *Config) *secret.Bytes { return &c.notificationSigningKeys }, secretOf(1), hide)},
	{name: "root-key-passphrase", form: "secret", secret: true,
		help:   "Passphrase that seals the root key, under which all others are. It cannot be recovered.",
		access: field(func(c *Config) *secret.Bytes { return &c.RootKeyPassphrase }, secretOf(1), hide)},
}

// minRootSecret is what package iam demands of a secret access key; a test there
// holds the two together.
const minRootSecret = 16
