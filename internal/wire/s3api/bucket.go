// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) bucketOps() []pipeline.Op {
	return []pipeline.Op{
		pipeline.Define("ListBuckets", pipeline.Read, service("GET"), decodeListBuckets, a.Buckets.List, encodeListBuckets),
		pipeline.Define("CreateBucket", pipeline.Grows, bucketRoute("PUT"), decodeCreateBucket, a.Buckets.Create, encodeCreateBucket),
		pipeline.Define("HeadBucket", pipeline.Read|pipeline.Data, bucketRoute("HEAD"), decodeHeadBucket, a.Buckets.Head, encodeHeadBucket),
		pipeline.Define("DeleteBucket", 0, bucketRoute("DELETE"), decodeDeleteBucket, a.Buckets.Delete, noContent),
		pipeline.Define("GetBucketLocation", pipeline.Read, bucketRoute("GET", "location"), decodeLocation, a.Buckets.Location, encodeLocation),
	}
}

// maxBuckets is the most buckets of a page.
const maxBuckets = 10000

func decodeListBuckets(c *pipeline.Call) (in bucket.List, err error) {
	q := c.Query
	in.Prefix, in.Region = q.Get("prefix"), q.Get("bucket-region")
	if text := q.Get("max-buckets"); text != "" {
		if in.Limit, err = strconv.Atoi(text); err != nil || in.Limit < 1 || in.Limit > maxBuckets {
			return in, invalidArgument("max-buckets", text, "Argument max-buckets must be an integer between 1 and 10000")
		}
	}
	if q.Get("continuation-token") == "" { // unlike elsewhere, an empty one begins
		return in, nil
	}
	in.After, err = continuation(c)
	return in, err
}

func encodeListBuckets(c *pipeline.Call, out bucket.Listing) (*pipeline.Response, error) {
	q := c.Query
	// As on S3, a bucket's region is told to those who know to ask.
	regions := q.Has("max-buckets") || q.Has("prefix") || q.Has("continuation-token") || q.Has("bucket-region")
	x := markup{buf: make([]byte, 0, 512+160*len(out.Buckets))}
	x.root("ListAllMyBucketsResult")
	x.open("Owner")
	x.raw("ID", canonicalID(out.Owner))
	x.close("Owner")
	x.open("Buckets")
	for _, b := range out.Buckets {
		x.open("Bucket")
		x.element("Name", b.Name)
		x.time("CreationDate", b.Created)
		if regions {
			x.element("BucketRegion", b.Region)
		}
		x.element("BucketArn", aws.BucketARN(b.Name))
		x.close("Bucket")
	}
	x.close("Buckets")
	if out.Next != "" {
		x.raw("ContinuationToken", continuationToken(out.Next))
	}
	if q.Has("prefix") {
		x.element("Prefix", q.Get("prefix"))
	}
	x.close("ListAllMyBucketsResult")
	return xmlResponse(http.StatusOK, x.buf), nil
}

// tokenVersion begins a continuation token, so that the form may change and most
// of what is no token is seen to be none.
const tokenVersion = "\x01"

// continuationToken hides the name after which a listing goes on. The name is the
// client's own to know; what it must not do is rely on the form.
func continuationToken(after string) string {
	return base64.StdEncoding.EncodeToString([]byte(tokenVersion + after))
}

// continuation reads the continuation-token parameter, "" when there is none.
func continuation(c *pipeline.Call) (after string, err error) {
	if !c.Query.Has("continuation-token") {
		return "", nil
	}
	token := c.Query.Get("continuation-token")
	b, err := base64.StdEncoding.Strict().DecodeString(token)
	after, versioned := strings.CutPrefix(string(b), tokenVersion)
	if err != nil || !versioned || after == "" || !utf8.ValidString(after) {
		return "", fault.New(InvalidArgument, "The continuation token provided is incorrect").With("ArgumentName", "continuation-token")
	}
	return after, nil
}

type createBucketXML struct {
	LocationConstraint string
	Location           *struct{} // of directory buckets, which Coffer has not
	Bucket             *struct{}
	Tags               *struct {
		Tag []tagXML
	}
}

