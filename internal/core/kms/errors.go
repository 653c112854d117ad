// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"errors"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Kinds of fault, one per exception of the KMS API.
const (
	AccessDenied         fault.Kind = "kms: access denied"
	AlreadyExists        fault.Kind = "kms: already exists"
	Disabled             fault.Kind = "kms: key disabled"
	DryRun               fault.Kind = "kms: dry run succeeded"
	ExpiredImportToken   fault.Kind = "kms: expired import token"
	IncorrectKey         fault.Kind = "kms: incorrect key"
	IncorrectKeyMaterial fault.Kind = "kms: incorrect key material"
	Internal             fault.Kind = "kms: internal error" // stored key data is damaged
	InvalidAliasName     fault.Kind = "kms: invalid alias name"
	InvalidArn           fault.Kind = "kms: invalid ARN"
	InvalidCiphertext    fault.Kind = "kms: invalid ciphertext"
	InvalidGrantID       fault.Kind = "kms: invalid grant id"
	InvalidGrantToken    fault.Kind = "kms: invalid grant token"
	InvalidImportToken   fault.Kind = "kms: invalid import token"
	InvalidKeyUsage      fault.Kind = "kms: invalid key usage"
	InvalidMarker        fault.Kind = "kms: invalid marker"
	InvalidMac           fault.Kind = "kms: invalid MAC"
	InvalidSignature     fault.Kind = "kms: invalid signature"
	InvalidState         fault.Kind = "kms: invalid key state"
	KeyUnavailable       fault.Kind = "kms: key unavailable" // its key store cannot be reached
	LimitExceeded        fault.Kind = "kms: limit exceeded"
	MalformedPolicy      fault.Kind = "kms: malformed policy document"
	NotFound             fault.Kind = "kms: not found"
	Tagging              fault.Kind = "kms: invalid tags"
	Unavailable          fault.Kind = "kms: unavailable" // key state cannot be read, or a record not be written
	UnsupportedOperation fault.Kind = "kms: unsupported operation"
	Validation           fault.Kind = "kms: validation failed"
)

// ErrorName returns the name of the KMS exception that an error is, such as
// "DisabledException", or "" for nil. Errors of other kinds are
// "KMSInternalException".
func ErrorName(err error) string {
	if err == nil {
		return ""
	}
	e, ok := fault.As(err)
	if !ok {
		return "KMSInternalException"
	}
	switch e.Kind {
	case AccessDenied:
		return "AccessDeniedException"
	case AlreadyExists:
		return "AlreadyExistsException"
	case Disabled:
		return "DisabledException"
	case DryRun:
		return "DryRunOperationException"
	case ExpiredImportToken:
		return "ExpiredImportTokenException"
	case IncorrectKeyMaterial:
		return "IncorrectKeyMaterialException"
	case InvalidImportToken:
		return "InvalidImportTokenException"
	case IncorrectKey:
		return "IncorrectKeyException"
	case InvalidAliasName:
		return "InvalidAliasNameException"
	case InvalidArn:
		return "InvalidArnException"
	case InvalidCiphertext:
		return "InvalidCiphertextException"
	case InvalidGrantID:
		return "InvalidGrantIdException"
	case InvalidGrantToken:
		return "InvalidGrantTokenException"
	case InvalidKeyUsage:
		return "InvalidKeyUsageException"
	case InvalidMarker:
		return "InvalidMarkerException"
	case InvalidMac:
		return "KMSInvalidMacException"
	case InvalidSignature:
		return "KMSInvalidSignatureException"
	case InvalidState:
		return "KMSInvalidStateException"
	case Throttled:
		return "ThrottlingException"
	case KeyUnavailable:
		return "KeyUnavailableException"
	case LimitExceeded:
		return "LimitExceededException"
	case MalformedPolicy:
		return "MalformedPolicyDocumentException"
	case NotFound:
		return "NotFoundException"
	case Tagging:
		return "TagException"
	case Unavailable:
		return "DependencyTimeoutException"
	case UnsupportedOperation:
		return "UnsupportedOperationException"
	case Validation:
		return "ValidationException"
	}
	return "KMSInternalException"
}

// fromMeta turns an error of the metadata store into a fault.
func fromMeta(err error) error {
	if errors.Is(err, meta.Damaged) {
		return fault.New(Internal, "").Because(err)
	}
	return fault.New(Unavailable, "").Because(err)
}

// fromKey is fromMaterials for the use of a key: imported material may have been
// deleted a moment ago, by another node.
func (s *Service) fromKey(k *key, err error) error {
	if k.external() && errors.Is(err, keystore.NoMaterial) {
		return invalidState(k.ref().arn(s.region), "pending import")
	}
	return fromMaterials(err)
}

// fromMaterials turns an error of the key store into a fault.
func fromMaterials(err error) error {
	switch {
	case errors.Is(err, keystore.BadCiphertext):
		return fault.New(InvalidCiphertext, "").Because(err)
	case errors.Is(err, keystore.BadToken):
		return fault.New(InvalidImportToken, "").Because(err)
	case errors.Is(err, keystore.ExpiredToken):
		return fault.New(ExpiredImportToken, "").Because(err)
	case errors.Is(err, keystore.BadMaterial):
		return fault.New(IncorrectKeyMaterial, "The key material does not fit the key.").Because(err)
	case errors.Is(err, keystore.NotAllowed):
		return fault.New(UnsupportedOperation, "The algorithm is not allowed in FIPS mode.")
	case errors.Is(err, keystore.Unavailable):
		return fault.New(KeyUnavailable, "").Because(err)
	}
	// NoMaterial too: the key's row says that the material is there.
	return fault.New(Internal, "").Because(err)
}
