// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/internal/fips"
)

// noteHeader is the user metadata of all that is written.
const noteHeader = "x-amz-meta-note"

// waysIn has uploads seldom, as they take several requests.
var waysIn = []string{
	"put", "put", "put", "form", "form", "signed chunks", "unsigned chunks", "copy", "copy", "copy in place", "copy in place", "upload", "part copy",
}

// write writes an object in some way and compares what the answer says of it.
func (d *differ) write() error {
	w := &written{in: d.vaults[d.rnd.IntN(len(d.vaults))], under: d.encryption()}
	d.seq++
	w.key, w.note = fmt.Sprintf("%s/%d", d.name, d.seq%50), fmt.Sprint(d.name, " ", d.seq)
	way := waysIn[d.rnd.IntN(len(waysIn))]
	var src *written
	switch copies := strings.Contains(way, "copy"); {
	case copies && len(d.shelf) > 0:
		src = d.any()
	case copies:
		way = "put"
	}
	if way == "copy in place" {
		w.in, w.key = src.in, src.key
	}
	w.history, w.algorithm = way, ""
	w.algorithm, w.tells = w.under.in(w.in)
	if old := d.current(w.at()); old != nil && !w.in.versioned { // which is about to go
		if err := d.check(old); err != nil {
			return err
		}
	}
	refusal := ""
	if w.under.customer != nil && !w.in.configured {
		refusal = "AccessDenied"
	}
	var err error
	switch way {
	case "put":
		err = d.put(w)
	case "form":
		err = d.form(w)
	case "signed chunks", "unsigned chunks":
		w.data = content{cutOf(d.rnd, d.size())}
		headers := append(w.under.headers(), noteHeader, w.note)
		w.version, w.etag, err = putChunked(d.ctx, d.s.URL, w.in.name, w.key, w.data[0], way == "signed chunks", headers...)
	case "upload", "part copy":
		err = d.upload(w, src)
	default:
		var illegal bool
		if illegal, err = d.copy(w, src, way == "copy in place"); illegal {
			refusal = "InvalidRequest"
		}
	}
	switch {
	case refusal != "" && codeOf(err) == refusal:
		return nil
	case refusal != "":
		return fmt.Errorf("%v is not refused with %s: %w", w, refusal, err)
	case err != nil:
		return fmt.Errorf("%v: %w", w, err)
	case (w.version != "") != w.in.versioned:
		return fmt.Errorf("%v: the version is not right", w)
	}
	if len(w.parts) == 0 {
		isMD5 := w.algorithm == types.ServerSideEncryptionAes256
		if md5 := w.data.md5(); (w.etag == md5) != isMD5 || len(w.etag) != len(md5) {
			return fmt.Errorf("%v: ETag %s, and the MD5 is %s", w, w.etag, md5)
		}
	}
	d.shelve(w)
	return nil
}

// size favours what is small, and the edges: of what is kept inline, and of segments.
func (d *differ) size() int {
	switch n := d.rnd.IntN(20); {
	case n < 14:
		return d.rnd.IntN(2 * inlineLimit)
	case n < 17:
		return inlineLimit - 100 + d.rnd.IntN(100)
	case n < 19:
		return 1<<16 - 3 + d.rnd.IntN(7)
	default:
		return (2+d.rnd.IntN(2))<<16 - 3 + d.rnd.IntN(7)
	}
}

func (d *differ) put(w *written) error {
	w.data = content{cutOf(d.rnd, d.size())}
	in := &s3.PutObjectInput{
		Bucket: &w.in.name, Key: &w.key, Body: bytes.NewReader(w.data[0]), Metadata: map[string]string{"note": w.note},
	}
	w.under.put(in)
	out, err := d.s.S3.PutObject(d.ctx, in)
	if err != nil {
		return err
	}
	w.version, w.etag = aws.ToString(out.VersionId), unquoted(out.ETag)
	return w.told(of(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled))
}

// told compares what an answer tells of the encryption.
func (w *written) told(got applied) error {
	if got != w.tells {
		return fmt.Errorf("tells %v, want %v", got, w.tells)
	}
	return nil
}

func unquoted(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }

// form uploads as a browser does.
func (d *differ) form(w *written) error {
	w.data = content{cutOf(d.rnd, d.size())}
	b := frames.Get().(*bytes.Buffer)
	defer frames.Put(b)
	b.Reset()
	fields := append(w.under.headers(), noteHeader, w.note)
	if d.rnd.IntN(2) == 0 {
		fields = append(fields, "success_action_status", "201")
	}
	req, err := form{bucket: w.in.name, key: w.key, fields: fields}.request(d.ctx, b, d.s.URL, w.data[0])
	if err != nil {
		return err
	}
	h, err := sent(req, b)
	if err != nil {
		return err
	}
	w.version, w.etag = h.Get("X-Amz-Version-Id"), strings.Trim(h.Get("ETag"), `"`)
	return w.told(applied{h.Get(sseHeader), h.Get(keyHeader), h.Get(bkHeader) == "true"})
}

