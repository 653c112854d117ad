// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"maps"
	"slices"
	"testing"
)

const keyARN = "arn:aws:kms:us-east-1:000000000001:key/1234abcd-12ab-34cd-56ef-1234567890ab"

func encryptionDoc(inner string) string {
	return xmlHeader + `<ServerSideEncryptionConfiguration xmlns="` + namespace + `">` + inner + `</ServerSideEncryptionConfiguration>`
}

// fresh is the configuration of a bucket of which nothing was ever put.
const fresh = `<ServerSideEncryptionConfiguration><Rule><BucketKeyEnabled>false</BucketKeyEnabled>` +
	`<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>` +
	`<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes></Rule></ServerSideEncryptionConfiguration>`

func TestBucketEncryption(t *testing.T) {
	s := newStation(t, "us-east-1")
	s.do("PUT", "/photos", "").want(200)
	get := func() *answer { return s.do("GET", "/photos?encryption", "") }
	put := func(rule string) {
		t.Helper()
		if got := s.do("PUT", "/photos?encryption", encryptionDoc(rule)).want(200); got.body != "" {
			t.Errorf("body %q", got.body)
		}
	}
	configuration := func(bucketKey, byDefault, blocked string) string {
		if blocked != "" {
			blocked = `<BlockedEncryptionTypes><EncryptionType>` + blocked + `</EncryptionType></BlockedEncryptionTypes>`
		}
		return `<ServerSideEncryptionConfiguration><Rule><BucketKeyEnabled>` + bucketKey + `</BucketKeyEnabled>` +
			`<ApplyServerSideEncryptionByDefault>` + byDefault + `</ApplyServerSideEncryptionByDefault>` + blocked + `</Rule></ServerSideEncryptionConfiguration>`
	}
	kms := `<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>` + keyARN + `</KMSMasterKeyID>`

	get().wantDocument(200, fresh).wantHeader("Content-Type", "application/xml")

	// As sent by the samples: another order of children, white space, no bucket key.
	put("<Rule>\n  <ApplyServerSideEncryptionByDefault>\n <KMSMasterKeyID>\n" + keyARN + "\n</KMSMasterKeyID><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>")
	get().wantDocument(200, configuration("false", kms, "SSE-C"))

	put(`<Rule><ApplyServerSideEncryptionByDefault>` + kms + `</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule>`)
	get().wantDocument(200, configuration("true", kms, "SSE-C"))

	// Only the block list: default and bucket key stay.
	put(`<Rule><BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType></BlockedEncryptionTypes></Rule>`)
	get().wantDocument(200, configuration("true", kms, "NONE"))

	// Only the bucket key: the rest stays.
	put(`<Rule><BucketKeyEnabled>false</BucketKeyEnabled></Rule>`)
	get().wantDocument(200, configuration("false", kms, "NONE"))

	// What was given as a name comes back as that name; an empty key is none.
	put(`<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>alias/photos</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></Rule>`)
	get().wantDocument(200, configuration("false", `<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>alias/photos</KMSMasterKeyID>`, "NONE"))
	put(`<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID/></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule>`)
	get().wantDocument(200, configuration("true", `<SSEAlgorithm>aws:kms</SSEAlgorithm>`, "NONE"))

	// A bucket key where it has no effect.
	for _, algorithm := range []string{"AES256", "aws:kms:dsse"} {
		byDefault := `<SSEAlgorithm>` + algorithm + `</SSEAlgorithm>`
		put(`<Rule><ApplyServerSideEncryptionByDefault>` + byDefault + `</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled><BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes></Rule>`)
		get().wantDocument(200, configuration("true", byDefault, "SSE-C"))
	}

	for range 2 {
		if got := s.do("DELETE", "/photos?encryption", "").want(204); got.body != "" {
			t.Errorf("body %q", got.body)
		}
		get().wantDocument(200, fresh)
	}
}

