// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// maxTrails is how many trails an account may have (CloudTrail User Guide, "Quotas in AWS
// CloudTrail").
const maxTrails = 5

// Settings are the members that CreateTrail and UpdateTrail share. What is nil was not
// given: a new trail has the default, an old one keeps what it has.
type Settings struct {
	S3BucketName               *string
	S3KeyPrefix                *string
	SnsTopicName               *string
	IncludeGlobalServiceEvents *bool
	IsMultiRegionTrail         *bool
	EnableLogFileValidation    *bool
	CloudWatchLogsLogGroupArn  *string
	CloudWatchLogsRoleArn      *string
	KmsKeyId                   *string
	IsOrganizationTrail        *bool
}

// CreateTrail is the request of Service.Create.
type CreateTrail struct {
	Name string
	Settings
	TagsList []Tag
}

// UpdateTrail is the request of Service.Update.
type UpdateTrail struct {
	Name string
	Settings
}

// Saved is the result of Service.Create and Service.Update.
type Saved struct {
	Name                       string
	S3BucketName               string
	S3KeyPrefix                string
	IncludeGlobalServiceEvents *bool
	IsMultiRegionTrail         *bool
	TrailARN                   string
	LogFileValidationEnabled   *bool
	KmsKeyId                   string
	IsOrganizationTrail        *bool
}

func (s *Service) saved(t *Trail) Saved {
	return Saved{
		Name: t.Name, S3BucketName: t.Bucket, S3KeyPrefix: t.Prefix, TrailARN: t.ARN(s.Region), KmsKeyId: t.KeyARN,
		IncludeGlobalServiceEvents: &t.Global, IsMultiRegionTrail: &t.Multi, LogFileValidationEnabled: &t.Validate, IsOrganizationTrail: new(bool),
	}
}

// Create makes a trail, which does not log yet. Faults: InvalidName, those of its
// settings and tags, AlreadyExists, TooMany, iam.AccessDenied.
func (s *Service) Create(ctx context.Context, by iam.Caller, in CreateTrail) (Saved, error) {
	if err := checkName(in.Name); err != nil {
		return Saved{}, err
	}
	arn := s.arn(by.Account, in.Name)
	if err := s.may(ctx, by, "CreateTrail", arn, requestTags(in.TagsList)); err != nil {
		return Saved{}, err
	}
	if len(in.TagsList) > 0 {
		if err := s.may(ctx, by, "AddTags", arn, requestTags(in.TagsList)); err != nil {
			return Saved{}, err
		}
	}
	t := Trail{ID: uuid.NewString(), Account: by.Account, Name: in.Name, Global: true, Created: time.Now().UTC()}
	var err error
	if t.Tags, err = withTags(nil, in.TagsList); err != nil {
		return Saved{}, err
	}
	if in.S3BucketName == nil {
		return Saved{}, fault.New(InvalidBucketName, "Bucket name cannot be blank.")
	}
	if _, _, err := s.find(ctx, t.Account, t.Name); err == nil {
		return Saved{}, exists(&t)
	} else if !errors.Is(err, NotFound) {
		return Saved{}, err
	}
	if n, _, err := s.counted(ctx, t.Account); err != nil || n >= maxTrails {
		return Saved{}, orTooMany(s, &t, err)
	}
	if err := s.apply(ctx, by, &t, in.Settings); err != nil {
		return Saved{}, err
	}
	if err := s.insert(ctx, &t); err != nil {
		return Saved{}, err
	}
	return s.saved(&t), nil
}

func exists(t *Trail) error {
	return fault.New(AlreadyExists, "Trail %s already exists for customer: %s", t.Name, t.Account)
}

func orTooMany(s *Service, t *Trail, err error) error {
	if err != nil {
		return err
	}
	return fault.New(TooMany, "User: %s already has %d trails in %s.", t.Account, maxTrails, s.Region)
}

// counted returns how many trails an account has, and the version of that row.
func (s *Service) counted(ctx context.Context, account string) (n int, ver uint64, err error) {
	item, err := meta.Get1(ctx, s.store, countRow(account))
	if err != nil || item.Ver == 0 {
		return 0, 0, err
	}
	n, err = strconv.Atoi(string(item.Value))
	if err != nil {
		err = fault.New(meta.Damaged, "").Because(err)
	}
	return n, item.Ver, err
}

