// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func lifecycleOf(rules ...string) string {
	return `<LifecycleConfiguration>` + strings.Join(rules, "") + `</LifecycleConfiguration>`
}

// ruleOf is an enabled rule of the second version.
func ruleOf(filter, actions string) string {
	return `<Rule><ID>r</ID><Filter>` + filter + `</Filter><Status>Enabled</Status>` + actions + `</Rule>`
}

const (
	expire1  = `<Expiration><Days>1</Days></Expiration>`
	tagA     = `<Tag><Key>a</Key><Value>1</Value></Tag>`
	abort1   = `<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>`
	markers  = `<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>`
	toIce    = `<Transition><Days>30</Days><StorageClass>GLACIER</StorageClass></Transition>`
	larger   = `<ObjectSizeGreaterThan>5</ObjectSizeGreaterThan>`
	smaller  = `<ObjectSizeLessThan>50</ObjectSizeLessThan>`
	prefixed = `<Prefix>a/</Prefix>`
)

func expireAfter(n int) string { return fmt.Sprintf(`<Expiration><Days>%d</Days></Expiration>`, n) }
func expireOn(s string) string { return `<Expiration><Date>` + s + `</Date></Expiration>` }

func transition(when, class string) string {
	return `<Transition>` + when + `<StorageClass>` + class + `</StorageClass></Transition>`
}

func noncurrentOf(inner string) string {
	return `<NoncurrentVersionExpiration>` + inner + `</NoncurrentVersionExpiration>`
}

func noncurrentTo(inner string) string {
	return `<NoncurrentVersionTransition>` + inner + `</NoncurrentVersionTransition>`
}

// What was put is what is read, in S3's order.
func TestLifecycleRoundTrip(t *testing.T) {
	s := photos(t)
	for _, rule := range []string{
		`<Rule><ID>all</ID><Filter/><Status>Enabled</Status><Expiration><Days>2147483647</Days></Expiration></Rule>`,
		`<Rule><ID>first version</ID><Prefix></Prefix><Status>Disabled</Status>` + expire1 + `</Rule>`,
		ruleOf(prefixed, expireOn("2030-01-01T00:00:00.000Z")),
		ruleOf(`<And><Prefix></Prefix>`+tagA+larger+smaller+`</And>`, `<Transition><Days>0</Days><StorageClass>GLACIER_IR</StorageClass></Transition>`+expire1),
		ruleOf(tagA, toIce+`<Expiration><Days>31</Days></Expiration><NoncurrentVersionTransition><NoncurrentDays>30</NoncurrentDays><NewerNoncurrentVersions>500</NewerNoncurrentVersions><StorageClass>STANDARD_IA</StorageClass></NoncurrentVersionTransition><NoncurrentVersionExpiration><NoncurrentDays>31</NoncurrentDays><NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration>`),
		ruleOf(larger, expire1), ruleOf(smaller, expire1),
		ruleOf(prefixed, `<Expiration><ExpiredObjectDeleteMarker>false</ExpiredObjectDeleteMarker></Expiration>`+abort1),
		ruleOf(prefixed, `<Transition><Date>2029-12-31T00:00:00.000Z</Date><StorageClass>DEEP_ARCHIVE</StorageClass></Transition>`+expireOn("2030-01-01T00:00:00.000Z")),
	} {
		put := s.do("PUT", "/photos?lifecycle", lifecycleOf(rule))
		put.want(200)
		put.wantHeader(minimumHeader, "all_storage_classes_128K")
		got := s.do("GET", "/photos?lifecycle", "")
		got.wantDocument(200, lifecycleOf(rule))
		got.wantHeader(minimumHeader, "all_storage_classes_128K")
	}
	if p := s.trail.last(t, "PutBucketLifecycle").RequestParameters["LifecycleConfiguration"]; !strings.Contains(fmt.Sprint(p), "ExpiredObjectDeleteMarker") && !strings.Contains(fmt.Sprint(p), "DEEP_ARCHIVE") {
		t.Errorf("the audit record does not have the rules: %v", p)
	}
}

