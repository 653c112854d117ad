// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
)

// GetAttributes asks for what is known of a version.
type GetAttributes struct {
	VersionRef
	Customer  sse.CustomerKey
	AfterPart int // list parts after this number
	MaxParts  int
}

// Needs says what the request must be allowed.
func (in GetAttributes) Needs() []policy.Need {
	action := "s3:GetObjectAttributes"
	if in.VersionID != "" {
		action = "s3:GetObjectVersionAttributes"
	}
	return append(Get{VersionRef: in.VersionRef}.Needs(), policy.Need{Action: action, Resource: in.ARN(), Version: in.VersionID})
}

// ObjectAttributes is what is known of a version. Parts lists those of an object that was
// uploaded in parts, if each has a checksum of its own; PartsCount counts them all,
// 0 for an object of one piece.
type ObjectAttributes struct {
	Object
	Parts      []StoredPart
	AfterPart  int
	MaxParts   int
	Truncated  bool
	NextPart   int
	PartsCount int
}

// Attributes returns what is known of a version. Under KMS it proves kms:Decrypt,
// since checksums are protected as the data is (S3 API Reference,
// GetObjectAttributes). Faults: as Head.
func (o *Objects) Attributes(ctx context.Context, by iam.Caller, in GetAttributes) (ObjectAttributes, error) {
	return rereading(func() (ObjectAttributes, error) { return o.attributes(ctx, by, in) })
}

func (o *Objects) attributes(ctx context.Context, by iam.Caller, in GetAttributes) (ObjectAttributes, error) {
	get := Get{VersionRef: in.VersionRef, Customer: in.Customer, Checksum: true}
	b, r, sel, err := o.look(ctx, by, get)
	if err != nil {
		return ObjectAttributes{}, err
	}
	opening, err := o.opening(ctx, by, b, r, in.Customer)
	if err != nil {
		return ObjectAttributes{}, err
	}
	defer opening.Clear()
	described, err := o.describe(ctx, b, r, get, sel)
	if err != nil {
		return ObjectAttributes{}, err
	}
	out := ObjectAttributes{Object: *described, AfterPart: in.AfterPart, MaxParts: in.MaxParts}
	out.SSE = opening.Applied()
	if r.Upload == nil {
		return out, nil
	}
	out.PartsCount = len(r.Parts)
	if r.Checksum.Type != checksum.Composite {
		return out, nil
	}
	for i, p := range r.Parts {
		if i+1 <= in.AfterPart {
			continue
		}
		if len(out.Parts) == in.MaxParts {
			out.Truncated = true
			break
		}
		out.Parts = append(out.Parts, StoredPart{
			Number: i + 1, Size: p.Size, Checksum: Checksum{Algorithm: r.Checksum.Algorithm, Value: p.Checksum},
		})
		out.NextPart = i + 1
	}
	return out, nil
}
