// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

const (
	checksumPrefix     = "x-amz-checksum-"
	checksumTypeHeader = "x-amz-checksum-type"
)

// notChecksums are headers that begin like a checksum's and carry none.
var notChecksums = map[string]bool{"mode": true, "type": true, "algorithm": true}

// sentChecksum finds the one checksum among a request's headers. algorithm is ""
// when there is none. S3 does not look for one in a presigned URL, and must not:
// SDKs sign the checksum of no bytes there, before there is a body.
func sentChecksum(c *pipeline.Call) (algorithm checksum.Algorithm, text string, err error) {
	found := withPrefix(nil, c.Request.Header, checksumPrefix)
	for other := range notChecksums {
		delete(found, checksumPrefix+other)
	}
	if len(found) > 1 {
		return "", "", severalChecksums()
	}
	for name, v := range found {
		algorithm, err = headerAlgorithm(name)
		text = v
	}
	return algorithm, text, err
}

func severalChecksums() error {
	return fault.New(InvalidRequest, "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
}

// headerAlgorithm returns the algorithm of a checksum header.
func headerAlgorithm(name string) (checksum.Algorithm, error) {
	if a, ok := checksum.ParseHeader(name); ok {
		return a, nil
	}
	return "", fault.New(InvalidRequest, "The algorithm type you specified in x-amz-checksum- header is invalid.")
}

// namedAlgorithm reads x-amz-checksum-algorithm; "" when it is absent.
func namedAlgorithm(c *pipeline.Call) (checksum.Algorithm, error) {
	name := value(c, "x-amz-checksum-algorithm")
	if name == "" {
		return "", nil
	}
	return checksum.Parse(name)
}

// expectation reads what a request says of its body: its MD5, and one checksum in
// a header or in the body's trailer. An algorithm that is only named, without a
// value, is ignored, as S3 does.
func expectation(c *pipeline.Call, body *sigv4.Body) (e object.Expect, err error) {
	if e, err = sentExpectation(c); err != nil {
		return e, err
	}
	for _, name := range body.Announced() {
		if !strings.HasPrefix(name, checksumPrefix) {
			return e, fault.New(InvalidRequest, "The value specified in the x-amz-trailer header is not supported")
		}
		if e.Algorithm != "" {
			return e, severalChecksums()
		}
		if e.Algorithm, err = headerAlgorithm(name); err != nil {
			return e, err
		}
		e.Value = trailing(e.Algorithm, body)
	}
	return e, nil
}

// sentExpectation is the part of expectation that stands in headers.
func sentExpectation(c *pipeline.Call) (e object.Expect, err error) {
	if e.MD5, err = documentMD5(c); err != nil {
		return e, err
	}
	algorithm, text, err := sentChecksum(c)
	if err != nil {
		return e, err
	}
	if algorithm != "" {
		want, err := algorithm.Decode(text)
		if err != nil {
			return e, err
		}
		e.Algorithm, e.Value = algorithm, func() ([]byte, error) { return want, nil }
	}
	return e, nil
}

// trailing returns the checksum of a trailer, once the body was read.
func trailing(a checksum.Algorithm, body *sigv4.Body) func() ([]byte, error) {
	return func() ([]byte, error) {
		text, ok := body.Trailer(a.Header())
		if !ok {
			return nil, fault.New(sigv4.MalformedTrailer, "")
		}
		sum, err := a.Decode(text)
		if err != nil {
			return nil, fault.New(checksum.InvalidValue, "Value for %s trailing header is invalid.", a.Header())
		}
		return sum, nil
	}
}

// checksumText writes a stored checksum. That of an object in parts bears their
// number, which its ETag has, too; that of one part does not.
func checksumText(sum object.Checksum, etag string) string {
	if sum.Type == checksum.Composite {
		if _, count, ok := strings.Cut(etag, "-"); ok {
			if n, err := strconv.Atoi(count); err == nil {
				return sum.Algorithm.FormatComposite(sum.Value, n)
			}
		}
	}
	return sum.Algorithm.Encode(sum.Value)
}

// setChecksum sets the headers of a stored checksum, if there is one.
func setChecksum(h http.Header, sum object.Checksum, etag string) {
	if sum.Algorithm == "" || sum.Value == nil {
		return
	}
	setHeader(h, sum.Algorithm.Header(), checksumText(sum, etag))
	setHeader(h, checksumTypeHeader, string(sum.Type))
}

// checksumElements are a checksum in an XML document.
type checksumElements struct {
	CRC32     string `xml:"ChecksumCRC32,omitempty"`
	CRC32C    string `xml:"ChecksumCRC32C,omitempty"`
	CRC64NVME string `xml:"ChecksumCRC64NVME,omitempty"`
	SHA1      string `xml:"ChecksumSHA1,omitempty"`
	SHA256    string `xml:"ChecksumSHA256,omitempty"`
	SHA512    string `xml:"ChecksumSHA512,omitempty"`
	MD5       string `xml:"ChecksumMD5,omitempty"`
	XXHash64  string `xml:"ChecksumXXHASH64,omitempty"`
	XXHash3   string `xml:"ChecksumXXHASH3,omitempty"`
	XXHash128 string `xml:"ChecksumXXHASH128,omitempty"`
}

func (e *checksumElements) of(a checksum.Algorithm) *string {
	return map[checksum.Algorithm]*string{
		checksum.CRC32: &e.CRC32, checksum.CRC32C: &e.CRC32C, checksum.CRC64NVME: &e.CRC64NVME,
		checksum.SHA1: &e.SHA1, checksum.SHA256: &e.SHA256, checksum.SHA512: &e.SHA512, checksum.MD5: &e.MD5,
		checksum.XXHash64: &e.XXHash64, checksum.XXHash3: &e.XXHash3, checksum.XXHash128: &e.XXHash128,
	}[a]
}

// elementsOf returns the elements of a stored checksum.
func elementsOf(sum object.Checksum, etag string) (e checksumElements) {
	if sum.Algorithm != "" && sum.Value != nil {
		*e.of(sum.Algorithm) = checksumText(sum, etag)
	}
	return e
}
