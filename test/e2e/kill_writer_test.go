// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

const (
	contentHeader = "content" // of the user metadata: which content the object is
	firstPart     = 5 << 20   // S3's least size of a part that is not the last
)

// killWriter is a client that makes one change after another, at places of its own
// and at some that it shares with the other clients.
type killWriter struct {
	ledger *ledger
	name   string
	rnd    *rand.Rand
	upload *killUpload // under way; it outlives the server
}

// killUpload is a multipart upload.
type killUpload struct {
	place
	id       string
	content  uint64
	parts    [2]string // ETags, "" for one that is not answered
	aborting bool
	complete *change // once that was asked for
}

// step makes a change. Its error leaves open whether it was made.
func (w *killWriter) step(ctx context.Context, p *process) error {
	switch n := w.rnd.IntN(100); {
	case n < 50:
		return w.put(ctx, p)
	case n < 66:
		return w.delete(ctx, p)
	case n < 73:
		return w.removeVersion(ctx, p)
	case n < 83:
		return w.get(ctx, p)
	case n < 98:
		return w.uploadStep(ctx, p)
	default:
		return w.makeKey(ctx, p)
	}
}

func (w *killWriter) own(bucket string) place {
	return place{bucket, fmt.Sprintf("%s/%d", w.name, w.rnd.IntN(6))}
}

func (w *killWriter) anywhere() place {
	bucket := killBuckets[w.rnd.IntN(len(killBuckets))].name
	if w.rnd.IntN(5) == 0 {
		return place{bucket, fmt.Sprint("shared/", w.rnd.IntN(3))}
	}
	return w.own(bucket)
}

// size is mostly of what is kept inline, sometimes at the edge of that, and
// sometimes of several segments.
func (w *killWriter) size() int {
	switch n := w.rnd.IntN(20); {
	case n < 11:
		return w.rnd.IntN(4 << 10)
	case n < 14:
		return 16<<10 - 200 + w.rnd.IntN(400)
	case n < 19:
		return 17<<10 + w.rnd.IntN(300<<10)
	default:
		return 1<<20 + w.rnd.IntN(1<<20)
	}
}

func (w *killWriter) put(ctx context.Context, p *process) error {
	at := w.anywhere()
	content := w.ledger.newContent(w.size())
	body, _ := w.ledger.bytesOf(content)
	c := w.ledger.begin(at, content)
	out, err := p.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &at.bucket, Key: &at.key, Body: bytes.NewReader(body), Metadata: contentMetadata(content),
	})
	if err != nil {
		return fmt.Errorf("put %v: %w", at, err)
	}
	w.ledger.end(c, aws.ToString(out.VersionId))
	w.ledger.request("PutObject", out.ResultMetadata)
	if at.bucket == ownKeys {
		w.ledger.kmsRequest(out.ResultMetadata)
	}
	return nil
}

// get reads what may be there: what it is, others look at.
func (w *killWriter) get(ctx context.Context, p *process) error {
	at := w.anywhere()
	out, err := p.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &at.bucket, Key: &at.key})
	var missing *types.NoSuchKey
	if errors.As(err, &missing) {
		return nil
	}
	if err == nil {
		_, err = io.Copy(io.Discard, out.Body)
		_ = out.Body.Close()
	}
	if err != nil {
		return fmt.Errorf("get %v: %w", at, err)
	}
	w.ledger.request("GetObject", out.ResultMetadata)
	if at.bucket == ownKeys {
		w.ledger.kmsRequest(out.ResultMetadata)
	}
	return nil
}

func contentMetadata(content uint64) map[string]string {
	return map[string]string{contentHeader: strconv.FormatUint(content, 10)}
}

func (w *killWriter) delete(ctx context.Context, p *process) error {
	at := w.anywhere()
	c := w.ledger.begin(at, nothing)
	out, err := p.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &at.bucket, Key: &at.key})
	if err != nil {
		return fmt.Errorf("delete %v: %w", at, err)
	}
	w.ledger.end(c, aws.ToString(out.VersionId))
	w.ledger.request("DeleteObject", out.ResultMetadata)
	return nil
}

// removeVersion removes an old version, where the writer has made several.
func (w *killWriter) removeVersion(ctx context.Context, p *process) error {
	for _, b := range killBuckets {
		if !b.versioned {
			continue
		}
		at := w.own(b.name)
		c := w.ledger.old(at)
		if c == nil {
			return nil
		}
		out, err := p.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &at.bucket, Key: &at.key, VersionId: &c.version})
		if err != nil {
			return fmt.Errorf("remove a version of %v: %w", at, err)
		}
		w.ledger.remove(c)
		w.ledger.request("DeleteObject", out.ResultMetadata)
	}
	return nil
}

