// SPDX-License-Identifier: Apache-2.0

// Package audit is what Coffer records of every call: CloudTrail-shaped JSON
// records, appended to durable files.
package audit

import (
	"encoding/json"
	"time"
)

// Record is one event in CloudTrail's record format, version 1.11. Members that
// are empty are left out, but for requestParameters and responseElements, which
// are then null. Coffer's own facts are in AdditionalEventData.
type Record struct {
	EventVersion        string          `json:"eventVersion"`
	UserIdentity        Identity        `json:"userIdentity"`
	EventTime           time.Time       `json:"eventTime"` // UTC, whole seconds
	EventSource         string          `json:"eventSource"`
	EventName           string          `json:"eventName"`
	AWSRegion           string          `json:"awsRegion"`
	SourceIPAddress     string          `json:"sourceIPAddress"`
	UserAgent           string          `json:"userAgent,omitempty"`
	ErrorCode           string          `json:"errorCode,omitempty"`
	ErrorMessage        string          `json:"errorMessage,omitempty"`
	RequestParameters   map[string]any  `json:"requestParameters"`
	ResponseElements    map[string]any  `json:"responseElements"`
	AdditionalEventData map[string]any  `json:"additionalEventData,omitempty"`
	RequestID           string          `json:"requestID"`
	EventID             string          `json:"eventID"`
	ReadOnly            bool            `json:"readOnly"`
	Resources           []Resource      `json:"resources,omitempty"`
	EventType           string          `json:"eventType"`
	ManagementEvent     bool            `json:"managementEvent"`
	RecipientAccountID  string          `json:"recipientAccountId,omitempty"`
	SharedEventID       string          `json:"sharedEventID,omitempty"` // of the copies that other accounts have
	EventCategory       string          `json:"eventCategory"`
	ServiceEventDetails json.RawMessage `json:"serviceEventDetails,omitempty"`
	TLSDetails          *TLSDetails     `json:"tlsDetails,omitempty"`

	// Members besides those in RequestParameters, ResponseElements and AdditionalEventData.
	// A record that was read has all in those.
	Parameters, Elements, Facts Facts `json:"-"`
}

// IsCopy reports whether the record is that of another account than the caller's, of an
// event that both have: who counts events counts it once. The id that all of its records
// share is that of the caller's.
func (r *Record) IsCopy() bool { return r.SharedEventID != "" && r.SharedEventID != r.EventID }

// Identity is userIdentity.
type Identity struct {
	Type        string `json:"type,omitempty"`
	PrincipalID string `json:"principalId,omitempty"`
	ARN         string `json:"arn,omitempty"`
	AccountID   string `json:"accountId,omitempty"`
	AccessKeyID string `json:"accessKeyId,omitempty"`
	UserName    string `json:"userName,omitempty"`
	// Session is that of temporary credentials.
	Session   *SessionContext `json:"sessionContext,omitempty"`
	InvokedBy string          `json:"invokedBy,omitempty"`
}

// SessionContext is userIdentity.sessionContext (CloudTrail User Guide, "CloudTrail
// userIdentity element").
type SessionContext struct {
	Issuer         *Issuer           `json:"sessionIssuer,omitempty"`
	WebIdentity    *WebIdentity      `json:"webIdFederationData,omitempty"`
	Attributes     SessionAttributes `json:"attributes"`
	SourceIdentity string            `json:"sourceIdentity,omitempty"`
}

// Issuer is whose session it is: a role, a user, a root.
type Issuer struct {
	Type        string `json:"type"`
	PrincipalID string `json:"principalId"`
	ARN         string `json:"arn,omitempty"`
	AccountID   string `json:"accountId"`
	UserName    string `json:"userName,omitempty"`
}

// WebIdentity is which provider's token began the session.
type WebIdentity struct {
	Provider string `json:"federatedProvider"`
}

// SessionAttributes are when the session began, and how.
type SessionAttributes struct {
	CreationDate     string `json:"creationDate"` // RFC 3339
	MFAAuthenticated string `json:"mfaAuthenticated"`
}

// Resource is what an event touched.
type Resource struct {
	AccountID string `json:"accountId,omitempty"`
	Type      string `json:"type"` // AWS::S3::Object, AWS::S3::Bucket, AWS::KMS::Key, AWS::KMS::Alias
	ARN       string `json:"ARN"`
}

// TLSDetails says how the client was connected.
type TLSDetails struct {
	TLSVersion               string `json:"tlsVersion"`
	CipherSuite              string `json:"cipherSuite"`
	ClientProvidedHostHeader string `json:"clientProvidedHostHeader,omitempty"`
}

// AnonymousAccount is the accountId of callers who did not sign.
const AnonymousAccount = "anonymous"

// BucketResource is the type of a bucket.
const BucketResource = "AWS::S3::Bucket"

// Values of EventType and EventCategory.
const (
	TypeAPICall      = "AwsApiCall"
	TypeServiceEvent = "AwsServiceEvent"
	Management       = "Management"
	Data             = "Data"
)

// InvokedByS3 is the invokedBy, source address and user agent of the KMS
// requests that S3 makes for its callers.
const InvokedByS3 = "fas.s3.amazonaws.com"

// InvokedByS3Before is the same as records of some years ago have it.
const InvokedByS3Before = "s3.amazonaws.com"
