// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// odd are keys that clients have got wrong before.
var odd = []string{
	"with space", "plus+sign", "per%cent%20", "a//double", "/leading", "trailing/", "dot./.dot", "../up", "ünïcödé", "日本語", "emoji 🐈", "quote'\"",
	"amp&lt;<>", "semi;colon=eq", "question?hash#", "tilde~(paren)!*", "back\\slash", "comma,at@dollar$", "new\nline", strings.Repeat("x", 1020),
}

func (u *user) buckets() error {
	other := aws.String(*u.bucket + "-other")
	return all(
		func() error {
			_, err := u.s3.CreateBucket(u.ctx, &s3.CreateBucketInput{Bucket: u.bucket})
			return err
		},
		func() error {
			return s3.NewBucketExistsWaiter(u.s3).Wait(u.ctx, &s3.HeadBucketInput{Bucket: u.bucket}, time.Minute)
		},
		func() error {
			h, err := u.s3.HeadBucket(u.ctx, &s3.HeadBucketInput{Bucket: u.bucket})
			if err != nil {
				return err
			}
			return same(*h.BucketRegion, os.Getenv("AWS_REGION"))
		},
		func() error {
			_, err := u.s3.CreateBucket(u.ctx, &s3.CreateBucketInput{Bucket: other})
			return err
		},
		func() error {
			var names []string
			p := s3.NewListBucketsPaginator(u.s3, &s3.ListBucketsInput{Prefix: u.bucket, MaxBuckets: aws.Int32(1)})
			for p.HasMorePages() {
				page, err := p.NextPage(u.ctx)
				if err != nil {
					return err
				}
				for _, b := range page.Buckets {
					names = append(names, *b.Name)
				}
			}
			return same(strings.Join(names, " "), *u.bucket+" "+*other)
		},
		func() error {
			_, err := u.s3.DeleteBucket(u.ctx, &s3.DeleteBucketInput{Bucket: other})
			return err
		},
		func() error {
			return s3.NewBucketNotExistsWaiter(u.s3).Wait(u.ctx, &s3.HeadBucketInput{Bucket: other}, time.Minute)
		},
	)
}

func (u *user) odd() error {
	var want []string
	for _, key := range odd {
		want = append(want, "odd/"+key)
		if err := u.put("odd/"+key, []byte(key)); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
		if err := u.holds("odd/"+key, []byte(key)); err != nil {
			return err
		}
	}
	slices.Sort(want)
	var got []types.ObjectIdentifier
	p := s3.NewListObjectsV2Paginator(u.s3, &s3.ListObjectsV2Input{Bucket: u.bucket, Prefix: aws.String("odd/"), MaxKeys: aws.Int32(6)})
	for p.HasMorePages() {
		page, err := p.NextPage(u.ctx)
		if err != nil {
			return err
		}
		for _, o := range page.Contents {
			got = append(got, types.ObjectIdentifier{Key: o.Key})
		}
	}
	if !slices.EqualFunc(got, want, func(o types.ObjectIdentifier, key string) bool { return *o.Key == key }) {
		return fmt.Errorf("listed are %d keys, not the %d", len(got), len(want))
	}
	out, err := u.s3.DeleteObjects(u.ctx, &s3.DeleteObjectsInput{Bucket: u.bucket, Delete: &types.Delete{Objects: got}})
	if err != nil {
		return err
	}
	return same(len(out.Deleted), len(want))
}

func (u *user) copies() error {
	if err := u.put("cö py+x", []byte("copied")); err != nil {
		return err
	}
	// The source is for the caller to escape.
	source := aws.String(*u.bucket + "/" + url.QueryEscape("cö py+x"))
	if _, err := u.s3.CopyObject(u.ctx, &s3.CopyObjectInput{Bucket: u.bucket, Key: aws.String("copy"), CopySource: source}); err != nil {
		return err
	}
	if err := u.holds("copy", []byte("copied")); err != nil {
		return err
	}
	source = aws.String(*u.bucket + "/copy")
	_, err := u.s3.CopyObject(u.ctx, &s3.CopyObjectInput{Bucket: u.bucket, Key: aws.String("copy"), CopySource: source})
	if err := refused(err, "InvalidRequest"); err != nil {
		return err
	}
	_, err = u.s3.CopyObject(u.ctx, &s3.CopyObjectInput{Bucket: u.bucket, Key: aws.String("copy"), CopySource: source,
		MetadataDirective: types.MetadataDirectiveReplace, Metadata: map[string]string{"a": "b"}})
	if err != nil {
		return err
	}
	h, err := u.s3.HeadObject(u.ctx, &s3.HeadObjectInput{Bucket: u.bucket, Key: aws.String("copy")})
	if err != nil {
		return err
	}
	return same(h.Metadata["a"], "b")
}

