// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"errors"
	"maps"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault of server access logging.
const (
	// InvalidLogTarget: logs cannot be delivered there. Detail TargetBucket.
	InvalidLogTarget fault.Kind = "bucket: invalid target bucket for logging"
	// InvalidLogging: a configuration of logging that cannot be.
	InvalidLogging fault.Kind = "bucket: invalid logging configuration"
)

// Logging says where the requests on a bucket are logged to.
type Logging struct {
	Target string   `json:"target"`
	Prefix string   `json:"prefix,omitempty"`
	Grants acl.List `json:"grants,omitempty"` // on delivered objects, beside the owner's
	// Format of the objects' keys: "" is SimplePrefix, not said so in so many words.
	Format LogFormat `json:"format,omitempty"`
	// Dates says what the dates of partitions are, "" is DeliveryTime.
	Dates LogDates `json:"dates,omitempty"`
}

// LogFormat is a format of the keys of delivered logs.
type LogFormat string

// The formats.
const (
	SimplePrefix      LogFormat = "SimplePrefix"
	PartitionedPrefix LogFormat = "PartitionedPrefix"
)

// LogDates is what the dates in keys of [PartitionedPrefix] are.
type LogDates string

// The dates.
const (
	EventTime    LogDates = "EventTime"
	DeliveryTime LogDates = "DeliveryTime"
)

// MaxLogPrefix bounds the prefix of logs, in bytes: the longest key that is made with it is
// one that an object can have.
const MaxLogPrefix = 800

// check holds a configuration against what one can be. Faults: InvalidLogging, those of
// acl.List.Check.
func (l *Logging) check() error {
	switch {
	case l.Target == "", len(l.Prefix) > MaxLogPrefix,
		l.Format != "" && l.Format != SimplePrefix && l.Format != PartitionedPrefix,
		l.Dates != "" && l.Dates != EventTime && l.Dates != DeliveryTime,
		l.Dates != "" && l.Format != PartitionedPrefix:
		return fault.New(InvalidLogging, "")
	}
	for _, g := range l.Grants {
		if g.Permission != acl.Read && g.Permission != acl.Write && g.Permission != acl.FullControl {
			return fault.New(InvalidLogging, "")
		}
	}
	return l.Grants.Check()
}

// PutLogging sets where the requests on a bucket are logged to; nil: nowhere.
type PutLogging struct {
	Ref
	Logging *Logging
}

// Needs says what the request must be allowed.
func (in PutLogging) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutBucketLogging", Resource: aws.BucketARN(in.Bucket)}}
}

// PutLogging sets where the requests on a bucket are logged to, from now on. Whether the
// target's policy lets logs be delivered is not looked at, as on S3: they wait until it
// does. Faults: NoSuchBucket, InvalidLogging, InvalidLogTarget, PublicBlocked, those of
// package acl.
func (s *Buckets) PutLogging(ctx context.Context, _ iam.Caller, in PutLogging) (struct{}, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return struct{}{}, err
	}
	if in.Logging != nil {
		if err := in.Logging.check(); err != nil {
			return struct{}{}, err
		}
		if err := s.logTarget(ctx, b, in.Logging); err != nil {
			return struct{}{}, err
		}
	}
	if err := s.update(ctx, b.UID, func(r *record) error { r.Logging = in.Logging; return nil }); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.relog(context.WithoutCancel(ctx), b)
}

// logTarget decides whether a bucket's logs can go where a configuration says.
func (s *Buckets) logTarget(ctx context.Context, b *Bucket, l *Logging) error {
	invalid := func(text string) error {
		return fault.New(InvalidLogTarget, "%s", text).With("TargetBucket", l.Target)
	}
	target, err := s.Access(ctx, l.Target)
	switch {
	case errors.Is(err, NoSuchBucket):
		return invalid("The target bucket for logging does not exist")
	case err != nil:
		return err
	case target.Owner != b.Owner:
		return invalid("The owner for the bucket to be logged and the target bucket must be the same.")
	case !LogsUnder(target.Bucket):
		return invalid("The default encryption of the target bucket for logging must be SSE-S3 (AES256).")
	case !target.HasACLs():
		if len(l.Grants) > 0 {
			return fault.New(acl.Disabled, "Target grants not allowed for bucket owner enforced buckets")
		}
		return nil
	}
	if target.Policy == nil && target.Broken == nil && !target.ACL.ForLogs() {
		return invalid("You must give the log-delivery group WRITE and READ_ACP permissions to the target bucket")
	}
	if l.Grants.Public() {
		blocked, err := s.Blocked(ctx, target.Bucket)
		if err != nil {
			return err
		}
		if blocked.ACLs {
			return fault.New(PublicBlocked, "").With("BucketName", target.Name)
		}
	}
	return s.grantees(ctx, l.Grants)
}

// LogsUnder reports whether logs can be delivered under the bucket's default encryption
// (S3 User Guide, "Logging requests with server access logging": SSE-S3 alone).
func LogsUnder(b *Bucket) bool {
	a := b.Default().Algorithm
	return a == sse.AES256 || a == sse.NotSSE
}

// GetLogging asks where the requests on a bucket are logged to.
type GetLogging struct{ Ref }

// Needs says what the request must be allowed.
func (in GetLogging) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetBucketLogging", Resource: aws.BucketARN(in.Bucket)}}
}

// GetLogging returns where the requests on a bucket are logged to; nil: nowhere. It must
// not be changed.
func (s *Buckets) GetLogging(ctx context.Context, _ iam.Caller, in GetLogging) (*Logging, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	return b.Logging, nil
}

// Logged is a bucket whose requests are logged, as it was configured at one moment. It must
// not be changed.
type Logged struct {
	Name    string
	Owner   string // account id
	OwnerID string // its canonical user id
	Region  string
	Logging
}

// Logged returns the bucket of that name if its requests are logged, nil if not. It is
// asked for every request, and answers from memory: this service is the only writer of the
// rows.
func (s *Buckets) Logged(name string) *Logged {
	m := s.logged.Load()
	if m == nil {
		return nil
	}
	return (*m)[name]
}

// LoadLogged reads which buckets are logged. It is called once, before requests are.
func (s *Buckets) LoadLogged(ctx context.Context) error {
	m := map[string]*Logged{}
	err := s.Each(ctx, func(b *Bucket) error {
		if b.Logging != nil {
			m[b.Name] = s.loggedAs(b)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.logging.Lock()
	defer s.logging.Unlock()
	if s.logged.Load() == nil {
		s.logged.Store(&m)
	}
	return nil
}

func (s *Buckets) loggedAs(b *Bucket) *Logged {
	return &Logged{Name: b.Name, Owner: b.Owner, OwnerID: s.CanonicalID(b.Owner), Region: b.Region, Logging: *b.Logging}
}

// relog makes Logged answer as the rows do. They are read under the lock: of two changes
// the one that reads last has seen both. What cannot be read is not logged: the name may be
// another account's by now.
func (s *Buckets) relog(ctx context.Context, of *Bucket) error {
	s.logging.Lock()
	defer s.logging.Unlock()
	b, err := s.find(ctx, of.Name)
	var m map[string]*Logged
	if old := s.logged.Load(); old != nil {
		m = maps.Clone(*old)
	} else {
		m = map[string]*Logged{}
	}
	if err == nil && b.Logging != nil {
		m[of.Name] = s.loggedAs(b)
	} else {
		delete(m, of.Name)
	}
	s.logged.Store(&m)
	if errors.Is(err, NoSuchBucket) {
		return nil
	}
	return err
}
