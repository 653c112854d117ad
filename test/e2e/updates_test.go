// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sys/unix"

	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/test/coffertest"
)

var (
	updates    = flag.Int("updates", 500, "number of objects of 64 KiB whose encryption is updated")
	largeCount = flag.Int("large", 1, "number of large objects among them")
	largeSize  = flag.Int64("largesize", 64<<20, "bytes of a large one, at least 20 MiB")
	minUpdates = flag.Float64("minupdates", 0, "how many updates a second there must be at least; 0 only reports it")
)

const (
	updaters    = 16
	largeParts  = 4
	partsShift  = 4099 // by how much the copied ranges of a large object's parts differ
	updateVault = "vault"
)

// TestUpdatesOfManyObjects changes the encryption of objects of every size. It
// asserts that no byte of a body is read or written, and that nothing else of an
// object changes; then it kills the server in the middle of it, and asserts that each
// object reads, under the old settings or the new ones, and under the new ones
// where that was answered.
func TestUpdatesOfManyObjects(t *testing.T) {
	n := *updates
	if testing.Short() {
		n = min(n, 60)
	}
	streams := new(streamCounter)
	s := start(t, coffertest.Tune(server.Tuning{Blobs: streams.around}))
	u := &updateTest{T: t, k1: s.Key(), k2: s.Key(), was: map[string]string{}}
	s.Bucket(updateVault, "aws:kms", u.k1, false)
	s.Versioning(updateVault, types.BucketVersioningStatusEnabled)
	for i := range n {
		u.keys = append(u.keys, fmt.Sprint("small-", i))
	}
	for i := range *largeCount {
		u.keys = append(u.keys, fmt.Sprint("large-", i))
	}
	u.fill(s.S3, n)
	if streams.wrote.Load() < int64(n)<<16 {
		t.Fatalf("the objects' streams have %d bytes in all", streams.wrote.Load())
	}
	u.learn(s.S3)

	streams.reset()
	asked := len(s.KMSRequests())
	target := applied{"aws:kms", u.k2, true}
	cpu := cpuTime(t)
	took := lap(func() {
		u.each(u.keys, func(key string) error { return updateBy(t.Context(), s.S3, updateVault, key, "", u.k2, true) })
	})
	cpu = (cpuTime(t) - cpu) / time.Duration(len(u.keys))
	rate := float64(len(u.keys)) / took.Seconds()
	t.Logf("%d objects of 64 KiB and %d of %d MiB updated in %v, %.0f/s, with %v of CPU each for client and server, and %d KMS requests; read %d bytes of their streams, wrote %d",
		n, *largeCount, *largeSize>>20, took.Round(time.Millisecond), rate, cpu.Round(time.Microsecond), len(s.KMSRequests())-asked, streams.read.Load(), streams.wrote.Load())
	if c := streams.calls.Load(); c != 0 || streams.read.Load() != 0 || streams.wrote.Load() != 0 {
		t.Errorf("%d streams were opened, %d bytes read, %d written; want none", c, streams.read.Load(), streams.wrote.Load())
	}
	u.compare(s.S3, func(key string, is applied) bool { return is == target })
	u.readBack(s.S3, u.keys[:1])
	if streams.read.Load() < 64<<10 {
		t.Errorf("a read went past the counter, which has %d bytes", streams.read.Load())
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if !t.Failed() {
		u.killed(s.Dir, target)
	}
	if rate < *minUpdates {
		t.Errorf("%.0f updates a second, want at least %.0f", rate, *minUpdates)
	}
}

// cpuTime is what this process has used.
func cpuTime(t *testing.T) time.Duration {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// updateTest is objects and what is known of them.
type updateTest struct {
	*testing.T
	k1, k2 string
	keys   []string
	was    map[string]string // facts by key
}

// each does something for keys, several at a time, as long as nothing fails.
func (u *updateTest) each(keys []string, work func(key string) error) {
	u.Helper()
	var next atomic.Int64
	var all sync.WaitGroup
	for range updaters {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(keys)) && !u.Failed(); i = next.Add(1) - 1 {
				if err := work(keys[i]); err != nil {
					u.Errorf("%s: %v", keys[i], err)
				}
			}
		})
	}
	all.Wait()
}

// body returns what an object is, in pieces.
func (u *updateTest) body(key string) (pieces []io.Reader, parts []int64) {
	var i int
	if _, err := fmt.Sscanf(key, "small-%d", &i); err == nil {
		return []io.Reader{io.NewSectionReader(sea{}, int64(i), 64<<10)}, nil
	}
	for p := range int64(largeParts) {
		pieces = append(pieces, io.NewSectionReader(sea{}, p*partsShift, *largeSize/largeParts))
		parts = append(parts, p*partsShift)
	}
	return pieces, parts
}

// fill writes the objects under three encryptions in turn.
func (u *updateTest) fill(c *s3.Client, small int) {
	ctx := u.Context()
	u.each(u.keys[:small], func(key string) error {
		pieces, _ := u.body(key)
		in := &s3.PutObjectInput{
			Bucket: aws.String(updateVault), Key: &key, Body: pieces[0], ChecksumAlgorithm: types.ChecksumAlgorithmSha256, Metadata: map[string]string{"a": "b"},
		}
		in.ServerSideEncryption, in.BucketKeyEnabled = u.first(key)
		_, err := c.PutObject(ctx, in)
		return err
	})
	if len(u.keys) == small {
		return
	}
	base := *largeSize/largeParts + largeParts*partsShift
	_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(updateVault), Key: aws.String("base"), Body: io.NewSectionReader(sea{}, 0, base)})
	if err != nil {
		u.Fatal(err)
	}
	for _, key := range u.keys[small:] {
		if err := u.assemble(c, key); err != nil {
			u.Fatalf("%s: %v", key, err)
		}
	}
}

