// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"strings"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/spending"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

// Class is the permission that a requester proves with a KMS request.
type Class string

// The classes, named as the API's operations.
const (
	Generate Class = "GenerateDataKey"
	Decrypt  Class = "Decrypt"
)

// Spends returns the operation that spending counts for a class.
func (c Class) Spends() spending.Operation {
	if c == Generate {
		return spending.GenerateDataKey
	}
	return spending.Decrypt
}

// action returns the action that a class is a permission for.
func (c Class) action() string {
	switch c {
	case Generate:
		return "kms:GenerateDataKey"
	case Decrypt:
		return "kms:Decrypt"
	}
	return "kms:" + string(c)
}

// ViaS3 is the service as S3 uses it for a caller. Its blobs are service-held:
// no call of the API opens them. GenerateDataKey, Decrypt and OpenBucketKey are
// KMS requests: they are counted, and recorded in the audit trail as the
// caller's, whether they succeed or not, before they return.
//
// The event has the id that the context names (audit.Naming); an error that an event
// tells of names it (audit.EventOf).
//
// They share these errors: NotFound, AccessDenied, InvalidKeyUsage, Disabled,
// InvalidState, InvalidCiphertext, IncorrectKey, KeyUnavailable, Unavailable,
// Internal; and, but for Resolve and Check, Throttled.
type ViaS3 struct{ s *Service }

// Resolve turns a key id, key ARN, alias name or alias ARN, as a client wrote
// it, into a key ARN; ids and alias names are of the caller's account. "" is the
// managed key of that account, made on first use. It is no KMS request. A well
// formed id resolves although there may be no such key. Errors: NotFound,
// InvalidArn, AccessDenied for anonymous callers, Unavailable.
func (v *ViaS3) Resolve(ctx context.Context, by iam.Caller, key string) (keyARN string, err error) {
	var ref keyRef
	var alias string
	switch {
	case by.IsAnonymous():
		return "", denied(by, policy.Need{Action: "kms:GenerateDataKey", Resource: key}, facts{ViaS3: true}, policy.Decision{Layer: policy.ByIdentity})
	case key == "" || v.s.namesManaged(by, key):
		ref, err = v.s.managedKey(ctx, by)
	default:
		ref, alias, err = v.s.resolve(ctx, by, "kms:GenerateDataKey", key, facts{ViaS3: true})
	}
	if err != nil {
		return "", err
	}
	if alias == "" && strings.HasPrefix(key, "arn:") { // of a key: it is what was asked for
		return key, nil
	}
	return ref.arn(v.s.region), nil
}

// Check evaluates now, from memory, whether the caller may use the key and
// whether its state allows it. It is no KMS request.
func (v *ViaS3) Check(ctx context.Context, by iam.Caller, class Class, keyARN string, ec Context) error {
	_, _, err := v.check(ctx, by, class, keyARN, ec)
	return err
}

// check returns also the key, and its reference even when it is refused.
func (v *ViaS3) check(ctx context.Context, by iam.Caller, class Class, keyARN string, ec Context) (*key, keyRef, error) {
	ref, err := v.s.keyNamed(by, keyARN)
	if err != nil {
		return nil, keyRef{}, err
	}
	f := facts{Context: ec, ViaS3: true, Algorithm: SymmetricDefault}
	k, err := v.s.permitted(ctx, by, class.action(), ref, f)
	if class == Generate && by.Replicates && !errors.Is(err, policy.ErrExplicit) {
		k, err = v.encrypts(ctx, by, ref, f, k, err)
	}
	if err != nil {
		return nil, ref, err
	}
	return k, ref, v.s.fitsService(k, class)
}

// encrypts asks, of who may generate data keys (err is nil) or may not, whether they may
// encrypt, which is as good: a denial of either denies.
func (v *ViaS3) encrypts(ctx context.Context, by iam.Caller, ref keyRef, f facts, k *key, err error) (*key, error) {
	if err != nil && !errors.Is(err, AccessDenied) {
		return nil, err
	}
	switch k2, err2 := v.s.permitted(ctx, by, "kms:Encrypt", ref, f); {
	case err2 == nil:
		return k2, nil
	case err != nil && errors.Is(err2, AccessDenied):
		return nil, err
	case errors.Is(err2, policy.ErrExplicit) || !errors.Is(err2, AccessDenied):
		return nil, err2
	}
	return k, nil
}

