// SPDX-License-Identifier: Apache-2.0

package notification

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
)

var photos = &bucket.Bucket{Name: "photos", Owner: account, Region: "eu-west-1"}

func encoded(t *testing.T, c object.Change) (text string, members []string) {
	t.Helper()
	b, err := encodeRecord(c, "mine", 0x17f0_0000_0000_0001)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		S3 struct {
			Object map[string]any `json:"object"`
		} `json:"s3"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	return string(b), slices.Sorted(maps.Keys(doc.S3.Object))
}

// The whole of a record, member by member as S3 has them.
func TestRecord(t *testing.T) {
	c := object.Change{
		Event: object.CreatedPut, By: alice, Bucket: photos, Key: "a b/ü+1.jpg", ETag: "0123", Size: 0, VersionID: "v1",
		Time: time.Date(2026, 3, 4, 5, 6, 7, 8_999_999, time.FixedZone("", 3600)),
	}
	got, _ := encoded(t, c)
	want := `{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-west-1","eventTime":"2026-03-04T04:06:07.008Z","eventName":"ObjectCreated:Put",` +
		`"userIdentity":{"principalId":"AWS:AIDAALICE"},"requestParameters":{"sourceIPAddress":"192.0.2.1"},` +
		`"responseElements":{"x-amz-request-id":"REQ","x-amz-id-2":"HOST"},"s3":{"s3SchemaVersion":"1.0","configurationId":"mine",` +
		`"bucket":{"name":"photos","ownerIdentity":{"principalId":"` + customer(account) + `"},"arn":"arn:aws:s3:::photos"},` +
		`"object":{"key":"a+b/%C3%BC%2B1.jpg","size":0,"eTag":"0123","versionId":"v1","sequencer":"0017F0000000000001"}}}`
	if got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	if id := customer(account); len(id) != 14 || id[0] != 'A' || id == customer("111122223333") {
		t.Errorf("customer %s", id)
	}
}

// Which members an event's object has, and its version.
func TestMembers(t *testing.T) {
	for _, test := range []struct {
		event   object.Event
		marker  bool
		version string
		members string
	}{
		{object.CreatedCopy, false, "2.1", "eTag key sequencer size"},
		{object.CreatedMultipart, false, "2.1", "eTag key sequencer size"},
		{object.Removed, false, "2.1", "key sequencer"},
		{object.Removed, true, "2.1", "key sequencer"},
		{object.Hidden, true, "2.1", "eTag key sequencer"},
		{object.TaggingPut, false, "2.3", "eTag key"},
		{object.ACLPut, false, "2.3", "eTag key"},
		{object.RestorePosted, false, "2.1", "eTag key sequencer size"},
		{object.RestoreDeleted, false, "2.3", "eTag key sequencer size"},
		{object.Transitioned, false, "2.3", "eTag key sequencer size"},
	} {
		c := object.Change{Event: test.event, By: alice, Bucket: photos, Key: "k", ETag: "e", Size: 1, Marker: test.marker, Class: "GLACIER_IR"}
		text, members := encoded(t, c)
		if got := strings.Join(members, " "); got != test.members || !strings.Contains(text, `"eventVersion":"`+test.version+`"`) {
			t.Errorf("%s: %s in %s", test.event, got, text)
		}
		if got := strings.Contains(text, `"lifecycleEventData":{"transitionEventData":{"destinationStorageClass":"GLACIER_IR"}}`); got != (test.event == object.Transitioned) {
			t.Errorf("%s: %s", test.event, text)
		}
	}
}

// The whole of a record of replication.
func TestRecordOfReplication(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	c := object.Change{
		Event: object.ReplicationFailed, By: iam.ServiceCaller("s3.amazonaws.com", "", ""), Bucket: photos, Key: "k", ETag: "0123", Size: 7, VersionID: "v1", Time: at.Add(time.Minute),
		Replication: &object.ReplicationFacts{Rule: "all", Destination: "arn:aws:s3:::copies", Operation: object.OpPut, Requested: at, Reason: "DstPutObjectNotPermitted"},
	}
	got, _ := encoded(t, c)
	for _, want := range []string{
		`{"eventVersion":"2.2","eventSource":"aws:s3","awsRegion":"eu-west-1","eventTime":"2026-03-04T05:07:07.000Z","eventName":"Replication:OperationFailedReplication",` +
			`"userIdentity":{"principalId":"s3.amazonaws.com"},"requestParameters":{"sourceIPAddress":"s3.amazonaws.com"},`,
		`"object":{"key":"k","size":7,"eTag":"0123","versionId":"v1","sequencer":"0017F0000000000001"}},` +
			`"replicationEventData":{"replicationRuleId":"all","destinationBucket":"arn:aws:s3:::copies","s3Operation":"OBJECT_PUT",` +
			`"requestTime":"2026-03-04T05:06:07.000Z","failureReason":"DstPutObjectNotPermitted"}}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s without\n%s", got, want)
		}
	}
	c.Event, c.Replication.Reason, c.Replication.Threshold, c.Replication.Replicated = object.ReplicationLate, "", 15*time.Minute, at.Add(20*time.Minute)
	if got, _ := encoded(t, c); !strings.Contains(got, `"requestTime":"2026-03-04T05:06:07.000Z","threshold":"15","replicationTime":"2026-03-04T05:26:07.000Z"}}`) {
		t.Errorf("got %s", got)
	}
}

func TestWhoCausedIt(t *testing.T) {
	service := iam.ServiceCaller("logging.s3.amazonaws.com", "arn:aws:s3:::photos", account)
	for _, test := range []struct {
		by            iam.Caller
		event         object.Event
		principal, ip string
	}{
		{iam.Caller{Principal: iam.Principal{Type: iam.Root, Account: account}, SourceIP: "192.0.2.1"}, object.CreatedPut, customer(account), "192.0.2.1"},
		{iam.Caller{Principal: iam.Principal{Type: iam.AssumedRole, PrincipalID: "AROAX:me"}, SourceIP: "::1"}, object.CreatedPut, "AWS:AROAX:me", "::1"},
		{iam.Caller{Principal: iam.Principal{Type: iam.Anonymous}, SourceIP: "::1"}, object.CreatedPut, "Anonymous", "::1"},
		{service, object.CreatedPut, "logging.s3.amazonaws.com", "logging.s3.amazonaws.com"},
		{iam.Caller{Principal: iam.Principal{Type: iam.AssumedRole, PrincipalID: "AROAX:s3-replication"}, Replicates: true}, object.CreatedPut, "AWS:AROAX:s3-replication", "s3.amazonaws.com"},
		{service, object.Expired, "s3.amazonaws.com", "s3.amazonaws.com"},
	} {
		text, _ := encoded(t, object.Change{Event: test.event, By: test.by, Bucket: photos, Key: "k"})
		if !strings.Contains(text, `{"principalId":"`+test.principal+`"},"requestParameters":{"sourceIPAddress":"`+test.ip+`"}`) {
			t.Errorf("%+v: %s", test.by, text)
		}
	}
}

// What the server does by itself has ids of requests, too.
func TestIDsOfTheServersOwn(t *testing.T) {
	by := iam.Caller{Principal: iam.Principal{Type: iam.AWSService, ARN: "s3.amazonaws.com"}}
	text, _ := encoded(t, object.Change{Event: object.Expired, By: by, Bucket: photos, Key: "k"})
	if strings.Contains(text, `"x-amz-request-id":""`) || strings.Contains(text, `"x-amz-id-2":""`) {
		t.Errorf("without ids: %s", text)
	}
}

func TestTestEvent(t *testing.T) {
	got, err := encodeTest(photos, alice, time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))
	want := `{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-03-04T05:06:07.000Z","Bucket":"photos","RequestId":"REQ","HostId":"HOST"}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}

// A row is read as it was written, and nothing else is taken for one.
func FuzzWaiting(f *testing.F) {
	for _, w := range []waiting{{Bucket: "b", Account: account, Key: "k", Record: []byte(`{"a":1}`)}, {Bucket: "b", Test: true, Record: []byte(`{}`)}} {
		row, err := w.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(row)
	}
	f.Add([]byte(`{"version":1,"bucket":"b","record":null}`))
	f.Fuzz(func(t *testing.T, row []byte) {
		w, err := decodeWaiting(row)
		if err != nil {
			return
		}
		again, err := w.encode()
		if err != nil {
			t.Fatal(err)
		}
		x, err := decodeWaiting(again)
		if err != nil || x.Bucket != w.Bucket || x.Key != w.Key || x.Test != w.Test || x.Account != w.Account {
			t.Errorf("%s became %s, %v", row, again, err)
		}
	})
}