// Other spellings of the same are read.
func TestLifecycleSpellings(t *testing.T) {
	s := photos(t)
	for sent, want := range map[string]string{
		`<Rule><Status>Enabled</Status><Filter><Prefix/></Filter><Expiration><Date>2030-01-01</Date></Expiration><ID>r</ID></Rule>`: ruleOf(`<Prefix></Prefix>`, expireOn("2030-01-01T00:00:00.000Z")),
		ruleOf("", expireOn("2030-01-01T01:00:00+01:00")): `<Rule><ID>r</ID><Filter/><Status>Enabled</Status>` + expireOn("2030-01-01T00:00:00.000Z") + `</Rule>`,
	} {
		s.do("PUT", "/photos?lifecycle", lifecycleOf(sent)).want(200)
		s.do("GET", "/photos?lifecycle", "").wantDocument(200, lifecycleOf(want))
	}
	// Rules without an id get one.
	s.do("PUT", "/photos?lifecycle", lifecycleOf(strings.ReplaceAll(ruleOf("", expire1), "<ID>r</ID>", ""), ruleOf(prefixed, expire1))).want(200)
	got := s.do("GET", "/photos?lifecycle", "")
	if !regexp.MustCompile(`<Rule><ID>[A-Za-z0-9+/]{48}</ID><Filter/>.*<ID>r</ID>`).MatchString(got.body) {
		t.Error(got.body)
	}
	s.do("PUT", "/photos?lifecycle", lifecycleOf(ruleOf("", expire1)), "X-Amz-Transition-Default-Minimum-Object-Size: varies_by_storage_class").
		want(200)
	s.do("GET", "/photos?lifecycle", "").wantHeader(minimumHeader, "varies_by_storage_class")
	s.do("PUT", "/photos?lifecycle", lifecycleOf(ruleOf("", expire1)), "X-Amz-Transition-Default-Minimum-Object-Size: none").
		wantCode(400, "InvalidRequest", "Invalid TransitionDefaultMinimumObjectSize found: none")
}

