// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/test/coffertest"
)

var cases = flag.Int("cases", 20_000, "number of writes, each with one read of it, of the differential test")

// minPart is the least part of the differential test's uploads: small enough that
// an upload of odd parts costs little.
const minPart = 100

// TestEveryWayInAndOut holds the server against a plaintext oracle: what was
// written in whatever way, under whatever encryption, is what is read, in whatever
// way.
func TestEveryWayInAndOut(t *testing.T) {
	s := coffertest.Start(t, coffertest.Tune(server.Tuning{Objects: object.Config{MinPart: minPart}}))
	keys := []string{s.Key(), s.Key()}
	buckets := []string{"sse-s3", "sse-kms", "bucket-key", "two-layers", "legacy"}
	s.Bucket(buckets[0], "AES256", "", false)
	s.Bucket(buckets[1], "aws:kms", keys[0], false)
	s.Bucket(buckets[2], "aws:kms", keys[0], true)
	s.Bucket(buckets[3], "aws:kms:dsse", keys[0], true)
	s.Bucket(buckets[4], "", "", false)
	legacy(s, buckets[4], true)
	for _, b := range buckets {
		s.Versioning(b, types.BucketVersioningStatusEnabled)
		unblock(s, b)
	}
	n := *cases
	if testing.Short() {
		n = min(n, 300)
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			d := &differ{s: s, ctx: t.Context(), rnd: rand.New(rand.NewPCG(uint64(worker), 7)), buckets: buckets, keys: keys, name: fmt.Sprint("w", worker)}
			for int(next.Add(1)) <= n && !t.Failed() {
				if err := d.once(); err != nil {
					t.Errorf("worker %d: %v", worker, err)
				}
			}
		})
	}
	all.Wait()
}

// differ does cases one after another.
type differ struct {
	s       *coffertest.Server
	ctx     context.Context
	rnd     *rand.Rand
	buckets []string
	keys    []string // of the KMS
	name    string
	// last is an object that is known, for copies.
	last *written
	seq  int
}

// written is an object as the oracle knows it.
type written struct {
	bucket, key, version string
	data                 []byte
	parts                []int // sizes, of a multipart object
	under                encryption
}

func (d *differ) once() error {
	w, way, err := d.write()
	if err != nil {
		return fmt.Errorf("%s: %w", way, err)
	}
	if d.rnd.IntN(4) == 0 {
		if err := d.update(w); err != nil {
			return fmt.Errorf("update of %s under %v in %s: %w", way, w.under, w.bucket, err)
		}
		way += ", updated"
	}
	how, err := d.read(w)
	if err != nil {
		return fmt.Errorf("%s of %s, %d bytes, parts %v, under %v in %s: %w", how, way, len(w.data), w.parts, w.under, w.bucket, err)
	}
	if len(w.data) < 1<<20 {
		d.last = w
	}
	return nil
}

// size favours what is small, and the edges of segments.
func (d *differ) size() int {
	switch n := d.rnd.IntN(10); {
	case n < 6:
		return d.rnd.IntN(3000)
	case n < 9:
		return max(0, (1+d.rnd.IntN(3))<<16-3+d.rnd.IntN(7))
	default:
		return 16<<10 - 200 + d.rnd.IntN(400) // where inline ends
	}
}

func (d *differ) bytes(n int) []byte {
	b := make([]byte, n)
	seed := [32]byte{}
	for i := range seed {
		seed[i] = byte(d.rnd.Uint32())
	}
	rand.NewChaCha8(seed).Read(b)
	return b
}

func (d *differ) target() *written {
	d.seq++
	w := &written{bucket: d.buckets[d.rnd.IntN(len(d.buckets))], key: fmt.Sprintf("%s/%d", d.name, d.seq%50)}
	w.under = d.encryption()
	return w
}

