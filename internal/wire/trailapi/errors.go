// SPDX-License-Identifier: Apache-2.0

package trailapi

import (
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/audit/index"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/trails"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/wire/json11"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// Texts that several rows share.
const (
	retry        = "An internal error occurred. The request can be retried."
	unavailable  = "The service could not answer in time. The request can be retried."
	badSignature = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	expired      = "Signature expired or not yet valid: compare the client's clock with the server's."
	unknownKey   = "The security token included in the request is invalid."
)

// codes is the only place that says how CloudTrail names an error. It answers 400 to every
// mistake of a client, whatever its service model says, as all JSON 1.1 services do.
var codes = pipeline.Codes{
	trails.NotFound:                 pipeline.As(400, "TrailNotFoundException", ""),
	trails.AlreadyExists:            pipeline.As(400, "TrailAlreadyExistsException", ""),
	trails.InvalidName:              pipeline.As(400, "InvalidTrailNameException", ""),
	trails.InvalidARN:               pipeline.As(400, "CloudTrailARNInvalidException", ""),
	trails.InvalidHomeRegion:        pipeline.As(400, "InvalidHomeRegionException", ""),
	trails.TooMany:                  pipeline.As(400, "MaximumNumberOfTrailsExceededException", ""),
	trails.NoSuchBucket:             pipeline.As(400, "S3BucketDoesNotExistException", ""),
	trails.InvalidBucketName:        pipeline.As(400, "InvalidS3BucketNameException", ""),
	trails.InvalidPrefix:            pipeline.As(400, "InvalidS3PrefixException", ""),
	trails.InsufficientBucketPolicy: pipeline.As(400, "InsufficientS3BucketPolicyException", ""),
	trails.InvalidKey:               pipeline.As(400, "InvalidKmsKeyIdException", ""),
	trails.KeyNotFound:              pipeline.As(400, "KmsKeyNotFoundException", ""),
	trails.KeyDisabled:              pipeline.As(400, "KmsKeyDisabledException", ""),
	trails.KeyUnusable:              pipeline.As(400, "KmsException", ""),
	trails.InsufficientKeyPolicy:    pipeline.As(400, "InsufficientEncryptionPolicyException", ""),
	trails.InvalidCombination:       pipeline.As(400, "InvalidParameterCombinationException", ""),
	trails.InvalidParameter:         pipeline.As(400, "InvalidParameterException", ""),
	trails.InvalidSelectors:         pipeline.As(400, "InvalidEventSelectorsException", ""),
	trails.InvalidTag:               pipeline.As(400, "InvalidTagParameterException", ""),
	trails.TooManyTags:              pipeline.As(400, "TagsLimitExceededException", ""),
	trails.ResourceNotFound:         pipeline.As(400, "ResourceNotFoundException", ""),
	trails.UnsupportedResource:      pipeline.As(400, "ResourceTypeNotSupportedException", ""),
	trails.InvalidToken:             pipeline.As(400, "InvalidTokenException", ""),
	trails.Unsupported:              pipeline.As(400, "UnsupportedOperationException", ""),
	trails.OrganizationsNotInUse:    pipeline.As(400, "OrganizationsNotInUseException", "Your account is not a member of an organization. There are no organizations in Coffer."),
	trails.InvalidLookupAttributes:  pipeline.As(400, "InvalidLookupAttributesException", ""),
	trails.InvalidTimeRange:         pipeline.As(400, "InvalidTimeRangeException", ""),
	trails.InvalidMaxResults:        pipeline.As(400, "InvalidMaxResultsException", ""),
	trails.InvalidNextToken:         pipeline.As(400, "InvalidNextTokenException", ""),
	trails.InvalidEventCategory:     pipeline.As(400, "InvalidEventCategoryException", ""),
	trails.Throttled:                pipeline.As(400, "ThrottlingException", ""),

	json11.UnknownOperation: pipeline.As(400, "UnknownOperationException", ""),
	json11.Malformed:        pipeline.As(400, "SerializationException", ""),

	sigv4.MissingAuthentication:    pipeline.As(400, "MissingAuthenticationTokenException", "Missing Authentication Token"),
	sigv4.MultipleAuthentication:   pipeline.As(400, "InvalidSignatureException", ""),
	sigv4.UnsupportedSignature:     pipeline.As(400, "IncompleteSignatureException", ""),
	sigv4.UnsupportedAuthorization: pipeline.As(400, "IncompleteSignatureException", ""),
	sigv4.MalformedAuthorization:   pipeline.As(400, "IncompleteSignatureException", ""),
	sigv4.QueryParameters:          pipeline.As(400, "IncompleteSignatureException", ""),
	sigv4.FormFields:               pipeline.As(400, "IncompleteSignatureException", ""),
	sigv4.WrongService:             pipeline.As(400, "InvalidSignatureException", ""),
	sigv4.WrongRegion:              pipeline.As(400, "InvalidSignatureException", ""),
	sigv4.MissingDate:              pipeline.As(400, "IncompleteSignatureException", ""),
	sigv4.RequestTimeTooSkewed:     pipeline.As(400, "InvalidSignatureException", expired),
	sigv4.Expired:                  pipeline.As(400, "InvalidSignatureException", expired),
	sigv4.NotYetValid:              pipeline.As(400, "InvalidSignatureException", expired),
	sigv4.MissingPayloadHash:       pipeline.As(400, "InvalidSignatureException", badSignature),
	sigv4.InvalidPayloadHash:       pipeline.As(400, "InvalidSignatureException", badSignature),
	sigv4.UnknownAccessKey:         pipeline.As(400, "UnrecognizedClientException", unknownKey),
	sigv4.HeadersNotSigned:         pipeline.As(400, "InvalidSignatureException", ""),
	sigv4.SignatureMismatch:        pipeline.As(400, "InvalidSignatureException", badSignature),
	sigv4.MissingContentLength:     pipeline.As(400, "SerializationException", ""),
	sigv4.IncompleteBody:           pipeline.As(400, "SerializationException", ""),
	sigv4.InvalidChunkSize:         pipeline.As(400, "SerializationException", ""),
	sigv4.MalformedTrailer:         pipeline.As(400, "SerializationException", ""),
	sigv4.PayloadHashMismatch:      pipeline.As(400, "InvalidSignatureException", badSignature),
	iam.NoSuchAccessKey:            pipeline.As(400, "UnrecognizedClientException", unknownKey),
	iam.ExpiredToken:               pipeline.As(400, "ExpiredTokenException", "The security token included in the request is expired"),
	iam.InvalidToken:               pipeline.As(400, "UnrecognizedClientException", unknownKey),
	// In the audit trail this one has no "Exception", as on AWS; see onTheWire.
	iam.AccessDenied: pipeline.As(400, "AccessDenied", ""),

	pipeline.BodyTooLarge: pipeline.As(413, "RequestEntityTooLargeException", "The request body is too large."),
	pipeline.HeadTooLarge: pipeline.As(413, "RequestEntityTooLargeException", "The request headers are too large."),
	pipeline.InvalidURI:   pipeline.As(400, "MalformedHttpRequestException", "The request target is malformed."),
	pipeline.SlowClient:   pipeline.As(408, "RequestTimeoutException", "The request body was not received in time."),
	pipeline.TimedOut:     pipeline.As(503, "ServiceUnavailable", unavailable),
	pipeline.NoRoom:       pipeline.As(503, "ServiceUnavailable", "The server is short of storage."),
	pipeline.AuditFailed:  pipeline.As(500, "InternalFailure", retry),
	audit.Unavailable:     pipeline.As(500, "InternalFailure", retry),

	index.BadToken:   pipeline.As(400, "InvalidNextTokenException", ""),
	index.BadQuery:   pipeline.As(400, "InvalidLookupAttributesException", ""),
	meta.Damaged:     pipeline.As(500, "InternalFailure", retry),
	meta.Full:        pipeline.As(503, "ServiceUnavailable", "The server is short of storage."),
	meta.Unavailable: pipeline.As(503, "ServiceUnavailable", unavailable),
}

// onTheWire are the names that CloudTrail's clients know where the road and the audit
// trail have others.
var onTheWire = map[string]string{
	"AccessDenied":  "AccessDeniedException",
	"InternalError": "InternalFailure",
}
