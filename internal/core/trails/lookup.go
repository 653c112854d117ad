// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/audit/index"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
)

// Searcher finds audit records (index.Index).
type Searcher interface {
	Search(ctx context.Context, q index.Query, progress func(index.Progress)) (*index.Page, error)
}

// Bounds of LookupEvents (CloudTrail API Reference, LookupEvents).
const (
	lookupDays      = 90
	maxResults      = 50
	maxLookupValue  = 2000 // characters
	lookupPerSecond = 2    // of an account
)

// LookupAttribute is what events must have.
type LookupAttribute struct{ AttributeKey, AttributeValue string }

// LookupEvents is the request of Service.LookupEvents.
type LookupEvents struct {
	LookupAttributes []LookupAttribute
	StartTime        *time.Time
	EndTime          *time.Time
	EventCategory    *string
	MaxResults       *int
	NextToken        *string
}

// Events is the result of Service.LookupEvents: a page, the newest first.
type Events struct {
	Events    []Event
	NextToken string
}

// Event is an event as LookupEvents shows it. CloudTrailEvent is the record, in JSON.
type Event struct {
	EventId         string
	EventName       string
	ReadOnly        string
	AccessKeyId     string
	EventTime       time.Time
	EventSource     string
	Username        string
	Resources       []EventResource
	CloudTrailEvent string
}

// EventResource is what an event touched.
type EventResource struct{ ResourceType, ResourceName string }

// lookupFields are what can be looked up.
var lookupFields = map[string]index.Field{
	"EventId":      index.EventID,
	"EventName":    index.EventName,
	"ReadOnly":     index.ReadOnly,
	"Username":     index.Username,
	"ResourceType": index.ResourceType,
	"ResourceName": index.ResourceName,
	"EventSource":  index.EventSource,
	"AccessKeyId":  index.AccessKeyID,
}

// LookupEvents finds management events of the caller's account of the last 90 days. An
// account may ask twice a second. Faults: InvalidLookupAttributes, InvalidTimeRange,
// InvalidMaxResults, InvalidNextToken, InvalidEventCategory, Throttled,
// iam.AccessDenied.
func (s *Service) LookupEvents(ctx context.Context, by iam.Caller, in LookupEvents) (Events, error) {
	if err := s.may(ctx, by, "LookupEvents", "*", nil); err != nil {
		return Events{}, err
	}
	q, err := s.lookup(by.Account, in, time.Now())
	if err != nil {
		return Events{}, err
	}
	if !s.lookups.allow(by.Account) {
		return Events{}, fault.New(Throttled, "Rate exceeded")
	}
	// There are no insights. And what is older than 90 days is not looked up, whatever the
	// times say.
	if in.EventCategory != nil || !q.Until.IsZero() && !q.Since.Before(q.Until) {
		return Events{Events: []Event{}}, nil
	}
	page, err := s.Index.Search(ctx, q, nil)
	switch {
	case errors.Is(err, index.BadToken):
		return Events{}, badNextToken()
	case errors.Is(err, index.BadQuery):
		return Events{}, fault.New(InvalidLookupAttributes, "The lookup attributes are not valid.").Because(err)
	case err != nil:
		return Events{}, err
	}
	out := Events{Events: make([]Event, len(page.Events)), NextToken: page.Token}
	for i := range page.Events {
		out.Events[i] = shown(&page.Events[i])
	}
	return out, nil
}

// lookup makes the search of a request.
func (s *Service) lookup(account string, in LookupEvents, now time.Time) (index.Query, error) {
	q := index.Query{
		Terms: []index.Term{{Field: index.Account, Value: account}, {Field: index.Category, Value: audit.Management}},
		Since: now.AddDate(0, 0, -lookupDays).UTC().Truncate(time.Second), Limit: maxResults,
		// The end of the 90 days moves on from page to page, the times of a request do not.
		Bind: "LookupEvents/" + millis(in.StartTime) + "/" + millis(in.EndTime),
	}
	if err := in.terms(&q); err != nil {
		return q, err
	}
	if in.StartTime != nil && in.EndTime != nil && in.StartTime.After(*in.EndTime) {
		return q, fault.New(InvalidTimeRange, "The start time must be before the end time.")
	}
	if in.StartTime != nil && in.StartTime.After(q.Since) {
		q.Since = in.StartTime.Add(time.Second - 1).UTC().Truncate(time.Second)
	}
	if in.EndTime != nil {
		q.Until = in.EndTime.UTC().Truncate(time.Second).Add(time.Second)
	}
	if in.MaxResults != nil {
		if q.Limit = *in.MaxResults; q.Limit < 1 || q.Limit > maxResults {
			return q, fault.New(InvalidMaxResults, "MaxResults must be between 1 and %d.", maxResults)
		}
	}
	if in.EventCategory != nil && *in.EventCategory != "insight" {
		return q, fault.New(InvalidEventCategory, "The event category is not valid: %s", quoted(*in.EventCategory))
	}
	if in.NextToken == nil {
		return q, nil
	}
	if q.Token = *in.NextToken; q.Token == "" || in.EventCategory != nil {
		return q, badNextToken()
	}
	return q, nil
}

// millis is a time as a token is bound to it; "" for none.
func millis(t *time.Time) string {
	if t == nil {
		return ""
	}
	return strconv.FormatInt(t.UnixMilli(), 10)
}

func badNextToken() error {
	return fault.New(InvalidNextToken, "Invalid token. The token is not valid, or was used in a request with different parameters.")
}

func (in *LookupEvents) terms(q *index.Query) error {
	refuse := func(format string, args ...any) error {
		return fault.New(InvalidLookupAttributes, format, args...)
	}
	if len(in.LookupAttributes) > 1 {
		return refuse("Only one lookup attribute can be specified.")
	}
	for _, a := range in.LookupAttributes {
		field, ok := lookupFields[a.AttributeKey]
		switch n := utf8.RuneCountInString(a.AttributeValue); {
		case !ok:
			return refuse("The lookup attribute key is not valid: %s", quoted(a.AttributeKey))
		case n == 0 || n > maxLookupValue:
			return refuse("The lookup attribute value must have 1 to %d characters.", maxLookupValue)
		case field == index.ReadOnly && a.AttributeValue != "true" && a.AttributeValue != "false":
			return refuse("The lookup attribute value of ReadOnly must be true or false.")
		}
		q.Terms = append(q.Terms, index.Term{Field: field, Value: a.AttributeValue})
	}
	return nil
}

func shown(e *index.Event) Event {
	out := Event{
		EventId: e.EventID, EventName: e.EventName, ReadOnly: strconv.FormatBool(e.ReadOnly), AccessKeyId: e.UserIdentity.AccessKeyID,
		EventTime: e.EventTime, EventSource: e.EventSource, Username: e.Username(), Resources: []EventResource{},
		CloudTrailEvent: string(e.JSON),
	}
	for _, r := range e.Resources() {
		out.Resources = append(out.Resources, EventResource{r.Type, r.Name})
	}
	return out
}

// lookups bounds how often accounts look up events.
type lookups struct {
	mu       sync.Mutex
	accounts map[string]*rate.Limiter // as many as there are accounts, which an operator makes
}

func (l *lookups) allow(account string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.accounts == nil {
		l.accounts = make(map[string]*rate.Limiter)
	}
	limit := l.accounts[account]
	if limit == nil {
		limit = rate.NewLimiter(lookupPerSecond, lookupPerSecond)
		l.accounts[account] = limit
	}
	return limit.Allow()
}
