// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/cofferstore/coffer/internal/fips"
)

// linearClient makes one operation after another and records them.
type linearClient struct {
	run *linearRun
	id  int
	rnd *rand.Rand
}

// linearBody returns the bytes of a content: some are kept in rows, some in packs,
// few in files of their own.
func linearBody(content uint64) []byte {
	rnd := rand.New(rand.NewPCG(content, 1))
	size := 40 + rnd.IntN(200)
	switch n := rnd.IntN(40); {
	case n == 0:
		size += 300 << 10
	case n < 8:
		size += 20 << 10
	}
	out := bytes.Repeat([]byte(fmt.Sprintf("content %d ", content)), size/8)
	return out[:size]
}

// etagOfPut and etagOfUpload are the ETags of a content under SSE-S3, as one body and
// as an upload of one part.
func etagOfPut(content uint64) string { return fmt.Sprintf("%x", fips.MD5(linearBody(content))) }

func etagOfUpload(content uint64) string {
	part := fips.MD5(linearBody(content))
	return fmt.Sprintf("%x-1", fips.MD5(part[:]))
}

// made is the metadata of what an operation makes.
func made(op, content uint64) map[string]string {
	return map[string]string{"op": strconv.FormatUint(op, 10), "content": strconv.FormatUint(content, 10)}
}

// step makes an operation. An error is a wrong answer.
func (c *linearClient) step(l *life) error {
	versioned := c.rnd.IntN(2) == 0
	k := c.run.key(versioned, c.rnd.IntN(linearKeys))
	switch n := c.rnd.IntN(100); {
	case n < 22:
		return c.put(l, k)
	case n < 34:
		return c.delete(l, k)
	case n < 42:
		return c.copy(l, k, c.run.key(versioned, c.rnd.IntN(linearKeys)))
	case n < 48:
		return c.copySource(l, k)
	case n < 55:
		return c.upload(l, k)
	case n < 65 && versioned:
		return c.removeVersion(l, k)
	case n < 72 && versioned:
		return c.readVersion(l, k)
	case n < 76 && versioned:
		return c.list(l, k)
	}
	return c.get(l, k)
}

// condition makes some writes conditional, on what was seen last.
func (c *linearClient) condition(k *linearKey, in *linearInput) (ifMatch, ifNoneMatch *string) {
	seen := k.last()
	switch n := c.rnd.IntN(3); {
	case n == 0:
		in.ifAbsent = true
		return nil, aws.String("*")
	case n == 1 && seen.etag != "":
		in.ifMatch = seen.etag
		return aws.String(`"` + seen.etag + `"`), nil
	}
	return nil, nil
}

// inFlight is an operation under way.
type inFlight struct {
	c    *linearClient
	l    *life
	in   linearInput
	call int64
}

func (c *linearClient) begin(l *life, in linearInput) inFlight {
	return inFlight{c, l, in, c.run.now()}
}

// cutting returns the context of a change: few clients do not wait for the answer.
func (c *linearClient) cutting() (context.Context, context.CancelFunc) {
	ctx := c.run.t.Context()
	if c.rnd.IntN(100) == 0 {
		return context.WithTimeout(ctx, time.Duration(c.rnd.IntN(4000))*time.Microsecond)
	}
	return context.WithCancel(ctx)
}

// end records the answer of an operation. ok reports whether it is a success.
func (s inFlight) end(ctx context.Context, err error, out linearOutput) (ok bool, wrong error) {
	end := s.c.run.now()
	if err == nil {
		out.verdict = done
		s.c.run.record(s, out, end)
		return true, nil
	}
	var resp *smithyhttp.ResponseError
	if !errors.As(err, &resp) || resp.HTTPStatusCode() == 0 || resp.HTTPStatusCode() == 200 {
		// No answer, or half of one.
		if ctx.Err() == nil && !s.l.died() {
			return false, fmt.Errorf("%s %s: %w", acts[s.in.act], s.in.key, err)
		}
		if a := s.in.act; a == write || a == deletion || a == removeVersion {
			s.c.run.record(s, linearOutput{verdict: noAnswer}, 0)
		}
		return false, nil
	}
	switch o := verdict(strconv.Itoa(resp.HTTPStatusCode())); o {
	case missing, conflict, failed:
		s.c.run.record(s, linearOutput{verdict: o}, end)
		return false, nil
	}
	return false, fmt.Errorf("%s %s: %w", acts[s.in.act], s.in.key, err)
}

