// SPDX-License-Identifier: Apache-2.0

// Package aws holds what AWS's identifiers look like: ARNs, account and key
// ids, bucket names, request ids. It decides nothing.
package aws

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/google/uuid"
)

// BucketARN returns arn:aws:s3:::BUCKET.
func BucketARN(bucket string) string { return "arn:aws:s3:::" + bucket }

// ObjectARN returns arn:aws:s3:::BUCKET/KEY.
func ObjectARN(bucket, key string) string { return "arn:aws:s3:::" + bucket + "/" + key }

// KeyARN returns the ARN of a KMS key.
func KeyARN(region, account, id string) string {
	return "arn:aws:kms:" + region + ":" + account + ":key/" + id
}

// AliasARN returns the ARN of a KMS alias, whose name begins with "alias/".
func AliasARN(region, account, name string) string {
	return "arn:aws:kms:" + region + ":" + account + ":" + name
}

// RootARN returns the ARN of an account's root.
func RootARN(account string) string { return "arn:aws:iam::" + account + ":root" }

// ARN is the parts of arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE.
type ARN struct{ Partition, Service, Region, Account, Resource string }

// ParseARN splits an ARN. ok is false when it has not six parts or does not
// begin with "arn:".
func ParseARN(s string) (a ARN, ok bool) {
	rest, ok := strings.CutPrefix(s, "arn:")
	for _, part := range []*string{&a.Partition, &a.Service, &a.Region, &a.Account} {
		found := false
		*part, rest, found = strings.Cut(rest, ":")
		ok = ok && found
	}
	if !ok {
		return ARN{}, false
	}
	a.Resource = rest
	return a, true
}

// ValidAccount reports whether s is twelve digits.
func ValidAccount(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	ipAddress  = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$`)
)

// ValidBucketName reports whether s may be the name of a general purpose bucket
// (S3 User Guide, "Bucket naming rules").
func ValidBucketName(s string) bool {
	if !bucketName.MatchString(s) || ipAddress.MatchString(s) || strings.Contains(s, "..") {
		return false
	}
	for _, p := range []string{"xn--", "sthree-", "amzn-s3-demo-"} {
		if strings.HasPrefix(s, p) {
			return false
		}
	}
	for _, p := range []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"} {
		if strings.HasSuffix(s, p) {
			return false
		}
	}
	return true
}

// multiRegion is what the ids of multi-Region KMS keys begin with.
const multiRegion = "mrk-"

// KeyID returns the id of a KMS key: the UUID in lower case with dashes, or for a
// multi-Region key "mrk-" and its 32 digits.
func KeyID(id uuid.UUID, isMultiRegion bool) string {
	if isMultiRegion {
		return multiRegion + hex.EncodeToString(id[:])
	}
	return id.String()
}

// ParseKeyID returns the UUID of a KMS key id that has one of the forms of KeyID. ok
// is false for anything else.
func ParseKeyID(s string) (id uuid.UUID, isMultiRegion, ok bool) {
	digits, isMultiRegion := strings.CutPrefix(s, multiRegion)
	length := 36
	if isMultiRegion {
		length = 32
	}
	if len(digits) != length || strings.ToLower(digits) != digits { // uuid takes more forms
		return uuid.UUID{}, isMultiRegion, false
	}
	id, err := uuid.Parse(digits)
	return id, isMultiRegion, err == nil
}

const requestAlphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

// NewRequestID returns an S3 request id: 16 upper-case letters and digits.
func NewRequestID() string {
	var b [requestBytes]byte
	rand.Read(b[:])
	return requestID(b)
}

// NewHostID returns an S3 extended request id (x-amz-id-2).
func NewHostID() string {
	var b [hostBytes]byte
	rand.Read(b[:])
	return hostID(b)
}

// NewIDs returns a request id and a host id, of one draw of random bytes.
func NewIDs() (request, host string) {
	var b [requestBytes + hostBytes]byte
	rand.Read(b[:])
	return requestID([requestBytes]byte(b[:requestBytes])), hostID([hostBytes]byte(b[requestBytes:]))
}

// Random bytes in an id.
const (
	requestBytes = 16
	hostBytes    = 48
)

func requestID(b [requestBytes]byte) string {
	for i := range b {
		b[i] = requestAlphabet[b[i]%byte(len(requestAlphabet))]
	}
	return string(b[:])
}

func hostID(b [hostBytes]byte) string {
	var text [hostBytes / 3 * 4]byte
	base64.StdEncoding.Encode(text[:], b[:])
	return string(text[:])
}