// insert makes the rows of a new trail.
func (s *Service) insert(ctx context.Context, t *Trail) error {
	for {
		n, ver, err := s.counted(ctx, t.Account)
		if err != nil || n >= maxTrails {
			return orTooMany(s, t, err)
		}
		key := trailRow(t.Account, t.Name)
		if item, err := meta.Get1(ctx, s.store, key); err != nil || item.Ver != 0 {
			if err == nil {
				err = exists(t)
			}
			return err
		}
		var b meta.Batch
		b.PutIf(key, encode(*t), 0)
		b.PutIf(countRow(t.Account), []byte(strconv.Itoa(n+1)), ver)
		if _, err = s.store.Commit(ctx, &b); !isConflict(err) {
			return err
		}
	}
}

// Update changes a trail's settings. It goes on logging, and its files go to the new
// place from then on. Faults: as Create's, NotFound, InvalidARN, InvalidHomeRegion.
func (s *Service) Update(ctx context.Context, by iam.Caller, in UpdateTrail) (Saved, error) {
	ref, err := s.own(ctx, by, "UpdateTrail", in.Name)
	if err != nil {
		return Saved{}, err
	}
	t, err := s.change(ctx, ref.account, ref.name, func(t *Trail) error {
		if global := in.IncludeGlobalServiceEvents; global != nil && *global != t.Global {
			if err := s.reselect(ctx, t); err != nil {
				return err
			}
		}
		return s.apply(ctx, by, t, in.Settings)
	})
	if err != nil {
		return Saved{}, err
	}
	return s.saved(&t), nil
}

// apply puts settings on a trail and checks what comes of it.
func (s *Service) apply(ctx context.Context, by iam.Caller, t *Trail, in Settings) error {
	if err := refuse(in); err != nil {
		return err
	}
	set(&t.Bucket, in.S3BucketName)
	set(&t.Prefix, in.S3KeyPrefix)
	set(&t.Validate, in.EnableLogFileValidation)
	set(&t.Global, in.IncludeGlobalServiceEvents)
	set(&t.Multi, in.IsMultiRegionTrail)
	if t.Multi && !t.Global {
		return fault.New(InvalidCombination, "Multi-Region trail must include global service events.")
	}
	// What the bucket's policy says may depend on the key. What is wrong with the bucket is
	// told first all the same.
	var unresolved error
	if in.KmsKeyId != nil {
		t.KeyARN = ""
		if *in.KmsKeyId != "" {
			t.KeyARN, unresolved = s.resolveKey(ctx, by, t, *in.KmsKeyId)
		}
	}
	if err := s.checkBucket(ctx, t); err != nil {
		return err
	}
	if unresolved != nil || in.KmsKeyId == nil || t.KeyARN == "" {
		return unresolved
	}
	return s.checkKey(ctx, t, *in.KmsKeyId)
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// refuse refuses what there is not here: topics, log groups, organizations.
func refuse(in Settings) error {
	given := func(s *string) bool { return s != nil && *s != "" }
	switch {
	case given(in.SnsTopicName):
		return fault.New(Unsupported, "Notifications by Amazon SNS: not supported by Coffer.")
	case given(in.CloudWatchLogsLogGroupArn), given(in.CloudWatchLogsRoleArn):
		return fault.New(Unsupported, "Delivery to CloudWatch Logs: not supported by Coffer.")
	case in.IsOrganizationTrail != nil && *in.IsOrganizationTrail:
		return OrganizationsNotInUse
	}
	return nil
}

// Done is the result of operations that have none.
type Done struct{}

// NameOnly is the request of operations on a trail.
type NameOnly struct{ Name string }

// Delete deletes a trail, and what is not delivered yet is not. What was delivered stays.
// Faults: NotFound, InvalidName, InvalidARN, InvalidHomeRegion, iam.AccessDenied.
func (s *Service) Delete(ctx context.Context, by iam.Caller, in NameOnly) (Done, error) {
	ref, err := s.own(ctx, by, "DeleteTrail", in.Name)
	if err != nil {
		return Done{}, err
	}
	for {
		_, ver, err := s.find(ctx, ref.account, ref.name)
		if err != nil {
			return Done{}, err
		}
		n, counted, err := s.counted(ctx, ref.account)
		if err != nil {
			return Done{}, err
		}
		var b meta.Batch
		b.Cond(trailRow(ref.account, ref.name), ver)
		b.Delete(trailRow(ref.account, ref.name))
		b.Delete(deliveryRow(ref.account, ref.name))
		b.Cond(countRow(ref.account), counted)
		if n > 1 {
			b.Put(countRow(ref.account), []byte(strconv.Itoa(n-1)))
		} else {
			b.Delete(countRow(ref.account))
		}
		if _, err = s.store.Commit(ctx, &b); !isConflict(err) {
			return Done{}, err
		}
	}
}