func (c *linearClient) put(l *life, k *linearKey) error {
	op := c.run.newOp()
	in := linearInput{act: write, how: "put", key: k.name, versioned: k.versioned, op: op, etag: etagOfPut(op)}
	ifMatch, ifNone := c.condition(k, &in)
	ctx, cancel := c.cutting()
	defer cancel()
	s := c.begin(l, in)
	out, err := l.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &k.bucket, Key: &k.key, Body: bytes.NewReader(linearBody(op)), Metadata: made(op, op), IfMatch: ifMatch, IfNoneMatch: ifNone,
	})
	ok, wrong := s.end(ctx, err, linearOutput{})
	if ok {
		wrong = c.wrote(k, in, out.ETag, out.VersionId, op)
	}
	return wrong
}

// wrote takes note of a version that was made.
func (c *linearClient) wrote(k *linearKey, in linearInput, etag, version *string, content uint64) error {
	if got := bareETag(etag); got != in.etag {
		return fmt.Errorf("%s of %s has ETag %s, want %s", in.how, in.key, got, in.etag)
	}
	c.run.learn(aws.ToString(version), in.op)
	k.note(seenVersion{in.op, content, in.etag, aws.ToString(version)})
	return nil
}

func bareETag(etag *string) string {
	s := aws.ToString(etag)
	if len(s) > 2 {
		s = s[1 : len(s)-1]
	}
	return s
}

func (c *linearClient) delete(l *life, k *linearKey) error {
	op := c.run.newOp()
	in := linearInput{act: deletion, key: k.name, versioned: k.versioned, op: op}
	var ifMatch *string
	if seen := k.last(); seen.etag != "" && c.rnd.IntN(2) == 0 {
		in.ifMatch, ifMatch = seen.etag, aws.String(`"`+seen.etag+`"`)
	}
	ctx, cancel := c.cutting()
	defer cancel()
	s := c.begin(l, in)
	out, err := l.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &k.bucket, Key: &k.key, IfMatch: ifMatch})
	ok, wrong := s.end(ctx, err, linearOutput{})
	if ok {
		c.run.learn(aws.ToString(out.VersionId), op)
	}
	return wrong
}

// copy copies what another key was last seen to have, if it has it still: a write here
// and a read there.
func (c *linearClient) copy(l *life, k, from *linearKey) error {
	seen := from.last()
	if seen.etag == "" {
		return c.get(l, from)
	}
	op := c.run.newOp()
	in := linearInput{act: write, how: "copy", key: k.name, versioned: k.versioned, op: op, etag: etagOfPut(seen.content)}
	ctx, cancel := c.cutting()
	defer cancel()
	s := c.begin(l, in)
	out, err := l.s3.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: &k.bucket, Key: &k.key, CopySource: aws.String(from.bucket + "/" + url.PathEscape(from.key)),
		CopySourceIfMatch: &seen.etag, MetadataDirective: types.MetadataDirectiveReplace, Metadata: made(op, seen.content),
	})
	source := inFlight{c, l, linearInput{act: read, how: "as source", key: from.name, versioned: from.versioned}, s.call}
	var resp *smithyhttp.ResponseError
	if errors.As(err, &resp) && resp.HTTPStatusCode() == 412 { // it has something else, or has moved on
		return nil
	}
	if errors.As(err, &resp) && resp.HTTPStatusCode() == 404 {
		c.run.record(source, linearOutput{verdict: missing}, c.run.now())
		return nil
	}
	ok, wrong := s.end(ctx, err, linearOutput{})
	if ok {
		c.run.record(source, linearOutput{verdict: done, etag: seen.etag}, c.run.now())
		wrong = c.wrote(k, in, out.CopyObjectResult.ETag, out.VersionId, seen.content)
	}
	return wrong
}

// copySource copies an object that does not change, under a condition on the target.
func (c *linearClient) copySource(l *life, k *linearKey) error {
	op, content := c.run.newOp(), uint64(c.rnd.IntN(linearSources))
	in := linearInput{act: write, how: "copy of a source", key: k.name, versioned: k.versioned, op: op, etag: etagOfPut(content)}
	ifMatch, ifNone := c.condition(k, &in)
	ctx, cancel := c.cutting()
	defer cancel()
	s := c.begin(l, in)
	out, err := l.s3.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: &k.bucket, Key: &k.key, CopySource: aws.String(fmt.Sprintf("%s/source-%d", linearBuckets[0], content)),
		IfMatch: ifMatch, IfNoneMatch: ifNone, MetadataDirective: types.MetadataDirectiveReplace, Metadata: made(op, content),
	})
	ok, wrong := s.end(ctx, err, linearOutput{})
	if ok {
		wrong = c.wrote(k, in, out.CopyObjectResult.ETag, out.VersionId, content)
	}
	return wrong
}

