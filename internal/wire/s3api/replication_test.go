// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
)

func replicationOf(rules ...string) string {
	return `<ReplicationConfiguration><Role>arn:aws:iam::` + testAccount + `:role/repl</Role>` + strings.Join(rules, "") + `</ReplicationConfiguration>`
}

// rule2 is a rule of the second version; what replaces parts of it, old and new.
func rule2(replace ...string) string {
	r := `<Rule><ID>a</ID><Priority>1</Priority><Filter></Filter><Status>Enabled</Status><Destination><Bucket>arn:aws:s3:::copies</Bucket></Destination><DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication></Rule>`
	return strings.NewReplacer(replace...).Replace(r)
}

func TestReplication(t *testing.T) {
	s := photos(t)
	s.do("GET", "/photos?replication", "").wantCode(404, "ReplicationConfigurationNotFoundError", "The replication configuration was not found", "<BucketName>photos</BucketName>")
	s.do("DELETE", "/photos?replication", "").want(204)
	s.do("DELETE", "/photos?replication", "").want(204)
	for _, method := range []string{"GET", "DELETE"} {
		s.do(method, "/missing?replication", "").wantCode(404, "NoSuchBucket")
	}
	put := func(document string) *answer { return s.do("PUT", "/photos?replication", document) }
	put(replicationOf(rule2())).wantCode(400, "InvalidRequest", "Versioning must be 'Enabled' on the bucket to apply a replication configuration")
	versioned := `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`
	s.do("PUT", "/photos?versioning", versioned).want(200)
	put(replicationOf(rule2())).wantCode(400, "InvalidRequest", "Destination bucket must exist.")
	s.do("PUT", "/copies", "").want(200)
	put(replicationOf(rule2())).wantCode(400, "InvalidRequest", "Destination bucket must have versioning enabled.")
	s.do("PUT", "/copies?versioning", versioned).want(200)
	s.do("PUT", "/photos?replication", replicationOf(rule2()), "no digest").wantCode(400, "InvalidRequest", "Missing required header")

	const to, end = `<Bucket>arn:aws:s3:::copies</Bucket>`, `</Destination>`
	rtc := func(status, minutes string) string {
		return `<ReplicationTime><Status>` + status + `</Status><Time><Minutes>` + minutes + `</Minutes></Time></ReplicationTime>`
	}
	metrics := func(status, threshold string) string {
		if threshold != "" {
			threshold = `<EventThreshold><Minutes>` + threshold + `</Minutes></EventThreshold>`
		}
		return `<Metrics><Status>` + status + `</Status>` + threshold + `</Metrics>`
	}
	criteria := func(inner string) string {
		return `<SourceSelectionCriteria>` + inner + `</SourceSelectionCriteria><Destination>`
	}
	const kms = `<SseKmsEncryptedObjects><Status>Enabled</Status></SseKmsEncryptedObjects>`
	key := func(arn string) string {
		return `<EncryptionConfiguration><ReplicaKmsKeyID>` + arn + `</ReplicaKmsKeyID></EncryptionConfiguration>` + end
	}
	keyARN := key("arn:aws:kms:us-east-1:" + testAccount + ":key/k")
	tag := `<Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter>`
	const first = `<Rule><Prefix></Prefix><Status>Enabled</Status><Destination><Bucket>arn:aws:s3:::copies</Bucket></Destination></Rule>`

	for name, document := range map[string]string{
		"second version":    replicationOf(rule2()),
		"two rules":         replicationOf(rule2(), rule2(">a<", ">b<", ">1<", ">2<")),
		"first version":     replicationOf(first),
		"by prefix":         replicationOf(rule2("<Filter></Filter>", "<Filter><Prefix>a/</Prefix></Filter>")),
		"by tag":            replicationOf(rule2("<Filter></Filter>", tag)),
		"time control":      replicationOf(rule2(end, rtc("Enabled", "15")+metrics("Enabled", "15")+end)),
		"metrics alone":     replicationOf(rule2(end, metrics("Enabled", "")+end)),
		"SSE-KMS":           replicationOf(rule2("<Destination>", criteria(kms), end, keyARN)),
		"owner":             replicationOf(rule2(end, `<Account>`+otherAccount+`</Account><AccessControlTranslation><Owner>Destination</Owner></AccessControlTranslation>`+end)),
		"storage class":     replicationOf(rule2(end, `<StorageClass>STANDARD_IA</StorageClass>`+end)),
		"changes come back": replicationOf(rule2("<Destination>", criteria(`<ReplicaModifications><Status>Enabled</Status></ReplicaModifications>`))),
	} {
		t.Run(name, func(t *testing.T) {
			put(document).want(200)
			// What is read is what was put, with an id for each rule.
			want := strings.NewReplacer("<Filter></Filter>", "<Filter/>", "<Rule><Prefix>", "<Rule><ID>generated</ID><Prefix>").Replace(document)
			got := s.do("GET", "/photos?replication", "").want(200)
			got.body = generated.ReplaceAllString(got.body, "<ID>generated</ID>")
			got.wantDocument(200, want)
			s.do("PUT", "/photos?versioning", strings.Replace(versioned, "Enabled", "Suspended", 1)).
				wantCode(409, "InvalidBucketState", "A replication configuration is present on this bucket, so you cannot change the versioning state. To change the versioning state, first delete the replication configuration.")
			s.do("PUT", "/photos?versioning", versioned).want(200)
		})
	}
	before := s.do("GET", "/photos?replication", "").want(200).body

	const malformed, request, argument = "MalformedXML", "InvalidRequest", "InvalidArgument"
	for _, c := range []struct{ document, code, text string }{
		{"<Other/>", malformed, ""},
		{replicationOf(), malformed, ""},
		{replicationOf(`<Other/>`), malformed, ""},
		{replicationOf(rule2("<Status>Enabled</Status>", "")), malformed, ""},
		{replicationOf(rule2("Enabled", "On")), malformed, ""},
		{replicationOf(rule2(to, "")), malformed, ""},
		{replicationOf(rule2(end, `<StorageClass>SNOW</StorageClass>`+end)), malformed, ""},
		{replicationOf(rule2(end, `<StorageClass>FAST</StorageClass>`+end)), malformed, ""},
		{replicationOf(rule2("<Destination>", `<ExistingObjectReplication><Status>Enabled</Status></ExistingObjectReplication><Destination>`)), malformed, ""},
		{replicationOf(rule2("<Filter>", "<Prefix>a</Prefix><Filter>")), malformed, ""},
		{replicationOf(rule2("<Filter></Filter>", "<Filter><And><Prefix>a</Prefix></And></Filter>")), malformed, ""},
		{replicationOf(rule2("<Priority>1</Priority>", "")), request, "Priority must be specified for this version"},
		{replicationOf(rule2("<DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication>", "")), request, "DeleteMarkerReplication must be specified"},
		{replicationOf(strings.Replace(first, "<Status>", "<Priority>1</Priority><Status>", 1)), request, "Priority cannot be used for this version"},
		{replicationOf(rule2(), rule2(">a<", ">b<")), request, "Found duplicate priority 1."},
		{replicationOf(rule2(">1<", ">-1<")), request, "Priority must be between 0 and 2147483647."},
		{replicationOf(rule2("<Filter></Filter>", tag, "Disabled", "Enabled")), request, "Delete marker replication is not supported if any Tag filter is specified."},
		{replicationOf(rule2("<Filter></Filter>", `<Filter><And><Tag><Key>a</Key><Value>b</Value></Tag><Tag><Key>a</Key><Value>c</Value></Tag></And></Filter>`)), request, "Duplicate Tag Keys are not allowed."},
		{replicationOf(rule2("<Destination>", criteria(""))), request, "SourceSelectionCriteria cannot be empty."},
		{replicationOf(rule2(end, keyARN)), request, "SseKmsEncryptedObjects must be specified if EncryptionConfiguration is present."},
		{replicationOf(rule2(end, `<EncryptionConfiguration/>`+end)), request, "SseKmsEncryptedObjects must be specified if EncryptionConfiguration is present."},
		{replicationOf(rule2("<Destination>", criteria(kms), end, `<EncryptionConfiguration/>`+end)), request, "ReplicaKmsKeyID must be specified if SseKmsEncryptedObjects tag is present."},
		{replicationOf(rule2("<Destination>", criteria(kms))), request, "ReplicaKmsKeyID must be specified if SseKmsEncryptedObjects tag is present."},
		{replicationOf(rule2("<Destination>", criteria(kms), end, key("k"))), argument, "Invalid ReplicaKmsKeyID ARN."},
		{replicationOf(rule2(end, `<AccessControlTranslation><Owner>Destination</Owner></AccessControlTranslation>`+end)), request, "Account must be specified"},
		{replicationOf(rule2(end, rtc("Enabled", "15")+end)), request, "must contain both ReplicationTime and Metrics or neither"},
		{replicationOf(rule2(end, rtc("Enabled", "15")+metrics("Disabled", "")+end)), request, "the same status"},
		{replicationOf(rule2(end, rtc("Enabled", "16")+metrics("Enabled", "15")+end)), argument, "Invalid time minute value"},
		{replicationOf(rule2(end, rtc("Enabled", "15")+metrics("Enabled", "")+end)), argument, "ReplicationMetrics must contain an event threshold"},
		{replicationOf(rule2(end, rtc("Enabled", "15")+metrics("Enabled", "14")+end)), argument, "Invalid event threshold minute value"},
		{replicationOf(rule2(end, metrics("Enabled", "15")+end)), argument, "Metrics cannot contain an event threshold when ReplicationTime is not specified or Disabled"},
		{replicationOf(rule2(">a<", ">"+strings.Repeat("a", 256)+"<")), argument, "Rule Id cannot be greater than 255"},
		{replicationOf(rule2(), rule2(">1<", ">2<")), argument, "Rule Id must be unique"},
		{replicationOf(rule2("arn:aws:s3:::copies", "copies")), argument, "Invalid bucket ARN"},
		{replicationOf(rule2("arn:aws:s3:::copies", "arn:aws:s3:us-east-1::copies")), argument, "Invalid bucket ARN"},
		{replicationOf(rule2("arn:aws:s3:::copies", "arn:aws-cn:s3:::copies")), argument, "Invalid bucket ARN"},
		{replicationOf(rule2("arn:aws:s3:::copies", "arn:aws:s3:::C")), argument, "The specified bucket is not valid."},
		{replicationOf(rule2("copies", "photos")), request, "Destination bucket cannot be the same as the source bucket."},
		{strings.Replace(replicationOf(rule2()), "arn:aws:iam::"+testAccount+":role/repl", "me", 1), argument, "Invalid Role specified in replication configuration"},
		{strings.Replace(replicationOf(rule2()), ":role/", ":user/", 1), argument, "The relative id should start with role"},
	} {
		put(c.document).wantCode(400, c.code, c.text)
	}
	put(strings.Replace(replicationOf(rule2()), testAccount, otherAccount, 1)).wantCode(403, "AccessDenied")
	var many []string
	for i := range 1001 {
		many = append(many, rule2(">a<", ">"+strings.Repeat("a", i%200+1)+"<"))
	}
	put(replicationOf(many...)).wantCode(400, request, "allowed limit")
	if after := s.do("GET", "/photos?replication", "").want(200).body; after != before {
		t.Errorf("what was refused changed the configuration to %s", after)
	}
	s.do("DELETE", "/photos?replication", "").want(204)
	s.do("GET", "/photos?replication", "").wantCode(404, "ReplicationConfigurationNotFoundError")
	s.do("PUT", "/photos?versioning", strings.Replace(versioned, "Enabled", "Suspended", 1)).want(200)
}

// generated is an id that a rule was given.
var generated = regexp.MustCompile(`<ID>[0-9a-f]{8}-[0-9a-f-]{27}</ID>`)

// FuzzReplication: what is read as a configuration is written so that it is read again as the
// same.
func FuzzReplication(f *testing.F) {
	f.Add(replicationOf(rule2()))
	f.Add(replicationOf(rule2("<Filter></Filter>", "<Filter><And><Prefix>a&#13;&amp;</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And></Filter>")))
	f.Add(replicationOf(rule2("<Destination>", "<SourceSelectionCriteria/><Destination><Account> 1</Account><StorageClass/><EncryptionConfiguration/>")))
	f.Fuzz(func(t *testing.T, document string) {
		r, _, err := parseReplication([]byte(document))
		if err != nil {
			if kind, _ := faultOf(err); kind != MalformedXML {
				t.Errorf("%v", err)
			}
			return
		}
		written := writeReplication(r)
		again, _, err := parseReplication(written)
		for i := range r.Rules { // no rule that has it is stored
			r.Rules[i].Existing = false
		}
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%q became %s, which is %+v, %v", document, written, again, err)
		}
	})
}
