// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/internal/core/audit/index"
	"github.com/cofferstore/coffer/test/coffertest"
)

// patient is a client that asks again when it asked too often, as those of AWS do.
func (p *person) patient() *cloudtrail.Client {
	return cloudtrail.New(p.Trails.Options(), func(o *cloudtrail.Options) {
		o.RetryMaxAttempts = 100
		o.Retryer = retry.AddWithMaxBackoffDelay(retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.RateLimiter = 100, noLimit{}
		}), time.Second)
	})
}

// noLimit lets a client ask again as often as it likes.
type noLimit struct{}

func (noLimit) GetToken(context.Context, uint) (func() error, error) {
	return func() error { return nil }, nil
}
func (noLimit) AddTokens(uint) error { return nil }

// indexed returns when so many events of an account with that name can be found: those
// are that have been synced.
func indexed(s *coffertest.Server, account, name string, want int) {
	s.T.Helper()
	q := index.Query{Terms: []index.Term{{Field: index.Account, Value: account}, {Field: index.EventName, Value: name}}}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		page, err := s.Core.Index().Search(s.T.Context(), q, nil)
		if err != nil {
			s.T.Fatal(err)
		}
		if len(page.Events) >= want {
			return
		}
		select {
		case <-tick.C:
		case <-s.T.Context().Done():
			s.T.Fatal(s.T.Context().Err())
		}
	}
}