func (u *user) large() error {
	key := aws.String("parts")
	// S3 takes the parts' checksums at the end only if it is told the algorithm here.
	up, err := u.s3.CreateMultipartUpload(u.ctx, &s3.CreateMultipartUploadInput{Bucket: u.bucket, Key: key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32})
	if err != nil {
		return err
	}
	part := random(5 << 20)
	var done []types.CompletedPart
	for n := int32(1); n <= 3; n++ {
		out, err := u.s3.UploadPart(u.ctx, &s3.UploadPartInput{Bucket: u.bucket, Key: key, UploadId: up.UploadId, PartNumber: &n, Body: bytes.NewReader(part)})
		if err != nil {
			return err
		}
		done = append(done, types.CompletedPart{PartNumber: &n, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32})
	}
	parts := 0
	p := s3.NewListPartsPaginator(u.s3, &s3.ListPartsInput{Bucket: u.bucket, Key: key, UploadId: up.UploadId, MaxParts: aws.Int32(2)})
	for p.HasMorePages() {
		page, err := p.NextPage(u.ctx)
		if err != nil {
			return err
		}
		parts += len(page.Parts)
	}
	if err := same(parts, 3); err != nil {
		return err
	}
	if _, err := u.s3.CompleteMultipartUpload(u.ctx, &s3.CompleteMultipartUploadInput{Bucket: u.bucket, Key: key, UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: done}}); err != nil {
		return err
	}
	return u.holds(*key, bytes.Repeat(part, 3))
}

func (u *user) transfers() error {
	body := random(u.size(100, 21) << 20)
	m := transfermanager.New(u.s3)
	if _, err := m.UploadObject(u.ctx, &transfermanager.UploadObjectInput{Bucket: u.bucket, Key: aws.String("large"), Body: bytes.NewReader(body)}); err != nil {
		return err
	}
	if err := u.holds("large", body); err != nil {
		return err
	}
	f, err := os.CreateTemp("", "back")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := m.DownloadObject(u.ctx, &transfermanager.DownloadObjectInput{Bucket: u.bucket, Key: aws.String("large"), WriterAt: f}); err != nil {
		return err
	}
	back, err := os.ReadFile(f.Name())
	if err != nil {
		return err
	}
	return same(bytes.Equal(back, body), true)
}

// streams are bodies of which the SDK knows no length, or that it cannot read twice.
func (u *user) streams() error {
	body := random(3 << 20)
	key := aws.String("stream")
	_, err := transfermanager.New(u.s3).UploadObject(u.ctx, &transfermanager.UploadObjectInput{Bucket: u.bucket, Key: key,
		Body: io.MultiReader(bytes.NewReader(body), bytes.NewReader(body))})
	if err != nil {
		return err
	}
	if err := u.holds(*key, bytes.Repeat(body, 2)); err != nil {
		return err
	}
	part, err := u.read(&s3.GetObjectInput{Bucket: u.bucket, Key: key, Range: aws.String("bytes=-10")})
	if err != nil {
		return err
	}
	return same(bytes.Equal(part, body[len(body)-10:]), true)
}

func (u *user) tags() error {
	key := aws.String("tagged")
	_, err := u.s3.PutObject(u.ctx, &s3.PutObjectInput{Bucket: u.bucket, Key: key, Tagging: aws.String("a=1&b%20c=%2B")})
	if err != nil {
		return err
	}
	got, err := u.s3.GetObjectTagging(u.ctx, &s3.GetObjectTaggingInput{Bucket: u.bucket, Key: key})
	if err != nil {
		return err
	}
	if err := same(len(got.TagSet) == 2 && *got.TagSet[1].Key == "b c" && *got.TagSet[1].Value == "+", true); err != nil {
		return err
	}
	set := &types.Tagging{TagSet: []types.Tag{{Key: aws.String("ü"), Value: aws.String("é")}}}
	if _, err := u.s3.PutObjectTagging(u.ctx, &s3.PutObjectTaggingInput{Bucket: u.bucket, Key: key, Tagging: set}); err != nil {
		return err
	}
	if _, err := u.s3.PutBucketTagging(u.ctx, &s3.PutBucketTaggingInput{Bucket: u.bucket, Tagging: set}); err != nil {
		return err
	}
	if _, err := u.s3.DeleteBucketTagging(u.ctx, &s3.DeleteBucketTaggingInput{Bucket: u.bucket}); err != nil {
		return err
	}
	_, err = u.s3.GetBucketTagging(u.ctx, &s3.GetBucketTaggingInput{Bucket: u.bucket})
	return refused(err, "NoSuchTagSet")
}

func (u *user) presigned() error {
	sign := s3.NewPresignClient(u.s3)
	key := aws.String("pre signed+ü")
	up, err := sign.PresignPutObject(u.ctx, &s3.PutObjectInput{Bucket: u.bucket, Key: key})
	if err != nil {
		return err
	}
	if status, _, err := fetch("PUT", up.URL, "presigned", up.SignedHeader); err != nil || status != 200 {
		return fmt.Errorf("PUT: %d, %w", status, err)
	}
	down, err := sign.PresignGetObject(u.ctx, &s3.GetObjectInput{Bucket: u.bucket, Key: key}, s3.WithPresignExpires(time.Minute))
	if err != nil {
		return err
	}
	status, body, err := fetch("GET", down.URL, "", down.SignedHeader)
	if err != nil || status != 200 || body != "presigned" {
		return fmt.Errorf("GET: %d, %q, %w", status, body, err)
	}
	status, _, err = fetch("GET", down.URL+"&more=1", "", down.SignedHeader)
	if err != nil {
		return err
	}
	return same(status, 403)
}

func fetch(method, target, body string, headers http.Header) (int, string, error) {
	req, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	for name, values := range headers {
		if name != "Host" && name != "Content-Length" {
			req.Header[name] = values
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}
