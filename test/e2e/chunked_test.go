// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"

	"github.com/cofferstore/coffer/test/coffertest"
)

const chunkSize = 8 << 10

// putChunked uploads in aws-chunked framing, as SDKs do for streams: with a
// signature for each chunk, or unsigned with a checksum in the trailer; with more
// headers, names and values in turn. It returns version and ETag.
func putChunked(ctx context.Context, url, bucket, key string, data []byte, signed bool, headers ...string) (version, etag string, err error) {
	hash := "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	if signed {
		hash = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	}
	now := time.Now().UTC()
	req, err := http.NewRequestWithContext(ctx, "PUT", url+"/"+bucket+"/"+key, nil)
	if err != nil {
		return "", "", err
	}
	req.Header.Set("X-Amz-Content-Sha256", hash)
	req.Header.Set("X-Amz-Decoded-Content-Length", fmt.Sprint(len(data)))
	req.Header.Set("Content-Encoding", "aws-chunked")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if !signed {
		req.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
	}
	b := frames.Get().(*bytes.Buffer)
	defer frames.Put(b)
	b.Reset()
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	err = signer.SignHTTP(ctx, aws.Credentials{AccessKeyID: coffertest.AccessKeyID, SecretAccessKey: coffertest.SecretAccessKey},
		req, hash, "s3", coffertest.Region, now)
	if err != nil {
		return "", "", err
	}
	if signed {
		_, seed, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
		chunksSigned(b, data, seed, now)
	} else {
		chunksUnsigned(b, data)
	}
	h, err := sent(req, b)
	return h.Get("X-Amz-Version-Id"), strings.Trim(h.Get("ETag"), `"`), err
}

// frames are bodies in their framing. Making memory of that size anew is dear under
// the race detector.
var frames = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// sender is for requests that no SDK makes, by many clients at once.
var sender = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// loan is a request's body that gives its memory back: a transport may read it for
// longer than until the answer is there.
type loan struct {
	*bytes.Reader
	back func()
}

// Close implements io.Closer.
func (l *loan) Close() error {
	l.back()
	return nil
}

// sent sends a request with a body and returns the header of its answer; the error
// that it tells, as the SDK would. The body is not used any more then.
func sent(req *http.Request, body *bytes.Buffer) (http.Header, error) {
	unused := make(chan struct{})
	req.Body = &loan{bytes.NewReader(body.Bytes()), sync.OnceFunc(func() { close(unused) })}
	req.ContentLength = int64(body.Len())
	resp, err := sender.Do(req)
	<-unused
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode < 300 {
		return resp.Header, err
	}
	var told struct{ Code, Message string }
	if err := xml.Unmarshal(text, &told); err != nil {
		return nil, fmt.Errorf("%s: %s", resp.Status, text)
	}
	return nil, &smithy.GenericAPIError{Code: told.Code, Message: told.Message}
}

func chunksUnsigned(b *bytes.Buffer, data []byte) {
	for rest := data; len(rest) > 0; {
		n := min(chunkSize, len(rest))
		chunk(b, fmt.Sprintf("%x", n), rest[:n])
		rest = rest[n:]
	}
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(data))
	fmt.Fprintf(b, "0\r\nx-amz-checksum-crc32:%s\r\n\r\n", base64.StdEncoding.EncodeToString(sum))
}

func chunk(b *bytes.Buffer, head string, data []byte) {
	b.WriteString(head)
	b.WriteString("\r\n")
	b.Write(data)
	b.WriteString("\r\n")
}

func chunksSigned(b *bytes.Buffer, data []byte, seed string, at time.Time) {
	date := at.Format("20060102")
	key := []byte("AWS4" + coffertest.SecretAccessKey)
	for _, s := range []string{date, coffertest.Region, "s3", "aws4_request"} {
		key = mac(key, s)
	}
	empty := hexSum(nil)
	for rest := data; ; {
		n := min(chunkSize, len(rest))
		seed = hex.EncodeToString(mac(key, strings.Join([]string{
			"AWS4-HMAC-SHA256-PAYLOAD", at.Format("20060102T150405Z"), date + "/" + coffertest.Region + "/s3/aws4_request", seed, empty, hexSum(rest[:n]),
		}, "\n")))
		chunk(b, fmt.Sprintf("%x;chunk-signature=%s", n, seed), rest[:n])
		if n == 0 { // the last one is empty
			return
		}
		rest = rest[n:]
	}
}

func mac(key []byte, s string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(s))
	return m.Sum(nil)
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