// upload completes an upload of one part.
func (c *linearClient) upload(l *life, k *linearKey) error {
	op := c.run.newOp()
	in := linearInput{act: write, how: "upload", key: k.name, versioned: k.versioned, op: op, etag: etagOfUpload(op)}
	ifMatch, ifNone := c.condition(k, &in)
	var begun *s3.CreateMultipartUploadOutput
	var part *s3.UploadPartOutput
	begun, err := l.s3.CreateMultipartUpload(c.run.t.Context(), &s3.CreateMultipartUploadInput{Bucket: &k.bucket, Key: &k.key, Metadata: made(op, op)})
	if err == nil {
		part, err = l.s3.UploadPart(c.run.t.Context(), &s3.UploadPartInput{
			Bucket: &k.bucket, Key: &k.key, UploadId: begun.UploadId, PartNumber: aws.Int32(1), Body: bytes.NewReader(linearBody(op)),
		})
	}
	if err != nil {
		if l.died() {
			return nil // nothing was changed
		}
		return fmt.Errorf("upload %s: %w", k.name, err)
	}
	ctx, cancel := c.cutting()
	defer cancel()
	s := c.begin(l, in)
	out, err := l.s3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &k.bucket, Key: &k.key, UploadId: begun.UploadId, IfMatch: ifMatch, IfNoneMatch: ifNone,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.ETag}}},
	})
	ok, wrong := s.end(ctx, err, linearOutput{})
	if ok {
		wrong = c.wrote(k, in, out.ETag, out.VersionId, op)
	}
	return wrong
}

func (c *linearClient) get(l *life, k *linearKey) error {
	return c.read(l, k, linearInput{act: read, key: k.name, versioned: k.versioned}, nil)
}

func (c *linearClient) readVersion(l *life, k *linearKey) error {
	v := k.some(c.rnd)
	if v.version == "" {
		return c.get(l, k)
	}
	return c.read(l, k, linearInput{act: readVersion, key: k.name, versioned: true, version: v.op}, &v.version)
}

// read reads what is there, and compares the bytes with what it says that it is.
func (c *linearClient) read(l *life, k *linearKey, in linearInput, version *string) error {
	s := c.begin(l, in)
	ctx := c.run.t.Context()
	out, err := l.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &k.bucket, Key: &k.key, VersionId: version})
	var body []byte
	if err == nil {
		body, err = io.ReadAll(out.Body)
		_ = out.Body.Close()
	}
	if err != nil {
		_, wrong := s.end(ctx, err, linearOutput{})
		return wrong
	}
	op, opErr := strconv.ParseUint(out.Metadata["op"], 10, 64)
	content, contentErr := strconv.ParseUint(out.Metadata["content"], 10, 64)
	etag := bareETag(out.ETag)
	switch {
	case errors.Join(opErr, contentErr) != nil:
		return fmt.Errorf("%s has metadata %v", k.name, out.Metadata)
	case !bytes.Equal(body, linearBody(content)) || etag != etagOfPut(content) && etag != etagOfUpload(content):
		return fmt.Errorf("%s has %d bytes and ETag %s, which is not content %d", k.name, len(body), etag, content)
	}
	c.run.learn(aws.ToString(out.VersionId), op)
	k.note(seenVersion{op, content, etag, aws.ToString(out.VersionId)})
	_, wrong := s.end(ctx, nil, linearOutput{op: op, etag: etag})
	return wrong
}

func (c *linearClient) removeVersion(l *life, k *linearKey) error {
	v := k.some(c.rnd)
	if v.version == "" {
		return c.get(l, k)
	}
	ctx, cancel := c.cutting()
	defer cancel()
	s := c.begin(l, linearInput{act: removeVersion, key: k.name, versioned: true, version: v.op})
	_, err := l.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &k.bucket, Key: &k.key, VersionId: &v.version})
	_, wrong := s.end(ctx, err, linearOutput{})
	return wrong
}

func (c *linearClient) list(l *life, k *linearKey) error {
	s := c.begin(l, linearInput{act: versionList, key: k.name, versioned: true})
	ctx := c.run.t.Context()
	out, err := l.s3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &k.bucket, Prefix: &k.key})
	if err != nil {
		_, wrong := s.end(ctx, err, linearOutput{})
		return wrong
	}
	if aws.ToBool(out.IsTruncated) {
		return nil // a page that met writes is shorter, and tells of a part alone
	}
	_, wrong := s.end(ctx, nil, linearOutput{list: listedVersions(out)})
	return wrong
}

// listedVersions returns the versions of a key and then its markers, each newest
// first: neither the SDK nor times of a second tell how the two are mixed.
func listedVersions(out *s3.ListObjectVersionsOutput) []listedVersion {
	all := []listedVersion{}
	for _, v := range out.Versions {
		all = append(all, listedVersion{id: *v.VersionId, latest: aws.ToBool(v.IsLatest)})
	}
	for _, m := range out.DeleteMarkers {
		all = append(all, listedVersion{*m.VersionId, true, aws.ToBool(m.IsLatest)})
	}
	return all
}
