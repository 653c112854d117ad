// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"errors"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// A trail's row stays one that can be read at each turn, however large the selectors are
// that it is given, and however often.
func TestRowsOfTrailsAreBounded(t *testing.T) {
	s, ctx := newService(), t.Context()
	if _, err := s.Create(ctx, asker, creation("main")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Start(ctx, asker, NameOnly{"main"}); err != nil {
		t.Fatal(err)
	}
	selectors := func(values int) PutEventSelectors {
		long := make([]string, values)
		for i := range long {
			long[i] = "arn:aws:s3:::b/" + strings.Repeat("<", 1000) // six bytes each, in a row
		}
		return PutEventSelectors{TrailName: "main", AdvancedEventSelectors: []AdvancedEventSelector{{FieldSelectors: []AdvancedFieldSelector{
			{Field: fieldCategory, Equals: []string{audit.Data}}, {Field: fieldResource, Equals: []string{objectType}}, {Field: fieldARN, StartsWith: long},
		}}}}
	}
	if _, err := s.PutEventSelectors(ctx, asker, selectors(50)); !errors.Is(err, InvalidSelectors) {
		t.Errorf("too large: %v", err)
	}
	excludes := make([]string, 20_000)
	for i := range excludes {
		excludes[i] = excludable[0]
	}
	_, err := s.PutEventSelectors(ctx, asker, PutEventSelectors{TrailName: "main", EventSelectors: []BasicEventSelector{{ExcludeManagementEventSources: excludes}}})
	if !errors.Is(err, InvalidSelectors) {
		t.Errorf("too many sources: %v", err)
	}
	here := s.Head()
	for n := range 10 {
		s.Head = func() audit.Position {
			return audit.Position{Segment: here.Segment, Offset: here.Offset + int64(n) + 1}
		}
		_, err = s.PutEventSelectors(ctx, asker, selectors(40))
	}
	if !errors.Is(err, Throttled) {
		t.Errorf("too often: %v", err)
	}
	item, err := meta.Get1(ctx, s.store, trailRow(home, "main"))
	if err != nil || len(item.Value) > maxSpansSize+maxSelectorsSize+10_000 {
		t.Errorf("a row of %d bytes, %v", len(item.Value), err)
	}
	if _, err := s.Stop(ctx, asker, NameOnly{"main"}); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// A prefix does not make of another account's folder one's own.
func TestPrefixes(t *testing.T) {
	for prefix, ok := range map[string]bool{
		"": true, "p": true, "p/": true, "myAWSLogs": true, "AWSLogs": false, "AWSLogs/444455556666": false, "p/AWSLogs/444455556666/x": false, "/p": false,
	} {
		if err := checkPrefix(prefix); (err == nil) != ok || err != nil && !errors.Is(err, InvalidPrefix) {
			t.Errorf("%q: %v", prefix, err)
		}
	}
}
