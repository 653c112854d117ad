// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/store/meta"
)

func queueRule(prefix, suffix string, events ...string) NotificationRule {
	r := NotificationRule{Kind: Queue, ARN: "arn:aws:sqs:us-east-1:000000000001:jobs", Events: events}
	if prefix != "" {
		r.Filter = append(r.Filter, FilterRule{"prefix", prefix})
	}
	if suffix != "" {
		r.Filter = append(r.Filter, FilterRule{"SUFFIX", suffix})
	}
	return r
}

func TestNotificationsAreChecked(t *testing.T) {
	const created, put, removed = "s3:ObjectCreated:*", "s3:ObjectCreated:Put", "s3:ObjectRemoved:Delete"
	with := func(edit func(*NotificationRule)) []NotificationRule {
		r := queueRule("", "", created)
		edit(&r)
		return []NotificationRule{r}
	}
	of := func(arn string) []NotificationRule { return with(func(r *NotificationRule) { r.ARN = arn }) }
	overlap := "ambiguously defined"
	for name, test := range map[string]struct {
		rules []NotificationRule
		want  string // of the text, or the details
	}{
		"one":                      {[]NotificationRule{queueRule("a", "b", created, removed)}, ""},
		"none":                     {nil, ""},
		"no ARN":                   {of("jobs"), `The ARN could not be parsed ArgumentName="Queue" ArgumentValue="jobs"`},
		"ARN of another service":   {of("arn:aws:sns:us-east-1:000000000001:jobs"), "could not be parsed"},
		"ARN of another partition": {of("arn:aws-cn:sqs:us-east-1:000000000001:jobs"), "could not be parsed"},
		"ARN without an account":   {of("arn:aws:sqs:us-east-1::jobs"), "could not be parsed"},
		"ARN of no function":       {with(func(r *NotificationRule) { r.Kind, r.ARN = Function, "arn:aws:lambda:us-east-1:000000000001:jobs" }), "could not be parsed"},
		"ARN of another region":    {of("arn:aws:sqs:eu-west-1:000000000001:jobs"), "region is not valid for the bucket location constraint"},
		"unknown event":            {with(func(r *NotificationRule) { r.Events = []string{"s3:Object:*"} }), `The event is not supported for notifications ArgumentName="Event" ArgumentValue="s3:Object:*"`},
		"unknown filter":           {with(func(r *NotificationRule) { r.Filter = []FilterRule{{"INVALID", "a"}} }), `filter rule name must be either prefix or suffix ArgumentName="FilterRule.Name" ArgumentValue="INVALID"`},
		"two prefixes":             {with(func(r *NotificationRule) { r.Filter = []FilterRule{{"prefix", "a"}, {"Prefix", "b"}} }), "more than one prefix rule"},
		"long filter":              {with(func(r *NotificationRule) { r.Filter = []FilterRule{{"prefix", strings.Repeat("a", 1025)}} }), "1024 bytes"},
		"long id":                  {with(func(r *NotificationRule) { r.ID = strings.Repeat("a", 256) }), "255 characters"},
		"same event":               {[]NotificationRule{queueRule("", "", created), queueRule("", "", created)}, overlap},
		"event of a family":        {[]NotificationRule{queueRule("", "", created), queueRule("", "", removed, put)}, overlap},
		"other events":             {[]NotificationRule{queueRule("", "", created), queueRule("", "", removed)}, ""},
		"prefix of a prefix":       {[]NotificationRule{queueRule("a/", "", put), queueRule("a/b/", "", put)}, overlap},
		"other prefixes":           {[]NotificationRule{queueRule("a/", "", put), queueRule("b/", "", put)}, ""},
		"other suffixes":           {[]NotificationRule{queueRule("a/", ".jpg", put), queueRule("a/", ".png", put)}, ""},
		"prefix and no filter":     {[]NotificationRule{queueRule("a/", "", put), queueRule("", "", put)}, overlap},
		"a prefix, another suffix": {[]NotificationRule{queueRule("a/", "", put), queueRule("", ".jpg", put)}, overlap},
	} {
		n := Notifications{Rules: test.rules}
		err := n.check("us-east-1")
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.Is(err, InvalidNotification) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	twice := Notifications{Rules: []NotificationRule{queueRule("", "", put, removed, put)}}
	if err := twice.check("us-east-1"); err != nil || !slices.Equal(twice.Rules[0].Events, []string{put, removed}) {
		t.Errorf("an event twice: %v, %q", err, twice.Rules[0].Events)
	}
	same := Notifications{Rules: []NotificationRule{queueRule("", "", created), queueRule("", "", removed)}}
	same.Rules[0].ID, same.Rules[1].ID = "a", "a"
	if err := same.check("us-east-1"); !errors.Is(err, InvalidNotification) || !strings.Contains(err.Error(), "IDs must be unique") {
		t.Errorf("one id twice: %v", err)
	}
	many := Notifications{}
	for i := range MaxNotificationRules + 1 {
		many.Rules = append(many.Rules, queueRule(fmt.Sprint(i, "/"), "", created))
	}
	if err := many.check("us-east-1"); !errors.Is(err, InvalidNotification) {
		t.Errorf("too many: %v", err)
	}
}

func TestRuleWants(t *testing.T) {
	for _, test := range []struct {
		rule    NotificationRule
		event   string
		key, as string
		want    bool
	}{
		{queueRule("", "", "s3:ObjectCreated:*"), "ObjectCreated:Put", "k", "k", true},
		{queueRule("", "", "s3:ObjectCreated:Put"), "ObjectCreated:Put", "k", "k", true},
		{queueRule("", "", "s3:ObjectCreated:Put"), "ObjectCreated:Post", "k", "k", false},
		{queueRule("", "", "s3:ObjectCreated:*"), "ObjectRemoved:Delete", "k", "k", false},
		{queueRule("a/", ".jpg", "s3:ObjectCreated:*"), "ObjectCreated:Put", "a/b.jpg", "a/b.jpg", true},
		{queueRule("a/", ".jpg", "s3:ObjectCreated:*"), "ObjectCreated:Put", "b/b.jpg", "b/b.jpg", false},
		{queueRule("a/", ".jpg", "s3:ObjectCreated:*"), "ObjectCreated:Put", "a/b.png", "a/b.png", false},
		{queueRule("a+b/", "", "s3:ObjectCreated:*"), "ObjectCreated:Put", "a b/c", "a+b/c", true},
		{queueRule("a b/", "", "s3:ObjectCreated:*"), "ObjectCreated:Put", "a b/c", "a+b/c", true},
	} {
		n := Notifications{Rules: []NotificationRule{test.rule}}
		if err := n.check("us-east-1"); err != nil {
			t.Fatal(err)
		}
		if got := n.Rules[0].Wants(test.event, test.key, test.as); got != test.want {
			t.Errorf("%+v of %q: %v", test.rule, test.key, got)
		}
	}
}

func TestPutNotification(t *testing.T) {
	ctx := t.Context()
	s := newBuckets(t, Config{Region: "us-east-1"})
	s.mustCreate(t, "photos")
	ref := Ref{Bucket: "photos"}
	valid := func(*Bucket) error { return nil }
	row := []byte("with/it")
	with := func(_ *Bucket, b *meta.Batch) error { b.Put(row, []byte("1")); return nil }
	put := func(n Notifications) error {
		return s.PutNotification(ctx, PutNotification{Ref: ref, Notifications: n}, valid, with)
	}
	rules := []NotificationRule{queueRule("a/", ".jpg", "s3:ObjectCreated:*")}
	if err := put(Notifications{Rules: rules, EventBridge: true}); err != nil {
		t.Fatal(err)
	}
	n, err := s.GetNotification(ctx, owner, GetNotification{ref})
	if err != nil || n == nil || len(n.Rules) != 1 || len(n.Rules[0].ID) != 48 || !n.EventBridge {
		t.Fatalf("got %+v, %v", n, err)
	}
	if f := n.Rules[0].Filter; f[0].Name != FilterPrefix || f[1].Name != FilterSuffix {
		t.Errorf("filter %+v", f)
	}
	if item, err := meta.Get1(ctx, s.store, row); err != nil || item.Ver == 0 {
		t.Errorf("what goes with it is not there: %v", err)
	}
	refused := errors.New("refused")
	err = s.PutNotification(ctx, PutNotification{Ref: ref}, func(*Bucket) error { return refused }, with)
	if n, _ := s.GetNotification(ctx, owner, GetNotification{ref}); !errors.Is(err, refused) || n == nil {
		t.Errorf("refused with %v, left %+v", err, n)
	}
	if err := put(Notifications{}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.GetNotification(ctx, owner, GetNotification{ref}); n != nil || err != nil {
		t.Errorf("after nothing was put: %+v, %v", n, err)
	}
}
