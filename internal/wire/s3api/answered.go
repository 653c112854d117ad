// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// answeredOps are the operations that S3 has and that a general purpose bucket does not
// take, or not any more.
func answeredOps() []pipeline.Op {
	op := func(name string, traits pipeline.Traits, route pipeline.Route, resource, why string) pipeline.Op {
		err := fault.New(MethodNotAllowed, "").With("ResourceType", resource)
		o := pipeline.Answered(pipeline.Unsupported(name, route, err), "405 `MethodNotAllowed`: "+why)
		o.Traits = traits
		return o
	}
	const directory = "of directory buckets, not of general purpose buckets"
	return []pipeline.Op{
		op("CreateSession", pipeline.Read, bucketRoute("GET", "session"), "SESSION", directory),
		op("RenameObject", pipeline.Data, objectRoute("PUT", "renameObject"), "RENAMEOBJECT", directory),
		op("SelectObjectContent", pipeline.Read|pipeline.Data, objectRoute("POST", "select"), "SELECT", "S3 Select is closed to new customers since July 2024"),
		op("GetObjectTorrent", pipeline.Read|pipeline.Data, objectRoute("GET", "torrent"), "TORRENT", "S3 has no torrents any more since April 2022"),
	}
}

// Elsewhere are the operations of S3's API model that other endpoints serve than those of
// general purpose buckets: no request that comes here is one of them.
var Elsewhere = []struct{ Name, Request, Why string }{
	{"ListDirectoryBuckets", "GET / of s3express-control", "There are no directory buckets. A request that is signed for `s3express` is refused, as S3's endpoints of general purpose buckets do"},
	{"WriteGetObjectResponse", "POST /WriteGetObjectResponse of s3-object-lambda", "There are no Object Lambda access points. A request that is signed for `s3-object-lambda` is refused, as S3's endpoints of general purpose buckets do"},
}
