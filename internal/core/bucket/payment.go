// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// UnknownPayer: a payer that is neither the bucket's owner nor the requester.
const UnknownPayer fault.Kind = "bucket: unknown payer"

// Who pays for requests and what they transfer.
const (
	PaidByOwner     = "BucketOwner"
	PaidByRequester = "Requester"
)

// paymentDocument says by being there that requesters pay; the bucket's record tells of it.
const paymentDocument DocumentKind = "requestPayment"

type payment struct {
	Payer string `json:"payer"`
}

// RequesterPays reports whether those who use the bucket from other accounts have to agree
// to pay for it (S3 User Guide, "Using Requester Pays general purpose buckets").
func (b *Bucket) RequesterPays() bool { return b.Has(paymentDocument) }

// PutRequestPayment sets who pays.
type PutRequestPayment struct {
	Ref
	Payer string
}

// Needs says what the request must be allowed.
func (in PutRequestPayment) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutBucketRequestPayment", Resource: aws.BucketARN(in.Bucket)}}
}

// PutRequestPayment sets who pays. Faults: NoSuchBucket, UnknownPayer.
func (s *Buckets) PutRequestPayment(ctx context.Context, _ iam.Caller, in PutRequestPayment) (none struct{}, err error) {
	switch in.Payer {
	case PaidByRequester:
		err = s.putDocument(ctx, in.Ref, paymentDocument, "", payment{in.Payer})
	case PaidByOwner:
		_, err = s.deleteDocument(ctx, in.Ref, paymentDocument, "")
	default:
		err = fault.New(UnknownPayer, "")
	}
	return none, err
}

// GetRequestPayment asks who pays.
type GetRequestPayment struct{ Ref }

// Needs says what the request must be allowed.
func (in GetRequestPayment) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetBucketRequestPayment", Resource: aws.BucketARN(in.Bucket)}}
}

// RequestPayment returns who pays. Fault: NoSuchBucket.
func (s *Buckets) RequestPayment(ctx context.Context, _ iam.Caller, in GetRequestPayment) (string, error) {
	b, err := s.Find(ctx, in.Ref)
	switch {
	case err != nil:
		return "", err
	case b.RequesterPays():
		return PaidByRequester, nil
	}
	return PaidByOwner, nil
}