// testLookupEvents looks for events by each attribute, in pages and in times.
func testLookupEvents(t *testing.T, s *coffertest.Server) {
	p := accountOf(s, "000000000306")
	u := p.user("amy", `{"Effect":"Allow","Action":["kms:*","s3:*"],"Resource":"*"}`)
	began := time.Now().Add(-time.Second)
	do(t, u.S3.CreateBucket, &s3.CreateBucketInput{Bucket: aws.String("lookups")})
	key := *do(t, p.KMS.CreateKey, &kms.CreateKeyInput{}).KeyMetadata.Arn
	for i := range 3 {
		do(t, p.KMS.CreateAlias, &kms.CreateAliasInput{AliasName: aws.String(fmt.Sprintf("alias/lookup-%d", i)), TargetKeyId: &key})
	}
	if err := u.put("lookups", "k"); err != nil { // a data event
		t.Fatal(err)
	}
	indexed(s, p.Account, "CreateAlias", 3)
	client := p.patient()
	lookup := func(edit func(in *cloudtrail.LookupEventsInput)) *cloudtrail.LookupEventsOutput {
		t.Helper()
		in := &cloudtrail.LookupEventsInput{}
		edit(in)
		return do(t, client.LookupEvents, in)
	}
	by := func(key types.LookupAttributeKey, value string) func(*cloudtrail.LookupEventsInput) {
		return func(in *cloudtrail.LookupEventsInput) {
			in.LookupAttributes = []types.LookupAttribute{{AttributeKey: key, AttributeValue: &value}}
		}
	}
	names := func(out *cloudtrail.LookupEventsOutput) (names []string) {
		for _, e := range out.Events {
			names = append(names, *e.EventName)
		}
		return names
	}

	made := lookup(by(types.LookupAttributeKeyEventName, "CreateBucket")).Events
	if len(made) != 1 {
		t.Fatalf("%d buckets were made", len(made))
	}
	e := made[0]
	if *e.Username != "amy" || *e.EventSource != "s3.amazonaws.com" || *e.ReadOnly != "false" || *e.AccessKeyId != u.Keys.AccessKeyID || e.EventTime.Before(began.Truncate(time.Second)) ||
		!slices.ContainsFunc(e.Resources, func(r types.Resource) bool {
			return *r.ResourceType == "AWS::S3::Bucket" && *r.ResourceName == "lookups"
		}) {
		t.Errorf("event %+v", e)
	}
	var record map[string]any
	if err := json.Unmarshal([]byte(*e.CloudTrailEvent), &record); err != nil || record["eventID"] != *e.EventId || record["cofferChain"] != nil || record["eventCategory"] != "Management" {
		t.Errorf("the record: %v %v", err, record)
	}
	for _, test := range []struct {
		key   types.LookupAttributeKey
		value string
		want  []string
	}{
		{types.LookupAttributeKeyEventId, *e.EventId, []string{"CreateBucket"}},
		{types.LookupAttributeKeyUsername, "amy", []string{"CreateBucket"}}, // and no data event
		{types.LookupAttributeKeyResourceName, "lookups", []string{"CreateBucket"}},
		{types.LookupAttributeKeyResourceType, "AWS::KMS::Alias", []string{"CreateAlias", "CreateAlias", "CreateAlias"}},
		{types.LookupAttributeKeyAccessKeyId, u.Keys.AccessKeyID, []string{"CreateBucket"}},
		{types.LookupAttributeKeyReadOnly, "true", nil},
		{types.LookupAttributeKeyEventName, "PutObject", nil},
	} {
		out := lookup(by(test.key, test.value))
		if test.key == types.LookupAttributeKeyReadOnly {
			out.Events = slices.DeleteFunc(out.Events, func(e types.Event) bool { return *e.EventName == "LookupEvents" })
		}
		if got := names(out); !slices.Equal(got, test.want) {
			t.Errorf("%s %s finds %v, want %v", test.key, test.value, got, test.want)
		}
	}

	// In pages, which hold together when other events come in between.
	var paged []string
	in := &cloudtrail.LookupEventsInput{MaxResults: aws.Int32(3), LookupAttributes: []types.LookupAttribute{{AttributeKey: "EventSource", AttributeValue: aws.String("kms.amazonaws.com")}}}
	var token *string
	for range 2 {
		in.NextToken = token
		out := do(t, client.LookupEvents, in)
		paged, token = append(paged, names(out)...), out.NextToken
		do(t, p.KMS.DescribeKey, &kms.DescribeKeyInput{KeyId: &key})
		if in.NextToken == nil {
			if token == nil {
				t.Fatal("there is no second page")
			}
			other := *in
			other.NextToken, other.LookupAttributes = token, nil
			fails(t, client.LookupEvents, &other, 400, "InvalidNextTokenException", "")
			other = *in
			other.NextToken, other.EndTime = token, aws.Time(time.Now())
			fails(t, client.LookupEvents, &other, 400, "InvalidNextTokenException", "")
		}
	}
	if want := []string{"CreateAlias", "CreateAlias", "CreateAlias", "CreateKey"}; !slices.Equal(paged, want) || token != nil {
		t.Errorf("pages have %v, want %v", paged, want)
	}

	// In times: events of the second of the end count.
	at := *e.EventTime
	times := func(from, to *time.Time) func(*cloudtrail.LookupEventsInput) {
		return func(in *cloudtrail.LookupEventsInput) {
			by(types.LookupAttributeKeyEventName, "CreateBucket")(in)
			in.StartTime, in.EndTime = from, to
		}
	}
	for _, test := range []struct {
		from, to *time.Time
		want     int
	}{
		{&at, &at, 1}, {nil, aws.Time(at.Add(-time.Second)), 0}, {aws.Time(at.Add(time.Second)), nil, 0},
	} {
		if out := lookup(times(test.from, test.to)); len(out.Events) != test.want {
			t.Errorf("from %v to %v: %v", test.from, test.to, names(out))
		}
	}
	insight := lookup(func(in *cloudtrail.LookupEventsInput) { in.EventCategory = types.EventCategoryInsight })
	if insight.Events == nil || len(insight.Events) != 0 {
		t.Errorf("insights: %+v", insight.Events)
	}
	// Nobody sees the events of another account.
	q := accountOf(s, "000000000307")
	if out := do(t, q.Trails.LookupEvents, &cloudtrail.LookupEventsInput{}); len(out.Events) != 0 {
		t.Errorf("another account sees %v", names(out))
	}
}
