// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/cofferstore/coffer/test/suites/resign"
)

// newProxy returns a proxy in front of the server. A fifth of the tests sign with
// Signature Version 2, which S3 refuses for buckets made since June 2020, and Coffer
// always. What they test is not the signature: the proxy signs these requests with
// version 4. Others it passes on as they are.
func newProxy() (*httptest.Server, error) {
	upstream, err := url.Parse(os.Getenv("AWS_ENDPOINT_URL"))
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(os.Getenv("SUITE_CA"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("SUITE_CA has no certificate")
	}
	key := aws.Credentials{AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY")}
	proxy := &httputil.ReverseProxy{
		Director: func(r *http.Request) {
			r.Header["X-Forwarded-For"] = nil
			if isVersion2(r) {
				if err := resign.As(r, key, os.Getenv("AWS_REGION")); err != nil {
					log.Print(err)
				}
			}
			r.URL.Scheme, r.URL.Host = upstream.Scheme, upstream.Host
		},
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: 64, DisableCompression: true},
	}
	return httptest.NewTLSServer(proxy), nil
}

// isVersion2 is whether a request has a signature of version 2, and takes one in its
// query out.
func isVersion2(r *http.Request) bool {
	if strings.HasPrefix(r.Header.Get("Authorization"), "AWS ") {
		return true
	}
	query := r.URL.Query()
	if !query.Has("AWSAccessKeyId") {
		return false
	}
	for _, name := range []string{"AWSAccessKeyId", "Signature", "Expires"} {
		query.Del(name)
	}
	r.URL.RawQuery = query.Encode()
	return true
}
