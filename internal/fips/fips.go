// SPDX-License-Identifier: Apache-2.0

// Package fips holds every use of MD5 and SHA-1. Neither protects anything
// here: S3's ETag, Content-MD5 and x-amz-checksum-sha1 are defined by them.
//
// In GODEBUG=fips140=only mode these algorithms panic or fail; the hashers of
// this package run outside that enforcement, as non-security use. No other
// package may import crypto/md5 or crypto/sha1; a test holds that.
package fips

import (
	"crypto/fips140"
	"crypto/md5"
	"crypto/sha1"
	"hash"
)

// MD5Size and SHA1Size are the digest lengths in bytes.
const (
	MD5Size  = md5.Size
	SHA1Size = sha1.Size
)

// NewMD5 returns an MD5 hasher. It is not safe for concurrent use.
func NewMD5() hash.Hash { return exempt(md5.New) }

// NewSHA1 returns a SHA-1 hasher. It is not safe for concurrent use.
func NewSHA1() hash.Hash { return exempt(sha1.New) }

// MD5 returns the MD5 digest of b.
func MD5(b []byte) (sum [MD5Size]byte) {
	fips140.WithoutEnforcement(func() { sum = md5.Sum(b) })
	return sum
}

// hasher enters WithoutEnforcement on every Write and Sum: wrapping only the
// constructor is not enough.
type hasher struct{ h hash.Hash }

func exempt(newHash func() hash.Hash) hash.Hash {
	var h hash.Hash
	fips140.WithoutEnforcement(func() { h = newHash() })
	return &hasher{h}
}

func (x *hasher) Write(p []byte) (n int, err error) {
	fips140.WithoutEnforcement(func() { n, err = x.h.Write(p) })
	return n, err
}

func (x *hasher) Sum(b []byte) (sum []byte) {
	fips140.WithoutEnforcement(func() { sum = x.h.Sum(b) })
	return sum
}

func (x *hasher) Reset()         { x.h.Reset() }
func (x *hasher) Size() int      { return x.h.Size() }
func (x *hasher) BlockSize() int { return x.h.BlockSize() }

// State describes the cryptographic module for the log and `coffer version`.
func State() (version string, enabled, enforced bool) {
	return fips140.Version(), fips140.Enabled(), fips140.Enforced()
}
