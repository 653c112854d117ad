// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// unsupported are the operations of S3 that Coffer knows and refuses, with 501.
// They are in the table so that a request for one is named in metrics, logs and
// audit records, and never taken for another: PUT /photos?acl makes no bucket.
var unsupported = []struct {
	name   string
	route  pipeline.Route
	traits pipeline.Traits
	event  string
}{
	{"CreateSession", bucketRoute("GET", "session"), pipeline.Read, ""},

	{"GetBucketAbac", bucketRoute("GET", "abac"), pipeline.Read, ""},
	{"PutBucketAbac", bucketRoute("PUT", "abac"), 0, ""},
	{"CreateBucketMetadataConfiguration", bucketRoute("POST", "metadataConfiguration"), 0, ""},
	{"DeleteBucketMetadataConfiguration", bucketRoute("DELETE", "metadataConfiguration"), 0, ""},
	{"GetBucketMetadataConfiguration", bucketRoute("GET", "metadataConfiguration"), pipeline.Read, ""},
	{"UpdateBucketMetadataInventoryTableConfiguration", bucketRoute("PUT", "metadataInventoryTable"), 0, ""},
	{"UpdateBucketMetadataJournalTableConfiguration", bucketRoute("PUT", "metadataJournalTable"), 0, ""},
	{"CreateBucketMetadataTableConfiguration", bucketRoute("POST", "metadataTable"), 0, ""},
	{"DeleteBucketMetadataTableConfiguration", bucketRoute("DELETE", "metadataTable"), 0, ""},
	{"GetBucketMetadataTableConfiguration", bucketRoute("GET", "metadataTable"), pipeline.Read, ""},
	{"GetBucketNotificationConfiguration", bucketRoute("GET", "notification"), pipeline.Read, "GetBucketNotification"},
	{"PutBucketNotificationConfiguration", bucketRoute("PUT", "notification"), 0, "PutBucketNotification"},
	{"GetObjectLockConfiguration", bucketRoute("GET", "object-lock"), pipeline.Read, "GetBucketObjectLockConfiguration"},
	{"PutObjectLockConfiguration", bucketRoute("PUT", "object-lock"), 0, "PutBucketObjectLockConfiguration"},
	{"DeleteBucketReplication", bucketRoute("DELETE", "replication"), 0, ""},
	{"GetBucketReplication", bucketRoute("GET", "replication"), pipeline.Read, ""},
	{"PutBucketReplication", bucketRoute("PUT", "replication"), 0, ""},

	{"GetObjectLegalHold", objectRoute("GET", "legal-hold"), pipeline.Read | pipeline.Data, ""},
	{"PutObjectLegalHold", objectRoute("PUT", "legal-hold"), pipeline.Data, ""},
	{"RenameObject", objectRoute("PUT", "renameObject"), pipeline.Data, ""},
	{"RestoreObject", objectRoute("POST", "restore"), pipeline.Data, ""},
	{"GetObjectRetention", objectRoute("GET", "retention"), pipeline.Read | pipeline.Data, ""},
	{"PutObjectRetention", objectRoute("PUT", "retention"), pipeline.Data, ""},
	{"SelectObjectContent", objectRoute("POST", "select"), pipeline.Read | pipeline.Data, ""},
	{"GetObjectTorrent", objectRoute("GET", "torrent"), pipeline.Read | pipeline.Data, ""},
}

// unsupportedOps is the part of the table that is refused.
func unsupportedOps() []pipeline.Op {
	ops := make([]pipeline.Op, len(unsupported))
	for i, u := range unsupported {
		ops[i] = pipeline.Unsupported(u.name, u.route, fault.New(NotImplemented, "The operation %s is not implemented.", u.name))
		ops[i].Traits, ops[i].EventName = u.traits, u.event
	}
	return ops
}
