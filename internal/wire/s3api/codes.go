// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/access"
	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// bypassHeader asks for retentions in governance mode to be bypassed.
const bypassHeader = "x-amz-bypass-governance-retention"

// Texts that several kinds share.
const (
	deniedText      = "Access Denied"
	internalText    = "We encountered an internal error. Please try again."
	unavailableText = "Service is unable to handle request."
	slowDownText    = "Please reduce your request rate."
	kmsSlowDownText = "Please reduce your request rate for operations involving AWS KMS."
	fullText        = "There is no room left for more data."
	malformedText   = "The XML you provided was not well-formed or did not validate against our published schema"
	digestText      = "The Content-MD5 or checksum value that you specified did not match what the server received."
	methodText      = "The specified method is not allowed against this resource."
	lengthText      = "You must provide the Content-Length HTTP header."
	shortText       = "You did not provide the number of bytes specified by the Content-Length HTTP header"
	notOfferedText  = "A header you provided implies functionality that is not implemented"
)

var malformedACL = pipeline.As(400, "MalformedACLError", malformedText)

// codes is the only place that says how S3 names an error. A text here stands
// where the fault brings none of its own.
var codes = pipeline.Codes{
	// The protocol.
	InvalidArgument:       pipeline.As(400, "InvalidArgument", "Invalid Argument"),
	InvalidRequest:        pipeline.As(400, "InvalidRequest", "Invalid Request"),
	MalformedXML:          pipeline.As(400, "MalformedXML", malformedText),
	NotImplemented:        pipeline.As(501, "NotImplemented", notOfferedText),
	MethodNotAllowed:      pipeline.As(405, "MethodNotAllowed", methodText),
	MissingContentLength:  pipeline.As(411, "MissingContentLength", lengthText),
	InvalidDigest:         pipeline.As(400, "InvalidDigest", "The Content-MD5 you specified was invalid."),
	UnexpectedContent:     pipeline.As(400, "UnexpectedContent", "This request does not support content"),
	MissingRequestBody:    pipeline.As(400, "MissingRequestBodyError", "Request Body is empty"),
	MissingSecurityHeader: pipeline.As(400, "MissingSecurityHeader", "Your request was missing a required header"),
	BadDigest:             pipeline.As(400, "BadDigest", digestText),
	pipeline.BodyTooLarge: pipeline.As(400, "MaxMessageLengthExceeded", "Your request was too big."),
	pipeline.TimedOut:     pipeline.As(503, "ServiceUnavailable", unavailableText),
	pipeline.NoRoom:       pipeline.As(503, "ServiceUnavailable", fullText),
	pipeline.InvalidURI:   pipeline.As(400, "InvalidURI", "Couldn't parse the specified URI."),
	pipeline.SlowClient:   pipeline.As(400, "RequestTimeout", "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed."),
	pipeline.AuditFailed:  pipeline.As(503, "ServiceUnavailable", unavailableText),
	pipeline.HeadTooLarge: pipeline.As(400, "RequestHeaderSectionTooLarge", "Your request header section exceeds the maximum allowed size."),

	// Browsers' forms.
	NotAForm:              pipeline.As(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"),
	MalformedForm:         pipeline.As(400, "MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data."),
	FieldsTooLarge:        pipeline.As(400, "MaxPostPreDataLengthExceeded", "Your POST request fields preceeding the upload file was too large."), // S3's spelling
	InvalidPolicyDocument: pipeline.As(400, "InvalidPolicyDocument", "Invalid Policy"),
	PolicyViolated:        pipeline.As(403, "AccessDenied", "Invalid according to Policy"),
	FileTooLarge:          pipeline.As(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size"),
	FileTooSmall:          pipeline.As(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size"),

	// Who is calling.
	iam.InvalidPrincipal:           pipeline.As(400, "MalformedPolicy", "Invalid principal in policy"),
	policy.Malformed:               pipeline.As(400, "MalformedPolicy", "Invalid policy syntax."),
	iam.AccessDenied:               pipeline.As(403, "AccessDenied", deniedText),
	iam.NoSuchAccessKey:            pipeline.As(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."),
	iam.ExpiredToken:               pipeline.As(400, "ExpiredToken", "The provided token has expired."),
	iam.InvalidToken:               pipeline.As(400, "InvalidToken", "The provided token is malformed or otherwise invalid."),
	sigv4.MissingAuthentication:    pipeline.As(403, "AccessDenied", deniedText),
	sigv4.MultipleAuthentication:   pipeline.As(400, "InvalidArgument", "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified"),
	sigv4.UnsupportedSignature:     pipeline.As(400, "InvalidRequest", "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."),
	sigv4.UnsupportedAuthorization: pipeline.As(400, "InvalidArgument", "Unsupported Authorization Type"),
	sigv4.MalformedAuthorization:   pipeline.As(400, "AuthorizationHeaderMalformed", "The authorization header is malformed"),
	sigv4.QueryParameters:          pipeline.As(400, "AuthorizationQueryParametersError", "The authorization query parameters are not valid"),
	sigv4.FormFields:               pipeline.As(400, "InvalidArgument", "The form's authentication fields are not valid"),
	sigv4.WrongService:             pipeline.As(400, "AuthorizationHeaderMalformed", "The authorization header is malformed; incorrect service."),
	sigv4.WrongRegion:              pipeline.As(400, "AuthorizationHeaderMalformed", "The authorization header is malformed; the region is wrong"),
	sigv4.MissingDate:              pipeline.As(403, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"),
	sigv4.RequestTimeTooSkewed:     pipeline.As(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."),
	sigv4.Expired:                  pipeline.As(403, "AccessDenied", "Request has expired"),
	sigv4.NotYetValid:              pipeline.As(403, "AccessDenied", "Request is not yet valid"),
	sigv4.MissingPayloadHash:       pipeline.As(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256"),
	sigv4.InvalidPayloadHash:       pipeline.As(400, "InvalidArgument", "x-amz-content-sha256 is not valid"),
	sigv4.UnsignedStream:           pipeline.As(400, "InvalidRequest", "Anonymous requests don't support this x-amz-content-sha256 value."),
	sigv4.UnknownAccessKey:         pipeline.As(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."),
	sigv4.HeadersNotSigned:         pipeline.As(403, "AccessDenied", "There were headers present in the request which were not signed"),
	sigv4.SignatureMismatch:        pipeline.As(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method."),
	sigv4.MissingContentLength:     pipeline.As(411, "MissingContentLength", lengthText),
	sigv4.IncompleteBody:           pipeline.As(400, "IncompleteBody", shortText),
	sigv4.InvalidChunkSize:         pipeline.As(403, "InvalidChunkSizeError", "Only the last chunk is allowed to have a size less than 8192 bytes"),
	sigv4.MalformedTrailer:         pipeline.As(400, "MalformedTrailerError", "The request contained trailing data that was not well-formed or did not conform to our published schema."),
	sigv4.PayloadHashMismatch:      pipeline.As(400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."),

	// Checksums.
	checksum.Unsupported:  pipeline.As(400, "InvalidRequest", "Checksum algorithm provided is unsupported."),
	checksum.InvalidValue: pipeline.As(400, "InvalidRequest", "The checksum's value is invalid."),
	checksum.Mismatch:     pipeline.As(400, "BadDigest", digestText),
	checksum.InvalidType:  pipeline.As(400, "InvalidRequest", "The checksum type is invalid."),

	// Buckets.
	bucket.NoSuchBucket:            pipeline.As(404, "NoSuchBucket", "The specified bucket does not exist"),
	bucket.InvalidName:             pipeline.As(400, "InvalidBucketName", "The specified bucket is not valid."),
	bucket.AlreadyOwnedByYou:       pipeline.As(409, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it."),
	bucket.AlreadyExists:           pipeline.As(409, "BucketAlreadyExists", "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."),
	bucket.NotEmpty:                pipeline.As(409, "BucketNotEmpty", "The bucket you tried to delete is not empty"),
	bucket.BeingDeleted:            pipeline.As(409, "OperationAborted", "A conflicting conditional operation is currently in progress against this resource. Please try again."),
	bucket.InvalidLocation:         pipeline.As(400, "InvalidLocationConstraint", "The specified location-constraint is not valid"),
	bucket.IllegalLocation:         pipeline.As(400, "IllegalLocationConstraintException", "The location constraint is incompatible for the region specific endpoint this request was sent to."),
	bucket.WrongOwner:              pipeline.As(403, "AccessDenied", deniedText),
	bucket.InvalidOwnerID:          pipeline.As(400, "InvalidBucketOwnerAWSAccountID", "The value of the expected bucket owner parameter must be an AWS Account ID"),
	bucket.InvalidEncryption:       pipeline.As(400, "MalformedXML", malformedText),
	bucket.KeyNotApplicable:        pipeline.As(400, "InvalidArgument", "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse"),
	bucket.IllegalVersioning:       pipeline.As(400, "IllegalVersioningConfigurationException", "The Versioning element must be specified"),
	bucket.InvalidVersioningStatus: pipeline.As(400, "MalformedXML", malformedText),
	bucket.NoObjectLock:            pipeline.As(404, "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket"),
	bucket.LockNeedsVersioning:     pipeline.As(409, "InvalidBucketState", "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"),
	bucket.VersioningLocked:        pipeline.As(409, "InvalidBucketState", "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."),
	bucket.InvalidRetention:        pipeline.As(400, "MalformedXML", malformedText),
	bucket.InvalidRetentionPeriod:  pipeline.As(400, "InvalidArgument", "Invalid Argument"),
	bucket.NoSuchTagSet:            pipeline.As(404, "NoSuchTagSet", "The TagSet does not exist"),
	bucket.InvalidTag:              pipeline.As(400, "InvalidTag", "The tag you have provided is invalid"),
	bucket.TooManyTags:             pipeline.As(400, "BadRequest", "There are too many tags"),

	// What browsers and those who pay meet.
	InvalidRedirect:               pipeline.As(400, "InvalidRedirectLocation", "The website redirect location must have a prefix of 'http://' or 'https://' or '/'."),
	NoSite:                        pipeline.As(404, "WebsiteRedirect", "Request does not contain a bucket name."),
	NoPreflight:                   pipeline.As(400, "BadRequest", "Insufficient information."),
	PreflightForbidden:            pipeline.As(403, "AccessForbidden", "CORSResponse: This CORS request is not allowed."),
	bucket.NoSuchCors:             pipeline.As(404, "NoSuchCORSConfiguration", "The CORS configuration does not exist"),
	bucket.InvalidCors:            pipeline.As(400, "InvalidRequest", "Invalid CORS configuration"),
	bucket.IncompleteCors:         pipeline.As(400, "MalformedXML", malformedText),
	bucket.NoSuchWebsite:          pipeline.As(404, "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration"),
	bucket.InvalidWebsite:         pipeline.As(400, "InvalidRequest", "Invalid website configuration"),
	bucket.InvalidWebsiteArgument: pipeline.As(400, "InvalidArgument", "Invalid website configuration"),
	bucket.IncompleteWebsite:      pipeline.As(400, "MalformedXML", malformedText),
	bucket.UnknownAcceleration:    pipeline.As(400, "MalformedXML", malformedText),
	bucket.NeverAccelerated:       pipeline.As(400, "InvalidRequest", "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names"),
	bucket.UnknownPayer:           pipeline.As(400, "MalformedXML", malformedText),

	// Objects.
	object.Locked:                  pipeline.As(403, "AccessDenied", "Access Denied because object protected by object lock."),
	object.NoLock:                  pipeline.As(404, "NoSuchObjectLockConfiguration", "The specified object does not have a ObjectLock configuration"),
	object.LockNotEnabled:          pipeline.As(400, "InvalidRequest", "Bucket is missing Object Lock Configuration"),
	object.RetentionPast:           pipeline.As(400, "InvalidArgument", "The retain until date must be in the future!"),
	object.LockNeedsDigest:         pipeline.As(400, "InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"),
	object.BypassNotApplicable:     pipeline.As(400, "InvalidArgument", bypassHeader+" is only applicable to Object Lock enabled buckets."),
	object.NoSuchKey:               pipeline.As(404, "NoSuchKey", "The specified key does not exist."),
	object.NoSuchVersion:           pipeline.As(404, "NoSuchVersion", "The specified version does not exist."),
	object.InvalidVersionID:        pipeline.As(400, "InvalidArgument", "Invalid version id specified"),
	object.DeleteMarker:            pipeline.As(405, "MethodNotAllowed", methodText),
	object.KeyTooLong:              pipeline.As(400, "KeyTooLongError", "Your key is too long"),
	object.TooLarge:                pipeline.As(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size"),
	object.IncompleteBody:          pipeline.As(400, "IncompleteBody", shortText),
	object.BadDigest:               pipeline.As(400, "BadDigest", digestText),
	object.PreconditionFailed:      pipeline.As(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"),
	object.NotModified:             pipeline.As(304, "NotModified", "Not Modified"),
	object.ConditionUnsupported:    pipeline.As(501, "NotImplemented", notOfferedText),
	object.ConditionConflict:       pipeline.As(409, "ConditionalRequestConflict", "The conditional request cannot succeed due to a conflicting operation against this resource."),
	object.InvalidRange:            pipeline.As(416, "InvalidRange", "The requested range is not satisfiable"),
	object.InvalidPartNumber:       pipeline.As(416, "InvalidPartNumber", "The requested partnumber is not satisfiable"),
	object.RangeAndPart:            pipeline.As(400, "InvalidRequest", "Cannot specify both Range header and partNumber query parameter"),
	object.SelfCopy:                pipeline.As(400, "InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."),
	object.CopySourceMarker:        pipeline.As(400, "InvalidRequest", "The source of a copy request may not specifically refer to a delete marker by version id."),
	object.CopySourceTooLarge:      pipeline.As(400, "InvalidRequest", "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120"),
	object.InvalidCopyRange:        pipeline.As(400, "InvalidRequest", "The specified copy range is invalid for the source object size"),
	object.NoSuchUpload:            pipeline.As(404, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."),
	object.InvalidPart:             pipeline.As(400, "InvalidPart", "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."),
	object.InvalidPartOrder:        pipeline.As(400, "InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number."),
	object.PartTooSmall:            pipeline.As(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size"),
	object.PartNumberOutOfBounds:   pipeline.As(400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive"),
	object.InvalidUpload:           pipeline.As(400, "InvalidRequest", "The upload request is not valid"),
	object.MetadataTooLarge:        pipeline.As(400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size"),
	object.Archived:                pipeline.As(403, "InvalidObjectState", "The operation is not valid for the object's storage class"),
	object.NotArchived:             pipeline.As(403, "InvalidObjectState", "Restore is not allowed for the object's current storage class"),
	object.NoSuchAnnotation:        pipeline.As(404, "NoSuchAnnotation", "The specified annotation does not exist on this object."),
	object.InvalidAnnotationName:   pipeline.As(400, "InvalidAnnotationName", "The annotation name you provided is invalid."),
	object.AnnotationNameTooLong:   pipeline.As(400, "AnnotationNameTooLong", "The annotation name exceeds 512 bytes."),
	object.TooManyAnnotations:      pipeline.As(400, "AnnotationLimitExceeded", "The request would exceed the maximum number of annotations allowed per object."),
	object.InvalidAnnotationPrefix: pipeline.As(400, "InvalidPrefix", "The annotation prefix you provided is invalid."),
	object.EmptyAnnotation:         pipeline.As(400, "InvalidRequest", "The annotation payload must be between 1 byte and 1 MiB in size."),
	object.AnnotationNotText:       pipeline.As(415, "UnsupportedMediaType", "The annotation payload is not valid UTF-8 encoded text."),
	object.CustomerAnnotated:       pipeline.As(400, "InvalidRequest", "Objects encrypted with SSE-C cannot have annotations."),
	object.Replaced:                pipeline.As(409, "OperationAborted", "A conflicting conditional operation is currently in progress against this resource. Please try again."),
	object.InvalidStorageClass:     pipeline.As(400, "InvalidStorageClass", "The storage class you specified is not valid"),
	object.InvalidArgument:         pipeline.As(400, "InvalidArgument", "Invalid Argument"),
	object.Busy:                    pipeline.As(503, "SlowDown", slowDownText),
	object.Damaged:                 pipeline.As(500, "InternalError", internalText),
	object.InvalidUpdate:           pipeline.As(400, "InvalidRequest", "The encryption type of the object cannot be updated"),
	object.ForeignKey:              pipeline.As(403, "AccessDenied", deniedText),

	// Who may use a bucket.
	access.NotOwner:            pipeline.As(405, "MethodNotAllowed", methodText),
	bucket.NoSuchPolicy:        pipeline.As(404, "NoSuchBucketPolicy", "The bucket policy does not exist"),
	bucket.MalformedPolicy:     pipeline.As(400, "MalformedPolicy", "Invalid policy syntax."),
	bucket.PublicBlocked:       pipeline.As(403, "AccessDenied", deniedText),
	bucket.NoPublicAccessBlock: pipeline.As(404, "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found"),
	bucket.OtherAccount:        pipeline.As(403, "AccessDenied", deniedText),
	bucket.NoOwnershipControls: pipeline.As(404, "OwnershipControlsNotFoundError", "The bucket ownership controls were not found"),
	bucket.ACLWithOwnership:    pipeline.As(400, "InvalidBucketAclWithObjectOwnership", "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"),
	bucket.PublicACLBlocked:    pipeline.As(400, "InvalidBucketAclWithBlockPublicAccessError", "Bucket cannot have public ACLs set with BlockPublicAccess enabled"),
	bucket.InvalidLogTarget:    pipeline.As(400, "InvalidTargetBucketForLogging", "The target bucket for logging does not exist"),
	bucket.TooManyDocuments:    pipeline.As(400, "TooManyConfigurations", "You are attempting to create a new configuration but have already reached the 1,000-configuration limit."),
	bucket.InvalidLogging:      pipeline.As(400, "MalformedXML", malformedText),
	bucket.InvalidNotification: pipeline.As(400, "InvalidArgument", "Invalid Argument"),
	acl.Invalid:                malformedACL,
	acl.InvalidGrantee:         pipeline.As(400, "InvalidArgument", "Invalid id"),
	acl.ByEmail:                pipeline.As(400, "UnresolvableGrantByEmailAddress", "The e-mail address you provided does not match any account on record."),
	acl.Disabled:               pipeline.As(400, "AccessControlListNotSupported", "The bucket does not allow ACLs"),
	acl.NotThisOwner:           pipeline.As(403, "AccessDenied", deniedText),

	bucket.InvalidABAC:          pipeline.As(400, "MalformedXML", malformedText),
	bucket.TagsDecide:           pipeline.As(400, "InvalidRequest", "The tags of a bucket with attribute-based access control are changed with TagResource and UntagResource."),
	bucket.NoMetadata:           pipeline.As(404, "MetadataConfigurationNotFound", "The metadata configuration was not found"),
	bucket.NoTables:             pipeline.As(405, "MethodNotAllowed", "S3 Metadata needs S3 Tables, which this server does not have."),
	bucket.NoReplication:        pipeline.As(404, "ReplicationConfigurationNotFoundError", "The replication configuration was not found"),
	bucket.InvalidReplication:   pipeline.As(400, "InvalidRequest", "Invalid Request"),
	bucket.VersioningReplicated: pipeline.As(409, "InvalidBucketState", "A replication configuration is present on this bucket, so you cannot change the versioning state. To change the versioning state, first delete the replication configuration."),

	// Configurations with ids.
	bucket.NoSuchConfiguration:       pipeline.As(404, "NoSuchConfiguration", "The specified configuration does not exist."),
	bucket.InvalidConfiguration:      pipeline.As(400, "MalformedXML", malformedText),
	bucket.InvalidConfigurationValue: pipeline.As(400, "InvalidArgument", "Invalid Argument"),
	bucket.OtherConfiguration:        pipeline.As(400, "IdMismatch", "Document ID does not match the specified configuration ID."),
	bucket.InvalidDestination:        pipeline.As(400, "InvalidS3DestinationBucket", "Invalid bucket ARN."),

	// Lifecycle configurations. Texts are the faults' own.
	bucket.NoLifecycle:           pipeline.As(404, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
	bucket.InvalidLifecycle:      pipeline.As(400, "InvalidRequest", "Invalid Request"),
	bucket.InvalidLifecycleValue: pipeline.As(400, "InvalidArgument", "Invalid Argument"),
	bucket.MalformedLifecycle:    pipeline.As(400, "MalformedXML", malformedText),

	// Encryption, and the keys behind it. S3 prefixes KMS's own names and passes
	// its texts on.
	sse.UnsupportedMethod:    pipeline.As(400, "InvalidArgument", "The encryption method specified is not supported"),
	sse.NeedsKMS:             pipeline.As(400, "InvalidArgument", "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"),
	sse.EmptyKeyID:           pipeline.As(400, "InvalidArgument", "The KMS key id specified is empty"),
	sse.NotForThisOperation:  pipeline.As(400, "InvalidArgument", "x-amz-server-side-encryption header is not supported for this operation."),
	sse.BadBucketKeyFlag:     pipeline.As(400, "InvalidArgument", "The value of x-amz-server-side-encryption-bucket-key-enabled must be true or false"),
	sse.NeedsSecureTransport: pipeline.As(400, "InvalidArgument", "Requests specifying Server Side Encryption with AWS KMS managed keys must be made over a secure connection."),
	sse.NeedsSignatureV4:     pipeline.As(400, "InvalidArgument", "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4."),
	sse.BadContext:           pipeline.As(400, "InvalidArgument", "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which represents a string-string map"),
	sse.NotRewrappable:       pipeline.As(400, "InvalidRequest", "The encryption type of the object cannot be updated"),

	sse.CustomerMixed:         pipeline.As(400, "InvalidArgument", "Server Side Encryption with Customer provided key is incompatible with the encryption method specified"),
	sse.CustomerInsecure:      pipeline.As(400, "InvalidArgument", "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection."),
	sse.CustomerNoAlgorithm:   pipeline.As(400, "InvalidArgument", "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm."),
	sse.CustomerAlgorithm:     pipeline.As(400, "InvalidEncryptionAlgorithmError", "The Encryption request you specified is not valid. Supported value: AES256."),
	sse.CustomerNoKey:         pipeline.As(400, "InvalidArgument", "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key."),
	sse.CustomerNoMD5:         pipeline.As(400, "InvalidArgument", "Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 of the secret key."),
	sse.CustomerMD5:           pipeline.As(400, "InvalidArgument", "The calculated MD5 hash of the key did not match the hash that was provided."),
	sse.CustomerLength:        pipeline.As(400, "InvalidArgument", "The secret key was invalid for the specified algorithm."),
	sse.CustomerNeeded:        pipeline.As(400, "InvalidRequest", "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object."),
	sse.CustomerWrong:         pipeline.As(403, "AccessDenied", "Requests specifying Server Side Encryption with Customer provided keys must provide the correct secret key."),
	sse.CustomerNotApplicable: pipeline.As(400, "InvalidRequest", "The encryption parameters are not applicable to this object."),
	sse.UploadNeedsCustomer:   pipeline.As(400, "InvalidRequest", "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters."),
	sse.UploadOtherCustomer:   pipeline.As(400, "InvalidRequest", "The provided encryption parameters did not match the ones used originally."),
	sse.CustomerBlocked:       pipeline.As(403, "AccessDenied", deniedText),

	sse.Damaged:              pipeline.As(500, "InternalError", internalText),
	bucketkey.Damaged:        pipeline.As(500, "InternalError", internalText),
	bucketkey.NoGeneration:   pipeline.As(500, "InternalError", internalText),
	bucketkey.Unavailable:    pipeline.As(503, "ServiceUnavailable", unavailableText),
	bucketkey.Throttled:      pipeline.As(503, "SlowDown", kmsSlowDownText),
	kms.Throttled:            pipeline.As(503, "SlowDown", kmsSlowDownText),
	kms.AccessDenied:         pipeline.As(403, "AccessDenied", deniedText),
	kms.Disabled:             pipeline.As(400, "KMS.DisabledException", "The KMS key is disabled."),
	kms.InvalidArn:           pipeline.As(400, "KMS.InvalidArnException", "The ARN of the KMS key is not valid."),
	kms.InvalidKeyUsage:      pipeline.As(400, "KMS.InvalidKeyUsageException", "The KMS key is not for this use."),
	kms.InvalidState:         pipeline.As(400, "KMS.KMSInvalidStateException", "The state of the KMS key is not valid for this request."),
	kms.LimitExceeded:        pipeline.As(400, "KMS.LimitExceededException", "A quota of AWS KMS was exceeded."),
	kms.NotFound:             pipeline.As(400, "KMS.NotFoundException", "The KMS key does not exist."),
	kms.UnsupportedOperation: pipeline.As(400, "KMS.UnsupportedOperationException", "The KMS key does not support this operation."),
	kms.Validation:           pipeline.As(400, "KMS.ValidationException", "The request to AWS KMS is not valid."),
	kms.KeyUnavailable:       pipeline.As(503, "ServiceUnavailable", unavailableText),
	kms.Unavailable:          pipeline.As(503, "ServiceUnavailable", unavailableText),
	// The rest of what KMS can say of a request that S3 made means that what S3
	// has stored is not what KMS gave it.
	kms.IncorrectKey:      pipeline.As(500, "InternalError", internalText),
	kms.Internal:          pipeline.As(500, "InternalError", internalText),
	kms.InvalidCiphertext: pipeline.As(500, "InternalError", internalText),

	// What lies below.
	audit.Unavailable:      pipeline.As(503, "ServiceUnavailable", unavailableText),
	meta.Damaged:           pipeline.As(500, "InternalError", internalText),
	meta.Full:              pipeline.As(503, "ServiceUnavailable", fullText),
	meta.Unavailable:       pipeline.As(503, "ServiceUnavailable", unavailableText),
	blob.Damaged:           pipeline.As(500, "InternalError", internalText),
	blob.Full:              pipeline.As(503, "ServiceUnavailable", fullText),
	blob.Unavailable:       pipeline.As(503, "ServiceUnavailable", unavailableText),
	keystore.Damaged:       pipeline.As(500, "InternalError", internalText),
	keystore.BadCiphertext: pipeline.As(500, "InternalError", internalText),
	keystore.NoMaterial:    pipeline.As(500, "InternalError", internalText),
	keystore.Unavailable:   pipeline.As(503, "ServiceUnavailable", unavailableText),
}
