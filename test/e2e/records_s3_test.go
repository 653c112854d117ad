// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/test/coffertest"
)

// uploadIDOf reads the id of an upload that began.
func uploadIDOf(a answer) string {
	m := regexp.MustCompile("<UploadId>(.*)</UploadId>").FindStringSubmatch(a.body)
	if m == nil {
		a.t.Fatalf("no upload began: %d %s", a.status, a.body)
	}
	return m[1]
}

// withDigest are the headers that documents of a configuration need.
func withDigest(body string, headers ...string) []string { return append(md5Header(body), headers...) }

// TestRecordsOfObjects: data events, one row of each operation and of each encryption.
func TestRecordsOfObjects(t *testing.T) {
	t.Parallel()
	s := start(t)
	g := records(s, "s3-data")
	key := g.call("arn:KEY", s.Key())
	id := g.call("KEY", keyIDOf(key))
	s.Bucket("vault", "aws:kms", key, true)
	s.Bucket("plain", "", "", false)
	s.Bucket("own", "aws:kms", key, false)
	s.Bucket("dual", "aws:kms:dsse", key, false)
	unblock(s, "plain")
	secret := customerOf([]byte("0123456789abcdef0123456789abcdef"))
	trio := secret.headers(customerHeader)

	kms := []string{sseHeader, "aws:kms", keyHeader, id}
	g.row("PutObject, Default_SSE_KMS with a bucket key, first write", func() { g.s3("PUT", "/vault/a/b", "hello") })
	g.row("PutObject, Default_SSE_KMS with a bucket key, covered by the first", func() { g.s3("PUT", "/vault/a/c", "hello") })
	g.row("PutObject, SSE_KMS with headers", func() {
		g.s3("PUT", "/plain/kms", "hello", append(kms, "X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", "true", "X-Amz-Meta-Team", "red")...)
	})
	g.row("PutObject, SSE_KMS without a bucket key", func() { g.s3("PUT", "/plain/own", "hello", kms...) })
	g.row("PutObject, Default_SSE_KMS without a bucket key", func() { g.s3("PUT", "/own/k", "hello") })
	g.row("PutObject, context of the caller", func() {
		g.s3("PUT", "/vault/context", "hello", append(kms, ctxHeader, contextHeader(`{"tenant":"t-17"}`))...)
	})
	g.row("PutObject, Default_SSE_S3", func() { g.s3("PUT", "/plain/k", "hello") })
	g.row("PutObject, SSE_S3", func() { g.s3("PUT", "/vault/s3", "hello", sseHeader, "AES256") })
	g.row("PutObject, SSE_C", func() { g.s3("PUT", "/plain/c", "hello", trio...) })
	g.row("PutObject, DSSE_KMS", func() { g.s3("PUT", "/plain/dsse", "hello", sseHeader, "aws:kms:dsse", keyHeader, id) })
	g.row("PutObject, Default_DSSE_KMS", func() { g.s3("PUT", "/dual/k", "hello") })
	g.row("PutObject, POST form", func() {
		form{bucket: "vault", key: "from-a-form", body: "one", fields: []string{"x-amz-meta-team", "red"}, head: []string{"User-Agent", "golden/1.0"}}.send(s)
	})
	g.row("GetObject, bucket key, first read", func() { g.s3("GET", "/vault/a/b", "") })
	g.row("GetObject, bucket key, covered by the first, a range", func() { g.s3("GET", "/vault/a/c", "", "Range", "bytes=1-3") })
	g.row("GetObject, KMS key of its own", func() { g.s3("GET", "/own/k", "") })
	g.row("GetObject, SSE_S3", func() { g.s3("GET", "/plain/k", "") })
	g.row("GetObject, SSE_C", func() { g.s3("GET", "/plain/c", "", trio...) })
	g.row("GetObject, DSSE_KMS", func() { g.s3("GET", "/dual/k", "") })
	g.row("GetObject, presigned", func() {
		presigned(s, "GET", "/vault/a/b", map[string][]string{"response-content-type": {"text/plain"}}, time.Now(), "60")("")
	})
	g.row("GetObject, missing", func() { g.s3("GET", "/vault/missing", "") })
	g.row("GetObject, no such bucket", func() { g.s3("GET", "/nowhere/k", "") })
	g.row("HeadObject", func() { g.s3("HEAD", "/vault/a/b", "") })
	g.row("HeadObject, with its checksum", func() { g.s3("HEAD", "/own/k", "", "X-Amz-Checksum-Mode", "ENABLED") })
	g.row("GetObjectAttributes", func() { g.s3("GET", "/own/k?attributes", "", "X-Amz-Object-Attributes", "ETag,ObjectSize") })
	g.row("CopyObject, both sides under KMS keys", func() { g.s3("PUT", "/vault/copy", "", "X-Amz-Copy-Source", "/own/k") })
	g.row("CopyObject, from SSE_C", func() {
		g.s3("PUT", "/plain/copy", "", append(secret.headers(sourceHeader), "X-Amz-Copy-Source", "/plain/c")...)
	})
	g.row("CopyObject, missing source", func() { g.s3("PUT", "/vault/copy", "", "X-Amz-Copy-Source", "/own/missing") })
	change := fmt.Sprintf(`<ObjectEncryption xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><SSE-KMS><KMSKeyArn>%s</KMSKeyArn><BucketKeyEnabled>true</BucketKeyEnabled></SSE-KMS></ObjectEncryption>`, key)
	g.row("UpdateObjectEncryption", func() { g.s3("PUT", "/own/k?encryption", change, withDigest(change)...) })
	var upload string
	g.row("CreateMultipartUpload", func() {
		upload = uploadIDOf(g.s3("POST", "/vault/parts?uploads", ""))
	})
	var etag [2]string
	g.row("UploadPart", func() {
		etag[0] = g.s3("PUT", "/vault/parts?partNumber=1&uploadId="+upload, strings.Repeat("x", 5<<20)).header.Get("Etag")
	})
	g.row("UploadPartCopy", func() {
		a := g.s3("PUT", "/vault/parts?partNumber=2&uploadId="+upload, "", "X-Amz-Copy-Source", "/own/k", "X-Amz-Copy-Source-Range", "bytes=0-1")
		etag[1] = regexp.MustCompile("<ETag>(.*)</ETag>").FindStringSubmatch(a.body)[1]
	})
	g.row("ListParts", func() { g.s3("GET", "/vault/parts?uploadId="+upload, "") })
	g.row("ListMultipartUploads", func() { g.s3("GET", "/vault?uploads", "") })
	g.row("CompleteMultipartUpload", func() {
		body := fmt.Sprintf(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part><Part><PartNumber>2</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>`, etag[0], etag[1])
		g.s3("POST", "/vault/parts?uploadId="+upload, body)
	})
	upload = uploadIDOf(g.s3("POST", "/plain/c?uploads", "", trio...))
	g.row("UploadPart, SSE_C", func() { g.s3("PUT", "/plain/c?partNumber=1&uploadId="+upload, "x", trio...) })
	g.row("AbortMultipartUpload", func() { g.s3("DELETE", "/plain/c?uploadId="+upload, "") })
	tags := `<Tagging><TagSet><Tag><Key>team</Key><Value>red</Value></Tag></TagSet></Tagging>`
	g.row("PutObjectTagging", func() { g.s3("PUT", "/vault/a/b?tagging", tags, withDigest(tags)...) })
	g.row("GetObjectTagging", func() { g.s3("GET", "/vault/a/b?tagging", "") })
	g.row("DeleteObjectTagging", func() { g.s3("DELETE", "/vault/a/b?tagging", "") })
	g.row("GetObjectAcl", func() { g.s3("GET", "/vault/a/b?acl", "") })
	g.row("PutObjectAcl", func() { g.s3("PUT", "/vault/a/b?acl", "", "X-Amz-Acl", "bucket-owner-full-control") })
	g.row("ListObjects", func() { g.s3("GET", "/vault?prefix=a/&delimiter=/&max-keys=2", "") })
	g.row("ListObjectsV2", func() { g.s3("GET", "/vault?list-type=2&prefix=a/", "") })
	g.row("ListObjectVersions", func() { g.s3("GET", "/vault?versions&prefix=none", "") })
	g.row("HeadBucket", func() { g.s3("HEAD", "/vault", "") })
	g.row("HeadBucket, no such bucket", func() { g.s3("HEAD", "/nowhere", "") })
	g.row("DeleteObject", func() { g.s3("DELETE", "/vault/a/c", "") })
	g.row("DeleteObject, missing", func() { g.s3("DELETE", "/vault/missing", "") })
	versioned := `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`
	g.s3("PUT", "/own?versioning", versioned, withDigest(versioned)...)
	version := g.s3("PUT", "/own/v", "x").header.Get("X-Amz-Version-Id")
	g.row("GetObject, of a version", func() { g.s3("GET", "/own/v?versionId="+version, "") })
	g.row("DeleteObject, makes a delete marker", func() { g.s3("DELETE", "/own/v", "") })
	g.row("DeleteObject, of a version", func() { g.s3("DELETE", "/own/v?versionId="+version, "") })
	g.row("DeleteObjects", func() {
		body := `<Delete><Object><Key>a/b</Key></Object><Object><Key>missing</Key></Object><Object><Key>x</Key><VersionId>nonsense</VersionId></Object></Delete>`
		g.s3("POST", "/vault?delete", body, withDigest(body)...)
	})
	g.s3("PUT", "/own/cold", "x", "X-Amz-Storage-Class", "GLACIER")
	g.row("RestoreObject", func() { g.s3("POST", "/own/cold?restore", `<RestoreRequest><Days>1</Days></RestoreRequest>`) })
	g.row("GetObject, archived", func() { g.s3("GET", "/own/cold?versionId=null", "") })
	g.row("PutObjectAnnotation", func() { g.s3("PUT", "/vault/context?annotation&annotationName=labels", "cat") })
	g.row("GetObjectAnnotation", func() { g.s3("GET", "/vault/context?annotation&annotationName=labels", "") })
	g.row("ListObjectAnnotations", func() { g.s3("GET", "/own/cold?annotation", "") })
	g.row("DeleteObjectAnnotation", func() { g.s3("DELETE", "/vault/context?annotation&annotationName=labels", "") })
	for _, one := range [][3]string{
		{"GetObjectTorrent", "GET", "torrent"},
		{"SelectObjectContent", "POST", "select&select-type=2"},
	} {
		g.row(one[0]+", not offered", func() { g.s3(one[1], "/vault/context?"+one[2], "") })
	}
	g.done()
}

// TestRecordsOfBuckets: management events of S3, and the names of events that differ from
// the API's.
func TestRecordsOfBuckets(t *testing.T) {
	t.Parallel()
	s := start(t)
	g := records(s, "s3-management")
	key := g.call("arn:KEY", s.Key())
	g.call("KEY", keyIDOf(key))
	location := `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>`
	g.row("CreateBucket", func() { g.s3("PUT", "/vault", location) })
	g.row("CreateBucket, mine already", func() { g.s3("PUT", "/vault", "") })
	g.row("ListBuckets", func() { g.s3("GET", "/", "") })
	g.row("GetBucketLocation", func() { g.s3("GET", "/vault?location", "") })
	put := func(event, sub, document string) {
		g.row(event, func() {
			if a := g.s3("PUT", "/vault?"+sub, document, withDigest(document)...); a.status/100 != 2 {
				t.Errorf("%s: %d %s", event, a.status, a.body)
			}
		})
	}
	get := func(event, sub string) { g.row(event, func() { g.s3("GET", "/vault?"+sub, "") }) }
	remove := func(event, sub string) { g.row(event, func() { g.s3("DELETE", "/vault?"+sub, "") }) }

	put("PutBucketEncryption", "encryption", fmt.Sprintf(`<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>%s</KMSMasterKeyID></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>`, key))
	get("GetBucketEncryption", "encryption")
	remove("DeleteBucketEncryption", "encryption")
	put("PutBucketVersioning", "versioning", `<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>`)
	get("GetBucketVersioning", "versioning")
	put("PutBucketTagging", "tagging", `<Tagging><TagSet><Tag><Key>team</Key><Value>red</Value></Tag></TagSet></Tagging>`)
	get("GetBucketTagging", "tagging")
	remove("DeleteBucketTagging", "tagging")
	put("PutBucketOwnershipControls", "ownershipControls", `<OwnershipControls><Rule><ObjectOwnership>BucketOwnerPreferred</ObjectOwnership></Rule></OwnershipControls>`)
	get("GetBucketOwnershipControls", "ownershipControls")
	remove("DeleteBucketOwnershipControls", "ownershipControls")
	put("PutPublicAccessBlock", "publicAccessBlock", `<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>`)
	get("GetPublicAccessBlock", "publicAccessBlock")
	remove("DeletePublicAccessBlock", "publicAccessBlock")
	put("PutBucketPolicy", "policy", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::vault/secret/*"}]}`)
	get("GetBucketPolicy", "policy")
	get("GetBucketPolicyStatus", "policyStatus")
	remove("DeleteBucketPolicy", "policy")
	get("GetBucketAcl", "acl")
	g.row("PutBucketAcl", func() { g.s3("PUT", "/vault?acl", "", "X-Amz-Acl", "private") })
	put("PutBucketLogging, off", "logging", `<BucketLoggingStatus xmlns="http://doc.s3.amazonaws.com/2006-03-01"/>`)
	get("GetBucketLogging", "logging")
	g.row("PutBucketNotification", func() {
		document := `<NotificationConfiguration><QueueConfiguration><Id>one</Id><Queue>arn:aws:sqs:us-east-1:000000000001:jobs</Queue><Event>s3:ObjectCreated:*</Event><Filter><S3Key><FilterRule><Name>prefix</Name><Value>a/</Value></FilterRule></S3Key></Filter></QueueConfiguration></NotificationConfiguration>`
		g.s3("PUT", "/vault?notification", document, "X-Amz-Skip-Destination-Validation", "true")
	})
	get("GetBucketNotification", "notification")
	put("PutBucketNotification, off", "notification", `<NotificationConfiguration/>`)
	put("PutBucketLifecycleConfiguration", "lifecycle", `<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule><ID>a</ID><Filter><Prefix>logs/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule><Rule><ID>b</ID><Filter/><Status>Disabled</Status><AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>`)
	get("GetBucketLifecycleConfiguration", "lifecycle")
	remove("DeleteBucketLifecycle", "lifecycle")
	put("PutBucketCors", "cors", `<CORSConfiguration><CORSRule><ID>one</ID><AllowedOrigin>https://*.example.com</AllowedOrigin><AllowedMethod>GET</AllowedMethod><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule></CORSConfiguration>`)
	get("GetBucketCors", "cors")
	g.row("a preflight request leaves no record", func() {
		g.s3("OPTIONS", "/vault/a", "", "Origin", "https://a.example.com", "Access-Control-Request-Method", "GET")
	})
	remove("DeleteBucketCors", "cors")
	put("PutBucketWebsite", "website", `<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument><RoutingRules><RoutingRule><Condition><KeyPrefixEquals>old/</KeyPrefixEquals></Condition><Redirect><HostName>example.com</HostName></Redirect></RoutingRule></RoutingRules></WebsiteConfiguration>`)
	get("GetBucketWebsite", "website")
	remove("DeleteBucketWebsite", "website")
	put("PutBucketRequestPayment", "requestPayment", `<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>`)
	get("GetBucketRequestPayment", "requestPayment")
	put("PutBucketAccelerateConfiguration", "accelerate", `<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>`)
	get("GetBucketAccelerateConfiguration", "accelerate")
	versioned := `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`
	g.s3("PUT", "/copies", "")
	for _, bucket := range []string{"vault", "copies"} {
		g.s3("PUT", "/"+bucket+"?versioning", versioned, withDigest(versioned)...)
	}
	put("PutBucketReplication", "replication", strings.Replace(replicationDocument, "BUCKET-logs", "copies", 1))
	g.row("PutBucketVersioning, of a bucket that is replicated", func() {
		suspended := strings.Replace(versioned, "Enabled", "Suspended", 1)
		g.s3("PUT", "/vault?versioning", suspended, withDigest(suspended)...)
	})
	get("GetBucketReplication", "replication")
	remove("DeleteBucketReplication", "replication")
	put("PutBucketMetricsConfiguration", "metrics&id=all", `<MetricsConfiguration><Id>all</Id><Filter><Prefix>a/</Prefix></Filter></MetricsConfiguration>`)
	get("GetBucketMetricsConfiguration", "metrics&id=all")
	get("ListBucketMetricsConfigurations", "metrics")
	remove("DeleteBucketMetricsConfiguration", "metrics&id=all")
	put("PutBucketAbac", "abac", `<AbacStatus><Status>Disabled</Status></AbacStatus>`)
	get("GetBucketAbac", "abac")
	get("GetBucketMetadataConfiguration, as every bucket", "metadataConfiguration")
	for _, one := range []struct{ event, method, sub string }{
		{"GetBucketNotificationConfiguration, not offered", "GET", "notification"}, {"PutBucketNotificationConfiguration, not offered", "PUT", "notification"},
		{"GetBucketReplication, of none", "GET", "replication"}, {"PutBucketReplication, without a digest", "PUT", "replication"},
	} {
		g.row(one.event, func() { g.s3(one.method, "/vault?"+one.sub, "") })
	}
	const control = "/v20180820/configuration/publicAccessBlock"
	account := []string{"X-Amz-Account-Id", coffertest.Account}
	g.row("PutPublicAccessBlock of the account", func() {
		g.s3("PUT", control, `<PublicAccessBlockConfiguration xmlns="http://awss3control.amazonaws.com/doc/2018-08-20/"><IgnorePublicAcls>true</IgnorePublicAcls></PublicAccessBlockConfiguration>`, account...)
	})
	g.row("GetPublicAccessBlock of the account", func() { g.s3("GET", control, "", account...) })
	const tags = "/v20180820/tags/arn:aws:s3:::vault"
	g.row("TagResource", func() {
		g.s3("POST", tags, `<TagResourceRequest xmlns="http://awss3control.amazonaws.com/doc/2018-08-20/"><Tags><Tag><Key>team</Key><Value>red</Value></Tag></Tags></TagResourceRequest>`, account...)
	})
	g.row("ListTagsForResource", func() { g.s3("GET", tags, "", account...) })
	g.row("UntagResource", func() { g.s3("DELETE", tags+"?tagKeys=team", "", account...) })
	g.row("DeletePublicAccessBlock of the account", func() { g.s3("DELETE", control, "", account...) })
	g.row("DeleteBucket", func() { g.s3("DELETE", "/vault", "") })
	g.row("DeleteBucket, no such bucket", func() { g.s3("DELETE", "/vault", "") })
	g.row("a request with a signature that does not match leaves no record", func() {
		request{method: "GET", target: "/", secret: base64.StdEncoding.EncodeToString([]byte("wrong, and as long as keys must be"))}.do(s)
	})
	g.done()
}
