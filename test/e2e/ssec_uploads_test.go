// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// uploadsUnderCustomersKeys: a key is bound to an upload when it begins; each part
// must bring it, completing and listing need it if there are checksums.
func uploadsUnderCustomersKeys(t *testing.T, s *stage) {
	a, b := trioOf(keyA), trioOf(keyB)
	secret := s.begin("plain", "secret", a...)
	checked := s.begin("plain", "checked", with(a, "x-amz-checksum-algorithm", "CRC32")...)
	open := s.begin("plain", "open")
	underKMS := s.begin("vault", "kms-upload")
	source := []string{"x-amz-copy-source", "plain/src"}
	for op, headers := range map[string][]string{"UploadPart": nil, "UploadPartCopy": source} {
		s.refuses(op+" without", uploadNeedsKey, "PUT", secret+"&partNumber=1", "", headers...)
		s.refuses(op+" with another", uploadOtherKey, "PUT", secret+"&partNumber=1", "", with(headers, b...)...)
		s.refuses(op+" of an upload without", uploadNeedsKey, "PUT", open+"&partNumber=1", "", with(headers, a...)...)
		s.refuses(op+" of an upload under SSE-KMS", uploadNeedsKey, "PUT", underKMS+"&partNumber=1", "", with(headers, a...)...)
	}
	s.accepts("source", "PUT", "/plain/other", "other", b...)
	other := []string{"x-amz-copy-source", "plain/other"}
	for what, c := range map[string]struct {
		headers []string
		want    rejection
	}{
		"of the source missing":          {with(a, other...), customerNeeded},
		"of the part for the source":     {with(with(a, other...), sourceTrioOf(keyA)...), customerWrong},
		"of a source that has no such":   {with(with(a, source...), sourceTrioOf(keyB)...), customerNotHere},
		"of the source instead of its":   {with(other, sourceTrioOf(keyB)...), uploadNeedsKey},
		"of the source for the part too": {with(with(b, other...), sourceTrioOf(keyB)...), uploadOtherKey},
	} {
		s.refuses("UploadPartCopy, key "+what, c.want, "PUT", secret+"&partNumber=1", "", c.headers...)
	}
	s.accepts("UploadPartCopy", "PUT", secret+"&partNumber=7", "", with(with(a, other...), sourceTrioOf(keyB)...)...)
	part := func(upload string, headers ...string) string {
		got := s.accepts("UploadPart", "PUT", upload+"&partNumber=1", "part", headers...)
		if told := fmt.Sprint(encryptionOf(got.header)); told != customerOf(keyA).told() || got.header.Get("ETag") == etagOf("part") {
			t.Errorf("UploadPart: %v, ETag %s", told, got.header.Get("ETag"))
		}
		return "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + got.header.Get("ETag") + "</ETag>" +
			"<ChecksumCRC32>" + got.header.Get("X-Amz-Checksum-Crc32") + "</ChecksumCRC32></Part></CompleteMultipartUpload>"
	}
	done := part(secret, a...)
	s.accepts("ListParts without", "GET", secret, "")
	s.accepts("ListParts", "GET", secret, "", a...)
	s.refuses("ListParts with another", uploadOtherKey, "GET", secret, "", b...)
	s.refuses("Complete with another", uploadOtherKey, "POST", secret, done, b...)
	whole := s.accepts("Complete without", "POST", secret, done)
	if got := encryptionOf(whole.header); len(got) > 0 {
		t.Errorf("CompleteMultipartUpload: %v", got)
	}
	// A checksum that nobody asked for is not made up for these.
	head := s.accepts("HEAD", "HEAD", "/plain/secret", "", with(a, "x-amz-checksum-mode", "ENABLED")...)
	for name := range head.header {
		if strings.HasPrefix(name, "X-Amz-Checksum-") {
			t.Errorf("%s: %v", name, head.header[name])
		}
	}
	done = part(checked, with(a, "x-amz-checksum-algorithm", "CRC32")...)
	s.refuses("ListParts without, with checksums", invalidRequest("must include the appropriate encryption parameters"), "GET", checked, "")
	s.refuses("ListParts with another, with checksums", uploadOtherKey, "GET", checked, "", b...)
	s.accepts("ListParts, with checksums", "GET", checked, "", a...)
	s.refuses("Complete without, with checksums", invalidRequest("must include the appropriate encryption parameters"), "POST", checked, done)
	s.refuses("Complete with another, with checksums", uploadOtherKey, "POST", checked, done, b...)
	s.accepts("Complete, with checksums", "POST", checked, done, a...)
	for _, key := range []string{"secret", "checked"} {
		if got, _ := s.Get("plain", key, customerOf(keyA).get); got != "part" {
			t.Errorf("%s reads %q", key, got)
		}
	}
	// A part of the object is read like the whole.
	first := s.accepts("part", "GET", "/plain/secret?partNumber=1", "", a...)
	if first.status != 206 || fmt.Sprint(encryptionOf(first.header)) != customerOf(keyA).told() {
		t.Errorf("part: %d %v", first.status, encryptionOf(first.header))
	}
}
