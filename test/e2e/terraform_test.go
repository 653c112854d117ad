// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/test/coffertest"
)

// terraformRead is a request with which the AWS provider of Terraform reads a resource: how a
// new bucket answers it, and what it answers when the resource was made by the PUT.
type terraformRead struct {
	resource string // without aws_s3_
	get      string // the query
	status   int
	code     string // of the error
	new      string // in the answer of a new bucket

	put  string // "": only another resource changes it
	then string // in the answer afterwards
	gone int    // status of the DELETE afterwards, 0: there is none
}

// terraformReads are the reads of buckets in internal/service/s3 of the provider: of
// aws_s3_bucket itself, which reads everything, and of the aws_s3_bucket_* resources.
var terraformReads = []terraformRead{
	{resource: "bucket", get: "location", status: 200, new: "<LocationConstraint"},
	{resource: "bucket_policy", get: "policy", status: 404, code: "NoSuchBucketPolicy",
		put: `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::BUCKET/secret"}]}`, then: `"Resource":"arn:aws:s3:::BUCKET/secret"`, gone: 204},
	{resource: "bucket (policy status)", get: "policyStatus", status: 404, code: "NoSuchBucketPolicy"},
	{resource: "bucket_acl", get: "acl", status: 200, new: "<Permission>FULL_CONTROL</Permission>"},
	{resource: "bucket_cors_configuration", get: "cors", status: 404, code: "NoSuchCORSConfiguration",
		put:  `<CORSConfiguration><CORSRule><ID>one</ID><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule></CORSConfiguration>`,
		then: `<MaxAgeSeconds>60</MaxAgeSeconds>`, gone: 204},
	{resource: "bucket_website_configuration", get: "website", status: 404, code: "NoSuchWebsiteConfiguration",
		put: `<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument></WebsiteConfiguration>`, then: `<Suffix>index.html</Suffix>`, gone: 204},
	{resource: "bucket_accelerate_configuration", get: "accelerate", status: 200, new: "<AccelerateConfiguration",
		put: `<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>`, then: `<Status>Enabled</Status>`},
	{resource: "bucket_request_payment_configuration", get: "requestPayment", status: 200, new: "<Payer>BucketOwner</Payer>",
		put: `<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>`, then: "<Payer>Requester</Payer>"},
	{resource: "bucket_logging", get: "logging", status: 200, new: "<BucketLoggingStatus",
		put:  `<BucketLoggingStatus><LoggingEnabled><TargetBucket>BUCKET-logs</TargetBucket><TargetPrefix>log/</TargetPrefix></LoggingEnabled></BucketLoggingStatus>`,
		then: "<TargetPrefix>log/</TargetPrefix>"},
	{resource: "bucket_lifecycle_configuration", get: "lifecycle", status: 404, code: "NoSuchLifecycleConfiguration",
		put:  `<LifecycleConfiguration><Rule><ID>one</ID><Filter><Prefix>tmp/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>`,
		then: "<Prefix>tmp/</Prefix>", gone: 204},
	{resource: "bucket_notification", get: "notification", status: 200, new: "<NotificationConfiguration", put: `<NotificationConfiguration></NotificationConfiguration>`, then: "<NotificationConfiguration"},
	{resource: "bucket_replication_configuration", get: "replication", status: 404, code: "ReplicationConfigurationNotFoundError", gone: 204},
	{resource: "bucket_server_side_encryption_configuration", get: "encryption", status: 200, new: "<SSEAlgorithm>AES256</SSEAlgorithm>",
		put:  `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>`,
		then: "<BucketKeyEnabled>true</BucketKeyEnabled>", gone: 204},
	{resource: "bucket (tags)", get: "tagging", status: 404, code: "NoSuchTagSet",
		put: `<Tagging><TagSet><Tag><Key>team</Key><Value>red</Value></Tag></TagSet></Tagging>`, then: "<Key>team</Key><Value>red</Value>", gone: 204},
	{resource: "bucket_ownership_controls", get: "ownershipControls", status: 200, new: "<ObjectOwnership>BucketOwnerEnforced</ObjectOwnership>",
		put: `<OwnershipControls><Rule><ObjectOwnership>BucketOwnerPreferred</ObjectOwnership></Rule></OwnershipControls>`, then: "BucketOwnerPreferred", gone: 204},
	{resource: "bucket_public_access_block", get: "publicAccessBlock", status: 200, new: "<RestrictPublicBuckets>true</RestrictPublicBuckets>",
		put:  `<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>`,
		then: "<RestrictPublicBuckets>false</RestrictPublicBuckets>", gone: 204},
	{resource: "bucket_abac", get: "abac", status: 200, new: "<Status>Disabled</Status>",
		put: `<AbacStatus><Status>Enabled</Status></AbacStatus>`, then: "<Status>Enabled</Status>"},
	{resource: "bucket_analytics_configuration", get: "analytics&id=one", status: 404, code: "NoSuchConfiguration",
		put: `<AnalyticsConfiguration><Id>one</Id><StorageClassAnalysis></StorageClassAnalysis></AnalyticsConfiguration>`, then: "<Id>one</Id>", gone: 204},
	{resource: "bucket_intelligent_tiering_configuration", get: "intelligent-tiering&id=one", status: 404, code: "NoSuchConfiguration",
		put:  `<IntelligentTieringConfiguration><Id>one</Id><Status>Enabled</Status><Tiering><AccessTier>ARCHIVE_ACCESS</AccessTier><Days>125</Days></Tiering></IntelligentTieringConfiguration>`,
		then: "<Days>125</Days>", gone: 204},
	{resource: "bucket_metric", get: "metrics&id=one", status: 404, code: "NoSuchConfiguration",
		put: `<MetricsConfiguration><Id>one</Id></MetricsConfiguration>`, then: "<Id>one</Id>", gone: 204},
	{resource: "bucket_inventory", get: "inventory&id=one", status: 404, code: "NoSuchConfiguration",
		put:  inventoryDocument,
		then: "<Frequency>Daily</Frequency>", gone: 204},
	{resource: "bucket_metadata_configuration", get: "metadataConfiguration", status: 404, code: "MetadataConfigurationNotFound"},
	{resource: "bucket_metadata_table_configuration", get: "metadataTable", status: 404, code: "MetadataConfigurationNotFound"},
	{resource: "bucket_object_lock_configuration", get: "object-lock", status: 404, code: "ObjectLockConfigurationNotFoundError"},
	// After the tags and what needs none: versioning cannot be taken back.
	{resource: "bucket_versioning", get: "versioning", status: 200, new: "<VersioningConfiguration",
		put: `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`, then: "<Status>Enabled</Status>"},
	{resource: "bucket_replication_configuration of a versioned bucket", get: "replication", status: 404, code: "ReplicationConfigurationNotFoundError",
		put: replicationDocument, then: "<Rule><ID>one</ID><Priority>1</Priority><Filter/><Status>Enabled</Status>", gone: 204},
	{resource: "bucket_object_lock_configuration of a versioned bucket", get: "object-lock", status: 404, code: "ObjectLockConfigurationNotFoundError",
		put:  `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>`,
		then: "<Mode>GOVERNANCE</Mode>"},
	{resource: "objects", get: "list-type=2", status: 200, new: "<KeyCount>0</KeyCount>"},
}

