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
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/cofferstore/coffer/test/coffertest"
)

const chunkSize = 8 << 10

// putChunked uploads in aws-chunked framing, as SDKs do for streams: with a
// signature for each chunk, or unsigned with a checksum in the trailer; with more
// headers, names and values in turn. It returns the version.
func putChunked(ctx context.Context, url, bucket, key string, data []byte, signed bool, headers ...string) (string, error) {
	hash := "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	if signed {
		hash = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	}
	now := time.Now().UTC()
	req, err := http.NewRequestWithContext(ctx, "PUT", url+"/"+bucket+"/"+key, nil)
	if err != nil {
		return "", err
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
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	err = signer.SignHTTP(ctx, aws.Credentials{AccessKeyID: coffertest.AccessKeyID, SecretAccessKey: coffertest.SecretAccessKey},
		req, hash, "s3", coffertest.Region, now)
	if err != nil {
		return "", err
	}
	body := chunksUnsigned(data)
	if signed {
		_, seed, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
		body = chunksSigned(data, seed, now)
	}
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		return "", fmt.Errorf("%s: %s, %w", resp.Status, text, err)
	}
	return resp.Header.Get("X-Amz-Version-Id"), nil
}

func chunksUnsigned(data []byte) []byte {
	var b bytes.Buffer
	for rest := data; len(rest) > 0; {
		n := min(chunkSize, len(rest))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, rest[:n])
		rest = rest[n:]
	}
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(data))
	fmt.Fprintf(&b, "0\r\nx-amz-checksum-crc32:%s\r\n\r\n", base64.StdEncoding.EncodeToString(sum))
	return b.Bytes()
}

func chunksSigned(data []byte, seed string, at time.Time) []byte {
	date := at.Format("20060102")
	key := []byte("AWS4" + coffertest.SecretAccessKey)
	for _, s := range []string{date, coffertest.Region, "s3", "aws4_request"} {
		key = mac(key, s)
	}
	empty := hexSum(nil)
	var b bytes.Buffer
	chunk := func(p []byte) {
		seed = hex.EncodeToString(mac(key, strings.Join([]string{
			"AWS4-HMAC-SHA256-PAYLOAD", at.Format("20060102T150405Z"), date + "/" + coffertest.Region + "/s3/aws4_request", seed, empty, hexSum(p),
		}, "\n")))
		fmt.Fprintf(&b, "%x;chunk-signature=%s\r\n%s\r\n", len(p), seed, p)
	}
	for rest := data; len(rest) > 0; {
		n := min(chunkSize, len(rest))
		chunk(rest[:n])
		rest = rest[n:]
	}
	chunk(nil)
	return b.Bytes()
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