func (d *differ) write() (*written, string, error) {
	w := d.target()
	ways := []string{"put", "put", "signed chunks", "unsigned chunks", "upload", "copy", "copy in place", "part copy"}
	way := ways[d.rnd.IntN(len(ways))]
	if d.last == nil && strings.Contains(way, "copy") {
		way = "put"
	}
	var err error
	switch way {
	case "put":
		w.data = d.bytes(d.size())
		in := &s3.PutObjectInput{Bucket: &w.bucket, Key: &w.key, Body: bytes.NewReader(w.data)}
		w.under.put(in)
		var out *s3.PutObjectOutput
		out, err = d.s.S3.PutObject(d.ctx, in)
		if err == nil {
			w.version = aws.ToString(out.VersionId)
		}
	case "signed chunks", "unsigned chunks":
		w.data = d.bytes(d.size())
		w.version, err = putChunked(d.ctx, d.s.URL, w.bucket, w.key, w.data, way == "signed chunks", w.under.headers()...)
	case "copy in place":
		w.bucket, w.key = d.last.bucket, d.last.key
		if w.under.none(w.bucket) && d.last.under.none(w.bucket) { // it must change something
			w.under.sse = types.ServerSideEncryptionAes256
		}
		fallthrough
	case "copy":
		w.data = d.last.data
		in := &s3.CopyObjectInput{Bucket: &w.bucket, Key: &w.key, CopySource: d.last.source()}
		if way == "copy in place" { // of the current version, which it is
			in.CopySource = aws.String(w.bucket + "/" + w.key)
		}
		w.under.copy(in)
		if c := d.last.under.customer; c != nil {
			in.CopySourceSSECustomerAlgorithm, in.CopySourceSSECustomerKey, in.CopySourceSSECustomerKeyMD5 = c.algorithm, c.key, c.md5
		}
		var out *s3.CopyObjectOutput
		out, err = d.s.S3.CopyObject(d.ctx, in)
		if err == nil {
			w.version = aws.ToString(out.VersionId)
		}
	default:
		err = d.upload(w, way == "part copy")
	}
	return w, way, err
}

func (w *written) source() *string {
	return aws.String(w.bucket + "/" + w.key + "?versionId=" + w.version)
}

