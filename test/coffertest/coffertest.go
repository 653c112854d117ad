// SPDX-License-Identifier: Apache-2.0

// Package coffertest runs Coffer inside a test: the whole server on a directory of
// its own, reached over HTTP by the AWS SDK as any client reaches it.
package coffertest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/spf13/pflag"

	"github.com/cofferstore/coffer/internal/config"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/server"
)

// Root credentials of every test server.
const (
	AccessKeyID     = "AKIACOFFERTEST000001"
	SecretAccessKey = "coffertest/secret+0123456789abcdefghijkl"
	Account         = "000000000001"
	Region          = "us-east-1"
)

// Server is a running server and clients of it.
type Server struct {
	T    testing.TB
	Dir  string // its data directory
	URL  string
	S3   *s3.Client
	KMS  *kms.Client
	Core *server.Server

	tune server.Tuning
	args []string
	env  []string
	from string // address of all peers; "" for what they are
	log  *slog.Logger
	http *http.Transport // of the clients
	stop func() error
}

// Option changes how a server is started.
type Option func(*Server)

// Flags adds command line flags of `coffer serve`.
func Flags(args ...string) Option { return func(s *Server) { s.args = append(s.args, args...) } }

// Environ adds environment variables like COFFER_NAME=value, for what no flag sets.
func Environ(env ...string) Option { return func(s *Server) { s.env = append(s.env, env...) } }

// Tune changes what configuration does not.
func Tune(t server.Tuning) Option { return func(s *Server) { s.tune = t } }

// Log sends the server's whole log to w.
func Log(w io.Writer) Option {
	return func(s *Server) {
		s.log = slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}

// Start starts a server on an empty directory. It ends with the test.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	s := &Server{T: t, log: Logger(t)}
	for _, o := range options {
		o(s)
	}
	if s.Dir == "" {
		s.Dir = t.TempDir()
	}
	s.start()
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stop server: %v", err)
		}
	})
	return s
}

func (s *Server) start() {
	s.T.Helper()
	core, err := server.Open(context.Background(), configOf(s.T, s.Dir, s.env, s.args...), s.log, s.tune)
	if err != nil {
		s.T.Fatalf("open server: %v", err)
	}
	l, err := core.Listen()
	if err != nil {
		s.T.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	accepting := l
	if s.from != "" {
		accepting = elsewhere{l, &net.TCPAddr{IP: net.ParseIP(s.from), Port: 40000}}
	}
	go func() { done <- core.Serve(ctx, accepting) }()
	s.stop = func() error {
		cancel()
		return errors.Join(<-done, note(core), core.Close())
	}
	s.Core = core
	s.connect(l.Addr())
}

// Stop ends the server; the data stays.
func (s *Server) Stop() error {
	// A server that stops waits some seconds for a connection on which nothing was
	// asked yet. Clients that run beside each other leave such ones behind.
	s.http.CloseIdleConnections()
	stop := s.stop
	s.stop = func() error { return nil }
	return stop()
}

// Restart stops the server and starts it again on its data, with more flags if
// given. Clients are new.
func (s *Server) Restart(args ...string) {
	s.T.Helper()
	if err := s.Stop(); err != nil {
		s.T.Fatalf("stop server: %v", err)
	}
	s.args = append(s.args, args...)
	s.start()
}

// RestartFrom is Restart, after which every connection comes, for all that the server
// sees, from that address: tests run on one machine, and much depends on whether a
// peer is on another.
func (s *Server) RestartFrom(ip string, args ...string) {
	s.T.Helper()
	s.from = ip
	s.Restart(args...)
}

// elsewhere is a listener whose connections come from another address.
type elsewhere struct {
	net.Listener
	peer net.Addr
}

func (l elsewhere) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return distant{c, l.peer}, nil
}

type distant struct {
	net.Conn
	peer net.Addr
}

func (c distant) RemoteAddr() net.Addr { return c.peer }

func (s *Server) connect(addr net.Addr) {
	s.URL = "http://" + addr.String()
	s.http = newTransport()
	s.S3, s.KMS = clients(s.URL, s.http)
}

func newTransport() *http.Transport { return &http.Transport{MaxIdleConnsPerHost: 64} }

// Clients returns clients of a server with the root credentials of test servers.
func Clients(url string) (*s3.Client, *kms.Client) { return clients(url, newTransport()) }

func clients(url string, over *http.Transport) (*s3.Client, *kms.Client) {
	common := aws.Config{
		Region: Region, BaseEndpoint: &url,
		Credentials: credentials.NewStaticCredentialsProvider(AccessKeyID, SecretAccessKey, ""),
		HTTPClient:  &http.Client{Transport: over},
		// A test wants the first answer.
		RetryMaxAttempts: 1,
	}
	return s3.NewFromConfig(common, func(o *s3.Options) { o.UsePathStyle = true }), kms.NewFromConfig(common)
}

// Config returns the configuration of a test server.
func Config(t testing.TB, dir string, args ...string) *config.Config {
	t.Helper()
	return configOf(t, dir, nil, args...)
}