const inventoryDocument = `<InventoryConfiguration><Destination><S3BucketDestination><Bucket>arn:aws:s3:::reports</Bucket><Format>ORC</Format></S3BucketDestination></Destination><IsEnabled>true</IsEnabled><Id>one</Id><IncludedObjectVersions>All</IncludedObjectVersions><Schedule><Frequency>Daily</Frequency></Schedule></InventoryConfiguration>`

const replicationDocument = `<ReplicationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Role>arn:aws:iam::` + coffertest.Account + `:role/copier</Role><Rule><DeleteMarkerReplication><Status>Enabled</Status></DeleteMarkerReplication><Destination><Bucket>arn:aws:s3:::BUCKET-logs</Bucket><EncryptionConfiguration><ReplicaKmsKeyID>arn:aws:kms:us-east-1:` + coffertest.Account + `:alias/replicas</ReplicaKmsKeyID></EncryptionConfiguration></Destination><Filter></Filter><ID>one</ID><Priority>1</Priority><SourceSelectionCriteria><SseKmsEncryptedObjects><Status>Enabled</Status></SseKmsEncryptedObjects></SourceSelectionCriteria><Status>Enabled</Status></Rule></ReplicationConfiguration>`

// testTerraformReads: every read of the provider is answered as S3 answers it on a new bucket,
// and tells what was put. What it takes for no configuration are these codes alone: any other
// answer breaks a plan.
func testTerraformReads(t *testing.T, s *coffertest.Server) {
	const name = "terraform-reads"
	s.Bucket(name, "", "", false)
	s.Bucket(name+"-logs", "", "", false)
	s.Versioning(name+"-logs", types.BucketVersioningStatusEnabled)
	named := strings.NewReplacer("BUCKET", name).Replace
	call := func(method, query, body string) answer {
		t.Helper()
		return request{method: method, target: "/" + name + "?" + query, body: body, headers: digested(body)}.do(s)
	}
	if a := (request{method: "HEAD", target: "/" + name}).do(s); a.status != 200 || a.header.Get("X-Amz-Bucket-Region") != coffertest.Region {
		t.Errorf("bucket: %d %v", a.status, a.header)
	}
	for _, r := range terraformReads {
		read := func(status int, code, piece string) {
			t.Helper()
			if a := call("GET", r.get, ""); a.status != status || code != "" && code != a.get("Code") || !strings.Contains(a.body, named(piece)) {
				t.Errorf("%s: GET ?%s: %d %s, want %d %s %s", r.resource, r.get, a.status, a.body, status, code, piece)
			}
		}
		read(r.status, r.code, r.new)
		if r.put != "" {
			if a := call("PUT", r.get, named(r.put)); a.status/100 != 2 {
				t.Errorf("%s: PUT ?%s: %d %s", r.resource, r.get, a.status, a.body)
			}
			read(200, "", r.then)
		}
		if r.gone != 0 {
			if a := call("DELETE", r.get, ""); a.status != r.gone {
				t.Errorf("%s: DELETE ?%s: %d %s", r.resource, r.get, a.status, a.body)
			}
		}
	}

	// aws_s3_object, aws_s3_object_copy and the data sources of objects.
	const objects = name + "-logs"
	s.Put(objects, "k", "x")
	for _, query := range []string{"tagging", "acl", "attributes"} {
		if a := (request{method: "GET", target: "/" + objects + "/k?" + query, headers: []string{"X-Amz-Object-Attributes", "ETag"}}).do(s); a.status != 200 {
			t.Errorf("object: GET ?%s: %d %s", query, a.status, a.body)
		}
	}
	if a := (request{method: "HEAD", target: "/" + objects + "/k", headers: []string{"X-Amz-Checksum-Mode", "ENABLED"}}).do(s); a.status != 200 || a.header.Get("Etag") == "" {
		t.Errorf("object: %d %v", a.status, a.header)
	}
	// The tags of aws_s3_bucket, by its ARN, and aws_s3_account_public_access_block.
	account := []string{"x-amz-account-id", coffertest.Account}
	if a := (request{method: "GET", target: "/v20180820/tags/" + aws.BucketARN(name), headers: account}).do(s); a.status != 200 {
		t.Errorf("tags by ARN: %d %s", a.status, a.body)
	}
	if a := (request{method: "GET", target: "/v20180820/configuration/publicAccessBlock", headers: account}).do(s); a.status != 404 || !strings.Contains(a.body, "<Code>NoSuchPublicAccessBlockConfiguration</Code>") {
		t.Errorf("account_public_access_block: %d %s", a.status, a.body)
	}
}
