// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"fmt"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// ListParts asks for the parts of an upload.
type ListParts struct {
	UploadRef
	After    int // go on after this part number
	Max      int
	Customer sse.CustomerKey
}

// Needs says what the request must be allowed.
func (in ListParts) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:ListMultipartUploadParts", Resource: in.ARN()}}
}

// PartListing is a page of parts.
type PartListing struct {
	Owner, Initiator string
	StorageClass     string
	Checksum         Checksum // algorithm and type, when the client named an algorithm
	Parts            []StoredPart
	Truncated        bool
	Next             int
	Aborted          Expiry // when a lifecycle rule will give the upload up
}

// ListParts returns a page of an upload's parts. Fault: NoSuchUpload.
func (o *Objects) ListParts(ctx context.Context, _ iam.Caller, in ListParts) (PartListing, error) {
	b, err := o.buckets.Find(ctx, in.Ref.Ref)
	if err != nil {
		return PartListing{}, err
	}
	u, _, err := o.upload(ctx, b, in.UploadRef)
	if err != nil {
		return PartListing{}, err
	}
	if in.Customer.Given() || u.Declared {
		a, err := o.keys.Applied(ctx, keyBucket(b), u.Key, u.Wrap)
		if err == nil && a.Algorithm == sse.Customer {
			err = u.checkCustomer(a, in.Customer)
		}
		if err != nil {
			return PartListing{}, err
		}
	}
	out := PartListing{Owner: u.Owner, Initiator: u.Initiator, StorageClass: u.Class}
	if u.Declared {
		out.Checksum = u.Checksum
	}
	if out.Aborted, err = o.abortion(ctx, b, u); err != nil {
		return PartListing{}, err
	}
	limit := min(in.Max, maxList)
	if limit <= 0 || in.After >= MaxParts {
		return out, nil
	}
	prefix := partsPrefix(u.ID.uid)
	page, err := o.store.Scan(ctx, meta.Range{
		Start: partKey(u.ID.uid, uint32(in.After)+1), End: meta.PrefixEnd(prefix), Limit: limit,
	})
	if err != nil {
		return PartListing{}, fmt.Errorf("read parts: %w", err)
	}
	for _, item := range page.Items {
		p, err := decodeUploadedPart(item.Value)
		if err != nil {
			return PartListing{}, err
		}
		d := describePart(u, p)
		if !u.Declared {
			d.Checksum = Checksum{}
		}
		out.Parts = append(out.Parts, d)
		out.Next = d.Number
	}
	out.Truncated = page.More
	return out, nil
}

// ListUploads asks for the uploads under way in a bucket.
type ListUploads struct {
	bucket.Ref
	Prefix, Delimiter string
	KeyMarker         string
	UploadMarker      string
	Max               int
}

// Needs says what the request must be allowed.
func (in ListUploads) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:ListBucketMultipartUploads", Resource: aws.BucketARN(in.Bucket)}}
}

// Upload is an upload in a listing.
type Upload struct {
	Key, UploadID, Owner, Initiator, StorageClass string
	Created                                       time.Time
	Checksum                                      Checksum // algorithm and type, when the client named an algorithm
}

// UploadListing is a page of uploads.
type UploadListing struct {
	Uploads             []Upload
	Prefixes            []string
	Truncated           bool
	NextKey, NextUpload string
}

// ListUploads returns a page of uploads, by key and then by the time they began. Fault:
// InvalidArgument.
func (o *Objects) ListUploads(ctx context.Context, _ iam.Caller, in ListUploads) (UploadListing, error) {
	b, err := o.buckets.Find(ctx, in.Ref)
	if err != nil {
		return UploadListing{}, err
	}
	limit := min(in.Max, maxList)
	if limit <= 0 {
		return UploadListing{}, nil
	}
	after := overGroup(in.KeyMarker, in.Prefix, in.Delimiter)
	var id versionID
	inKey := in.UploadMarker != "" && in.KeyMarker != ""
	if inKey {
		if id, inKey = parseID(in.UploadMarker); !inKey {
			return UploadListing{}, fault.New(InvalidArgument, "Invalid uploadId marker").
				With("ArgumentName", "upload-id-marker").With("ArgumentValue", in.UploadMarker)
		}
		if after == in.KeyMarker {
			after = ""
		} else {
			inKey = false // nothing of a group is listed upload by upload
		}
	}
	w := newWalk(o.store, bucketPrefix("u/", b.UID), versionSuffix, in.Prefix, in.Delimiter, after, limit+1)
	if inKey {
		w.seek(append(uploadKey(b.UID, in.KeyMarker, id), 0))
	}
	out := UploadListing{}
	for {
		item, key, err := w.next(ctx)
		if err != nil {
			return UploadListing{}, fmt.Errorf("list uploads of %q: %w", in.Bucket, err)
		}
		if item.Key == nil {
			return out, nil
		}
		if len(out.Uploads)+len(out.Prefixes) == limit {
			out.Truncated = true
			return out, nil
		}
		if group, ok := commonPrefix(key, in.Prefix, in.Delimiter); ok {
			out.Prefixes = append(out.Prefixes, group)
			out.NextKey, out.NextUpload = group, ""
			w.skip(group)
			continue
		}
		u, err := decodeUpload(item.Value)
		if err != nil {
			return UploadListing{}, err
		}
		out.Uploads = append(out.Uploads, describeUpload(u))
		out.NextKey, out.NextUpload = u.Key, u.ID.String()
	}
}

func describeUpload(u *upload) Upload {
	out := Upload{
		Key: u.Key, UploadID: u.ID.String(), Owner: u.Owner, Initiator: u.Initiator, StorageClass: u.Class,
		Created: time.UnixMilli(u.Created).UTC(),
	}
	if u.Declared {
		out.Checksum = u.Checksum
	}
	return out
}
