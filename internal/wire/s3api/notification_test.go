// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/bucket"
)

const wholeNotification = `<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` +
	`<TopicConfiguration><Id>t</Id><Topic>arn:aws:sns:us-east-1:000000000001:t</Topic><Event>s3:ObjectRemoved:*</Event></TopicConfiguration>` +
	`<QueueConfiguration><Id>q&amp;</Id><Queue>arn:aws:sqs:us-east-1:000000000001:q</Queue><Event>s3:ObjectCreated:Put</Event><Event>s3:ObjectAcl:Put</Event>` +
	`<Filter><S3Key><FilterRule><Name>Prefix</Name><Value>a/</Value></FilterRule><FilterRule><Name>Suffix</Name><Value> .jpg</Value></FilterRule></S3Key></Filter></QueueConfiguration>` +
	`<CloudFunctionConfiguration><Id>f</Id><CloudFunction>arn:aws:lambda:us-east-1:000000000001:function:f</CloudFunction><Event>s3:ObjectTagging:*</Event></CloudFunctionConfiguration>` +
	`<EventBridgeConfiguration></EventBridgeConfiguration></NotificationConfiguration>`

func TestNotificationIsReadAsItIsWritten(t *testing.T) {
	n, err := parseNotification([]byte(wholeNotification))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(writeNotification(&n)); got != xmlHeader+wholeNotification {
		t.Errorf("written as\n%s", got)
	}
	if len(n.Rules) != 3 || n.Rules[1].Kind != bucket.Queue || n.Rules[1].ID != "q&" || n.Rules[1].Filter[1].Value != " .jpg" {
		t.Errorf("read as %+v", n)
	}
	if got := string(writeNotification(nil)); got != xmlHeader+`<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></NotificationConfiguration>` {
		t.Errorf("none is written as %s", got)
	}
}

func TestNotificationsThatAreNone(t *testing.T) {
	for name, doc := range map[string]string{
		"unknown element":      `<Other/>`,
		"no destination":       `<QueueConfiguration><Event>s3:ObjectCreated:*</Event></QueueConfiguration>`,
		"another destination":  `<QueueConfiguration><Topic>a</Topic><Event>s3:ObjectCreated:*</Event></QueueConfiguration>`,
		"two destinations":     `<QueueConfiguration><Queue>a</Queue><Topic>a</Topic><Event>s3:ObjectCreated:*</Event></QueueConfiguration>`,
		"no event":             `<QueueConfiguration><Queue>a</Queue></QueueConfiguration>`,
		"unknown in a rule":    `<QueueConfiguration><Queue>a</Queue><Event>a</Event><Other/></QueueConfiguration>`,
		"unknown in a filter":  `<QueueConfiguration><Queue>a</Queue><Event>a</Event><Filter><Other/></Filter></QueueConfiguration>`,
		"a destination twice":  `<QueueConfiguration><Queue>a</Queue><Queue>b</Queue><Event>a</Event></QueueConfiguration>`,
		"a filter twice":       `<QueueConfiguration><Queue>a</Queue><Event>a</Event><Filter><S3Key/></Filter><Filter><S3Key/></Filter></QueueConfiguration>`,
		"filter without value": `<QueueConfiguration><Queue>a</Queue><Event>a</Event><Filter><S3Key><FilterRule><Name>prefix</Name></FilterRule></S3Key></Filter></QueueConfiguration>`,
	} {
		if _, err := parseNotification([]byte("<NotificationConfiguration>" + doc + "</NotificationConfiguration>")); err == nil || !strings.Contains(err.Error(), "malformed") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzNotification: what is read is written as something that reads the same.
func FuzzNotification(f *testing.F) {
	f.Add([]byte(wholeNotification))
	f.Add([]byte("<NotificationConfiguration/>"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		n, err := parseNotification(doc)
		if err != nil {
			return
		}
		text := string(writeNotification(&n))
		again, err := parseNotification([]byte(text))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got := string(writeNotification(&again)); got != text {
			t.Errorf("%q became %q", text, got)
		}
	})
}
