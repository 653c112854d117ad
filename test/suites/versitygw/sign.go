// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash/crc32"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// resign signs a request anew as another, by its headers. Where the body has been
// read, its checksums are made anew, too.
func resign(r *http.Request, signer *person, body []byte, isRead bool) error {
	query := r.URL.Query()
	for name := range query {
		if strings.HasPrefix(name, "X-Amz-") {
			query.Del(name)
		}
	}
	r.URL.RawQuery = encode(query)
	r.Header.Del("Authorization")
	if isRead {
		sum := sha256.Sum256(body)
		r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Amz-Checksum-") || name == "X-Amz-Sdk-Checksum-Algorithm" || name == "Content-Md5" {
				r.Header.Del(name)
			}
		}
		if len(body) > 0 {
			crc := crc32.NewIEEE()
			crc.Write(body)
			r.Header.Set("X-Amz-Checksum-Crc32", base64.StdEncoding.EncodeToString(crc.Sum(nil)))
		}
	}
	payload := r.Header.Get("X-Amz-Content-Sha256")
	if payload == "" {
		payload = "UNSIGNED-PAYLOAD"
		r.Header.Set("X-Amz-Content-Sha256", payload)
	}
	signing := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	return signing.SignHTTP(r.Context(), signer.key, r, payload, "s3", os.Getenv("AWS_REGION"), time.Now())
}

// encode writes a query as it is signed.
func encode(query url.Values) string { return strings.ReplaceAll(query.Encode(), "+", "%20") }
