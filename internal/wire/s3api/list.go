// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) listOps() []pipeline.Op {
	v2 := pipeline.Define("ListObjectsV2", pipeline.Read|pipeline.Data, bucketRoute("GET", "list-type=2"), decodeListV2, a.Objects.List, encodeListV2)
	v2.EventName = "ListObjects"
	return []pipeline.Op{
		pipeline.Define("ListObjects", pipeline.Read|pipeline.Data, bucketRoute("GET"), decodeListV1, a.Objects.List, encodeListV1),
		v2,
		pipeline.Define("ListObjectVersions", pipeline.Read|pipeline.Data, bucketRoute("GET", "versions"), decodeListVersions, a.Objects.ListVersions, encodeListVersions),
	}
}

// maxList is the most entries of a page, and what a request without a limit gets.
const maxList = 1000

// pageSize reads the limit of a listing, 0 to 1000; more than that is 1000.
func pageSize(c *pipeline.Call, parameter string) (int, error) {
	text := c.Query.Get(parameter)
	if text == "" {
		return maxList, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	switch {
	case err != nil:
		return 0, invalidArgument(parameter, text, "Provided "+parameter+" not an integer or within integer range")
	case n < 0:
		return 0, invalidArgument(parameter, text, "Argument "+parameter+" must be an integer between 0 and 2147483647")
	}
	return int(min(n, maxList)), nil
}

// encodingType reads the encoding of keys in the answer: "url", or "" for none.
func encodingType(c *pipeline.Call) (string, error) {
	e := c.Query.Get("encoding-type")
	if e != "url" && c.Query.Has("encoding-type") {
		return "", invalidArgument("encoding-type", e, "Invalid Encoding Method specified in Request")
	}
	return e, nil
}

// page reads what all listings have. The encoding matters to the answer alone, but
// is checked here, before any work is done.
func page(c *pipeline.Call) (limit int, err error) {
	if _, err := encodingType(c); err != nil {
		return 0, err
	}
	return pageSize(c, "max-keys")
}

func decodeListV1(c *pipeline.Call) (object.List, error) {
	q := c.Query
	in := object.List{Ref: bucketRef(c), Prefix: q.Get("prefix"), Delimiter: q.Get("delimiter"), After: q.Get("marker"), OverGroup: true}
	if t := q.Get("list-type"); t != "" {
		return in, invalidArgument("list-type", t, "Invalid List Type specified in Request")
	}
	var err error
	in.Max, err = page(c)
	return in, err
}

func decodeListV2(c *pipeline.Call) (object.List, error) {
	q := c.Query
	in := object.List{Ref: bucketRef(c), Prefix: q.Get("prefix"), Delimiter: q.Get("delimiter"), After: q.Get("start-after")}
	after, err := continuation(c)
	if err != nil {
		return in, err
	}
	if after != "" {
		in.After = after
	}
	in.Max, err = page(c)
	return in, err
}

func decodeListVersions(c *pipeline.Call) (object.ListVersions, error) {
	q := c.Query
	in := object.ListVersions{
		Ref: bucketRef(c), Prefix: q.Get("prefix"), Delimiter: q.Get("delimiter"),
		KeyMarker: q.Get("key-marker"), VersionMarker: q.Get("version-id-marker"),
	}
	var err error
	in.Max, err = page(c)
	return in, err
}

// listing writes a listing of any kind. Its parameters were checked when the
// request was read.
type listing struct {
	markup
	c        *pipeline.Call
	encoding string
	restores bool   // entries tell of restores
	owner    string // the account whose canonical id …
	ownerID  string // … this is
}

// An entry with a short key and all elements takes some 420 bytes.
const entryBytes, headBytes = 420, 1024

func newListing(c *pipeline.Call, root string, entries int) *listing {
	x := &listing{c: c}
	x.encoding, _ = encodingType(c)
	x.restores = wantsRestores(c)
	x.buf = make([]byte, 0, headBytes+entries*entryBytes)
	x.root(root)
	x.element("Name", c.Bucket)
	x.parameter("Prefix", "prefix")
	return x
}

// parameter echoes a key of the request, also when it is empty.
func (x *listing) parameter(name, parameter string) {
	x.key(name, x.c.Query.Get(parameter), x.encoding)
}

// optional echoes a key of the request unless it is empty.
func (x *listing) optional(name, parameter string) {
	if v := x.c.Query.Get(parameter); v != "" {
		x.key(name, v, x.encoding)
	}
}

// limits writes what stands between the markers and the entries.
func (x *listing) limits(truncated bool) {
	limit, _ := pageSize(x.c, "max-keys")
	x.number("MaxKeys", int64(limit))
	x.optional("Delimiter", "delimiter")
	if x.encoding != "" {
		x.raw("EncodingType", x.encoding)
	}
	x.flag("IsTruncated", truncated)
}

// attributes writes what an entry has of the object itself.
func (x *listing) attributes(e *object.Entry, owner bool) {
	x.etag(e.ETag)
	if e.Checksum.Algorithm != "" {
		x.raw("ChecksumAlgorithm", string(e.Checksum.Algorithm))
		x.raw("ChecksumType", string(e.Checksum.Type))
	}
	x.number("Size", e.Size)
	if owner {
		x.ownerOf(e)
	}
	class := e.StorageClass
	if class == "" {
		class = "STANDARD"
	}
	x.element("StorageClass", class)
	if x.restores {
		x.restored(e.Restored)
	}
}

func (x *listing) ownerOf(e *object.Entry) {
	if x.ownerID == "" || x.owner != e.Owner {
		x.owner, x.ownerID = e.Owner, canonicalID(e.Owner)
	}
	x.open("Owner")
	x.raw("ID", x.ownerID)
	x.close("Owner")
}

func (x *listing) contents(entries []object.Entry, owner bool) {
	for i := range entries {
		e := &entries[i]
		x.open("Contents")
		x.key("Key", e.Key, x.encoding)
		x.time("LastModified", time.UnixMilli(e.Modified))
		x.attributes(e, owner)
		x.close("Contents")
	}
}

func (x *listing) end(root string, prefixes []string) (*pipeline.Response, error) {
	for _, p := range prefixes {
		x.open("CommonPrefixes")
		x.key("Prefix", p, x.encoding)
		x.close("CommonPrefixes")
	}
	x.close(root)
	return xmlResponse(http.StatusOK, x.buf), nil
}

const listRoot = "ListBucketResult"

// encodeListV1 writes NextMarker only with a delimiter, as S3 does: without one the
// last key is the next marker.
func encodeListV1(c *pipeline.Call, out object.Listing) (*pipeline.Response, error) {
	x := newListing(c, listRoot, len(out.Entries)+len(out.Prefixes))
	x.parameter("Marker", "marker")
	if out.Truncated && c.Query.Get("delimiter") != "" {
		x.key("NextMarker", out.Next, x.encoding)
	}
	x.limits(out.Truncated)
	x.contents(out.Entries, true)
	return x.end(listRoot, out.Prefixes)
}

func encodeListV2(c *pipeline.Call, out object.Listing) (*pipeline.Response, error) {
	x := newListing(c, listRoot, len(out.Entries)+len(out.Prefixes))
	if token := c.Query.Get("continuation-token"); token != "" {
		x.element("ContinuationToken", token)
	} else {
		x.optional("StartAfter", "start-after")
	}
	if out.Truncated {
		x.raw("NextContinuationToken", continuationToken(out.Next))
	}
	x.number("KeyCount", int64(len(out.Entries)+len(out.Prefixes)))
	x.limits(out.Truncated)
	x.contents(out.Entries, c.Query.Get("fetch-owner") == "true")
	return x.end(listRoot, out.Prefixes)
}

func encodeListVersions(c *pipeline.Call, out object.VersionListing) (*pipeline.Response, error) {
	const root = "ListVersionsResult"
	x := newListing(c, root, len(out.Entries)+len(out.Prefixes))
	x.parameter("KeyMarker", "key-marker")
	x.element("VersionIdMarker", c.Query.Get("version-id-marker"))
	if out.Truncated {
		x.key("NextKeyMarker", out.NextKey, x.encoding)
		if out.NextVersion != "" {
			x.element("NextVersionIdMarker", out.NextVersion)
		}
	}
	x.limits(out.Truncated)
	for i := range out.Entries {
		x.version(&out.Entries[i])
	}
	return x.end(root, out.Prefixes)
}

// version writes a version or a delete marker.
func (x *listing) version(e *object.Entry) {
	name := "Version"
	if e.Marker {
		name = "DeleteMarker"
	}
	x.open(name)
	x.key("Key", e.Key, x.encoding)
	x.element("VersionId", e.VersionID)
	x.flag("IsLatest", e.Latest)
	x.time("LastModified", time.UnixMilli(e.Modified))
	if e.Marker {
		x.ownerOf(e)
	} else {
		x.attributes(e, true)
	}
	x.close(name)
}
