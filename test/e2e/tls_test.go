// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/test/coffertest"
)

// certify writes a certificate of its own for loopback, and its key, to two files.
func certify(t testing.TB, serial int64, certFile, keyFile string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "coffer test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, b := range map[string][]byte{keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), certFile: cert} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certify(t, 1, certFile, keyFile))
	s := start(t, coffertest.Flags("--tls-cert", certFile, "--tls-key", keyFile))
	url := strings.Replace(s.URL, "http://", "https://", 1)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	objects, keys := coffertest.Clients(url)
	objects = s3.New(objects.Options(), func(o *s3.Options) {
		o.HTTPClient = client
		o.RequestChecksumCalculation, o.ResponseChecksumValidation = aws.RequestChecksumCalculationWhenSupported, aws.ResponseChecksumValidationWhenSupported
	})
	keys = kms.New(keys.Options(), func(o *kms.Options) { o.HTTPClient = client })

	// Over TLS the SDK sends checksums behind the body, in aws-chunked framing, and
	// may do so for what it cannot read twice.
	do(t, objects.CreateBucket, &s3.CreateBucketInput{Bucket: aws.String("vault")})
	key := do(t, keys.CreateKey, &kms.CreateKeyInput{}).KeyMetadata.Arn
	data := bytes.Repeat([]byte("0123456789"), 50_000)
	put := &s3.PutObjectInput{Bucket: aws.String("vault"), Key: aws.String("k"), ServerSideEncryption: "aws:kms", SSEKMSKeyId: key, Body: io.LimitReader(bytes.NewReader(data), 1<<30), ContentLength: aws.Int64(int64(len(data)))}
	out := do(t, objects.PutObject, put)
	if *out.SSEKMSKeyId != *key || aws.ToString(out.ChecksumCRC32) == "" {
		t.Errorf("put %+v", out)
	}
	got := do(t, objects.GetObject, &s3.GetObjectInput{Bucket: aws.String("vault"), Key: aws.String("k")})
	b, err := io.ReadAll(got.Body)
	if err != nil || !bytes.Equal(b, data) {
		t.Errorf("%d bytes come back, %v", len(b), err)
	}
	for _, r := range s.Audit() {
		if r.EventName != "PutObject" && r.EventName != "CreateKey" {
			continue
		}
		if d := r.TLSDetails; d == nil || d.TLSVersion != "TLSv1.3" || !strings.HasPrefix(d.CipherSuite, "TLS_") || "https://"+d.ClientProvidedHostHeader != url {
			t.Errorf("%s: TLS %+v", r.EventName, d)
		}
	}
	up := do(t, objects.CreateMultipartUpload, &s3.CreateMultipartUploadInput{Bucket: aws.String("vault"), Key: aws.String("m"), ChecksumAlgorithm: "CRC32"})
	done := func() string {
		u := &upload{Server: s, bucket: "vault", key: "m", id: *up.UploadId}
		part := do(t, objects.UploadPart, &s3.UploadPartInput{Bucket: &u.bucket, Key: &u.key, UploadId: &u.id, PartNumber: aws.Int32(1), Body: strings.NewReader("x")})
		in := u.completion()
		in.MultipartUpload.Parts = append(u.parts, completed(1, part))
		return *do(t, objects.CompleteMultipartUpload, in).Location
	}()
	if done != url+"/vault/m" {
		t.Errorf("location %q", done)
	}
	if resp, err := http.Get(s.URL); err != nil || resp.StatusCode != 400 {
		t.Errorf("plain HTTP: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	_, err = tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	if err == nil {
		t.Error("TLS 1.1 is spoken")
	}

	// A new certificate is taken up without a restart.
	second := certify(t, 2, certFile, keyFile)
	roots.AppendCertsFromPEM(second)
	coffertest.Eventually(t, "the new certificate", func() bool {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{RootCAs: roots})
		if err != nil {
			t.Error(err)
			return true
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64() == 2
	})
	do(t, objects.HeadObject, &s3.HeadObjectInput{Bucket: aws.String("vault"), Key: aws.String("k")})
}
