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
)

// Texts that several rows share.
const (
	retry          = "The request was rejected because an internal exception occurred. The request can be retried."
	unavailable    = "The system timed out while trying to fulfill the request. The request can be retried."
	needsTransport = "KMS requests must be made over a secure connection. Use HTTPS, or a connection from the machine that the server runs on."
)

// codes is the only place that says how KMS names an error. KMS answers 400 to
// every mistake of a client, whatever its service model says.
var codes = json11.Codes(pipeline.Codes{
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

	NeedsSecureTransport: pipeline.As(400, "ValidationException", needsTransport),

	iam.InvalidPrincipal: pipeline.As(400, "MalformedPolicyDocumentException", "Policy contains a statement with one or more invalid principals."),

	pipeline.TimedOut:    pipeline.As(503, "DependencyTimeoutException", unavailable),
	pipeline.AuditFailed: pipeline.As(500, "KMSInternalException", retry),
	audit.Unavailable:    pipeline.As(500, "KMSInternalException", retry),

	keystore.BadMaterial:   pipeline.As(500, "KMSInternalException", retry), // core/kms says what it means
	keystore.BadToken:      pipeline.As(400, "InvalidImportTokenException", ""),
	keystore.ExpiredToken:  pipeline.As(400, "ExpiredImportTokenException", ""),
	keystore.NotAllowed:    pipeline.As(400, "UnsupportedOperationException", ""),
	keystore.NoMaterial:    pipeline.As(500, "KMSInternalException", retry),
	keystore.BadCiphertext: pipeline.As(400, "InvalidCiphertextException", ""),
	keystore.Damaged:       pipeline.As(500, "KMSInternalException", retry),
	keystore.Unavailable:   pipeline.As(500, "KeyUnavailableException", unavailable),
	meta.Damaged:           pipeline.As(500, "KMSInternalException", retry),
	meta.Unavailable:       pipeline.As(503, "DependencyTimeoutException", unavailable),
})

// onTheWire are the names that KMS's clients know where the road and the audit
// trail have others.
var onTheWire = map[string]string{
	"AccessDenied":  "AccessDeniedException",
	"InternalError": "KMSInternalException",
}