// upload writes in two to four parts of odd sizes; one of them may be a range of
// the last object.
func (d *differ) upload(w *written, copied bool) error {
	create := &s3.CreateMultipartUploadInput{Bucket: &w.bucket, Key: &w.key}
	w.under.create(create)
	up, err := d.s.S3.CreateMultipartUpload(d.ctx, create)
	if err != nil {
		return err
	}
	var parts []types.CompletedPart
	count := 1 + d.rnd.IntN(3)
	for i := range count {
		number := aws.Int32(int32(3*i + 1))
		if copied && i == 0 && len(d.last.data) > minPart {
			from := d.rnd.IntN(len(d.last.data) - minPart)
			to := from + minPart + d.rnd.IntN(len(d.last.data)-from-minPart+1)
			in := &s3.UploadPartCopyInput{
				Bucket: &w.bucket, Key: &w.key, UploadId: up.UploadId, PartNumber: number,
				CopySource: d.last.source(), CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", from, to-1)),
			}
			if c := w.under.customer; c != nil {
				in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = c.algorithm, c.key, c.md5
			}
			if c := d.last.under.customer; c != nil {
				in.CopySourceSSECustomerAlgorithm, in.CopySourceSSECustomerKey, in.CopySourceSSECustomerKeyMD5 = c.algorithm, c.key, c.md5
			}
			out, err := d.s.S3.UploadPartCopy(d.ctx, in)
			if err != nil {
				return err
			}
			w.add(d.last.data[from:to])
			parts = append(parts, types.CompletedPart{ETag: out.CopyPartResult.ETag, PartNumber: number})
			continue
		}
		data := d.bytes(max(minPart, d.size()))
		in := &s3.UploadPartInput{Bucket: &w.bucket, Key: &w.key, UploadId: up.UploadId, PartNumber: number, Body: bytes.NewReader(data)}
		if c := w.under.customer; c != nil {
			in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = c.algorithm, c.key, c.md5
		}
		out, err := d.s.S3.UploadPart(d.ctx, in)
		if err != nil {
			return err
		}
		w.add(data)
		parts = append(parts, types.CompletedPart{ETag: out.ETag, PartNumber: number})
	}
	done, err := d.s.S3.CompleteMultipartUpload(d.ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &w.bucket, Key: &w.key, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	if err == nil {
		w.version = aws.ToString(done.VersionId)
	}
	return err
}

func (w *written) add(part []byte) {
	w.data = append(w.data, part...)
	w.parts = append(w.parts, len(part))
}

func (d *differ) read(w *written) (string, error) {
	in := &s3.GetObjectInput{Bucket: &w.bucket, Key: &w.key, VersionId: &w.version}
	if c := w.under.customer; c != nil {
		c.get(in)
	}
	want := w.data
	ways := []string{"whole", "range", "suffix", "edge", "part", "head", "attributes"}
	way := ways[d.rnd.IntN(len(ways))]
	size := len(w.data)
	switch {
	case way == "head", way == "attributes":
		return way, d.describe(w, way)
	case way == "part" && len(w.parts) > 0:
		n := d.rnd.IntN(len(w.parts))
		from := 0
		for _, p := range w.parts[:n] {
			from += p
		}
		in.PartNumber = aws.Int32(int32(n + 1))
		want = w.data[from : from+w.parts[n]]
	case way == "range" && size > 0:
		from := d.rnd.IntN(size)
		to := from + d.rnd.IntN(size-from)
		in.Range, want = aws.String(fmt.Sprintf("bytes=%d-%d", from, to)), w.data[from:to+1]
	case way == "suffix" && size > 0:
		n := 1 + d.rnd.IntN(2*size)
		in.Range, want = aws.String(fmt.Sprintf("bytes=-%d", n)), w.data[max(0, size-n):]
	case way == "edge" && size > 1<<16+1:
		from := 1<<16 - 1 + d.rnd.IntN(3)
		to := min(size-1, from+d.rnd.IntN(3)+d.rnd.IntN(2)<<16)
		in.Range, want = aws.String(fmt.Sprintf("bytes=%d-%d", from, to)), w.data[from:to+1]
	default:
		way = "whole"
	}
	out, err := d.s.S3.GetObject(d.ctx, in)
	if err != nil {
		return way, err
	}
	defer out.Body.Close()
	got, err := io.ReadAll(out.Body)
	if err == nil && !bytes.Equal(got, want) {
		err = errors.New("reads back differently")
	}
	if err == nil {
		err = w.under.told(w.bucket, of(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled))
	}
	return way, err
}

// describe reads what is known of an object, without its body.
func (d *differ) describe(w *written, way string) error {
	if way == "attributes" {
		in := &s3.GetObjectAttributesInput{Bucket: &w.bucket, Key: &w.key, VersionId: &w.version, ObjectAttributes: everyAttribute}
		if c := w.under.customer; c != nil {
			in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = c.algorithm, c.key, c.md5
		}
		out, err := d.s.S3.GetObjectAttributes(d.ctx, in)
		if err == nil && aws.ToInt64(out.ObjectSize) != int64(len(w.data)) {
			err = fmt.Errorf("its attributes say %d bytes", aws.ToInt64(out.ObjectSize))
		}
		if err == nil && (out.ObjectParts != nil) != (len(w.parts) > 0) {
			err = fmt.Errorf("its attributes say parts %+v", out.ObjectParts)
		}
		return err
	}
	in := &s3.HeadObjectInput{Bucket: &w.bucket, Key: &w.key, VersionId: &w.version}
	if c := w.under.customer; c != nil {
		in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = c.algorithm, c.key, c.md5
	}
	out, err := d.s.S3.HeadObject(d.ctx, in)
	if err == nil && aws.ToInt64(out.ContentLength) != int64(len(w.data)) {
		err = fmt.Errorf("HEAD says %d bytes", aws.ToInt64(out.ContentLength))
	}
	if err == nil {
		err = w.under.told(w.bucket, of(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled))
	}
	return err
}

// update changes the encryption of what was written, where that can be done.
func (d *differ) update(w *written) error {
	key, bk := d.keys[d.rnd.IntN(len(d.keys))], d.rnd.IntN(2) == 0
	err := tryUpdate(d.s, w.bucket+"/"+w.key, w.version, key, bk)
	if a := w.under.algorithm(w.bucket); a == "" || a == string(dsse) {
		if codeOf(err) != "InvalidRequest" {
			return fmt.Errorf("is not refused: %w", err)
		}
		return nil
	}
	w.under = encryption{sse: types.ServerSideEncryptionAwsKms, key: key, bk: &bk}
	return err
}
