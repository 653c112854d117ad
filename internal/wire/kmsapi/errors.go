// SPDX-License-Identifier: Apache-2.0

package kmsapi

import (
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/wire/json11"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// Texts that several rows share.
const (
	retry          = "The request was rejected because an internal exception occurred. The request can be retried."
	unavailable    = "The system timed out while trying to fulfill the request. The request can be retried."
	badSignature   = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	expired        = "Signature expired or not yet valid: compare the client's clock with the server's."
	unknownKey     = "The security token included in the request is invalid."
	needsTransport = "KMS requests must be made over a secure connection. Use HTTPS, or a connection from the machine that the server runs on."
)

// codes is the only place that says how KMS names an error. KMS answers 400 to
// every mistake of a client, whatever its service model says.
var codes = pipeline.Codes{
	// In the audit trail this one has no "Exception", as on AWS; see onTheWire.
	kms.AccessDenied: pipeline.As(400, "AccessDenied", ""),

	kms.AlreadyExists:        pipeline.As(400, "AlreadyExistsException", ""),
	kms.Disabled:             pipeline.As(400, "DisabledException", ""),
	kms.DryRun:               pipeline.As(400, "DryRunOperationException", ""),
	kms.ExpiredImportToken:   pipeline.As(400, "ExpiredImportTokenException", ""),
	kms.IncorrectKeyMaterial: pipeline.As(400, "IncorrectKeyMaterialException", ""),
	kms.InvalidImportToken:   pipeline.As(400, "InvalidImportTokenException", ""),
	kms.IncorrectKey:         pipeline.As(400, "IncorrectKeyException", ""),
	kms.Internal:             pipeline.As(500, "KMSInternalException", retry),
	kms.InvalidAliasName:     pipeline.As(400, "InvalidAliasNameException", ""),
	kms.InvalidArn:           pipeline.As(400, "InvalidArnException", ""),
	kms.InvalidCiphertext:    pipeline.As(400, "InvalidCiphertextException", ""),
	kms.InvalidGrantID:       pipeline.As(400, "InvalidGrantIdException", ""),
	kms.InvalidGrantToken:    pipeline.As(400, "InvalidGrantTokenException", ""),
	kms.InvalidKeyUsage:      pipeline.As(400, "InvalidKeyUsageException", ""),
	kms.InvalidMarker:        pipeline.As(400, "InvalidMarkerException", ""),
	kms.InvalidMac:           pipeline.As(400, "KMSInvalidMacException", ""),
	kms.InvalidSignature:     pipeline.As(400, "KMSInvalidSignatureException", ""),
	kms.InvalidState:         pipeline.As(400, "KMSInvalidStateException", ""),
	kms.Throttled:            pipeline.As(400, "ThrottlingException", kms.ThrottledText),
	kms.KeyUnavailable:       pipeline.As(500, "KeyUnavailableException", "The request was rejected because the specified KMS key was not available. You can retry the request."),
	kms.LimitExceeded:        pipeline.As(400, "LimitExceededException", ""),
	kms.MalformedPolicy:      pipeline.As(400, "MalformedPolicyDocumentException", ""),
	kms.NotFound:             pipeline.As(400, "NotFoundException", ""),
	kms.Tagging:              pipeline.As(400, "TagException", ""),
	kms.Unavailable:          pipeline.As(503, "DependencyTimeoutException", unavailable),
	kms.UnsupportedOperation: pipeline.As(400, "UnsupportedOperationException", ""),
	kms.Validation:           pipeline.As(400, "ValidationException", ""),

	json11.UnknownOperation: pipeline.As(400, "UnknownOperationException", ""),
	json11.Malformed:        pipeline.As(400, "SerializationException", ""),
	NeedsSecureTransport:    pipeline.As(400, "ValidationException", needsTransport),

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
	iam.InvalidPrincipal:           pipeline.As(400, "MalformedPolicyDocumentException", "Policy contains a statement with one or more invalid principals."),
	iam.AccessDenied:               pipeline.As(400, "AccessDenied", ""),

	pipeline.BodyTooLarge: pipeline.As(413, "RequestEntityTooLargeException", "The request body is too large."),
	pipeline.HeadTooLarge: pipeline.As(413, "RequestEntityTooLargeException", "The request headers are too large."),
	pipeline.InvalidURI:   pipeline.As(400, "MalformedHttpRequestException", "The request target is malformed."),
	pipeline.SlowClient:   pipeline.As(408, "RequestTimeoutException", "The request body was not received in time."),
	pipeline.TimedOut:     pipeline.As(503, "DependencyTimeoutException", unavailable),
	pipeline.NoRoom:       pipeline.As(503, "ServiceUnavailable", "The server is short of storage."),
	pipeline.AuditFailed:  pipeline.As(500, "KMSInternalException", retry),
	audit.Unavailable:     pipeline.As(500, "KMSInternalException", retry),

	keystore.BadMaterial:   pipeline.As(500, "KMSInternalException", retry), // core/kms says what it means
	keystore.BadToken:      pipeline.As(400, "InvalidImportTokenException", ""),
	keystore.ExpiredToken:  pipeline.As(400, "ExpiredImportTokenException", ""),
	keystore.NotAllowed:    pipeline.As(400, "UnsupportedOperationException", ""),
	keystore.NoMaterial:    pipeline.As(500, "KMSInternalException", retry),
	keystore.BadCiphertext: pipeline.As(400, "InvalidCiphertextException", ""),
	keystore.Damaged:       pipeline.As(500, "KMSInternalException", retry),
	keystore.Unavailable:   pipeline.As(500, "KeyUnavailableException", unavailable),
	meta.Damaged:           pipeline.As(500, "KMSInternalException", retry),
	meta.Full:              pipeline.As(503, "ServiceUnavailable", "The server is short of storage."),
	meta.Unavailable:       pipeline.As(503, "DependencyTimeoutException", unavailable),
}

// onTheWire are the names that KMS's clients know where the road and the audit
// trail have others.
var onTheWire = map[string]string{
	"AccessDenied":  "AccessDeniedException",
	"InternalError": "KMSInternalException",
}
