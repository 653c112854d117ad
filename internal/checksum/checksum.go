// SPDX-License-Identifier: Apache-2.0

// Package checksum computes S3's flexible checksums: the x-amz-checksum-*
// values that clients send with an object's plaintext and get back with it.
//
// It knows the algorithms, how a value is written, which kinds of checksum a
// multipart upload may have, and how the checksums of parts make that of the
// object. It promises integrity against accidents only: none of these values
// authenticates anything here.
package checksum

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/minio/crc64nvme"
	"github.com/zeebo/xxh3"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/fips"
)

// Kinds of fault. Their messages are those of S3.
const (
	// Unsupported: no algorithm has this name.
	Unsupported fault.Kind = "checksum: unsupported algorithm"
	// InvalidValue: the value is not base64 of a digest of the algorithm.
	InvalidValue fault.Kind = "checksum: invalid value"
	// Mismatch: the value is not that of the data.
	Mismatch fault.Kind = "checksum: mismatch"
	// InvalidType: the checksum type is unknown, lacks its algorithm, or does
	// not go with it.
	InvalidType fault.Kind = "checksum: invalid type"
)

// Algorithm names a checksum algorithm as the API does, in capitals. The zero
// value is no algorithm; the methods panic for it, so values come from [Parse],
// [ParseHeader] or the constants.
type Algorithm string

// The algorithms.
const (
	CRC32     Algorithm = "CRC32"
	CRC32C    Algorithm = "CRC32C"
	CRC64NVME Algorithm = "CRC64NVME"
	SHA1      Algorithm = "SHA1"
	SHA256    Algorithm = "SHA256"
	SHA512    Algorithm = "SHA512"
	MD5       Algorithm = "MD5"
	XXHash64  Algorithm = "XXHASH64"
	XXHash3   Algorithm = "XXHASH3"
	XXHash128 Algorithm = "XXHASH128"
)

// Default is the algorithm of an object whose writer chose none.
const Default = CRC64NVME

// traits is everything that tells one algorithm from another.
type traits struct {
	name      Algorithm
	size      int
	new       func() hash.Hash
	composite bool   // a multipart object may have the checksum of its parts' checksums
	poly      uint64 // reversed polynomial of a CRC that combines; 0 otherwise
}

// algorithms is the table of them: another algorithm is another line. The order
// is that of S3's message about an unsupported one.
var algorithms = [...]traits{
	{CRC32, 4, func() hash.Hash { return crc32.NewIEEE() }, true, crc32.IEEE},
	{CRC32C, 4, func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }, true, crc32.Castagnoli},
	{CRC64NVME, 8, func() hash.Hash { return crc64nvme.New() }, false, crc64nvme.NVME},
	{SHA1, fips.SHA1Size, fips.NewSHA1, true, 0},
	{SHA256, sha256.Size, sha256.New, true, 0},
	{SHA512, sha512.Size, sha512.New, true, 0},
	{MD5, fips.MD5Size, fips.NewMD5, true, 0},
	{XXHash64, 8, func() hash.Hash { return xxhash.New() }, true, 0},
	{XXHash3, 8, func() hash.Hash { return xxh3.New() }, true, 0},
	{XXHash128, 16, func() hash.Hash { return xxHash128{xxh3.New()} }, true, 0},
}

// xxHash128 is the 128-bit form of XXH3, whose Sum gives the 64-bit one.
type xxHash128 struct{ *xxh3.Hasher }

func (h xxHash128) Size() int { return 16 }

func (h xxHash128) Sum(b []byte) []byte {
	sum := h.Sum128().Bytes()
	return append(b, sum[:]...)
}

func find(name Algorithm) *traits {
	for i := range algorithms {
		if algorithms[i].name == name {
			return &algorithms[i]
		}
	}
	return nil
}

func (a Algorithm) traits() *traits {
	t := find(a)
	if t == nil {
		panic("checksum: no algorithm " + string(a))
	}
	return t
}

// Algorithms returns all algorithms, in the order in which S3 lists them.
func Algorithms() []Algorithm {
	all := make([]Algorithm, len(algorithms))
	for i := range algorithms {
		all[i] = algorithms[i].name
	}
	return all
}

// Parse finds an algorithm by its name in any case.
func Parse(name string) (Algorithm, error) {
	for i := range algorithms {
		if strings.EqualFold(string(algorithms[i].name), name) {
			return algorithms[i].name, nil
		}
	}
	return "", unsupported()
}

func unsupported() error {
	var names []string
	for _, a := range Algorithms() {
		names = append(names, string(a))
	}
	return fault.New(Unsupported,
		"Checksum algorithm provided is unsupported. Please try again with any of the valid types: [%s]",
		strings.Join(names, ", "))
}

const headerPrefix = "x-amz-checksum-"

// ParseHeader finds the algorithm whose values the header carries; ok is false
// for any other header. Case does not matter.
func ParseHeader(header string) (a Algorithm, ok bool) {
	if len(header) <= len(headerPrefix) || !strings.EqualFold(header[:len(headerPrefix)], headerPrefix) {
		return "", false
	}
	a, err := Parse(header[len(headerPrefix):])
	return a, err == nil
}

// Header returns the name of the header for values, in lower case.
func (a Algorithm) Header() string { return headerPrefix + strings.ToLower(string(a)) }

// New returns a hasher. It is not safe for concurrent use.
func (a Algorithm) New() hash.Hash { return a.traits().new() }

// Size returns the length of a digest in bytes.
func (a Algorithm) Size() int { return a.traits().size }

// Encode writes a digest as clients see it.
func (a Algorithm) Encode(sum []byte) string { return base64.StdEncoding.EncodeToString(sum) }

// Decode reads a digest that a client sent. The fault's message names the
// algorithm's header.
func (a Algorithm) Decode(value string) ([]byte, error) {
	// A line break inside base64 is legal to Go's decoder, so the length is
	// checked before and after.
	size := a.Size()
	if len(value) == base64.StdEncoding.EncodedLen(size) {
		sum, err := base64.StdEncoding.Strict().DecodeString(value)
		if err == nil && len(sum) == size {
			return sum, nil
		}
	}
	return nil, fault.New(InvalidValue, "Value for %s header is invalid.", a.Header())
}

// Verify compares the digest that a client sent with the computed one.
func (a Algorithm) Verify(sent, computed []byte) error {
	if subtle.ConstantTimeCompare(sent, computed) == 1 {
		return nil
	}
	return fault.New(Mismatch, "The %s you specified did not match the calculated checksum.", a)
}