// copy copies src, with its metadata or with other. In place it says whether S3 calls
// the copy illegal, as it changes nothing.
func (d *differ) copy(w, src *written, inPlace bool) (illegal bool, err error) {
	w.data = src.data
	in := &s3.CopyObjectInput{Bucket: &w.in.name, Key: &w.key, CopySource: src.source()}
	ofCurrent := w.at() == src.at() && d.current(src.at()) == src && (inPlace || !src.in.versioned)
	if ofCurrent {
		in.CopySource = aws.String(src.in.name + "/" + src.key)
	}
	replace := d.rnd.IntN(2) == 0
	if replace {
		in.MetadataDirective, in.Metadata = types.MetadataDirectiveReplace, map[string]string{"note": w.note}
	} else {
		w.note = src.note
	}
	w.under.copy(in)
	if c := src.under.customer; c != nil {
		in.CopySourceSSECustomerAlgorithm, in.CopySourceSSECustomerKey, in.CopySourceSSECustomerKeyMD5 = c.algorithm, c.key, c.md5
	}
	unasked := w.under.sse == "" && w.under.customer == nil
	illegal = ofCurrent && unasked && !replace && !w.in.configured &&
		src.algorithm == types.ServerSideEncryptionAes256 && src.tells.sse == w.in.tells.sse
	out, err := d.s.S3.CopyObject(d.ctx, in)
	if err != nil {
		return illegal, err
	}
	w.history += fmt.Sprintf(" of (%v)", src)
	w.version, w.etag = aws.ToString(out.VersionId), unquoted(out.CopyObjectResult.ETag)
	return illegal, w.told(of(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled))
}

// source is the version as the source of a copy.
func (w *written) source() *string {
	s := w.in.name + "/" + w.key
	if w.version != "" {
		s += "?versionId=" + w.version
	}
	return &s
}

// upload writes in one to three parts of odd sizes; the first may be a range of src.
func (d *differ) upload(w, src *written) error {
	create := &s3.CreateMultipartUploadInput{Bucket: &w.in.name, Key: &w.key, Metadata: map[string]string{"note": w.note}}
	w.under.create(create)
	up, err := d.s.S3.CreateMultipartUpload(d.ctx, create)
	if err != nil {
		return err
	}
	if err := w.told(of(up.ServerSideEncryption, up.SSEKMSKeyId, up.BucketKeyEnabled)); err != nil {
		return err
	}
	var parts []types.CompletedPart
	sums := fips.NewMD5()
	count := 1 + d.rnd.IntN(3)
	for i := range count {
		number := aws.Int32(int32(3*i + 1))
		var etag *string
		if src != nil && i == 0 && src.data.size() > minPart {
			etag, err = d.copyPart(w, src, up.UploadId, number)
		} else {
			etag, err = d.putPart(w, up.UploadId, number)
		}
		if err != nil {
			return err
		}
		sum, err := hex.DecodeString(unquoted(etag))
		if err != nil || len(sum) != fips.MD5Size {
			return fmt.Errorf("part %d: ETag %s: %w", *number, aws.ToString(etag), err)
		}
		sums.Write(sum)
		parts = append(parts, types.CompletedPart{ETag: etag, PartNumber: number})
	}
	done, err := d.s.S3.CompleteMultipartUpload(d.ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &w.in.name, Key: &w.key, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	if err != nil {
		return err
	}
	w.version, w.etag = aws.ToString(done.VersionId), unquoted(done.ETag)
	if want := fmt.Sprintf("%x-%d", sums.Sum(nil), count); w.etag != want {
		return fmt.Errorf("ETag %s, want %s", w.etag, want)
	}
	return nil
}

func (d *differ) putPart(w *written, id *string, number *int32) (etag *string, err error) {
	data := cutOf(d.rnd, max(minPart, d.size()))
	in := &s3.UploadPartInput{Bucket: &w.in.name, Key: &w.key, UploadId: id, PartNumber: number, Body: bytes.NewReader(data)}
	if c := w.under.customer; c != nil {
		in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = c.algorithm, c.key, c.md5
	}
	out, err := d.s.S3.UploadPart(d.ctx, in)
	if err != nil {
		return nil, fmt.Errorf("part %d: %w", *number, err)
	}
	w.add(content{data})
	return out.ETag, nil
}

func (d *differ) copyPart(w, src *written, id *string, number *int32) (etag *string, err error) {
	size := src.data.size()
	from := d.rnd.IntN(size - minPart)
	to := from + minPart + d.rnd.IntN(size-from-minPart+1)
	in := &s3.UploadPartCopyInput{
		Bucket: &w.in.name, Key: &w.key, UploadId: id, PartNumber: number,
		CopySource: src.source(), CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", from, to-1)),
	}
	if c := w.under.customer; c != nil {
		in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = c.algorithm, c.key, c.md5
	}
	if c := src.under.customer; c != nil {
		in.CopySourceSSECustomerAlgorithm, in.CopySourceSSECustomerKey, in.CopySourceSSECustomerKeyMD5 = c.algorithm, c.key, c.md5
	}
	out, err := d.s.S3.UploadPartCopy(d.ctx, in)
	if err != nil {
		return nil, fmt.Errorf("copy of %d to %d of %v as part %d: %w", from, to, src, *number, err)
	}
	w.add(src.data.slice(from, to))
	return out.CopyPartResult.ETag, nil
}

// add adds a part.
func (w *written) add(part content) {
	w.data = append(w.data, part...)
	w.parts = append(w.parts, part.size())
}
