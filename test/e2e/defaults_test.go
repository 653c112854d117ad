// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"
)

const xmlns = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`

// defaultXML is a default encryption: by is within ApplyServerSideEncryptionByDefault,
// rest are elements after it.
func defaultXML(by string, rest ...string) string {
	return ruleXML("<ApplyServerSideEncryptionByDefault>"+by+"</ApplyServerSideEncryptionByDefault>", rest...)
}

// ruleXML is a default encryption of one rule with these elements.
func ruleXML(first string, rest ...string) string {
	return "<ServerSideEncryptionConfiguration" + xmlns + "><Rule>" + first + strings.Join(rest, "") + "</Rule></ServerSideEncryptionConfiguration>"
}

const (
	flagOn, flagOff        = "<BucketKeyEnabled>true</BucketKeyEnabled>", "<BucketKeyEnabled>false</BucketKeyEnabled>"
	blockSSEC, blockNone   = "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>", "<BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType></BlockedEncryptionTypes>"
	sseS3, sseKMS, sseDSSE = "<SSEAlgorithm>AES256</SSEAlgorithm>", "<SSEAlgorithm>aws:kms</SSEAlgorithm>", "<SSEAlgorithm>aws:kms:dsse</SSEAlgorithm>"
)

// told is the document of a default encryption as it reads back.
func told(flag, by, blocked string) string {
	return flag + "<ApplyServerSideEncryptionByDefault>" + by + "</ApplyServerSideEncryptionByDefault>" + blocked
}

func (s *stage) putDefault(what, body string) {
	s.T.Helper()
	s.accepts(what, "PUT", "/plain?encryption", body, digested(body)...)
}

// readsDefault compares the elements of the rule with what the server tells.
func (s *stage) readsDefault(what, want string) {
	s.T.Helper()
	a := s.accepts(what, "GET", "/plain?encryption", "")
	want = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + ruleXML(want)
	if a.body != want {
		s.T.Errorf("%s: reads back as\n%s, want\n%s", what, a.body, want)
	}
}

func TestDefaultEncryption(t *testing.T) {
	s := newStage(t)
	s.Bucket("plain", "", "", false)
	s.each(t, shared{"none", defaultsThatAreNone}, shared{"taken", defaultsThatAreTaken})
}

func defaultsThatAreNone(t *testing.T, s *stage) {
	rule := "<Rule><ApplyServerSideEncryptionByDefault>" + sseS3 + "</ApplyServerSideEncryptionByDefault></Rule>"
	config := func(inner string) string {
		return "<ServerSideEncryptionConfiguration>" + inner + "</ServerSideEncryptionConfiguration>"
	}
	for what, body := range map[string]string{
		"no rule":                 config(""),
		"two rules":               config(rule + rule),
		"empty rule":              config("<Rule></Rule>"),
		"empty":                   "",
		"no XML":                  "<ServerSideEncryptionConfiguration><Rule>",
		"another root":            "<ObjectEncryption>" + rule + "</ObjectEncryption>",
		"unknown algorithm":       defaultXML("<SSEAlgorithm>rot13</SSEAlgorithm>"),
		"SSE-C":                   defaultXML("<SSEAlgorithm>SSE-C</SSEAlgorithm>"),
		"file systems":            defaultXML("<SSEAlgorithm>aws:fsx</SSEAlgorithm>"),
		"no algorithm":            defaultXML("<KMSMasterKeyID>" + s.k1 + "</KMSMasterKeyID>"),
		"two algorithms":          defaultXML(sseKMS + sseS3),
		"two keys":                defaultXML(sseKMS + "<KMSMasterKeyID>a</KMSMasterKeyID><KMSMasterKeyID>b</KMSMasterKeyID>"),
		"misspelt key":            defaultXML(sseKMS + "<KMSKeyID>" + s.k1 + "</KMSKeyID>"),
		"flag that is none":       defaultXML(sseKMS, "<BucketKeyEnabled>maybe</BucketKeyEnabled>"),
		"unknown blocked type":    ruleXML("<BlockedEncryptionTypes><EncryptionType>SSE-S3</EncryptionType></BlockedEncryptionTypes>"),
		"nothing and SSE-C":       ruleXML("<BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>"),
		"no blocked type":         ruleXML("<BlockedEncryptionTypes></BlockedEncryptionTypes>"),
		"element that is no part": ruleXML("<Colour>red</Colour>"),
	} {
		s.refuses(what, malformed, "PUT", "/plain?encryption", body, digested(body)...)
	}
	withKey := defaultXML(sseS3 + "<KMSMasterKeyID>" + s.k1 + "</KMSMasterKeyID>")
	s.refuses("key for SSE-S3", keyNotForThis, "PUT", "/plain?encryption", withKey, digested(withKey)...)
	s.refuses("wrong digest", badDigest, "PUT", "/plain?encryption", defaultXML(sseS3), digested("other")...)
	s.refuses("wrong checksum", badDigest, "PUT", "/plain?encryption", defaultXML(sseS3), "x-amz-checksum-crc32", "AAAAAA==")
	s.readsDefault("after all that", told(flagOff, sseS3, blockSSEC))
}

func defaultsThatAreTaken(t *testing.T, s *stage) {
	key := func(id string) string { return "<KMSMasterKeyID>" + id + "</KMSMasterKeyID>" }
	const other = "arn:aws:kms:eu-west-1:000000000009:key/11111111-2222-3333-4444-555555555555"
	for _, c := range []struct{ what, body, want string }{
		{"SSE-S3", defaultXML(sseS3), told(flagOff, sseS3, blockSSEC)},
		{"SSE-S3 with the flag", defaultXML(sseS3, flagOn), told(flagOn, sseS3, blockSSEC)},
		{"two layers with the flag", defaultXML(sseDSSE, flagOn), told(flagOn, sseDSSE, blockSSEC)},
		{"another Region's key", defaultXML(sseKMS + key(other)), told(flagOff, sseKMS+key(other), blockSSEC)},
		{"bare id", defaultXML(sseKMS + key("11111111-2222-3333-4444-555555555555")), told(flagOff, sseKMS+key("11111111-2222-3333-4444-555555555555"), blockSSEC)},
		{"alias", defaultXML(sseKMS + key("alias/none")), told(flagOff, sseKMS+key("alias/none"), blockSSEC)},
		{"empty key", defaultXML(sseKMS + key("")), told(flagOff, sseKMS, blockSSEC)},
		{"any order", ruleXML(flagOn, "<ApplyServerSideEncryptionByDefault>"+key(s.k1)+sseKMS+"</ApplyServerSideEncryptionByDefault>"), told(flagOn, sseKMS+key(s.k1), blockSSEC)},
		{"no namespace, white space", "<ServerSideEncryptionConfiguration>\n <Rule>\n <ApplyServerSideEncryptionByDefault> <SSEAlgorithm> aws:kms </SSEAlgorithm> </ApplyServerSideEncryptionByDefault> </Rule>\n</ServerSideEncryptionConfiguration>", told(flagOff, sseKMS, blockSSEC)},
	} {
		s.putDefault(c.what, c.body)
		s.readsDefault(c.what, c.want)
	}
	// What a configuration leaves out stays, but for the flag beside an algorithm.
	for _, c := range []struct{ what, body, want string }{
		{"everything", defaultXML(sseKMS+key(s.k1), flagOn, blockNone), told(flagOn, sseKMS+key(s.k1), blockNone)},
		{"flag alone", ruleXML(flagOff), told(flagOff, sseKMS+key(s.k1), blockNone)},
		{"flag again", ruleXML(flagOn), told(flagOn, sseKMS+key(s.k1), blockNone)},
		{"block alone", ruleXML(blockSSEC), told(flagOn, sseKMS+key(s.k1), blockSSEC)},
		{"algorithm alone", defaultXML(sseKMS + key(s.k2)), told(flagOff, sseKMS+key(s.k2), blockSSEC)},
		{"algorithm and block", defaultXML(sseKMS, blockNone), told(flagOff, sseKMS, blockNone)},
		{"algorithm alone keeps the block", defaultXML(sseS3), told(flagOff, sseS3, blockNone)},
	} {
		s.putDefault(c.what, c.body)
		s.readsDefault(c.what, c.want)
	}
	s.putDefault("before the end", defaultXML(sseKMS+key(s.k1), flagOn))
	for range 2 {
		if a := s.accepts("delete", "DELETE", "/plain?encryption", ""); a.status != 204 {
			t.Errorf("delete: %d", a.status)
		}
		s.readsDefault("deleted", told(flagOff, sseS3, blockNone))
	}
}
