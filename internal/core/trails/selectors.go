// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"cmp"
	"context"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
)

// BasicEventSelector is a basic selector as the API has it.
type BasicEventSelector struct {
	ReadWriteType                 string
	IncludeManagementEvents       *bool
	DataResources                 []DataResource
	ExcludeManagementEventSources []string
}

// AdvancedEventSelector is an advanced selector as the API has it.
type AdvancedEventSelector struct {
	Name           string
	FieldSelectors []AdvancedFieldSelector
}

// AdvancedFieldSelector is a condition of an advanced selector, likewise.
type AdvancedFieldSelector struct {
	Field         string
	Equals        []string
	StartsWith    []string
	EndsWith      []string
	NotEquals     []string
	NotStartsWith []string
	NotEndsWith   []string
}

// PutEventSelectors is the request of Service.PutEventSelectors.
type PutEventSelectors struct {
	TrailName              string
	EventSelectors         []BasicEventSelector
	AdvancedEventSelectors []AdvancedEventSelector
}

// TrailName is the request of Service.GetEventSelectors.
type TrailName struct{ TrailName string }

// EventSelectors are a trail's selectors, of one kind.
type EventSelectors struct {
	TrailARN               string
	EventSelectors         []BasicEventSelector
	AdvancedEventSelectors []AdvancedEventSelector
}

// PutEventSelectors sets a trail's selectors in place of those that it has, of either
// kind. Faults: InvalidSelectors, and as Delete's.
func (s *Service) PutEventSelectors(ctx context.Context, by iam.Caller, in PutEventSelectors) (EventSelectors, error) {
	ref, err := s.own(ctx, by, "PutEventSelectors", in.TrailName)
	if err != nil {
		return EventSelectors{}, err
	}
	basic, advanced, err := checkSelectors(in)
	if err != nil {
		return EventSelectors{}, err
	}
	t, err := s.change(ctx, ref.account, ref.name, func(t *Trail) error {
		if err := s.reselect(ctx, t); err != nil {
			return err
		}
		t.Basic, t.Advanced = basic, advanced
		return nil
	})
	if err != nil {
		return EventSelectors{}, err
	}
	return s.selectors(&t), nil
}

// GetEventSelectors returns a trail's selectors: without any, the one that says what it
// does then. Faults: NotFound, InvalidName, InvalidARN, iam.AccessDenied.
func (s *Service) GetEventSelectors(ctx context.Context, by iam.Caller, in TrailName) (EventSelectors, error) {
	t, err := s.read(ctx, by, "GetEventSelectors", in.TrailName)
	if err != nil {
		return EventSelectors{}, err
	}
	return s.selectors(&t), nil
}

func (s *Service) selectors(t *Trail) EventSelectors {
	out := EventSelectors{TrailARN: t.ARN(s.Region)}
	for _, a := range t.Advanced {
		shown := AdvancedEventSelector{Name: a.Name}
		for _, f := range a.Fields {
			shown.FieldSelectors = append(shown.FieldSelectors, AdvancedFieldSelector{
				Field: f.Field, Equals: f.Equals, StartsWith: f.StartsWith, EndsWith: f.EndsWith,
				NotEquals: f.NotEquals, NotStartsWith: f.NotStartsWith, NotEndsWith: f.NotEndsWith,
			})
		}
		out.AdvancedEventSelectors = append(out.AdvancedEventSelectors, shown)
	}
	if out.AdvancedEventSelectors != nil {
		return out
	}
	basic := t.Basic
	if len(basic) == 0 {
		basic = []EventSelector{{ReadWriteType: all, Management: true}}
	}
	for i := range basic {
		e := &basic[i]
		out.EventSelectors = append(out.EventSelectors, BasicEventSelector{
			ReadWriteType: e.ReadWriteType, IncludeManagementEvents: &e.Management,
			DataResources: orEmpty(e.Data), ExcludeManagementEventSources: orEmpty(e.Exclude),
		})
	}
	return out
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// checkSelectors reads the selectors of a request. Fault: InvalidSelectors.
func checkSelectors(in PutEventSelectors) ([]EventSelector, []AdvancedSelector, error) {
	switch {
	case in.EventSelectors != nil && in.AdvancedEventSelectors != nil:
		return nil, nil, badSelectors("You can specify either EventSelectors or AdvancedEventSelectors, but not both.")
	case len(in.AdvancedEventSelectors) > 0:
		advanced, err := checkAdvanced(in.AdvancedEventSelectors)
		return nil, advanced, cmp.Or(err, checkSize(Span{Advanced: advanced}))
	case len(in.EventSelectors) > 0:
		basic, err := checkBasic(in.EventSelectors)
		return basic, nil, cmp.Or(err, checkSize(Span{Basic: basic}))
	}
	return nil, nil, badSelectors("Specify a valid number of selectors (1 to %d) for a trail.", maxSelectors)
}

// checkSize bounds what a trail's row has to hold, which is read at each turn of its
// delivery.
func checkSize(s Span) error {
	if len(encode(s)) > maxSelectorsSize {
		return badSelectors("The event selectors of a trail cannot be larger than %d bytes.", maxSelectorsSize)
	}
	return nil
}

func badSelectors(format string, args ...any) error {
	return fault.New(InvalidSelectors, format, args...)
}
