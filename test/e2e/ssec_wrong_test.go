// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// wrongTrio are headers of a customer's key that are none: what they get where
// something is written, and where something is read.
type wrongTrio struct {
	what        string
	trio        []*string // algorithm, key, MD5; nil for absent
	write, read rejection
}

// headers are those that are there, under a prefix.
func (w wrongTrio) headers(prefix string) (h []string) {
	for i, name := range []string{"algorithm", "key", "key-MD5"} {
		if w.trio[i] != nil {
			h = append(h, prefix+name, *w.trio[i])
		}
	}
	return h
}

// wrongTrios have mistakes in the order in which they are looked for: what has two
// gets the answer to the first.
func wrongTrios() []wrongTrio {
	good, other := customerOf(keyA), customerOf(keyB)
	long := customerOf([]byte(*good.key)) // encoded twice, as some clients do
	short, empty := customerOf(keyA[:16]), customerOf(nil)
	is := aws.String
	return []wrongTrio{
		{"key and MD5 alone", []*string{nil, good.key, good.md5}, customerNoAlg, customerNoAlg},
		{"key alone", []*string{nil, good.key, nil}, customerNoAlg, customerNoAlg},
		{"MD5 alone", []*string{nil, nil, good.md5}, customerNoAlg, customerNoAlg},
		{"unknown algorithm", []*string{is("rot26"), good.key, good.md5}, customerAlgorithm.of("rot26"), customerAlgorithm.of("rot26")},
		{"algorithm in the wrong case", []*string{is("aes256"), good.key, good.md5}, customerAlgorithm.of("aes256"), customerAlgorithm.of("aes256")},
		{"empty algorithm", []*string{is(""), good.key, good.md5}, customerAlgorithm.of(""), customerAlgorithm.of("")},
		{"algorithm of KMS", []*string{is("aws:kms"), nil, nil}, customerAlgorithm.of("aws:kms"), customerAlgorithm.of("aws:kms")},
		{"no key", []*string{good.algorithm, nil, good.md5}, customerNoKey, customerNoKey},
		{"algorithm alone", []*string{good.algorithm, nil, nil}, customerNoKey, customerNoKey},
		{"no MD5", []*string{good.algorithm, good.key, nil}, customerNoMD5, customerNoMD5},
		{"no MD5 of a key that is too long", []*string{good.algorithm, long.key, nil}, customerNoMD5, customerNoMD5},
		{"other MD5", []*string{good.algorithm, good.key, other.md5}, customerMD5, customerMD5},
		{"MD5 that is none", []*string{good.algorithm, good.key, is("%")}, customerMD5, customerMD5},
		{"MD5 of another key, that is too long", []*string{good.algorithm, long.key, good.md5}, customerMD5, customerMD5},
		{"too long", []*string{good.algorithm, long.key, long.md5}, customerLength, customerWrong},
		{"too short", []*string{good.algorithm, short.key, short.md5}, customerLength, customerWrong},
		{"empty", []*string{good.algorithm, empty.key, empty.md5}, customerLength, customerWrong},
		{"key that is not base64", []*string{good.algorithm, is("%"), good.md5}, customerLength, customerLength},
	}
}

// wrongCustomersKeys asserts the order in which the three headers are checked, where
// something is written, where something is read, and of a copy's source.
func wrongCustomersKeys(t *testing.T, s *stage) {
	s.accepts("put", "PUT", "/plain/secret", "secret", trioOf(keyA)...)
	part := s.begin("plain", "upload", trioOf(keyA)...) + "&partNumber=1"
	source := func(of string) []string { return []string{"x-amz-copy-source", of} }
	for _, c := range wrongTrios() {
		own := c.headers(customerHeader)
		for op, create := range creating {
			create(s, own...).isRejected(op+", "+c.what, false, c.write)
		}
		s.refuses("UploadPart, "+c.what, c.write, "PUT", part, "", own...)
		s.refuses("UploadPartCopy, "+c.what, c.write, "PUT", part, "", with(source("plain/src"), own...)...)
		for _, method := range []string{"GET", "HEAD"} {
			s.refuses(method+", "+c.what, c.read, method, "/plain/secret", "", own...)
		}
		s.refuses("GetObjectAttributes, "+c.what, c.read, "GET", "/plain/secret?attributes", "", with(own, "x-amz-object-attributes", "ETag")...)
		of := with(source("plain/secret"), c.headers(sourceHeader)...)
		s.refuses("copy source, "+c.what, c.read, "PUT", "/plain/copy", "", of...)
		s.refuses("source of a part, "+c.what, c.read, "PUT", part, "", with(of, trioOf(keyA)...)...)
	}
}