func TestLifecycleIsDeleted(t *testing.T) {
	s := photos(t)
	s.do("GET", "/photos?lifecycle", "").wantCode(404, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist", "<BucketName>photos</BucketName>")
	s.do("DELETE", "/photos?lifecycle", "").want(204)
	s.do("PUT", "/photos?lifecycle", lifecycleOf(ruleOf("", expire1))).want(200)
	s.do("DELETE", "/photos?lifecycle", "").want(204)
	s.do("GET", "/photos?lifecycle", "").wantCode(404, "NoSuchLifecycleConfiguration")
	s.do("GET", "/nowhere?lifecycle", "").wantCode(404, "NoSuchBucket")
	s.do("PUT", "/nowhere?lifecycle", lifecycleOf(ruleOf("", expire1))).wantCode(404, "NoSuchBucket")
}

// Every row of what S3 is known to refuse, with its text.
func TestLifecycleThatIsRefused(t *testing.T) {
	s := photos(t)
	first := func(id, prefix, actions string) string {
		return `<Rule><ID>` + id + `</ID><Prefix>` + prefix + `</Prefix><Status>Enabled</Status>` + actions + `</Rule>`
	}
	many := make([]string, 1001)
	for i := range many {
		many[i] = first(fmt.Sprint(i), fmt.Sprintf("%04d", i), expire1)
	}
	for _, c := range []struct{ document, code, text string }{
		{lifecycleOf(ruleOf("", expireOn("2030-01-01T10:00:00Z"))), "InvalidArgument", "'Date' must be at midnight GMT"},
		{lifecycleOf(ruleOf("", transition(`<Date>2030-01-01T10:00:00Z</Date>`, "GLACIER"))), "InvalidArgument", "'Date' must be at midnight GMT"},
		{lifecycleOf(ruleOf("", expireAfter(0))), "InvalidArgument", "'Days' for Expiration action must be a positive integer"},
		{lifecycleOf(ruleOf("", expireAfter(-1))), "InvalidArgument", "'Days' for Expiration action must be a positive integer"},
		{lifecycleOf(ruleOf("", noncurrentOf(`<NoncurrentDays>0</NoncurrentDays>`))), "InvalidArgument", "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer"},
		{lifecycleOf(ruleOf("", strings.ReplaceAll(abort1, ">1<", ">0<"))), "InvalidArgument", "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer"},
		{lifecycleOf(ruleOf("", transition(`<Days>29</Days>`, "STANDARD_IA"))), "InvalidArgument", "'Days' in Transition action must be greater than or equal to 30 for storageClass 'STANDARD_IA'"},
		{lifecycleOf(ruleOf("", transition(`<Days>0</Days>`, "ONEZONE_IA"))), "InvalidArgument", "'Days' in Transition action must be greater than or equal to 30 for storageClass 'ONEZONE_IA'"},
		{lifecycleOf(ruleOf("", transition(`<Days>-1</Days>`, "GLACIER"))), "InvalidArgument", "'Days' in Transition action must be nonnegative"},
		{lifecycleOf(ruleOf("", transition("", "GLACIER"))), "InvalidArgument", "'Transition' action must specify either 'Days' or 'Date'"},
		{lifecycleOf(strings.Replace(ruleOf("", expire1), ">r<", ">"+strings.Repeat("r", 256)+"<", 1)), "InvalidArgument", "ID length should not exceed allowed limit of 255"},
		{lifecycleOf(ruleOf("", expire1), ruleOf(prefixed, expire1)), "InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule"},

		{lifecycleOf(ruleOf(tagA, abort1)), "InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with Tags."},
		{lifecycleOf(ruleOf(larger, abort1)), "InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with Object Size."},
		{lifecycleOf(ruleOf(tagA, markers)), "InvalidRequest", "ExpiredObjectDeleteMarker cannot be specified with Tags."},
		{lifecycleOf(ruleOf(smaller, markers)), "InvalidRequest", "ExpiredObjectDeleteMarker cannot be specified with Object Size."},
		{lifecycleOf(ruleOf(`<And>`+tagA+tagA+`</And>`, expire1)), "InvalidRequest", "Duplicate Tag Keys are not allowed."},
		{lifecycleOf(ruleOf(`<ObjectSizeLessThan>0</ObjectSizeLessThan>`, expire1)), "InvalidRequest", "'ObjectSizeLessThan' should be between 1 and 1099511627776000."},
		{lifecycleOf(ruleOf(`<ObjectSizeGreaterThan>-1</ObjectSizeGreaterThan>`, expire1)), "InvalidRequest", "'ObjectSizeGreaterThan' should be between 0 and 1099511627776000."},
		{lifecycleOf(ruleOf(`<And><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan><ObjectSizeLessThan>5</ObjectSizeLessThan></And>`, expire1)), "InvalidRequest", "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'."},
		{lifecycleOf(first("1", "", expire1), ruleOf("", expire1)), "InvalidRequest", "Filter element can only be used in Lifecycle V2."},
		{lifecycleOf(ruleOf("", expire1), first("1", "", expire1)), "InvalidRequest", "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter."},
		{lifecycleOf(first("1", "", noncurrentOf(`<NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>1</NewerNoncurrentVersions>`))), "InvalidRequest", "NewerNoncurrentVersions element can only be used in Lifecycle V2."},
		{lifecycleOf(ruleOf("", noncurrentOf(`<NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>0</NewerNoncurrentVersions>`))), "InvalidArgument", "NewerNoncurrentVersions must be a positive integer"},
		{lifecycleOf(first("1", "a", expire1), first("2", "", expire1)), "InvalidRequest", "Found overlapping prefixes '' and 'a' for same action type 'Expiration'"},
		{lifecycleOf(ruleOf("", "")), "InvalidRequest", "At least one action needs to be specified in a rule"},
		{lifecycleOf(ruleOf(prefixed, toIce+toIce)), "InvalidRequest", "'StorageClass' must be different for 'Transition' actions in same 'Rule' with filter '(prefix=a/)'"},
		{lifecycleOf(ruleOf("", toIce+toIce)), "InvalidRequest", "with filter '(prefix=)'"},
		{lifecycleOf(ruleOf("", toIce+expireOn("2030-01-01T00:00:00Z"))), "InvalidRequest", "Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule for filter '(prefix=)'"},
		{lifecycleOf(ruleOf(tagA, toIce+transition(`<Date>2030-01-01T00:00:00Z</Date>`, "DEEP_ARCHIVE"))), "InvalidRequest", "Found mixed 'Date' and 'Days' based Transition actions in lifecycle rule for filter '(tag={key=a, value=1})'"},
		{lifecycleOf(many...), "InvalidRequest", "1000 rules"},
		{lifecycleOf(ruleOf("", toIce+expireAfter(30))), "InvalidArgument", "'Days' in the Expiration action for filter '(prefix=)' must be greater than 'Days' in the Transition action"},
		{lifecycleOf(ruleOf("", toIce+transition(`<Days>30</Days>`, "DEEP_ARCHIVE"))), "InvalidArgument", "'Days' in the Transition action for StorageClass 'DEEP_ARCHIVE' for filter '(prefix=)' must be greater than 'Days' in the Transition action for StorageClass 'GLACIER' for filter '(prefix=)'"},
		{lifecycleOf(ruleOf(`<And>`+prefixed+tagA+larger+smaller+`</And>`, noncurrentOf(`<NoncurrentDays>1</NoncurrentDays>`)+noncurrentTo(`<NoncurrentDays>1</NoncurrentDays><StorageClass>GLACIER</StorageClass>`))), "InvalidArgument",
			"'NoncurrentDays' in the NoncurrentVersionExpiration action for filter '(prefix=a/ and tag={key=a, value=1} and objectsizegreaterthan=5 and objectsizelessthan=50)' must be greater than 'NoncurrentDays' in the NoncurrentVersionTransition action"},

		{lifecycleOf(), "MalformedXML", ""},
		{lifecycleOf(strings.ReplaceAll(ruleOf("", expire1), "Enabled", "enabled")), "MalformedXML", ""},
		{lifecycleOf(`<Rule><ID>r</ID><Status>Enabled</Status>` + expire1 + `</Rule>`), "MalformedXML", ""},
		{lifecycleOf(ruleOf(prefixed+tagA, expire1)), "MalformedXML", ""},
		{lifecycleOf(ruleOf(tagA+tagA, expire1)), "MalformedXML", ""},
		{lifecycleOf(ruleOf(prefixed+`<And>`+tagA+larger+`</And>`, expire1)), "MalformedXML", ""},
		{lifecycleOf(ruleOf(`<And>`+prefixed+`</And>`, expire1)), "MalformedXML", ""},
		{lifecycleOf(ruleOf("", `<Expiration><Days>1</Days><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>`)), "MalformedXML", ""},
		{lifecycleOf(ruleOf("", `<Expiration><Days>1</Days><Date>2030-01-01T00:00:00Z</Date></Expiration>`)), "MalformedXML", ""},
		{lifecycleOf(ruleOf("", `<Expiration/>`)), "MalformedXML", ""},
		{lifecycleOf(ruleOf("", `<Transition/>`)), "MalformedXML", ""},
		{lifecycleOf(ruleOf("", `<AbortIncompleteMultipartUpload/>`)), "MalformedXML", ""},
		{lifecycleOf(ruleOf("", noncurrentOf(`<NewerNoncurrentVersions>1</NewerNoncurrentVersions>`))), "MalformedXML", ""},
		{lifecycleOf(ruleOf("", noncurrentTo(`<NoncurrentDays>30</NoncurrentDays>`))), "MalformedXML", ""},
		{lifecycleOf(ruleOf("", transition(`<Days>30</Days>`, "STANDARD"))), "MalformedXML", ""},
		{lifecycleOf(ruleOf("", transition(`<Days>30</Days>`, "COLD"))), "MalformedXML", ""},
		{lifecycleOf(ruleOf("", `<Expiration><Days>one</Days></Expiration>`)), "MalformedXML", ""},
		{lifecycleOf(ruleOf("", `<Expiration><Days>4294967297</Days></Expiration>`)), "MalformedXML", ""},
		{lifecycleOf(ruleOf("", expireOn("Fri, 01 Jan 2016 00:00:00 GMT"))), "MalformedXML", ""},
		{lifecycleOf(ruleOf("", expire1+expire1)), "MalformedXML", ""},
		{lifecycleOf(ruleOf(`<Preffix>a</Preffix>`, expire1)), "MalformedXML", ""},
		{lifecycleOf(ruleOf("", expire1+`<Other/>`)), "MalformedXML", ""},
	} {
		s.do("PUT", "/photos?lifecycle", c.document).wantCode(400, c.code, c.text)
	}
	s.do("GET", "/photos?lifecycle", "").wantCode(404, "NoSuchLifecycleConfiguration")
	s.do("PUT", "/photos?lifecycle", lifecycleOf(ruleOf("", expire1)), "no digest").wantCode(400, "InvalidRequest", "Content-MD5")
}

// FuzzLifecycle: what is read is written so that it reads as the same.
func FuzzLifecycle(f *testing.F) {
	f.Add(lifecycleOf(ruleOf(`<And>`+prefixed+tagA+larger+smaller+`</And>`, toIce+expireAfter(31)+abort1+noncurrentOf(`<NoncurrentDays>1</NoncurrentDays>`))))
	f.Add(lifecycleOf(`<Rule><Prefix/><Status>Disabled</Status>` + expireOn("2030-01-01") + `</Rule>`))
	f.Add(lifecycleOf(ruleOf("", markers)))
	f.Fuzz(func(t *testing.T, document string) {
		l, err := parseLifecycle([]byte(document))
		if err != nil {
			return
		}
		first := writeLifecycle(&l)
		again, err := parseLifecycle(first)
		if err != nil {
			t.Fatalf("%s\nis written as\n%s\nwhich is %v", document, first, err)
		}
		if second := writeLifecycle(&again); string(second) != string(first) {
			t.Errorf("%s\nis written as\n%s\nand then as\n%s", document, first, second)
		}
	})
}

// Every answer about an object says when it expires, and none about a version by its id.
func TestExpirationHeaders(t *testing.T) {
	s := photos(t)
	const want = `expiry-date="Tue, 01 Jan 2030 00:00:00 GMT", rule-id="after %22the%22 f%C3%AAte 100%"`
	rule := strings.Replace(ruleOf(`<Prefix>a</Prefix>`, expireOn("2030-01-01T00:00:00Z")+strings.ReplaceAll(abort1, ">1<", ">2147483647<")), ">r<", ">after \"the\" fête 100%<", 1)
	s.do("PUT", "/photos?lifecycle", lifecycleOf(rule)).want(200)
	s.do("PUT", "/photos/a", "0123456789").want(200).wantHeader("x-amz-expiration", want)
	s.do("GET", "/photos/a", "").want(200).wantHeader("x-amz-expiration", want)
	s.do("HEAD", "/photos/a", "").want(200).wantHeader("x-amz-expiration", want)
	s.do("GET", "/photos/a?versionId=null", "").want(200).wantHeader("x-amz-expiration", "")
	s.do("PUT", "/photos/a2", "", "X-Amz-Copy-Source: photos/a").want(200).wantHeader("x-amz-expiration", want)
	s.do("PUT", "/photos/b", "", "X-Amz-Copy-Source: photos/a").want(200).wantHeader("x-amz-expiration", "")
	created := s.do("POST", "/photos/a3?uploads", "").want(200).wantHeader("x-amz-abort-rule-id", "after %22the%22 f%C3%AAte 100%")
	id := regexp.MustCompile(`<UploadId>(.*)</UploadId>`).FindStringSubmatch(created.body)[1]
	date := created.spelt("x-amz-abort-date")
	if !strings.HasSuffix(date, " 00:00:00 GMT") {
		t.Errorf("x-amz-abort-date: %q", date)
	}
	s.do("GET", "/photos/a3?uploadId="+id, "").want(200).wantHeader("x-amz-abort-date", date).wantHeader("x-amz-abort-rule-id", "after %22the%22 f%C3%AAte 100%")
	part := s.do("PUT", "/photos/a3?partNumber=1&uploadId="+id, "0123456789").want(200)
	s.do("POST", "/photos/a3?uploadId="+id, `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>`+part.spelt("ETag")+`</ETag></Part></CompleteMultipartUpload>`).
		want(200).wantHeader("x-amz-expiration", want)
	s.do("POST", "/photos/b2?uploads", "").want(200).wantHeader("x-amz-abort-date", "")
	s.post(upload{key: "a4", file: "hello"}).want(204).wantHeader("x-amz-expiration", want)
}
