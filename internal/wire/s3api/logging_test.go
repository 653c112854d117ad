// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"reflect"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/acl"
)

func loggingDocument(inner string) string {
	return `<BucketLoggingStatus>` + inner + `</BucketLoggingStatus>`
}

func loggingTo(inner string) string {
	return loggingDocument(`<LoggingEnabled>` + inner + `</LoggingEnabled>`)
}

const toLogs = `<TargetBucket>logs</TargetBucket><TargetPrefix>p/</TargetPrefix>`

// What was put is what is read, turned off is empty, and the bucket's other users see it.
func TestBucketLogging(t *testing.T) {
	s := photos(t)
	s.do("PUT", "/logs", "").want(200)
	s.do("GET", "/photos?logging", "").wantDocument(200, `<BucketLoggingStatus></BucketLoggingStatus>`)
	if s.api.Buckets.Logged("photos") != nil {
		t.Error("logged before anybody asked for it")
	}
	for _, format := range []string{
		"",
		`<TargetObjectKeyFormat><SimplePrefix></SimplePrefix></TargetObjectKeyFormat>`,
		`<TargetObjectKeyFormat><PartitionedPrefix></PartitionedPrefix></TargetObjectKeyFormat>`,
		`<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat>`,
		`<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>DeliveryTime</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat>`,
	} {
		document := loggingTo(toLogs + format)
		s.do("PUT", "/photos?logging", document).want(200)
		s.do("GET", "/photos?logging", "").wantDocument(200, document)
	}
	if l := s.api.Buckets.Logged("photos"); l == nil || l.Target != "logs" || l.Prefix != "p/" || l.OwnerID != canonicalID(testAccount) {
		t.Errorf("logged: %+v", l)
	}
	if p := s.trail.last(t, "PutBucketLogging").RequestParameters["BucketLoggingStatus"]; p == nil {
		t.Error("the audit record does not say where logs go")
	}
	s.do("PUT", "/photos?logging", loggingDocument("")).want(200)
	s.do("GET", "/photos?logging", "").wantDocument(200, `<BucketLoggingStatus></BucketLoggingStatus>`)
	if s.api.Buckets.Logged("photos") != nil {
		t.Error("still logged")
	}
	s.do("PUT", "/photos?logging", loggingTo(toLogs)).want(200)
	s.do("DELETE", "/photos", "").want(204)
	if s.api.Buckets.Logged("photos") != nil {
		t.Error("logged although it is gone")
	}
}

// The grants of delivered objects, where lists count.
func TestLoggingGrants(t *testing.T) {
	s := photos(t)
	s.do("PUT", "/logs", "", "X-Amz-Object-Ownership: ObjectWriter").want(200)
	put := func(grants string) *answer {
		return s.do("PUT", "/photos?logging", loggingTo(toLogs+`<TargetGrants>`+grants+`</TargetGrants>`))
	}
	grant := func(grantee, permission string) string {
		return `<Grant><Grantee>` + grantee + `</Grantee><Permission>` + permission + `</Permission></Grant>`
	}
	me := `<ID>` + canonicalID(testAccount) + `</ID>`
	put(grant(me, "READ")).wantCode(400, "InvalidTargetBucketForLogging", "WRITE and READ_ACP", "<TargetBucket>logs</TargetBucket>")
	s.do("PUT", "/logs?acl", "", "X-Amz-Acl: log-delivery-write").want(200)
	put(grant(me, "READ")).want(200)
	s.do("GET", "/photos?logging", "").want(200, `xsi:type="CanonicalUser"><ID>`+canonicalID(testAccount)+`</ID>`, "<Permission>READ</Permission>")
	put("").want(200)
	put(grant(me, "READ_ACP")).wantCode(400, "MalformedXML")
	put(grant(me, "READ")+`<Other/>`).wantCode(400, "MalformedXML")
	put(strings.Repeat(grant(me, "READ"), acl.MaxGrants+1)).wantCode(400, "MalformedXML")
	put(grant("", "READ")).wantCode(400, "MalformedACLError")
	put(grant("<ID>nobody</ID>", "READ")).wantCode(400, "InvalidArgument")
	put(grant("<EmailAddress>a@b.c</EmailAddress>", "READ")).wantCode(400, "UnresolvableGrantByEmailAddress")
	put(grant("<URI>"+acl.AllUsers+"</URI>", "READ")).wantCode(403, "AccessDenied") // public access is blocked
	s.do("PUT", "/others", "").want(200)
	s.do("PUT", "/photos?logging", loggingTo(`<TargetBucket>others</TargetBucket><TargetPrefix/><TargetGrants>`+grant(me, "READ")+`</TargetGrants>`)).
		wantCode(400, "AccessControlListNotSupported", "Target grants not allowed for bucket owner enforced buckets")
}

