// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

var waysOut = []string{"whole", "whole", "whole", "range", "suffix", "edge", "part", "head", "attributes", "refused"}

// check reads a version in some way and compares it with what is known of it.
func (d *differ) check(w *written) error {
	way, err := d.read(w)
	if err != nil {
		return fmt.Errorf("%s of %v: %w", way, w, err)
	}
	return nil
}

func (d *differ) read(w *written) (string, error) {
	in := &s3.GetObjectInput{Bucket: &w.in.name, Key: &w.key, VersionId: said(w.version)}
	if c := w.under.customer; c != nil {
		c.get(in)
	}
	way := waysOut[d.rnd.IntN(len(waysOut))]
	size := w.data.size()
	from, to := 0, size
	switch {
	case way == "head":
		return way, d.head(w)
	case way == "attributes":
		return way, d.attributes(w)
	case way == "refused" && w.under.customer != nil:
		if err := d.refused(w, *in); err != nil {
			return way, err
		}
	case way == "part" && len(w.parts) > 0:
		n := d.rnd.IntN(len(w.parts))
		for _, p := range w.parts[:n] {
			from += p
		}
		to = from + w.parts[n]
		in.PartNumber = aws.Int32(int32(n + 1))
	case way == "range" && size > 0:
		from = d.rnd.IntN(size)
		to = from + 1 + d.rnd.IntN(size-from)
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", from, to-1))
	case way == "suffix" && size > 0:
		n := 1 + d.rnd.IntN(2*size)
		from = max(0, size-n)
		in.Range = aws.String(fmt.Sprintf("bytes=-%d", n))
	case way == "edge" && size > 1<<16+1: // of a segment
		from = 1<<16 - 1 + d.rnd.IntN(3)
		to = min(size, from+1+d.rnd.IntN(3)+d.rnd.IntN(2)<<16)
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", from, to-1))
	default:
		way = "whole"
	}
	out, err := d.s.S3.GetObject(d.ctx, in)
	if err != nil {
		return way, err
	}
	defer out.Body.Close()
	if err := w.data.slice(from, to).compare(out.Body, d.buf); err != nil {
		return way, err
	}
	return way, w.is(out.VersionId, out.ETag, out.Metadata["note"], out.SSECustomerKeyMD5, of(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled))
}

// is compares what an answer says of a version.
func (w *written) is(version, etag *string, note string, customer *string, tells applied) error {
	var md5 *string
	if c := w.under.customer; c != nil {
		md5 = c.md5
	}
	if aws.ToString(version) != w.version || unquoted(etag) != w.etag || note != w.note || aws.ToString(customer) != aws.ToString(md5) {
		return fmt.Errorf("is version %q, ETag %s, note %q, customer's key %s; want ETag %s, note %q",
			aws.ToString(version), unquoted(etag), note, aws.ToString(customer), w.etag, w.note)
	}
	return w.told(tells)
}

// refused asks for an object under a customer's key with another key or none.
func (d *differ) refused(w *written, in s3.GetObjectInput) error {
	in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = nil, nil, nil
	want := "InvalidRequest"
	if d.rnd.IntN(2) == 0 {
		customerOf(keyA).get(&in)
		want = "AccessDenied"
	}
	if _, err := d.s.S3.GetObject(d.ctx, &in); codeOf(err) != want {
		return fmt.Errorf("is not refused with %s: %w", want, err)
	}
	return nil
}

func (d *differ) head(w *written) error {
	in := &s3.HeadObjectInput{Bucket: &w.in.name, Key: &w.key, VersionId: said(w.version)}
	if c := w.under.customer; c != nil {
		in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = c.algorithm, c.key, c.md5
	}
	out, err := d.s.S3.HeadObject(d.ctx, in)
	if err != nil {
		return err
	}
	if n := aws.ToInt64(out.ContentLength); n != int64(w.data.size()) {
		return fmt.Errorf("says %d bytes", n)
	}
	return w.is(out.VersionId, out.ETag, out.Metadata["note"], out.SSECustomerKeyMD5, of(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled))
}

// attributes reads what tells nothing of the encryption.
func (d *differ) attributes(w *written) error {
	in := &s3.GetObjectAttributesInput{Bucket: &w.in.name, Key: &w.key, VersionId: said(w.version), ObjectAttributes: everyAttribute}
	if c := w.under.customer; c != nil {
		in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = c.algorithm, c.key, c.md5
	}
	out, err := d.s.S3.GetObjectAttributes(d.ctx, in)
	switch {
	case err != nil:
		return err
	case aws.ToInt64(out.ObjectSize) != int64(w.data.size()) || unquoted(out.ETag) != w.etag:
		return fmt.Errorf("they say %d bytes, ETag %s; want ETag %s", aws.ToInt64(out.ObjectSize), unquoted(out.ETag), w.etag)
	case (out.ObjectParts != nil) != (len(w.parts) > 0):
		return fmt.Errorf("they say parts %+v", out.ObjectParts)
	case out.StorageClass != types.StorageClassStandard:
		return errors.New("they say storage class " + string(out.StorageClass))
	}
	return nil
}
