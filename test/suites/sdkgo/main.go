// SPDX-License-Identifier: Apache-2.0

// Command sdkgo does what a user of the AWS SDK for Go v2 does.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

// user is who does it all, in a bucket of their own.
type user struct {
	ctx    context.Context
	s3     *s3.Client
	kms    *kms.Client
	bucket *string
	short  bool
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	s, k, err := clients(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sdkgo:", err)
		os.Exit(1)
	}
	u := &user{ctx: ctx, s3: s, kms: k, bucket: aws.String(fmt.Sprintf("sdk-go-%d", os.Getpid())), short: os.Getenv("SUITE_SHORT") != ""}
	for _, test := range []struct {
		name string
		do   func() error
	}{
		{"buckets", u.buckets}, {"odd", u.odd}, {"copy", u.copies}, {"large", u.large}, {"transfer manager", u.transfers}, {"streams", u.streams},
		{"tags", u.tags}, {"presigned", u.presigned}, {"SSE-KMS", u.sseKMS}, {"SSE-C", u.sseC}, {"versioning", u.versioning},
		{"conditions", u.conditions}, {"checksums", u.checksums}, {"virtual host", u.virtualHost}, {"waiters", u.waiters},
		{"errors", u.errors}, {"remove", u.remove},
	} {
		if err := test.do(); err != nil {
			fmt.Printf("FAIL %s: %s\n", test.name, strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		fmt.Println("ok", test.name)
	}
}

func (u *user) put(key string, body []byte) error {
	_, err := u.s3.PutObject(u.ctx, &s3.PutObjectInput{Bucket: u.bucket, Key: &key, Body: bytes.NewReader(body)})
	return err
}

func (u *user) get(key string) ([]byte, error) {
	return u.read(&s3.GetObjectInput{Bucket: u.bucket, Key: &key})
}

func (u *user) read(in *s3.GetObjectInput) ([]byte, error) {
	out, err := u.s3.GetObject(u.ctx, in)
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	return io.ReadAll(out.Body)
}

// holds is whether the object has the body.
func (u *user) holds(key string, body []byte) error {
	got, err := u.get(key)
	if err == nil && !bytes.Equal(got, body) {
		err = fmt.Errorf("%q has %d bytes, not the %d that it should", key, len(got), len(body))
	}
	return err
}

// refused is whether the error has the code.
func refused(err error, code string) error {
	var api smithy.APIError
	switch {
	case err == nil:
		return fmt.Errorf("this should have failed with %s", code)
	case !errors.As(err, &api):
		return fmt.Errorf("want %s: %w", code, err)
	case api.ErrorCode() != code:
		return fmt.Errorf("want %s, got %s", code, api.ErrorCode())
	}
	return nil
}

// same is whether two things are.
func same[T comparable](got, want T) error {
	if got != want {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}

// all does things in turn until one fails.
func all(steps ...func() error) error {
	for i, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// size is smaller when time is short.
func (u *user) size(full, short int) int {
	if u.short {
		return short
	}
	return full
}

// kmsRequests is how many there were for S3's callers.
func kmsRequests() (n float64, err error) {
	resp, err := http.Get(os.Getenv("COFFER_METRICS"))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "coffer_account_kms_requests_total{"); ok {
			_, value, _ := strings.Cut(rest, "} ")
			one, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, err
			}
			n += one
		}
	}
	return n, lines.Err()
}

// virtual is a client that puts the bucket's name into the host's, and finds every
// host on this machine.
func (u *user) virtual() *s3.Client {
	_, port, _ := strings.Cut(strings.TrimPrefix(os.Getenv("COFFER_ENDPOINT"), "http://"), ":")
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, "127.0.0.1:"+port)
	}
	return s3.New(u.s3.Options(), func(o *s3.Options) {
		o.UsePathStyle = false
		o.BaseEndpoint = aws.String("http://s3.localhost:" + port)
		o.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: dial}}
	})
}

// with is the same client with other keys.
func (u *user) with(id, secret string) *s3.Client {
	o := u.s3.Options()
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(os.Getenv("AWS_ENDPOINT_URL")), Region: o.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
	})
}
