// SPDX-License-Identifier: Apache-2.0

// Package resign signs requests anew that a proxy has changed, or that were signed in a
// way that a server does not take.
package resign

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash/crc32"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// As signs a request for S3 as whose the key is, by its headers, and takes out the
// signature that it has. The body is what its header says, or not signed.
func As(r *http.Request, key aws.Credentials, region string) error {
	query := r.URL.Query()
	for name := range query {
		if strings.HasPrefix(name, "X-Amz-") {
			query.Del(name)
		}
	}
	r.URL.RawQuery = encode(query)
	r.Header.Del("Authorization")
	r.Header.Del("Date")
	payload := r.Header.Get("X-Amz-Content-Sha256")
	if payload == "" {
		payload = "UNSIGNED-PAYLOAD"
		r.Header.Set("X-Amz-Content-Sha256", payload)
	}
	signing := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	return signing.SignHTTP(r.Context(), key, r, payload, "s3", region, time.Now())
}

// Body says in a request's headers what its new body is.
func Body(r *http.Request, body []byte) {
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

// encode writes a query as it is signed.
func encode(query url.Values) string { return strings.ReplaceAll(query.Encode(), "+", "%20") }