// configOf is Config with more of the environment.
func configOf(t testing.TB, dir string, env []string, args ...string) *config.Config {
	t.Helper()
	flags := pflag.NewFlagSet("coffertest", pflag.ContinueOnError)
	config.AddFlags(flags)
	all := append([]string{"--data", dir, "--listen", "127.0.0.1:0", "--root-access-key-id", AccessKeyID, "--min-free", "0%"}, args...)
	if err := flags.Parse(all); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.LoadWith(flags, append([]string{"COFFER_ROOT_SECRET_ACCESS_KEY=" + SecretAccessKey}, env...)...)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// Logger writes errors to the test's log, and everything when the variable
// COFFERTEST_LOG is set.
func Logger(t testing.TB) *slog.Logger {
	level := slog.LevelError
	if os.Getenv("COFFERTEST_LOG") != "" {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: level}))
}

type testLog struct{ t testing.TB }

func (w testLog) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// Key makes a KMS key and returns its ARN.
func (s *Server) Key() string {
	s.T.Helper()
	out, err := s.KMS.CreateKey(s.T.Context(), &kms.CreateKeyInput{})
	if err != nil {
		s.T.Fatalf("create key: %v", err)
	}
	return *out.KeyMetadata.Arn
}

// Bucket makes a bucket. With an algorithm, that is its default encryption.
func (s *Server) Bucket(name, algorithm, key string, bucketKey bool) {
	s.T.Helper()
	ctx := s.T.Context()
	if _, err := s.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name}); err != nil {
		s.T.Fatalf("create bucket: %v", err)
	}
	if algorithm != "" {
		s.Encrypt(name, algorithm, key, bucketKey)
	}
}

// Encrypt sets a bucket's default encryption.
func (s *Server) Encrypt(name, algorithm, key string, bucketKey bool) {
	s.T.Helper()
	d := &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryption(algorithm)}
	if key != "" {
		d.KMSMasterKeyID = &key
	}
	_, err := s.S3.PutBucketEncryption(s.T.Context(), &s3.PutBucketEncryptionInput{
		Bucket: &name,
		ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{
			{ApplyServerSideEncryptionByDefault: d, BucketKeyEnabled: &bucketKey},
		}},
	})
	if err != nil {
		s.T.Fatalf("put bucket encryption: %v", err)
	}
}

// Put stores an object.
func (s *Server) Put(bucket, key, body string, edit ...func(*s3.PutObjectInput)) *s3.PutObjectOutput {
	s.T.Helper()
	in := &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(body)}
	for _, e := range edit {
		e(in)
	}
	out, err := s.S3.PutObject(s.T.Context(), in)
	if err != nil {
		s.T.Fatalf("put %s/%s: %v", bucket, key, err)
	}
	return out
}

// Get reads an object.
func (s *Server) Get(bucket, key string, edit ...func(*s3.GetObjectInput)) (string, *s3.GetObjectOutput) {
	s.T.Helper()
	in := &s3.GetObjectInput{Bucket: &bucket, Key: &key}
	for _, e := range edit {
		e(in)
	}
	out, err := s.S3.GetObject(s.T.Context(), in)
	if err != nil {
		s.T.Fatalf("get %s/%s: %v", bucket, key, err)
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	if err != nil {
		s.T.Fatalf("read %s/%s: %v", bucket, key, err)
	}
	return string(b), out
}

// KMSRequests returns the audit records of the KMS requests that S3 has made, each once:
// without the copies of keys' owners in other accounts.
func (s *Server) KMSRequests() []audit.Record {
	s.T.Helper()
	var out []audit.Record
	for _, r := range s.Audit() {
		if r.EventSource == "kms.amazonaws.com" && r.UserIdentity.InvokedBy == audit.InvokedByS3 && !r.IsCopy() {
			out = append(out, r)
		}
	}
	return out
}

// Audit returns all audit records.
func (s *Server) Audit() []audit.Record {
	s.T.Helper()
	if err := s.Core.FlushAudit(); err != nil {
		s.T.Fatalf("flush audit: %v", err)
	}
	var out []audit.Record
	err := audit.Read(s.T.Context(), server.AuditDir(s.Dir), audit.Filter{}, func(e audit.Entry) error {
		out = append(out, e.Record)
		return nil
	})
	if err != nil {
		s.T.Fatalf("read audit: %v", err)
	}
	return out
}

// Eventually calls f until it returns true, for at most a minute: longer than any machine
// takes that has other work, too.
func Eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Errorf("%s did not happen", what)
}

// DisableKey disables a KMS key.
func (s *Server) DisableKey(arn string) {
	s.T.Helper()
	if _, err := s.KMS.DisableKey(s.T.Context(), &kms.DisableKeyInput{KeyId: &arn}); err != nil {
		s.T.Fatal(err)
	}
}

// KeyState returns the state of a KMS key.
func (s *Server) KeyState(arn string) kmstypes.KeyState {
	s.T.Helper()
	out, err := s.KMS.DescribeKey(s.T.Context(), &kms.DescribeKeyInput{KeyId: &arn})
	if err != nil {
		s.T.Fatal(err)
	}
	return out.KeyMetadata.KeyState
}

// Versioning sets a bucket's versioning.
func (s *Server) Versioning(bucket string, status types.BucketVersioningStatus) {
	s.T.Helper()
	_, err := s.S3.PutBucketVersioning(s.T.Context(), &s3.PutBucketVersioningInput{
		Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: status},
	})
	if err != nil {
		s.T.Fatal(err)
	}
}