// GenerateDataKey makes a 32-byte key, and its blob under the KMS key. gen, when
// not empty, names the bucket key generation in the audit record. The plaintext
// is the caller's to clear.
func (v *ViaS3) GenerateDataKey(ctx context.Context, by iam.Caller, keyARN string, ec Context, gen string) (plaintext secret.Bytes, blob []byte, err error) {
	plaintext, err = v.request(ctx, by, Generate, keyARN, ec, gen, func(k *key, canonical []byte) (secret.Bytes, material, error) {
		k, err := v.s.rotateIfDue(ctx, k)
		if err != nil {
			return secret.Bytes{}, material{}, err
		}
		fresh := secret.Random(secret.Size)
		blob, err = v.s.encryptUnder(ctx, k, fresh, canonical, true)
		return fresh, k.current(), err
	})
	if err != nil {
		return secret.Bytes{}, nil, err
	}
	return plaintext, blob, nil
}

// Decrypt opens a blob that GenerateDataKey made. The plaintext is the caller's
// to clear.
func (v *ViaS3) Decrypt(ctx context.Context, by iam.Caller, keyARN string, blob []byte, ec Context) (secret.Bytes, error) {
	return v.open(ctx, by, Decrypt, keyARN, blob, ec, "")
}

// OpenBucketKey opens the blob of a bucket key generation for a caller who
// proves class. The event bears the class's name, also where the caller did not
// generate the key: a writer may lack the permission to decrypt, and shares the
// generation all the same.
func (v *ViaS3) OpenBucketKey(ctx context.Context, by iam.Caller, class Class, keyARN string, blob []byte, ec Context, gen string) (secret.Bytes, error) {
	return v.open(ctx, by, class, keyARN, blob, ec, gen)
}

func (v *ViaS3) open(ctx context.Context, by iam.Caller, class Class, keyARN string, blob []byte, ec Context, gen string) (secret.Bytes, error) {
	return v.request(ctx, by, class, keyARN, ec, gen, func(k *key, canonical []byte) (secret.Bytes, material, error) {
		ref, held, err := v.s.materials.Inspect(blob)
		c := ciphertext{key: k, ref: ref}
		switch {
		case err != nil:
			c.err = fromMaterials(err)
		case ref.Key != k.ID:
			c.err = fault.New(IncorrectKey, "The key ID in the request does not identify a CMK that can perform this operation.")
		case !held:
			c.err = fault.New(InvalidCiphertext, "")
		}
		return v.s.decrypt(ctx, c, blob, canonical)
	})
}

// request checks the key, does the work, counts and records. The plaintext is
// given out only after the record is durable.
func (v *ViaS3) request(ctx context.Context, by iam.Caller, class Class, keyARN string, ec Context, gen string,
	do func(k *key, canonical []byte) (secret.Bytes, material, error)) (secret.Bytes, error) {

	var plaintext secret.Bytes
	var m material
	k, ref, err := v.check(ctx, by, class, keyARN, ec)
	if throttled := v.s.quota.take(by); throttled != nil {
		err = throttled
	}
	if err == nil {
		var canonical []byte
		if canonical, err = ec.Canonical(); err == nil {
			plaintext, m, err = do(k, canonical)
		}
	}
	v.s.count(string(class), fromS3, err)
	v.s.spend(by, class, ec, k)
	record := v.s.recordOf(s3Request{event: audit.Named(ctx), by: by, class: class, keyARN: keyARN, key: ref, context: ec, generation: gen, materialID: m.ID, err: err})
	// The client may have gone; what was done is recorded all the same.
	unrecorded := v.s.record(context.WithoutCancel(ctx), record, ref.account)
	switch {
	case unrecorded == nil && err != nil:
		err = audit.Recorded(err, record.EventID)
	case unrecorded != nil && err == nil:
		err = fault.New(Unavailable, "").Because(unrecorded)
	}
	if err != nil {
		plaintext.Clear()
		return secret.Bytes{}, err
	}
	v.s.NoteUse(record.EventName, []string{keyARN}, record.EventID, record.RequestID)
	return plaintext, nil
}