func TestBadBucketEncryption(t *testing.T) {
	s := newStation(t, "us-east-1")
	s.do("PUT", "/photos", "").want(200)
	byDefault := func(inner string) string {
		return encryptionDoc(`<Rule><ApplyServerSideEncryptionByDefault>` + inner + `</ApplyServerSideEncryptionByDefault></Rule>`)
	}
	aes := `<SSEAlgorithm>AES256</SSEAlgorithm>`
	rule := `<Rule><ApplyServerSideEncryptionByDefault>` + aes + `</ApplyServerSideEncryptionByDefault></Rule>`
	malformed := map[string]string{
		"no document":                   "",
		"no XML":                        "{}",
		"cut short":                     encryptionDoc(rule)[:150],
		"other root":                    `<Encryption>` + rule + `</Encryption>`,
		"no rule":                       encryptionDoc(""),
		"two rules":                     encryptionDoc(rule + rule),
		"empty rule":                    encryptionDoc("<Rule/>"),
		"unknown algorithm":             byDefault(`<SSEAlgorithm>rot13</SSEAlgorithm>`),
		"wrong case":                    byDefault(`<SSEAlgorithm>aes256</SSEAlgorithm>`),
		"SSE-C":                         byDefault(`<SSEAlgorithm>SSE-C</SSEAlgorithm>`),
		"aws:fsx":                       byDefault(`<SSEAlgorithm>aws:fsx</SSEAlgorithm>`),
		"no algorithm":                  byDefault(`<KMSMasterKeyID>` + keyARN + `</KMSMasterKeyID>`),
		"two algorithms":                byDefault(aes + `<SSEAlgorithm>aws:kms</SSEAlgorithm>`),
		"KMSKeyID":                      byDefault(`<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSKeyID>` + keyARN + `</KMSKeyID>`),
		"bucket key not a boolean":      encryptionDoc(`<Rule><BucketKeyEnabled>yes</BucketKeyEnabled></Rule>`),
		"bucket key empty":              encryptionDoc(`<Rule><BucketKeyEnabled/></Rule>`),
		"bucket key in the wrong place": byDefault(aes + `<BucketKeyEnabled>true</BucketKeyEnabled>`),
		"nothing blocked":               encryptionDoc(`<Rule><BlockedEncryptionTypes/></Rule>`),
		"unknown type blocked":          encryptionDoc(`<Rule><BlockedEncryptionTypes><EncryptionType>SSE-KMS</EncryptionType></BlockedEncryptionTypes></Rule>`),
		"all and none blocked":          encryptionDoc(`<Rule><BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes></Rule>`),
		"document type":                 `<!DOCTYPE a>` + encryptionDoc(rule)[len(xmlHeader):],
	}
	for _, name := range slices.Sorted(maps.Keys(malformed)) {
		t.Run(name, func(t *testing.T) {
			doc := malformed[name]
			s.t = t
			s.do("PUT", "/photos?encryption", doc, "Content-MD5: "+md5Text(doc)).wantCode(400, "MalformedXML",
				"<Message>The XML you provided was not well-formed or did not validate against our published schema</Message>")
			// The bucket is looked for first.
			s.do("PUT", "/nowhere?encryption", doc, "Content-MD5: "+md5Text(doc)).wantCode(404, "NoSuchBucket")
		})
	}
	s.t = t
	s.do("PUT", "/photos?encryption", byDefault(aes+`<KMSMasterKeyID>`+keyARN+`</KMSMasterKeyID>`)).
		wantCode(400, "InvalidArgument", "<ArgumentName>ApplyServerSideEncryptionByDefault</ArgumentName>", "a KMSMasterKeyID is not applicable")
	s.do("PUT", "/photos?encryption", encryptionDoc(rule), "Content-MD5: "+md5Text("other")).wantCode(400, "BadDigest")
	s.do("GET", "/photos?encryption", "").wantDocument(200, fresh)
	for _, method := range []string{"GET", "DELETE"} {
		s.do(method, "/nowhere?encryption", "").wantCode(404, "NoSuchBucket", "<BucketName>nowhere</BucketName>")
	}
}

func TestEncryptionAudit(t *testing.T) {
	s := newStation(t, "us-east-1")
	s.do("PUT", "/photos", "").want(200)
	s.do("PUT", "/photos?encryption", encryptionDoc(`<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>`+keyARN+
		`</KMSMasterKeyID></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule>`)).want(200)
	p := s.trail.last(t, "PutBucketEncryption").RequestParameters
	config, _ := p["ServerSideEncryptionConfiguration"].(map[string]any)
	rule, _ := config["Rule"].(map[string]any)
	byDefault, _ := rule["ApplyServerSideEncryptionByDefault"].(map[string]any)
	if byDefault["KMSMasterKeyID"] != keyARN || byDefault["SSEAlgorithm"] != "aws:kms" || rule["BucketKeyEnabled"] != true || p["encryption"] != "" {
		t.Errorf("requestParameters %v", p)
	}
}
