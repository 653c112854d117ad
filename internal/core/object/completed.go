// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fips"
)

// completed answers for an upload that is over, with the error over: when it is over
// because a request like this one completed it, that request's answer is given again. A
// client whose connection broke cannot know that it succeeded (S3 API Reference,
// CompleteMultipartUpload).
//
// What is known of the upload is in its object, so this is so only while that is the
// current version of its key, and never for a request with a condition: what that was held
// against is gone. Everything else gets over. Nothing is changed.
func (o *Objects) completed(ctx context.Context, by iam.Caller, b *bucket.Bucket, in Complete, over error) (Stored, error) {
	id, ok := parseID(in.UploadID)
	if !ok || !errors.Is(over, NoSuchUpload) || !in.Condition.empty() {
		return Stored{}, over
	}
	r, _, err := o.current(ctx, b, in.Key)
	if err != nil {
		return Stored{}, fmt.Errorf("read current version: %w", err)
	}
	if r == nil || r.Upload == nil || r.Upload.ID != id.uid || r.Upload.Created != id.time {
		return Stored{}, over
	}
	if !in.made(r) || b.HasACLs() && r.Owner != by.Account {
		return Stored{}, over
	}
	a, err := o.keys.Applied(ctx, keyBucket(b), r.Key, r.Wrap)
	if err != nil {
		return Stored{}, err
	}
	if err := sse.CheckTransport(sse.Choice{Algorithm: a.Algorithm}, by); err != nil {
		return Stored{}, err
	}
	return o.stored(ctx, b, r, a, false), nil
}

// made reports whether the request, as far as it goes, makes the object that r is.
func (in Complete) made(r *record) bool {
	if len(in.Parts) != len(r.Parts) || in.Size >= 0 && in.Size != r.Size {
		return false
	}
	if in.Type != "" && in.Type != r.Checksum.Type {
		return false
	}
	if in.Checksum != "" {
		want, _, err := in.Algorithm.ParseComposite(in.Checksum)
		if err != nil || in.Algorithm != r.Checksum.Algorithm || !bytes.Equal(want, r.Checksum.Value) {
			return false
		}
	}
	etags := fips.NewMD5()
	for i, p := range in.Parts {
		sum, err := hex.DecodeString(unquote(p.ETag))
		if err != nil || uint32(p.Number) != r.Parts[i].Number {
			return false
		}
		etags.Write(sum)
	}
	return fmt.Sprintf("%x-%d", etags.Sum(nil), len(in.Parts)) == r.ETag
}