// first returns what an object is to be under at first.
func (u *updateTest) first(key string) (types.ServerSideEncryption, *bool) {
	switch sum := hexSum([]byte(key))[0] % 3; sum {
	case 0:
		return types.ServerSideEncryptionAes256, nil
	default:
		return types.ServerSideEncryptionAwsKms, aws.Bool(sum == 1)
	}
}

// assemble makes a large object of ranges of another: no client sends its bytes.
func (u *updateTest) assemble(c *s3.Client, key string) error {
	create := &s3.CreateMultipartUploadInput{Bucket: aws.String(updateVault), Key: &key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme}
	create.ServerSideEncryption, create.BucketKeyEnabled = u.first(key)
	up, err := c.CreateMultipartUpload(u.Context(), create)
	if err != nil {
		return err
	}
	_, offsets := u.body(key)
	var done types.CompletedMultipartUpload
	for i, from := range offsets {
		number := aws.Int32(int32(i + 1))
		part, err := c.UploadPartCopy(u.Context(), &s3.UploadPartCopyInput{
			Bucket: up.Bucket, Key: up.Key, UploadId: up.UploadId, PartNumber: number, CopySource: aws.String(updateVault + "/base"),
			CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", from, from+*largeSize/largeParts-1)),
		})
		if err != nil {
			return err
		}
		done.Parts = append(done.Parts, types.CompletedPart{ETag: part.CopyPartResult.ETag, PartNumber: number, ChecksumCRC64NVME: part.CopyPartResult.ChecksumCRC64NVME})
	}
	_, err = c.CompleteMultipartUpload(u.Context(), &s3.CompleteMultipartUploadInput{Bucket: up.Bucket, Key: up.Key, UploadId: up.UploadId, MultipartUpload: &done})
	return err
}

// learn takes down the facts of all objects.
func (u *updateTest) learn(c *s3.Client) {
	var mu sync.Mutex
	u.each(u.keys, func(key string) error {
		all, _, err := factsOf(u.Context(), c, updateVault, key, "")
		mu.Lock()
		defer mu.Unlock()
		u.was[key] = fmt.Sprint(all)
		return err
	})
}

// compare asserts that facts are as they were, and settings such as they may be.
func (u *updateTest) compare(c *s3.Client, may func(key string, is applied) bool) {
	u.Helper()
	u.each(u.keys, func(key string) error {
		all, is, err := factsOf(u.Context(), c, updateVault, key, "")
		if err != nil {
			return err
		}
		if got := fmt.Sprint(all); got != u.was[key] || !may(key, is) {
			return fmt.Errorf("is under %v, and %s; was %s", is, got, u.was[key])
		}
		return nil
	})
}

// readBack reads objects whole.
func (u *updateTest) readBack(c *s3.Client, keys []string) {
	u.Helper()
	u.each(keys, func(key string) error {
		out, err := c.GetObject(u.Context(), &s3.GetObjectInput{Bucket: aws.String(updateVault), Key: &key})
		if err != nil {
			return err
		}
		defer out.Body.Close()
		pieces, _ := u.body(key)
		return sameBytes(out.Body, io.MultiReader(pieces...))
	})
}

// sameBytes compares two readers.
func sameBytes(got, want io.Reader) error {
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); ; {
		n, err := io.ReadFull(got, a)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return fmt.Errorf("after %d bytes: %w", at, err)
		}
		m, _ := io.ReadFull(want, b)
		if n != m || !bytes.Equal(a[:n], b[:m]) {
			return fmt.Errorf("reads back differently from byte %d on", at)
		}
		if at += int64(n); n < len(a) {
			return nil
		}
	}
}

// killed moves all objects back, kills the server half way, and looks at them.
func (u *updateTest) killed(dir string, before applied) {
	program := buildProgram(u)
	p := startProcess(u, program, dir)
	after := applied{"aws:kms", u.k1, false}
	var answered sync.Map
	var count atomic.Int64
	var dying atomic.Bool
	at := int64(len(u.keys)/4 + rand.IntN(len(u.keys)/2))
	order := slices.Clone(u.keys) // the large ones among the small
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	half := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		u.each(order, func(key string) error {
			if dying.Load() {
				return nil
			}
			err := updateBy(u.Context(), p.s3, updateVault, key, "", u.k1, false)
			switch {
			case err == nil:
				answered.Store(key, true)
				if count.Add(1) == at {
					close(half)
				}
			case !dying.Load():
				return err
			}
			return nil
		})
	}()
	select {
	case <-half:
	case <-ended: // all failed
	}
	// An answer is no random moment; some time after it is.
	time.Sleep(rand.N(2 * time.Millisecond))
	dying.Store(true)
	p.kill()
	<-ended
	if u.Failed() {
		return
	}
	p = startProcess(u, program, dir)
	var moved atomic.Int64
	u.compare(p.s3, func(key string, is applied) bool {
		if is == after {
			moved.Add(1)
		}
		_, known := answered.Load(key)
		return is == after || is == before && !known
	})
	u.readBack(p.s3, u.keys)
	u.Logf("killed after %d answers: %d of %d objects have the new settings, and all read", count.Load(), moved.Load(), len(u.keys))
	p.stop()
}
