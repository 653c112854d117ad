// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

var streamMiB = flag.Int64("stream", 32, "size in MiB of each body that streams in the test of resident memory")

const (
	streams = 16
	// What a server may have resident, in MiB, while it works, and when it has done
	// nothing yet, however much there is in its buckets.
	maxBusy = 300
	maxIdle = 200
)

// TestMemoryOfStreams sends large bodies all at once, reads them all at once, and
// asserts that what the server has resident does not grow with them.
func TestMemoryOfStreams(t *testing.T) {
	p := startProcess(t, buildProgram(t), t.TempDir())
	for _, c := range []struct {
		bucket string
		sse    types.ServerSideEncryption
	}{{"sse-s3", types.ServerSideEncryptionAes256}, {"bucket-key", types.ServerSideEncryptionAwsKms}} {
		do(t, p.s3.CreateBucket, &s3.CreateBucketInput{Bucket: &c.bucket})
		do(t, p.s3.PutBucketEncryption, &s3.PutBucketEncryptionInput{Bucket: &c.bucket, ServerSideEncryptionConfiguration: encryptedBy(c.sse)})
	}
	idle := p.peak()
	size := *streamMiB << 20
	var all sync.WaitGroup
	upward := lap(func() {
		for i := range streams {
			all.Go(func() { p.send(streamTarget(i), size, byte(i), i%4 >= 2) })
		}
		all.Wait()
	})
	up := p.peak()
	down := lap(func() {
		for i := range streams {
			all.Go(func() { p.receive(streamTarget(i), size, byte(i)) })
		}
		all.Wait()
	})
	t.Logf("most that was resident: %.0f MiB after the start, %.0f MiB after %d × %d MiB went up in %v, %.0f MiB after they came down in %v",
		idle, up, streams, *streamMiB, upward.Round(time.Millisecond), p.peak(), down.Round(time.Millisecond))
	if got := p.peak(); got > maxBusy {
		t.Errorf("%.0f MiB were resident, want at most %d", got, maxBusy)
	}
	p.stop()
}

// streamTarget is the place of a stream: half of them are sealed as SSE-S3, whose
// ETag is computed beside, and half under a bucket key.
func streamTarget(i int) string {
	return fmt.Sprintf("/%s/%d", []string{"sse-s3", "bucket-key"}[i%2], i)
}

func encryptedBy(sse types.ServerSideEncryption) *types.ServerSideEncryptionConfiguration {
	return &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{{
		ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: sse},
		BucketKeyEnabled:                   aws.Bool(sse == types.ServerSideEncryptionAwsKms),
	}}}
}

// send puts an object, framed in chunks if wanted.
func (p *process) send(target string, size int64, seed byte, chunked bool) {
	body, length, headers := io.Reader(&pattern{left: size, seed: seed}), size, http.Header{}
	hash := "UNSIGNED-PAYLOAD"
	if chunked {
		hash = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
		headers.Set("X-Amz-Decoded-Content-Length", fmt.Sprint(size))
		headers.Set("Content-Encoding", "aws-chunked")
		body, length = inChunks(body, size)
	}
	resp := p.exchange("PUT", target, hash, headers, body, length)
	if resp == nil {
		return
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		p.t.Errorf("put %s: %s %s, %v", target, resp.Status, text, err)
	}
}

// receive gets an object and compares it.
func (p *process) receive(target string, size int64, seed byte) {
	resp := p.exchange("GET", target, "UNSIGNED-PAYLOAD", nil, nil, 0)
	if resp == nil {
		return
	}
	defer resp.Body.Close()
	want := &pattern{left: size, seed: seed}
	got, expected := make([]byte, 128<<10), make([]byte, 128<<10)
	for {
		n, err := io.ReadFull(resp.Body, got)
		m, _ := io.ReadFull(want, expected)
		if !bytes.Equal(got[:n], expected[:m]) {
			p.t.Errorf("get %s: %s, another body than was put, %v", target, resp.Status, err)
			return
		}
		if err != nil {
			break
		}
	}
	if want.left != 0 || resp.StatusCode != http.StatusOK {
		p.t.Errorf("get %s: %s, %d bytes are missing", target, resp.Status, want.left)
	}
}

// exchange sends a signed request whose body is read once. After an error it
// returns nil.
func (p *process) exchange(method, target, hash string, headers http.Header, body io.Reader, length int64) *http.Response {
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+target, body)
	if err != nil {
		p.t.Error(err)
		return nil
	}
	for name, values := range headers {
		req.Header[name] = values
	}
	req.ContentLength = length
	req.Header.Set("X-Amz-Content-Sha256", hash)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	err = signer.SignHTTP(p.t.Context(), aws.Credentials{AccessKeyID: coffertest.AccessKeyID, SecretAccessKey: coffertest.SecretAccessKey},
		req, hash, "s3", coffertest.Region, time.Now())
	if err != nil {
		p.t.Error(err)
		return nil
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Errorf("%s %s: %v", method, target, err)
		return nil
	}
	return resp
}

// inChunks frames a body as clients do that send a checksum behind it, and
// returns the framed length.
func inChunks(body io.Reader, size int64) (io.Reader, int64) {
	const chunk = 64 << 10
	var parts []io.Reader
	var length int64
	text := func(s string) {
		parts = append(parts, strings.NewReader(s))
		length += int64(len(s))
	}
	for left := size; left > 0; left -= chunk {
		n := min(left, chunk)
		text(fmt.Sprintf("%x\r\n", n))
		parts = append(parts, io.LimitReader(body, n))
		length += n
		text("\r\n")
	}
	text("0\r\n\r\n")
	return io.MultiReader(parts...), length
}

// pattern is a body of any length: every 251 bytes begin anew, so that neither
// segments nor chunks are alike.
type pattern struct {
	left int64
	at   int
	seed byte
}

const patternPeriod = 251

var patterns = sync.OnceValue(func() (out [streams][]byte) {
	for seed := range out {
		for i := range 128<<10 + patternPeriod {
			out[seed] = append(out[seed], byte(i%patternPeriod+seed))
		}
	}
	return out
})

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	of := patterns()
	n := copy(b[:min(int64(len(b)), p.left)], of[p.seed][p.at:])
	p.left, p.at = p.left-int64(n), (p.at+n)%patternPeriod
	return n, nil
}

// peak returns the most memory, in MiB, that was ever resident in the process.
func (p *process) peak() (mebibytes float64) {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Skipf("the kernel does not tell what is resident: %v", err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return kib / 1024
		}
	}
	p.t.Fatal("no VmHWM in the status of the process")
	return 0
}