func TestLoggingThatIsRefused(t *testing.T) {
	s := photos(t)
	s.do("PUT", "/logs", "").want(200)
	s.do("PUT", "/theirs", "", "by another account").want(200)
	s.do("PUT", "/sealed", "").want(200)
	s.do("PUT", "/sealed?encryption", `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`).want(200)
	target := func(name string) string {
		return loggingTo(`<TargetBucket>` + name + `</TargetBucket><TargetPrefix></TargetPrefix>`)
	}
	for document, want := range map[string]struct{ code, text string }{
		target("missing-bucket"): {"InvalidTargetBucketForLogging", "The target bucket for logging does not exist"},
		target("Not A Bucket"):   {"InvalidTargetBucketForLogging", "The target bucket for logging does not exist"},
		target("theirs"):         {"InvalidTargetBucketForLogging", "The owner for the bucket to be logged and the target bucket must be the same."},
		target("sealed"):         {"InvalidTargetBucketForLogging", "must be SSE-S3"},

		"":                                    {"MalformedXML", ""},
		"<BucketLogging/>":                    {"MalformedXML", ""},
		target(""):                            {"MalformedXML", ""},
		loggingTo(""):                         {"MalformedXML", ""},
		loggingTo(toLogs) + loggingTo(toLogs): {"MalformedXML", ""},
		loggingDocument(`<Other/>`):           {"MalformedXML", ""},
		loggingDocument(`<LoggingEnabled>` + toLogs + `</LoggingEnabled><LoggingEnabled>` + toLogs + `</LoggingEnabled>`): {"MalformedXML", ""},
		loggingTo(`<TargetBucket>logs</TargetBucket>`):                                                                    {"MalformedXML", ""},
		loggingTo(`<TargetPrefix>p</TargetPrefix>`):                                                                       {"MalformedXML", ""},
		loggingTo(toLogs + `<Other/>`):                                                                                    {"MalformedXML", ""},
		loggingTo(toLogs + `<TargetObjectKeyFormat/>`):                                                                    {"MalformedXML", ""},
		loggingTo(toLogs + `<TargetObjectKeyFormat><Other/></TargetObjectKeyFormat>`):                                     {"MalformedXML", ""},
		loggingTo(toLogs + `<TargetObjectKeyFormat><SimplePrefix/><PartitionedPrefix/></TargetObjectKeyFormat>`):          {"MalformedXML", ""},
		loggingTo(toLogs + `<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>Now</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat>`): {"MalformedXML", ""},
		loggingTo(`<TargetBucket>logs</TargetBucket><TargetPrefix>` + strings.Repeat("p", 801) + `</TargetPrefix>`):                                                {"MalformedXML", ""},
	} {
		s.do("PUT", "/photos?logging", document).wantCode(400, want.code, want.text)
	}
	s.do("PUT", "/photos?logging", loggingTo(toLogs), "by another account").wantCode(403, "AccessDenied")
	s.do("GET", "/photos?logging", "", "by another account").wantCode(403, "AccessDenied")
	s.do("GET", "/photos?logging", "", "by nobody").wantCode(403, "AccessDenied")
	s.do("PUT", "/no-such-bucket?logging", loggingTo(toLogs)).wantCode(404, "NoSuchBucket")
	s.do("PUT", "/photos?logging", loggingTo(toLogs), "Content-MD5: "+md5Text("other")).wantCode(400, "BadDigest")
	s.do("GET", "/photos?logging", "").wantDocument(200, `<BucketLoggingStatus></BucketLoggingStatus>`)
}

// FuzzLogging: a configuration that is taken comes back as it is written.
func FuzzLogging(f *testing.F) {
	f.Add(loggingDocument(""))
	f.Add(loggingTo(toLogs))
	f.Add(loggingTo(toLogs + `<TargetGrants><Grant><Grantee><URI>u</URI></Grantee><Permission>READ</Permission></Grant></TargetGrants>`))
	f.Add(loggingTo(toLogs + `<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat>`))
	f.Add(loggingTo(`<TargetBucket> a </TargetBucket><TargetPrefix>&#13; ` + "\n" + `</TargetPrefix><TargetObjectKeyFormat><SimplePrefix/></TargetObjectKeyFormat>`))
	f.Fuzz(func(t *testing.T, document string) {
		l, err := parseLogging([]byte(document))
		if err != nil {
			return
		}
		again, err := parseLogging(writeLogging(l))
		// What XML cannot hold is not written.
		if (err != nil || !reflect.DeepEqual(again, l)) && !strings.ContainsAny(document, "&\ufffd") {
			t.Errorf("%+v became %+v, %v", l, again, err)
		}
	})
}
