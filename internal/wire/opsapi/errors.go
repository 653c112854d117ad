// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"encoding/json"
	"net/http"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/audit/index"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/consolidate"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/preflight"
	"github.com/cofferstore/coffer/internal/core/report"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// Texts that several rows share.
const (
	badSignature = "The signature is wrong: compare the secret access key with the server's."
	badTime      = "The signature has expired or is not valid yet: compare the client's clock with the server's."
	unknownKey   = "The server does not know this access key."
	unavailable  = "The server cannot answer this now."
)

// codes is the only place that says how these protocols name an error.
var codes = pipeline.Codes{
	Forbidden:        pipeline.As(403, "Forbidden", "Only loopback and the peers listed by metrics-peers may see this."),
	InvalidParameter: pipeline.As(400, "InvalidParameter", ""),
	MethodNotAllowed: pipeline.As(405, "MethodNotAllowed", "This page takes another method."),
	NotFound:         pipeline.As(404, "NotFound", "There is no such page."),
	NotReady:         pipeline.As(503, "NotReady", ""),
	ScrubRunning:     pipeline.As(409, "ScrubRunning", "A scrub is running; one at a time is enough."),

	bucket.InvalidName:         pipeline.As(400, "InvalidBucketName", "The specified bucket is not valid."),
	bucket.NoSuchBucket:        pipeline.As(404, "NoSuchBucket", "The specified bucket does not exist."),
	bucket.NoLifecycle:         pipeline.As(404, "NoSuchLifecycleConfiguration", "The bucket has no lifecycle configuration."),
	consolidate.Off:            pipeline.As(409, "ConsolidationOff", "Consolidation is switched off for this bucket."),
	report.Invalid:             pipeline.As(400, "InvalidParameter", ""),
	preflight.Malformed:        pipeline.As(500, "MalformedPolicy", ""),
	iam.AccountExists:          pipeline.As(409, "AccountExists", ""),
	iam.AccountInUse:           pipeline.As(409, "AccountInUse", ""),
	iam.InvalidAccount:         pipeline.As(400, "InvalidAccount", ""),
	iam.NoSuchAccount:          pipeline.As(404, "NoSuchAccount", "There is no such account."),
	iam.ConcurrentModification: pipeline.As(409, "Conflict", "The account is being changed by others: try again."),
	policy.Malformed:           pipeline.As(400, "MalformedPolicyDocument", ""),
	iam.AccessDenied:           pipeline.As(403, "AccessDenied", "Access denied."),
	iam.ExpiredToken:           pipeline.As(403, "ExpiredToken", "The session token is expired."),
	iam.InvalidToken:           pipeline.As(403, "InvalidToken", "The session token is not valid."),
	iam.NoSuchAccessKey:        pipeline.As(403, "UnknownAccessKey", unknownKey),
	index.BadQuery:             pipeline.As(400, "InvalidSearch", ""),
	index.BadToken:             pipeline.As(400, "InvalidToken", ""),
	index.NoSuchEvent:          pipeline.As(404, "NoSuchEvent", ""),
	audit.Unavailable:          pipeline.As(503, "Unavailable", unavailable),
	meta.Full:                  pipeline.As(507, "NoRoom", "The server is short of storage."),
	meta.Unavailable:           pipeline.As(503, "Unavailable", unavailable),

	sigv4.MissingAuthentication:    pipeline.As(403, "MissingAuthentication", "The request is not signed."),
	sigv4.MultipleAuthentication:   pipeline.As(400, "InvalidSignature", ""),
	sigv4.UnsupportedSignature:     pipeline.As(400, "InvalidSignature", ""),
	sigv4.UnsupportedAuthorization: pipeline.As(400, "InvalidSignature", ""),
	sigv4.MalformedAuthorization:   pipeline.As(400, "InvalidSignature", ""),
	sigv4.QueryParameters:          pipeline.As(400, "InvalidSignature", ""),
	sigv4.FormFields:               pipeline.As(400, "InvalidSignature", ""),
	sigv4.WrongService:             pipeline.As(403, "InvalidSignature", ""),
	sigv4.WrongRegion:              pipeline.As(403, "InvalidSignature", ""),
	sigv4.MissingDate:              pipeline.As(400, "InvalidSignature", ""),
	sigv4.RequestTimeTooSkewed:     pipeline.As(403, "InvalidSignature", badTime),
	sigv4.Expired:                  pipeline.As(403, "InvalidSignature", badTime),
	sigv4.NotYetValid:              pipeline.As(403, "InvalidSignature", badTime),
	sigv4.MissingPayloadHash:       pipeline.As(400, "InvalidSignature", badSignature),
	sigv4.InvalidPayloadHash:       pipeline.As(400, "InvalidSignature", badSignature),
	sigv4.UnsignedStream:           pipeline.As(400, "InvalidSignature", badSignature),
	sigv4.UnknownAccessKey:         pipeline.As(403, "UnknownAccessKey", unknownKey),
	sigv4.HeadersNotSigned:         pipeline.As(403, "InvalidSignature", ""),
	sigv4.SignatureMismatch:        pipeline.As(403, "InvalidSignature", badSignature),
	sigv4.MissingContentLength:     pipeline.As(400, "IncompleteBody", ""),
	sigv4.IncompleteBody:           pipeline.As(400, "IncompleteBody", ""),
	sigv4.InvalidChunkSize:         pipeline.As(400, "IncompleteBody", ""),
	sigv4.MalformedTrailer:         pipeline.As(400, "IncompleteBody", ""),
	sigv4.PayloadHashMismatch:      pipeline.As(403, "InvalidSignature", badSignature),

	pipeline.BodyTooLarge: pipeline.As(413, "BodyTooLarge", "The request body is too large."),
	pipeline.HeadTooLarge: pipeline.As(431, "HeadTooLarge", "The request headers are too large."),
	pipeline.InvalidURI:   pipeline.As(400, "InvalidURI", "The request target is malformed."),
	pipeline.SlowClient:   pipeline.As(408, "SlowClient", "The request body was not received in time."),
	pipeline.TimedOut:     pipeline.As(503, "Timeout", "The server did not get an answer in time."),
	pipeline.NoRoom:       pipeline.As(507, "NoRoom", "The server is short of storage."),
	pipeline.AuditFailed:  pipeline.As(503, "Unavailable", unavailable),
}

// failure is an error as the operator's API shows it.
type failure struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	RequestID string `json:"requestId"`
}

func renderJSON(c *pipeline.Call, code pipeline.Code, _ []fault.Detail) *pipeline.Response {
	body, err := json.Marshal(failure{code.Code, code.Message, c.ID})
	if err != nil {
		panic(err) // three strings always encode
	}
	return answer(code.Status, "application/json", append(body, '\n'))
}

func renderText(_ *pipeline.Call, code pipeline.Code, _ []fault.Detail) *pipeline.Response {
	message := code.Message
	if message == "" {
		message = code.Code
	}
	return answer(code.Status, plainText, []byte(message+"\n"))
}

const plainText = "text/plain; charset=utf-8"

func answer(status int, contentType string, body []byte) *pipeline.Response {
	return &pipeline.Response{Status: status, Header: header(contentType), Body: body}
}

func header(contentType string) http.Header {
	return http.Header{"Content-Type": {contentType}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}}
}
