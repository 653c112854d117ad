// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault of lifecycle configurations.
const (
	// NoLifecycle: the bucket has no lifecycle configuration.
	NoLifecycle fault.Kind = "bucket: no lifecycle configuration"
	// InvalidLifecycle: parts of a lifecycle configuration do not go together.
	InvalidLifecycle fault.Kind = "bucket: invalid lifecycle configuration"
	// InvalidLifecycleValue: a value in a lifecycle configuration is none that it can
	// have. Details ArgumentName and ArgumentValue.
	InvalidLifecycleValue fault.Kind = "bucket: invalid value in a lifecycle configuration"
	// MalformedLifecycle: something is missing from a lifecycle configuration, or there
	// twice.
	MalformedLifecycle fault.Kind = "bucket: malformed lifecycle configuration"
)

// LifecycleKind is the kind of a bucket's lifecycle configuration. Package lifecycle says
// what it means.
const LifecycleKind DocumentKind = "lifecycle"

// Lifecycle is a lifecycle configuration (S3 API Reference,
// BucketLifecycleConfiguration).
type Lifecycle struct {
	Rules   []LifecycleRule  `json:"rules"`
	Minimum LifecycleMinimum `json:"minimum,omitempty"` // "" is MinimumAll
}

// LifecycleMinimum says how small an object may be that changes its class, where a rule
// does not say it by its filter.
type LifecycleMinimum string

// The minima. Under MinimumByClass only the archives take what is smaller than 128 KiB.
const (
	MinimumAll     LifecycleMinimum = "all_storage_classes_128K"
	MinimumByClass LifecycleMinimum = "varies_by_storage_class"
)

// LifecycleRule is one rule. What is absent is nil.
type LifecycleRule struct {
	ID      string `json:"id"`
	Enabled bool   `json:"enabled"`
	// Prefix is that of a rule of the first version, which has no filter.
	Prefix *string          `json:"prefix,omitempty"`
	Filter *LifecycleFilter `json:"filter,omitempty"`

	Expiration            *LifecycleExpiration   `json:"expiration,omitempty"`
	Transitions           []LifecycleTransition  `json:"transitions,omitempty"`
	NoncurrentExpiration  *NoncurrentExpiration  `json:"noncurrentExpiration,omitempty"`
	NoncurrentTransitions []NoncurrentTransition `json:"noncurrentTransitions,omitempty"`
	AbortDays             *int                   `json:"abortDays,omitempty"` // after an upload began
}

// LifecycleFilter says which objects a rule is about: those that meet all of it, and with
// nothing in it all.
type LifecycleFilter struct {
	And     bool    `json:"and,omitempty"` // written with an And element
	Prefix  *string `json:"prefix,omitempty"`
	Tags    []Tag   `json:"tags,omitempty"`
	Greater *int64  `json:"greater,omitempty"` // size in bytes, exclusive
	Less    *int64  `json:"less,omitempty"`
}

// LifecycleExpiration ends current versions. One of its members is set.
type LifecycleExpiration struct {
	Days    *int       `json:"days,omitempty"`
	Date    *time.Time `json:"date,omitempty"`
	Markers *bool      `json:"markers,omitempty"` // ExpiredObjectDeleteMarker
}

// LifecycleTransition changes the class of current versions, after days or at a date.
type LifecycleTransition struct {
	Days  *int       `json:"days,omitempty"`
	Date  *time.Time `json:"date,omitempty"`
	Class string     `json:"class"`
}

// NoncurrentExpiration ends other versions that have not been current for so many days,
// but for the Newer newest of them.
type NoncurrentExpiration struct {
	Days  int  `json:"days"`
	Newer *int `json:"newer,omitempty"`
}

// NoncurrentTransition changes their class.
type NoncurrentTransition struct {
	NoncurrentExpiration
	Class string `json:"class"`
}

// PutLifecycle replaces a bucket's lifecycle configuration.
type PutLifecycle struct {
	Ref
	Lifecycle Lifecycle
}

// Needs says what the request must be allowed.
func (in PutLifecycle) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutLifecycleConfiguration", Resource: aws.BucketARN(in.Bucket)}}
}

// PutLifecycle replaces a bucket's lifecycle configuration, which rules from the answer
// on. Rules without an id get one. It returns the minimum that holds. Faults: those of
// Find, InvalidLifecycle, InvalidLifecycleValue, MalformedLifecycle.
func (s *Buckets) PutLifecycle(ctx context.Context, _ iam.Caller, in PutLifecycle) (LifecycleMinimum, error) {
	if _, err := s.Find(ctx, in.Ref); err != nil {
		return "", err
	}
	doc := in.Lifecycle
	if err := doc.check(); err != nil {
		return "", err
	}
	doc.Rules = named(doc.Rules)
	return doc.MinimumSize(), s.putDocument(ctx, in.Ref, LifecycleKind, "", doc)
}

// GetLifecycle asks for a bucket's lifecycle configuration.
type GetLifecycle struct{ Ref }

// Needs says what the request must be allowed.
func (in GetLifecycle) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetLifecycleConfiguration", Resource: aws.BucketARN(in.Bucket)}}
}

// GetLifecycle returns a bucket's lifecycle configuration, with its minimum. It must not
// be changed. Faults: those of Find, NoLifecycle.
func (s *Buckets) GetLifecycle(ctx context.Context, _ iam.Caller, in GetLifecycle) (*Lifecycle, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	l, err := s.Lifecycle(ctx, b)
	if err == nil && l == nil {
		err = fault.New(NoLifecycle, "").With("BucketName", b.Name)
	}
	return l, err
}

// Lifecycle returns a bucket's lifecycle configuration, nil when it has none, which costs
// nothing. It must not be changed.
func (s *Buckets) Lifecycle(ctx context.Context, b *Bucket) (*Lifecycle, error) {
	return document[Lifecycle](ctx, s, b, LifecycleKind, "")
}

// MinimumSize returns the minimum that holds.
func (l *Lifecycle) MinimumSize() LifecycleMinimum {
	if l.Minimum == "" {
		return MinimumAll
	}
	return l.Minimum
}

// DeleteLifecycle removes a bucket's lifecycle configuration.
type DeleteLifecycle struct{ Ref }

// Needs says what the request must be allowed.
func (in DeleteLifecycle) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutLifecycleConfiguration", Resource: aws.BucketARN(in.Bucket)}}
}

// DeleteLifecycle removes a bucket's lifecycle configuration, if it has one. What it would
// have done is not done any more once this has returned. Faults: those of Find.
func (s *Buckets) DeleteLifecycle(ctx context.Context, _ iam.Caller, in DeleteLifecycle) (struct{}, error) {
	_, err := s.deleteDocument(ctx, in.Ref, LifecycleKind, "")
	return struct{}{}, err
}
