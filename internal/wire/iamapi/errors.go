// SPDX-License-Identifier: Apache-2.0

package iamapi

import (
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/link/oidc"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// Texts that several rows share.
const (
	retry          = "The request processing has failed because of an unknown error, exception or failure."
	unavailable    = "The request has failed due to a temporary failure of the server."
	badSignature   = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	badTime        = "Signature expired or not yet valid: compare the client's clock with the server's."
	unknownKey     = "The security token included in the request is invalid."
	noRoom         = "The server is short of storage."
	needsTransport = "IAM and STS requests must be made over a secure connection. Use HTTPS, or a connection from the machine that the server runs on."
)

// codes is the only place that says how IAM and STS name an error.
var codes = pipeline.Codes{
	MissingAction:        pipeline.As(400, "MissingAction", "The request is missing an action or a required parameter."),
	InvalidAction:        pipeline.As(400, "InvalidAction", ""),
	Malformed:            pipeline.As(400, "MalformedQueryString", "The parameters of the request cannot be read."),
	NeedsSecureTransport: pipeline.As(400, "ValidationError", needsTransport),

	iam.AccessDenied:           pipeline.As(403, "AccessDenied", "Access denied."),
	iam.ExpiredToken:           pipeline.As(403, "ExpiredToken", "The security token included in the request is expired"),
	iam.InvalidToken:           pipeline.As(403, "InvalidClientTokenId", unknownKey),
	iam.NoSuchAccessKey:        pipeline.As(403, "InvalidClientTokenId", unknownKey),
	iam.InvalidPrincipal:       pipeline.As(400, "MalformedPolicyDocument", "Invalid principal in policy."),
	iam.ValidationError:        pipeline.As(400, "ValidationError", ""),
	iam.NoSuchEntity:           pipeline.As(404, "NoSuchEntity", ""),
	iam.EntityAlreadyExists:    pipeline.As(409, "EntityAlreadyExists", ""),
	iam.LimitExceeded:          pipeline.As(409, "LimitExceeded", ""),
	iam.DeleteConflict:         pipeline.As(409, "DeleteConflict", ""),
	iam.InvalidInput:           pipeline.As(400, "InvalidInput", ""),
	iam.UnmodifiableEntity:     pipeline.As(400, "UnmodifiableEntity", ""),
	iam.NoSuchAccount:          pipeline.As(404, "NoSuchEntity", "There is no such account."),
	iam.AccountExists:          pipeline.As(409, "EntityAlreadyExists", ""),
	iam.AccountInUse:           pipeline.As(409, "DeleteConflict", ""),
	iam.InvalidAccount:         pipeline.As(400, "InvalidInput", ""),
	iam.ConcurrentModification: pipeline.As(409, "ConcurrentModification", "The request was rejected because multiple requests to change this object were submitted simultaneously. Wait a few minutes and submit your request again."),
	iam.PackedPolicyTooLarge:   pipeline.As(400, "PackedPolicyTooLarge", ""),
	policy.Malformed:           pipeline.As(400, "MalformedPolicyDocument", ""),

	oidc.Invalid:     pipeline.As(400, "InvalidIdentityToken", "The web identity token that was passed could not be validated."),
	oidc.Expired:     pipeline.As(400, "ExpiredTokenException", ""),
	oidc.Rejected:    pipeline.As(403, "IDPRejectedClaim", ""),
	oidc.Unreachable: pipeline.As(400, "IDPCommunicationError", "The identity provider could not be reached to verify the web identity token. Try again."),

	sigv4.MissingAuthentication:    pipeline.As(403, "MissingAuthenticationToken", "Request is missing Authentication Token"),
	sigv4.MultipleAuthentication:   pipeline.As(400, "IncompleteSignature", ""),
	sigv4.UnsupportedSignature:     pipeline.As(400, "IncompleteSignature", ""),
	sigv4.UnsupportedAuthorization: pipeline.As(400, "IncompleteSignature", ""),
	sigv4.MalformedAuthorization:   pipeline.As(400, "IncompleteSignature", ""),
	sigv4.QueryParameters:          pipeline.As(400, "IncompleteSignature", ""),
	sigv4.FormFields:               pipeline.As(400, "IncompleteSignature", ""),
	sigv4.WrongService:             pipeline.As(403, "SignatureDoesNotMatch", ""),
	sigv4.WrongRegion:              pipeline.As(403, "SignatureDoesNotMatch", ""),
	sigv4.MissingDate:              pipeline.As(400, "IncompleteSignature", ""),
	sigv4.RequestTimeTooSkewed:     pipeline.As(403, "SignatureDoesNotMatch", badTime),
	sigv4.Expired:                  pipeline.As(403, "SignatureDoesNotMatch", badTime),
	sigv4.NotYetValid:              pipeline.As(403, "SignatureDoesNotMatch", badTime),
	sigv4.MissingPayloadHash:       pipeline.As(403, "SignatureDoesNotMatch", badSignature),
	sigv4.InvalidPayloadHash:       pipeline.As(403, "SignatureDoesNotMatch", badSignature),
	sigv4.UnsignedStream:           pipeline.As(403, "SignatureDoesNotMatch", badSignature),
	sigv4.UnknownAccessKey:         pipeline.As(403, "InvalidClientTokenId", unknownKey),
	sigv4.HeadersNotSigned:         pipeline.As(403, "SignatureDoesNotMatch", ""),
	sigv4.SignatureMismatch:        pipeline.As(403, "SignatureDoesNotMatch", badSignature),
	sigv4.MissingContentLength:     pipeline.As(400, "MalformedQueryString", ""),
	sigv4.IncompleteBody:           pipeline.As(400, "MalformedQueryString", ""),
	sigv4.InvalidChunkSize:         pipeline.As(400, "MalformedQueryString", ""),
	sigv4.MalformedTrailer:         pipeline.As(400, "MalformedQueryString", ""),
	sigv4.PayloadHashMismatch:      pipeline.As(403, "SignatureDoesNotMatch", badSignature),

	pipeline.BodyTooLarge: pipeline.As(413, "RequestEntityTooLarge", "The request body is too large."),
	pipeline.HeadTooLarge: pipeline.As(413, "RequestEntityTooLarge", "The request headers are too large."),
	pipeline.InvalidURI:   pipeline.As(400, "MalformedQueryString", "The request target is malformed."),
	pipeline.SlowClient:   pipeline.As(408, "RequestExpired", "The request body was not received in time."),
	pipeline.TimedOut:     pipeline.As(503, "ServiceUnavailable", unavailable),
	pipeline.NoRoom:       pipeline.As(503, "ServiceUnavailable", noRoom),
	pipeline.AuditFailed:  pipeline.As(500, "InternalFailure", retry),

	audit.Unavailable: pipeline.As(500, "InternalFailure", retry),
	meta.Damaged:      pipeline.As(500, "InternalFailure", retry),
	meta.Full:         pipeline.As(503, "ServiceUnavailable", noRoom),
	meta.Unavailable:  pipeline.As(503, "ServiceUnavailable", unavailable),
}
