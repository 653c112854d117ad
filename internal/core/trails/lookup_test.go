// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/audit/index"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

// anybody lets everybody do everything.
type anybody struct{}

func (anybody) Authorize(context.Context, iam.Caller, []policy.Need) error { return nil }

// shelf is an index that keeps what it was asked.
type shelf struct {
	asked []index.Query
	page  index.Page
	err   error
}

func (s *shelf) Search(_ context.Context, q index.Query, _ func(index.Progress)) (*index.Page, error) {
	s.asked = append(s.asked, q)
	return &s.page, s.err
}

var asker = iam.Caller{Principal: iam.Principal{Type: iam.Root, Account: home}}

// atDesk runs a test in a bubble, with a service over an index.
func atDesk(t *testing.T, f func(t *testing.T, s *Service, books *shelf)) {
	synctest.Test(t, func(t *testing.T) {
		books := &shelf{}
		f(t, New(mem.New(), Config{Region: "us-east-1", Policy: anybody{}, Index: books}), books)
	})
}

func ptr[T any](v T) *T { return &v }

func TestLookupSearches(t *testing.T) {
	atDesk(t, func(t *testing.T, s *Service, books *shelf) {
		now := time.Now().UTC()
		at := now.Add(-time.Hour).Add(250 * time.Millisecond)
		_, err := s.LookupEvents(t.Context(), asker, LookupEvents{
			LookupAttributes: []LookupAttribute{{"ResourceName", "b"}}, StartTime: &at, EndTime: ptr(at.Add(time.Minute)), MaxResults: ptr(7), NextToken: ptr("t"),
		})
		if err != nil {
			t.Fatal(err)
		}
		second := at.Truncate(time.Second)
		want := index.Query{
			Terms: []index.Term{{Field: index.Account, Value: home}, {Field: index.Category, Value: audit.Management}, {Field: index.ResourceName, Value: "b"}},
			Since: second.Add(time.Second), Until: second.Add(61 * time.Second), Limit: 7, Token: "t", Bind: books.asked[0].Bind,
		}
		if diff := cmp.Diff(want, books.asked[0]); diff != "" {
			t.Errorf("the search (-want +got):\n%s", diff)
		}
		for what, in := range map[string]LookupEvents{
			"without times": {}, "from long ago": {StartTime: ptr(now.AddDate(-2, 0, 0))},
		} {
			time.Sleep(time.Second) // for the quota
			if _, err := s.LookupEvents(t.Context(), asker, in); err != nil {
				t.Fatal(err)
			}
			q := books.asked[len(books.asked)-1]
			if q.Limit != 50 || !q.Until.IsZero() || q.Since.Before(now.AddDate(0, 0, -90)) || q.Since.After(now.AddDate(0, 0, -89)) {
				t.Errorf("%s: %+v", what, q)
			}
		}
		if books.asked[0].Bind == books.asked[1].Bind || books.asked[1].Bind == books.asked[2].Bind {
			t.Error("tokens of one time are good for another")
		}
		n := len(books.asked)
		time.Sleep(time.Second)
		out, err := s.LookupEvents(t.Context(), asker, LookupEvents{EndTime: ptr(now.AddDate(-1, 0, 0))})
		if err != nil || out.Events == nil || len(books.asked) != n {
			t.Errorf("what is older than 90 days is looked for: %+v, %v", out, err)
		}
	})
}

func TestLookupShowsEvents(t *testing.T) {
	atDesk(t, func(t *testing.T, s *Service, books *shelf) {
		r := audit.Record{
			EventID: "e", EventName: "CreateBucket", EventSource: "s3.amazonaws.com", EventTime: time.Unix(1700000000, 0).UTC(),
			UserIdentity: audit.Identity{Type: iam.AssumedRole, PrincipalID: "AROA:batch-7", AccessKeyID: "ASIA"},
			Resources:    []audit.Resource{{Type: bucketType, ARN: "arn:aws:s3:::b"}},
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		books.page = index.Page{Events: []index.Event{{Record: r, JSON: text}}, Token: "next"}
		out, err := s.LookupEvents(t.Context(), asker, LookupEvents{})
		if err != nil {
			t.Fatal(err)
		}
		want := Events{NextToken: "next", Events: []Event{{
			EventId: "e", EventName: "CreateBucket", ReadOnly: "false", AccessKeyId: "ASIA", EventTime: r.EventTime, EventSource: "s3.amazonaws.com",
			Username: "batch-7", Resources: []EventResource{{bucketType, "b"}}, CloudTrailEvent: string(text),
		}}}
		if diff := cmp.Diff(want, out); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestLookupQuota(t *testing.T) {
	atDesk(t, func(t *testing.T, s *Service, books *shelf) {
		ask := func(account string) error {
			_, err := s.LookupEvents(t.Context(), iam.Caller{Principal: iam.Principal{Account: account}}, LookupEvents{})
			return err
		}
		for i, want := range []error{nil, nil, Throttled} {
			if err := ask(home); !errors.Is(err, want) {
				t.Errorf("request %d: %v", i+1, err)
			}
		}
		if err := ask("444455556666"); err != nil {
			t.Errorf("another account's: %v", err)
		}
		// A mistake costs nothing.
		if _, err := s.LookupEvents(t.Context(), asker, LookupEvents{MaxResults: ptr(51)}); !errors.Is(err, InvalidMaxResults) {
			t.Errorf("a mistake: %v", err)
		}
		time.Sleep(500 * time.Millisecond)
		if err := ask(home); err != nil {
			t.Errorf("half a second later: %v", err)
		}
		if err := ask(home); !errors.Is(err, Throttled) {
			t.Errorf("at once after that: %v", err)
		}
	})
}

func TestFaultsOfTheIndexAreLookups(t *testing.T) {
	for _, test := range []struct{ of, want error }{
		{fault.New(index.BadToken, "x"), InvalidNextToken}, {fault.New(index.BadQuery, "x"), InvalidLookupAttributes}, {context.Canceled, context.Canceled},
	} {
		atDesk(t, func(t *testing.T, s *Service, books *shelf) {
			books.err = test.of
			if _, err := s.LookupEvents(t.Context(), asker, LookupEvents{NextToken: ptr("t")}); !errors.Is(err, test.want) {
				t.Errorf("%v: %v", test.of, err)
			}
		})
	}
}
