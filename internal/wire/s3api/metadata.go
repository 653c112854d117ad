// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"context"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

const withoutTables = "S3 Metadata keeps its tables in S3 Tables, which Coffer has not"

// metadataOps are the operations on metadata tables: none can be made, so none is found.
func (a *API) metadataOps() []pipeline.Op {
	const (
		create, remove, get = "CreateBucketMetadataTableConfiguration", "DeleteBucketMetadataTableConfiguration", "GetBucketMetadataTableConfiguration"
		refused             = "405 `MethodNotAllowed`: " + withoutTables
		missing             = "404 `MetadataConfigurationNotFound`: " + withoutTables
	)
	type do = func(context.Context, iam.Caller, bucket.Metadata) (struct{}, error)
	op := func(name, method, sub, action, root, answer string, do do) pipeline.Op {
		var traits pipeline.Traits
		if method == "GET" {
			traits = pipeline.Read
		}
		decode := func(c *pipeline.Call) (bucket.Metadata, error) { return decodeMetadata(c, action, root) }
		return pipeline.Answered(pipeline.Define(name, traits, bucketRoute(method, sub), decode, do, noContent), answer)
	}
	return []pipeline.Op{
		op("CreateBucketMetadataConfiguration", "POST", "metadataConfiguration", create, "MetadataConfiguration", refused, a.Buckets.CreateMetadata),
		op("GetBucketMetadataConfiguration", "GET", "metadataConfiguration", get, "", missing, a.Buckets.Metadata),
		op("DeleteBucketMetadataConfiguration", "DELETE", "metadataConfiguration", remove, "", missing, a.Buckets.Metadata),
		op("CreateBucketMetadataTableConfiguration", "POST", "metadataTable", create, "MetadataTableConfiguration", refused, a.Buckets.CreateMetadata),
		op("GetBucketMetadataTableConfiguration", "GET", "metadataTable", get, "", missing, a.Buckets.Metadata),
		op("DeleteBucketMetadataTableConfiguration", "DELETE", "metadataTable", remove, "", missing, a.Buckets.Metadata),
		op("UpdateBucketMetadataInventoryTableConfiguration", "PUT", "metadataInventoryTable", "UpdateBucketMetadataInventoryTableConfiguration", "InventoryTableConfiguration", missing, a.Buckets.Metadata),
		op("UpdateBucketMetadataJournalTableConfiguration", "PUT", "metadataJournalTable", "UpdateBucketMetadataJournalTableConfiguration", "JournalTableConfiguration", missing, a.Buckets.Metadata),
		op("UpdateBucketMetadataAnnotationTableConfiguration", "PUT", "metadataAnnotationTable", "UpdateBucketMetadataAnnotationTableConfiguration", "AnnotationTableConfiguration", missing, a.Buckets.Metadata),
	}
}

// decodeMetadata reads a request, and the document of one that has a document of that root.
func decodeMetadata(c *pipeline.Call, action, root string) (in bucket.Metadata, err error) {
	in.Ref, in.Action = bucketRef(c), action
	if root == "" {
		return in, nil
	}
	b, err := digested(c)
	if err != nil {
		return in, err
	}
	n, err := parseTree(b, root)
	if err == nil {
		auditDocument(c, root, n.recorded())
	}
	return in, err
}
