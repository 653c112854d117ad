// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
)

// event is what of an audit record a report needs.
type event struct {
	EventTime           time.Time
	EventSource         string
	EventName           string
	EventType           string
	EventID             string
	SharedEventID       string
	RequestID           string
	ErrorCode           string
	UserIdentity        identity
	RequestParameters   parameters
	AdditionalEventData facts
	Resources           []audit.Resource
	ServiceEventDetails struct {
		KeyARN    string `json:"keyArn"`
		BucketARN string `json:"bucketArn"`
	}
}

type identity struct {
	Type           string
	ARN            string
	AccountID      string
	InvokedBy      string
	SessionContext struct {
		SessionIssuer struct{ ARN string }
	}
}

type parameters struct {
	BucketName        string
	KeyID             string            `json:"keyId"`
	EncryptionContext map[string]string `json:"encryptionContext"`
	ChecksumMode      string            `json:"x-amz-checksum-mode"`
	CopySource        string            `json:"x-amz-copy-source"`
	Encryption        json.RawMessage   `json:"ServerSideEncryptionConfiguration"`
}

// facts are Coffer's own (docs/bucket-keys.md, "What the audit trail shows").
type facts struct {
	KeyARN           string `json:"cofferKeyArn"`
	Generation       string `json:"cofferGeneration"`
	SourceKeyARN     string `json:"cofferSourceKeyArn"`
	SourceGeneration string `json:"cofferSourceGeneration"`
	ParentRequestID  string `json:"cofferParentRequestId"`
}

const (
	kmsSource = "kms.amazonaws.com"
	s3Source  = "s3.amazonaws.com"
)

// Marks of lines that a report may need: it parses no others. All are texts that stand in
// a record as they are.
var marks = [][]byte{
	[]byte(`kms.amazonaws.com`), []byte(`"coffer`), []byte(`BucketEncryption"`), []byte(`"CreateBucket"`), []byte(`"DeleteBucket"`),
}

var failedMark = []byte(`"errorCode"`)

// needed reports whether a line may say something; failed, whether also what failed does.
func needed(line []byte, failed bool) bool {
	for _, m := range marks {
		if bytes.Contains(line, m) {
			return true
		}
	}
	return failed && bytes.Contains(line, failedMark)
}

// parse reads a record. A member of another type than expected is what another service
// calls so, and is left out.
func parse(line []byte) (*event, error) {
	e := new(event)
	err := json.Unmarshal(line, e)
	var kind *json.UnmarshalTypeError
	if err != nil && !errors.As(err, &kind) {
		return nil, err
	}
	return e, nil
}

// requester is whose permission a request used: a user, the role of a session, a root, a
// service.
func (e *event) requester() string {
	u := &e.UserIdentity
	switch {
	case u.Type == "AWSService" && u.InvokedBy != "":
		return u.InvokedBy
	case u.Type == "AssumedRole" && u.SessionContext.SessionIssuer.ARN != "":
		return u.SessionContext.SessionIssuer.ARN
	case u.ARN != "":
		return u.ARN
	case u.AccountID != "":
		return u.AccountID
	case u.InvokedBy != "":
		return u.InvokedBy
	}
	return Unknown
}

// key is the KMS key of a KMS event.
func (e *event) key() string {
	for _, r := range e.Resources {
		if r.Type == "AWS::KMS::Key" {
			return r.ARN
		}
	}
	switch {
	case e.ServiceEventDetails.KeyARN != "":
		return e.ServiceEventDetails.KeyARN
	case e.RequestParameters.KeyID != "":
		return e.RequestParameters.KeyID
	}
	return Unknown
}

const bucketPrefix = "arn:aws:s3:::"

// bucketOf returns the bucket of the ARN of a bucket or object, and whether it is a
// bucket's.
func bucketOf(arn string) (bucket string, whole bool) {
	rest, ok := strings.CutPrefix(arn, bucketPrefix)
	if !ok {
		return "", false
	}
	bucket, _, object := strings.Cut(rest, "/")
	return bucket, !object
}

// switched reads what an event says of a bucket's default: "on", "off", or "" when it says
// nothing.
func (e *event) switched() string {
	if e.EventSource != s3Source || e.ErrorCode != "" {
		return ""
	}
	switch e.EventName {
	case "PutBucketEncryption":
		if bucketKeyEnabled(e.RequestParameters.Encryption) {
			return on
		}
		return off
	case "DeleteBucketEncryption", "CreateBucket", "DeleteBucket":
		return off
	}
	return ""
}

// States of a bucket's default.
const (
	on  = "on"
	off = "off"
)

// bucketKeyEnabled reads a configuration as it is recorded: with one rule, or a list.
func bucketKeyEnabled(configuration json.RawMessage) bool {
	var one struct {
		Rule struct{ BucketKeyEnabled any }
	}
	if json.Unmarshal(configuration, &one) == nil {
		return isTrue(one.Rule.BucketKeyEnabled)
	}
	var many struct {
		Rule []struct{ BucketKeyEnabled any }
	}
	if json.Unmarshal(configuration, &many) != nil {
		return false
	}
	for _, r := range many.Rule {
		if isTrue(r.BucketKeyEnabled) {
			return true
		}
	}
	return false
}

func isTrue(v any) bool { return v == true || v == "true" }