// makeKey makes a KMS key and uses it.
func (w *killWriter) makeKey(ctx context.Context, p *process) error {
	made, err := p.kms.CreateKey(ctx, &kms.CreateKeyInput{})
	if err != nil {
		return fmt.Errorf("create key: %w", err)
	}
	w.ledger.request("CreateKey", made.ResultMetadata)
	out, err := p.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: made.KeyMetadata.Arn, Plaintext: []byte(secretOfKey)})
	if err != nil {
		return fmt.Errorf("encrypt under a new key: %w", err)
	}
	w.ledger.request("Encrypt", out.ResultMetadata)
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	w.ledger.keys[*made.KeyMetadata.Arn] = out.CiphertextBlob
	return nil
}

// uploadStep takes the writer's upload one request further.
func (w *killWriter) uploadStep(ctx context.Context, p *process) error {
	u := w.upload
	switch {
	case u == nil:
		return w.beginUpload(ctx, p)
	case u.parts[0] == "":
		return w.uploadPart(ctx, p, 0)
	case u.parts[1] == "":
		return w.uploadPart(ctx, p, 1)
	case w.rnd.IntN(8) == 0:
		u.aborting = true
		out, err := p.s3.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &u.bucket, Key: &u.key, UploadId: &u.id})
		if err != nil {
			return fmt.Errorf("abort an upload of %v: %w", u.place, err)
		}
		w.ledger.request("AbortMultipartUpload", out.ResultMetadata)
		w.upload = nil
		return nil
	}
	return w.completeUpload(ctx, p)
}

func (w *killWriter) beginUpload(ctx context.Context, p *process) error {
	at := w.anywhere()
	content := w.ledger.newContent(firstPart + 1 + w.rnd.IntN(200<<10))
	out, err := p.s3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &at.bucket, Key: &at.key, Metadata: contentMetadata(content)})
	if err != nil {
		return fmt.Errorf("begin an upload of %v: %w", at, err)
	}
	w.ledger.request("CreateMultipartUpload", out.ResultMetadata)
	w.upload = &killUpload{place: at, id: *out.UploadId, content: content}
	return nil
}

func (w *killWriter) uploadPart(ctx context.Context, p *process, i int) error {
	u := w.upload
	body, _ := w.ledger.bytesOf(u.content)
	part := [][]byte{body[:firstPart], body[firstPart:]}[i]
	out, err := p.s3.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &u.bucket, Key: &u.key, UploadId: &u.id, PartNumber: aws.Int32(int32(i + 1)), Body: bytes.NewReader(part),
	})
	if err != nil {
		return fmt.Errorf("upload part %d of %v: %w", i+1, u.place, err)
	}
	w.ledger.request("UploadPart", out.ResultMetadata)
	u.parts[i] = *out.ETag
	return nil
}

func (w *killWriter) completeUpload(ctx context.Context, p *process) error {
	u := w.upload
	var parts []types.CompletedPart
	for i, etag := range u.parts {
		parts = append(parts, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: &etag})
	}
	u.complete = w.ledger.begin(u.place, u.content)
	out, err := p.s3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &u.bucket, Key: &u.key, UploadId: &u.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	if err != nil {
		return fmt.Errorf("complete an upload of %v: %w", u.place, err)
	}
	w.ledger.end(u.complete, aws.ToString(out.VersionId))
	w.ledger.request("CompleteMultipartUpload", out.ResultMetadata)
	w.upload = nil
	return nil
}

// resume looks after a restart what has become of the writer's upload: it is there
// with its parts, or has become the object, and never both.
func (w *killWriter) resume(ctx context.Context, p *process) error {
	u := w.upload
	if u == nil {
		return nil
	}
	out, err := p.s3.ListParts(ctx, &s3.ListPartsInput{Bucket: &u.bucket, Key: &u.key, UploadId: &u.id})
	var api smithy.APIError
	switch {
	case errors.As(err, &api) && api.ErrorCode() == "NoSuchUpload":
		w.upload = nil
		switch {
		case u.complete != nil:
			w.ledger.end(u.complete, "") // it was made, and is to be found
		case !u.aborting:
			return fmt.Errorf("the upload of %v is gone", u.place)
		}
		return nil
	case err != nil:
		return fmt.Errorf("list the parts of %v: %w", u.place, err)
	}
	if u.complete != nil {
		w.ledger.dropped(u.complete) // were it there too, nobody had put it there
		u.complete = nil
	}
	u.aborting = false
	there := map[int32]string{}
	for _, part := range out.Parts {
		there[*part.PartNumber] = *part.ETag
	}
	for i, etag := range u.parts {
		if got := there[int32(i+1)]; etag != "" && got != etag {
			return fmt.Errorf("part %d of the upload of %v has ETag %q, want %q", i+1, u.place, got, etag)
		}
	}
	return nil
}