// decodeCreateBucket reads the headers and the document, which may be absent.
func decodeCreateBucket(c *pipeline.Call) (in bucket.Create, err error) {
	in.Bucket = c.Bucket
	ownership, given := field(c, "x-amz-object-ownership")
	in.Ownership = bucket.Ownership(ownership)
	if o := in.Ownership; given && !o.Valid() {
		return in, invalidArgument("x-amz-object-ownership", string(o), "Invalid x-amz-object-ownership header: "+string(o))
	}
	if in.ACL, err = askedACL(c); err != nil {
		return in, err
	}
	switch lock := value(c, "x-amz-bucket-object-lock-enabled"); strings.ToLower(lock) {
	case "", "false":
	case "true":
		in.ObjectLock = true
	default:
		return in, invalidArgument("x-amz-bucket-object-lock-enabled", lock, "The value must be true or false")
	}
	switch ns := value(c, "x-amz-bucket-namespace"); ns {
	case "", "global":
	case "account-regional":
		in.AccountRegional = true
	default:
		return in, invalidArgument("x-amz-bucket-namespace", ns, "The value must be global or account-regional")
	}
	b, err := document(c)
	if err != nil || len(b) == 0 {
		return in, err
	}
	var doc createBucketXML
	if err := parseXML(b, "CreateBucketConfiguration", &doc); err != nil {
		return in, err
	}
	if doc.Location != nil || doc.Bucket != nil {
		return in, fault.New(NotImplemented, "Directory buckets are not implemented.")
	}
	in.Location = strings.TrimSpace(doc.LocationConstraint)
	if in.Location != "" {
		auditDocument(c, "CreateBucketConfiguration", map[string]any{"LocationConstraint": in.Location})
	}
	if doc.Tags != nil {
		in.HasTags = true
		if in.Tags, err = tagsOf(doc.Tags.Tag); err != nil {
			return in, err
		}
		return in, bucket.CheckTags(in.Tags, bucket.MaxTags)
	}
	return in, nil
}

func encodeCreateBucket(_ *pipeline.Call, b *bucket.Bucket) (*pipeline.Response, error) {
	h := http.Header{"Location": {"/" + b.Name}}
	setHeader(h, "x-amz-bucket-arn", b.ARN())
	return &pipeline.Response{Status: http.StatusOK, Header: h}, nil
}

func decodeHeadBucket(c *pipeline.Call) (bucket.Head, error) {
	return bucket.Head{Ref: bucketRef(c)}, nil
}

func encodeHeadBucket(_ *pipeline.Call, b *bucket.Bucket) (*pipeline.Response, error) {
	h := http.Header{"Content-Type": {"application/xml"}}
	setHeader(h, "x-amz-bucket-arn", b.ARN())
	setHeader(h, "x-amz-access-point-alias", "false")
	return &pipeline.Response{Status: http.StatusOK, Header: h}, nil
}

// answerRegion says where the bucket is in every answer to HeadBucket and to listings of
// current objects, refusals too: SDKs learn a bucket's Region there before they can sign
// for it, or without any credentials (S3 API Reference, GetBucketLocation).
func (a *API) answerRegion(c *pipeline.Call, resp *pipeline.Response) {
	if c.Op == nil {
		return
	}
	switch c.Op.Name {
	case "HeadBucket", "ListObjects", "ListObjectsV2":
	default:
		return
	}
	b, err := a.Buckets.Access(c.Request.Context(), c.Bucket)
	if err != nil {
		return
	}
	if resp.Header == nil {
		resp.Header = make(http.Header)
	}
	setHeader(resp.Header, "x-amz-bucket-region", b.Region)
}

func decodeDeleteBucket(c *pipeline.Call) (bucket.Delete, error) {
	return bucket.Delete{Ref: bucketRef(c)}, nil
}

func decodeLocation(c *pipeline.Call) (bucket.Location, error) {
	return bucket.Location{Ref: bucketRef(c)}, nil
}

type locationXML struct {
	XMLName    xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LocationConstraint"`
	Constraint string   `xml:",chardata"`
}

func encodeLocation(_ *pipeline.Call, constraint string) (*pipeline.Response, error) {
	return encodeXML(http.StatusOK, locationXML{Constraint: constraint})
}
