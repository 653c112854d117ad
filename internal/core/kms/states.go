// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cofferstore/coffer/internal/fault"
)

// verdict is what a key's state means for an operation. The numbers are those of
// the footnotes under the table "Key states of AWS KMS keys" in the KMS
// Developer Guide.
type verdict int

const (
	proceeds verdict = iota
	x1               // Disabled
	x3               // pending deletion
	x4               // not pending deletion
	x5               // pending import
	x6               // its origin is EXTERNAL
	x7               // not in an external key store
	x11              // unavailable
	x14              // creating
	x15              // updating
)

// rule is an operation's row of the table.
type rule struct {
	enabled, disabled, deleted, importing, down, creating, updating verdict
	needs                                                           need
}

// need is what an operation wants of a key besides its state.
type need int

const (
	anyKey  need = iota
	rotates      // a key that can rotate. Others answer UnsupportedOperation (footnote 7), whatever their state
	encrypts
	wraps // symmetric keys: others cannot encrypt data keys
	signs
	authenticates
	agrees
	shows   // a public key
	imports // material: its origin is EXTERNAL
)

// usage is the usage of keys that the need is for, "" for any.
func (n need) usage() string {
	switch n {
	case encrypts, wraps:
		return EncryptDecrypt
	case signs:
		return SignVerify
	case authenticates:
		return GenerateVerifyMAC
	case agrees:
		return KeyAgreement
	}
	return ""
}

func crypto(n need) rule { return rule{proceeds, x1, x3, x5, x11, x14, proceeds, n} }
func always() rule       { return rule{} }

// ruleFor is the table. Operations that it does not know are a mistake of the
// caller and panic.
func ruleFor(operation string) rule {
	switch operation {
	case "Encrypt", "Decrypt", "ReEncrypt":
		return crypto(encrypts)
	case "GenerateDataKey", "GenerateDataKeyWithoutPlaintext":
		return crypto(wraps)
	case "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext":
		return rule{proceeds, x1, x3, x5, x7, x14, proceeds, wraps}
	case "Sign", "Verify":
		return crypto(signs)
	case "GenerateMac", "VerifyMac":
		return crypto(authenticates)
	case "DeriveSharedSecret":
		return crypto(agrees)
	case "GetPublicKey":
		return rule{proceeds, proceeds, x3, proceeds, x11, x14, proceeds, shows}
	case "CreateAlias", "UpdateAlias": // the new target of the alias
		return rule{deleted: x3}
	case "CreateGrant":
		return rule{proceeds, x1, x3, x5, proceeds, x14, proceeds, anyKey}
	case "ListGrants", "RetireGrant", "RevokeGrant", "DeleteAlias", "DescribeKey", "GetKeyPolicy", "ListAliases", "ListKeyPolicies", "ListResourceTags", "PutKeyPolicy", "GetKeyLastUsage":
		return always()
	case "EnableKey", "DisableKey":
		return rule{proceeds, proceeds, x3, x5, proceeds, x14, x15, anyKey}
	case "ScheduleKeyDeletion":
		return rule{deleted: x3, updating: x15}
	case "CancelKeyDeletion":
		return rule{x4, x4, proceeds, x4, x4, x4, x4, anyKey}
	case "GetParametersForImport":
		return rule{proceeds, proceeds, x3, proceeds, x11, x14, x15, imports}
	case "ImportKeyMaterial":
		return rule{proceeds, proceeds, x3, proceeds, x11, x14, proceeds, imports}
	case "DeleteImportedKeyMaterial":
		return rule{proceeds, proceeds, proceeds, proceeds, x11, x14, x15, imports}
	case "EnableKeyRotation", "DisableKeyRotation":
		return rule{proceeds, x1, x3, x6, x7, x14, proceeds, rotates}
	case "RotateKeyOnDemand":
		return rule{proceeds, x1, x3, x5, x7, x14, proceeds, rotates}
	case "GetKeyRotationStatus":
		return rule{proceeds, proceeds, proceeds, x6, x7, proceeds, proceeds, rotates}
	case "ListKeyRotations":
		return rule{proceeds, proceeds, proceeds, proceeds, x7, proceeds, proceeds, rotates}
	case "TagResource", "UntagResource", "UpdateKeyDescription":
		return rule{deleted: x3}
	}
	panic("kms: no state rule for " + operation)
}

func (r rule) in(state State) verdict {
	switch state {
	case StateDisabled:
		return r.disabled
	case PendingDeletion:
		return r.deleted
	case PendingImport:
		return r.importing
	case StateDown:
		return r.down
	case Creating:
		return r.creating
	case Updating:
		return r.updating
	}
	return r.enabled
}

// fits reports whether the key's usage, then its state, lets the operation
// proceed.
func (s *Service) fits(k *key, operation string) error {
	r := ruleFor(operation)
	if err := s.fitsNeed(k, r.needs, operation); err != nil {
		return err
	}
	arn := s.arnOf(k)
	switch r.in(k.State) {
	case x1:
		return fault.New(Disabled, "%s is disabled.", arn)
	case x3:
		return invalidState(arn, "pending deletion")
	case x4:
		return invalidState(arn, "not pending deletion")
	case x5:
		return invalidState(arn, "pending import")
	case x6:
		return fault.New(UnsupportedOperation, "%s origin is EXTERNAL which is not valid for this operation.", arn)
	case x7:
		return fault.New(UnsupportedOperation, "")
	case x11:
		return invalidState(arn, "unavailable")
	case x14:
		return invalidState(arn, "creating")
	case x15:
		return invalidState(arn, "updating")
	}
	return nil
}

// fitsUsage is the half of fits that is not about the state.
func (s *Service) fitsUsage(k *key, operation string) error {
	return s.fitsNeed(k, ruleFor(operation).needs, operation)
}

func (s *Service) fitsNeed(k *key, n need, operation string) error {
	arn, usage := s.arnOf(k), n.usage()
	switch {
	case usage != "" && k.Usage != usage:
		return fault.New(InvalidKeyUsage, "%s key usage is %s which is not valid for %s.", arn, k.Usage, operation)
	case n == wraps && k.Spec != SymmetricDefault:
		return fault.New(InvalidKeyUsage, "%s key spec is %s which is not valid for %s.", arn, k.Spec, operation)
	case n == shows && kindOfKey(k.Spec) != "asymmetric":
		return fault.New(UnsupportedOperation, "%s is not an asymmetric key: it has no public key.", arn)
	case n == imports && !k.external(), n == rotates && k.external() && strings.HasSuffix(operation, "KeyRotation"):
		return fault.New(UnsupportedOperation, "%s origin is %s which is not valid for this operation.", arn, k.Origin)
	case n == rotates && k.Spec != SymmetricDefault && operation == "RotateKeyOnDemand": // AWS says no more
		return fault.New(UnsupportedOperation, "")
	case n == rotates && k.Spec != SymmetricDefault:
		return fault.New(UnsupportedOperation, "%s key spec is %s which is not valid for %s.", arn, k.Spec, operation)
	}
	return nil
}

// fitsService is fits for Coffer's own services, which want keys that wrap data
// keys, also where they open them.
func (s *Service) fitsService(k *key, class Class) error {
	if err := s.fitsNeed(k, wraps, string(Generate)); err != nil {
		return err
	}
	return s.fits(k, string(class))
}

func invalidState(arn, is string) error {
	return fault.New(InvalidState, "%s", fmt.Sprintf("%s is %s.", arn, is))
}

func isNotFound(err error) bool { return errors.Is(err, NotFound) }
