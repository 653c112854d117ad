// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"context"
	"time"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
)

// Description is a trail as DescribeTrails and GetTrail show it.
type Description struct {
	Name                       string
	S3BucketName               string
	S3KeyPrefix                string
	IncludeGlobalServiceEvents *bool
	IsMultiRegionTrail         *bool
	HomeRegion                 string
	TrailARN                   string
	LogFileValidationEnabled   *bool
	KmsKeyId                   string
	HasCustomEventSelectors    *bool
	HasInsightSelectors        *bool
	IsOrganizationTrail        *bool
}

func (s *Service) description(t *Trail) Description {
	custom := len(t.Basic)+len(t.Advanced) > 0
	return Description{
		Name: t.Name, S3BucketName: t.Bucket, S3KeyPrefix: t.Prefix, HomeRegion: s.Region, TrailARN: t.ARN(s.Region), KmsKeyId: t.KeyARN,
		IncludeGlobalServiceEvents: &t.Global, IsMultiRegionTrail: &t.Multi, LogFileValidationEnabled: &t.Validate,
		HasCustomEventSelectors: &custom, HasInsightSelectors: new(bool), IsOrganizationTrail: new(bool),
	}
}

// DescribeTrails is the request of Service.Describe. Shadow trails are those of other
// regions: there are none.
type DescribeTrails struct {
	TrailNameList       []string `wire:"trailNameList"`
	IncludeShadowTrails *bool    `wire:"includeShadowTrails"`
}

// Descriptions is the result of Service.Describe.
type Descriptions struct {
	TrailList []Description `wire:"trailList"`
}

// Describe describes trails of the caller's account: those that it names, or all. Names
// that no trail has are passed over. Faults: InvalidName, InvalidARN, iam.AccessDenied.
func (s *Service) Describe(ctx context.Context, by iam.Caller, in DescribeTrails) (Descriptions, error) {
	named := make(map[string]bool, len(in.TrailNameList))
	for _, name := range in.TrailNameList {
		ref, err := s.named(by, name)
		if err != nil {
			return Descriptions{}, err
		}
		named[ref.arn()] = true
	}
	if err := s.may(ctx, by, "DescribeTrails", "*", nil); err != nil {
		return Descriptions{}, err
	}
	all, err := s.Of(ctx, by.Account)
	out := Descriptions{TrailList: []Description{}}
	for i := range all {
		if len(named) == 0 || named[all[i].ARN(s.Region)] {
			out.TrailList = append(out.TrailList, s.description(&all[i]))
		}
	}
	return out, err
}

// Described is the result of Service.Get.
type Described struct{ Trail Description }

// Get describes a trail. Faults: NotFound, InvalidName, InvalidARN, iam.AccessDenied.
func (s *Service) Get(ctx context.Context, by iam.Caller, in NameOnly) (Described, error) {
	t, err := s.read(ctx, by, "GetTrail", in.Name)
	if err != nil {
		return Described{}, err
	}
	return Described{s.description(&t)}, nil
}

// read returns a trail that a caller may read.
func (s *Service) read(ctx context.Context, by iam.Caller, action, name string) (Trail, error) {
	ref, err := s.readable(ctx, by, action, name, nil)
	if err != nil {
		return Trail{}, err
	}
	return s.Find(ctx, ref.account, ref.name)
}

// ListTrails is the request of Service.List.
type ListTrails struct{ NextToken *string }

// TrailList is the result of Service.List: all of them, for there are few.
type TrailList struct{ Trails []TrailInfo }

// TrailInfo is a trail in a list.
type TrailInfo struct{ TrailARN, Name, HomeRegion string }

// List lists the trails of the caller's account. Faults: InvalidNextToken,
// iam.AccessDenied.
func (s *Service) List(ctx context.Context, by iam.Caller, in ListTrails) (TrailList, error) {
	if err := s.may(ctx, by, "ListTrails", "*", nil); err != nil {
		return TrailList{}, err
	}
	if in.NextToken != nil {
		return TrailList{}, fault.New(InvalidNextToken, "Invalid token.")
	}
	all, err := s.Of(ctx, by.Account)
	out := TrailList{Trails: []TrailInfo{}}
	for i := range all {
		out.Trails = append(out.Trails, TrailInfo{all[i].ARN(s.Region), all[i].Name, s.Region})
	}
	return out, err
}

// Start begins logging: what is recorded from now on is delivered. Of a trail that logs
// already nothing changes. Faults: as Delete's.
func (s *Service) Start(ctx context.Context, by iam.Caller, in NameOnly) (Done, error) {
	ref, err := s.own(ctx, by, "StartLogging", in.Name)
	if err != nil {
		return Done{}, err
	}
	_, err = s.change(ctx, ref.account, ref.name, func(t *Trail) error {
		if t.Logging {
			return nil
		}
		if err := s.turnOver(ctx, t, t.Until, s.Head()); err != nil {
			return err
		}
		t.Logging, t.Started = true, time.Now().UTC()
		return nil
	})
	return Done{}, err
}

// Stop ends logging. What was recorded before is delivered yet. Faults: as Delete's.
func (s *Service) Stop(ctx context.Context, by iam.Caller, in NameOnly) (Done, error) {
	ref, err := s.own(ctx, by, "StopLogging", in.Name)
	if err != nil {
		return Done{}, err
	}
	_, err = s.change(ctx, ref.account, ref.name, func(t *Trail) error {
		if t.Logging {
			t.Logging, t.Stopped, t.Until = false, time.Now().UTC(), s.Head()
		}
		return nil
	})
	return Done{}, err
}

// Status is the result of Service.Status. The texts are for old clients: some are "" for
// what there is not.
type Status struct {
	IsLogging                          *bool
	LatestDeliveryError                string
	LatestDeliveryTime                 *time.Time
	StartLoggingTime                   *time.Time
	StopLoggingTime                    *time.Time
	LatestDigestDeliveryTime           *time.Time
	LatestDigestDeliveryError          string
	LatestDeliveryAttemptTime          *string
	LatestNotificationAttemptTime      *string
	LatestNotificationAttemptSucceeded *string
	LatestDeliveryAttemptSucceeded     *string
	TimeLoggingStarted                 *string
	TimeLoggingStopped                 *string
}

// Status says whether a trail logs and how far its delivery has come. Faults: NotFound,
// InvalidName, InvalidARN, iam.AccessDenied.
func (s *Service) Status(ctx context.Context, by iam.Caller, in NameOnly) (Status, error) {
	t, err := s.read(ctx, by, "GetTrailStatus", in.Name)
	if err != nil {
		return Status{}, err
	}
	d, err := s.Delivery(ctx, &t)
	if err != nil {
		return Status{}, err
	}
	return Status{
		IsLogging:           &t.Logging,
		LatestDeliveryError: d.Error, LatestDeliveryTime: given(d.LastSuccess),
		StartLoggingTime: given(t.Started), StopLoggingTime: given(t.Stopped),
		LatestDigestDeliveryError: d.Digest.Error, LatestDigestDeliveryTime: given(d.Digest.LastSuccess),
		LatestDeliveryAttemptTime: text(d.LastAttempt), LatestDeliveryAttemptSucceeded: text(d.LastSuccess),
		LatestNotificationAttemptTime: new(string), LatestNotificationAttemptSucceeded: new(string),
		TimeLoggingStarted: text(t.Started), TimeLoggingStopped: text(t.Stopped),
	}, nil
}

func given(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func text(t time.Time) *string {
	s := ""
	if !t.IsZero() {
		s = t.UTC().Format(time.RFC3339)
	}
	return &s
}
