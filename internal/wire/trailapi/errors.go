// SPDX-License-Identifier: Apache-2.0

package trailapi

import (
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/audit/index"
	"github.com/cofferstore/coffer/internal/core/trails"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/wire/json11"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// Texts that several rows share.
const (
	retry       = "An internal error occurred. The request can be retried."
	unavailable = "The service could not answer in time. The request can be retried."
)

// codes is the only place that says how CloudTrail names an error. It answers 400 to every
// mistake of a client, whatever its service model says, as all JSON 1.1 services do.
var codes = json11.Codes(pipeline.Codes{
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

	pipeline.TimedOut:    pipeline.As(503, "ServiceUnavailable", unavailable),
	pipeline.AuditFailed: pipeline.As(500, "InternalFailure", retry),
	audit.Unavailable:    pipeline.As(500, "InternalFailure", retry),

	index.BadToken:   pipeline.As(400, "InvalidNextTokenException", ""),
	index.BadQuery:   pipeline.As(400, "InvalidLookupAttributesException", ""),
	meta.Damaged:     pipeline.As(500, "InternalFailure", retry),
	meta.Unavailable: pipeline.As(503, "ServiceUnavailable", unavailable),
})

// onTheWire are the names that CloudTrail's clients know where the road and the audit
// trail have others.
var onTheWire = map[string]string{
	"AccessDenied":  "AccessDeniedException",
	"InternalError": "InternalFailure",
}
