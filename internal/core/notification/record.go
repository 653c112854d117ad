// SPDX-License-Identifier: Apache-2.0

package notification

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
)

// record is a record of an event (S3 User Guide, "Event message structure"): the members are
// in the order of real ones, and there are those that real ones of the event have.
type record struct {
	EventVersion string            `json:"eventVersion"`
	EventSource  string            `json:"eventSource"`
	AWSRegion    string            `json:"awsRegion"`
	EventTime    string            `json:"eventTime"`
	EventName    string            `json:"eventName"`
	UserIdentity identity          `json:"userIdentity"`
	Request      requestParameters `json:"requestParameters"`
	Response     responseElements  `json:"responseElements"`
	S3           s3Data            `json:"s3"`
	Lifecycle    *lifecycleData    `json:"lifecycleEventData,omitempty"`
	Replication  *replicationData  `json:"replicationEventData,omitempty"`
}

type identity struct {
	PrincipalID string `json:"principalId"`
}

type requestParameters struct {
	SourceIPAddress string `json:"sourceIPAddress"`
}

type responseElements struct {
	RequestID string `json:"x-amz-request-id"`
	HostID    string `json:"x-amz-id-2"`
}

type s3Data struct {
	SchemaVersion   string     `json:"s3SchemaVersion"`
	ConfigurationID string     `json:"configurationId"`
	Bucket          bucketData `json:"bucket"`
	Object          objectData `json:"object"`
}

type bucketData struct {
	Name  string   `json:"name"`
	Owner identity `json:"ownerIdentity"`
	ARN   string   `json:"arn"`
}

type objectData struct {
	Key       string `json:"key"`
	Size      *int64 `json:"size,omitempty"`
	ETag      string `json:"eTag,omitempty"`
	VersionID string `json:"versionId,omitempty"`
	Sequencer string `json:"sequencer,omitempty"`
}

type lifecycleData struct {
	Transition transitionData `json:"transitionEventData"`
}

type transitionData struct {
	Destination string `json:"destinationStorageClass"`
}

// replicationData is what events of replication tell (S3 User Guide, "Receiving replication
// failure events with Amazon S3 Event Notifications").
type replicationData struct {
	RuleID      string `json:"replicationRuleId"`
	Destination string `json:"destinationBucket"`
	Operation   string `json:"s3Operation"`
	Requested   string `json:"requestTime"`
	Reason      string `json:"failureReason,omitempty"`
	Threshold   string `json:"threshold,omitempty"`       // minutes
	Replicated  string `json:"replicationTime,omitempty"` // when
}

// replicated makes an event one of replication.
func (r *record) replicated(f *object.ReplicationFacts) {
	r.EventVersion, r.UserIdentity.PrincipalID, r.Request.SourceIPAddress = "2.2", lifecycle, lifecycle
	r.Replication = &replicationData{
		RuleID: f.Rule, Destination: f.Destination, Operation: string(f.Operation), Requested: f.Requested.UTC().Format(timeLayout), Reason: f.Reason,
	}
	if f.Threshold > 0 {
		r.Replication.Threshold = strconv.Itoa(int(f.Threshold / time.Minute))
	}
	if !f.Replicated.IsZero() {
		r.Replication.Replicated = f.Replicated.UTC().Format(timeLayout)
	}
}

// timeLayout is that of eventTime and of test events: milliseconds, in UTC.
const timeLayout = "2006-01-02T15:04:05.000Z"

// emptyMD5 is the ETag that events give delete markers.
const emptyMD5 = "d41d8cd98f00b204e9800998ecf8427e"

// lifecycle is who does what rules of lifecycle and of replication say.
const lifecycle = "s3.amazonaws.com"

// encodeRecord writes the record of a change.
func encodeRecord(c object.Change, configuration string, sequence uint64) ([]byte, error) {
	family, _, _ := strings.Cut(string(c.Event), ":")
	r := record{
		EventVersion: "2.1", EventSource: "aws:s3", AWSRegion: c.Bucket.Region,
		EventTime: c.Time.UTC().Format(timeLayout), EventName: string(c.Event),
		UserIdentity: identity{principal(c.By)}, Request: requestParameters{source(c.By)},
		Response: responseElements{c.By.RequestID, c.By.HostID},
		S3: s3Data{
			SchemaVersion: "1.0", ConfigurationID: configuration,
			Bucket: bucketData{c.Bucket.Name, identity{customer(c.Bucket.Owner)}, c.Bucket.ARN()},
			Object: objectData{Key: EncodeKey(c.Key), VersionID: c.VersionID},
		},
	}
	if c.By.RequestID == "" { // the server itself, as rules of lifecycle say
		r.Response = responseElements{aws.NewRequestID(), aws.NewHostID()}
	}
	o := &r.S3.Object
	// Which members there are is as real events have it.
	switch family {
	case "ObjectRemoved":
		o.Sequencer = Sequencer(sequence)
		if c.Marker && c.Event == object.Hidden {
			o.ETag = emptyMD5
		}
	case "ObjectTagging", "ObjectAcl", "ObjectAnnotation":
		r.EventVersion, o.ETag = "2.3", c.ETag
	default:
		o.ETag, o.Sequencer = c.ETag, Sequencer(sequence)
		if !c.Marker {
			o.Size = &c.Size
		}
	}
	if strings.HasPrefix(family, "Lifecycle") {
		r.EventVersion, r.UserIdentity.PrincipalID, r.Request.SourceIPAddress = "2.3", lifecycle, lifecycle
	}
	if c.Event == object.RestoreDeleted {
		r.EventVersion = "2.3"
	}
	if c.Event == object.Transitioned {
		r.Lifecycle = &lifecycleData{transitionData{c.Class}}
	}
	if c.Replication != nil {
		r.replicated(c.Replication)
	}
	return json.Marshal(r)
}

// testEvent is what S3 sends when a configuration is put (S3 User Guide, "Event message
// structure").
type testEvent struct {
	Service, Event, Time, Bucket string

	RequestID string `json:"RequestId"`
	HostID    string `json:"HostId"`
}

func encodeTest(b *bucket.Bucket, by iam.Caller, at time.Time) ([]byte, error) {
	return json.Marshal(testEvent{"Amazon S3", "s3:TestEvent", at.UTC().Format(timeLayout), b.Name, by.RequestID, by.HostID})
}

// Sequencer returns the text of a place in the order of events: of two for one key the one
// that compares as the greater is the later.
func Sequencer(sequence uint64) string { return fmt.Sprintf("00%016X", sequence) }

// EncodeKey returns a key as events have it: of a form, with slashes left alone.
func EncodeKey(key string) string { return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/") }

// principal returns the id of who caused an event.
func principal(by iam.Caller) string {
	switch by.Type {
	case iam.AWSService:
		return by.ARN
	case iam.Root:
		return customer(by.Account)
	}
	if by.PrincipalID == "" {
		return "Anonymous"
	}
	return "AWS:" + by.PrincipalID
}

// source returns from where an event was caused.
func source(by iam.Caller) string {
	switch {
	case by.SourceIP != "":
		return by.SourceIP
	case by.Type == iam.AWSService:
		return by.ARN
	}
	return lifecycle // a role's session that is S3's own
}

// customer returns what stands for an account where S3 has the id of the retail customer:
// letters and digits that begin with A, the same for the same account.
func customer(account string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	sum := sha256.Sum256([]byte("retail customer of " + account))
	n := binary.BigEndian.Uint64(sum[:])
	id := make([]byte, 13)
	for i := range id {
		id[i], n = digits[n%uint64(len(digits))], n/uint64(len(digits))
	}
	return "A" + string(id)
}
