// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

// ForService is the service as Coffer's own upkeep of bucket keys uses it: for no
// caller, and with enabled keys only. It opens and makes service-held blobs alone,
// each under the key and in the context that it had, so nobody gains access by it.
// Every use of a customer's key and of the service-owned key is recorded as a
// service event before it returns.
//
// Its methods share these errors: NotFound, AccessDenied (the key's policy denies it), Disabled, InvalidState, InvalidKeyUsage,
// InvalidCiphertext, IncorrectKey, KeyUnavailable, Unavailable, Internal.
type ForService struct{ s *Service }

// ForService returns the service as Coffer's own upkeep uses it.
func (s *Service) ForService() *ForService { return &ForService{s} }

// Purpose is what a key is used for, as the event says.
type Purpose struct {
	Account    string // the owner of the bucket
	Bucket     string // its ARN
	Generation string // the bucket key that is made, opened or re-encrypted
	Successor  string // the generation that its data keys move to, "" for none
}

// Names of the events.
const (
	eventMake      = "CreateBucketKeyGeneration"
	eventMerge     = "MergeBucketKeyGeneration"
	eventOpen      = "OpenBucketKeyGeneration"
	eventReEncrypt = "ReEncryptBucketKeyGeneration"
	eventDelete    = "DeleteBucketKeyGeneration"
)

// Usable decides from memory whether the key can be used now. It is not recorded.
func (f *ForService) Usable(ctx context.Context, keyARN string) error {
	_, err := f.key(ctx, keyARN)
	return err
}

// Material says which version of the key's material a blob is under, and whether it
// is the current one. It opens nothing.
func (f *ForService) Material(ctx context.Context, keyARN string, blob []byte) (version uint32, current bool, err error) {
	ref, _, err := f.s.materials.Inspect(blob)
	if err != nil {
		return 0, false, fromMaterials(err)
	}
	k, err := f.find(ctx, keyARN)
	if err != nil {
		return ref.Version, false, err
	}
	if ref.Key != k.ID {
		return 0, false, fault.New(IncorrectKey, "")
	}
	return ref.Version, ref.Version == k.current().Version, nil
}

// Generate makes a 32-byte key and its blob under the key's current material. The
// plaintext is the caller's to clear.
func (f *ForService) Generate(ctx context.Context, keyARN string, ec Context, p Purpose) (plaintext secret.Bytes, blob []byte, err error) {
	plaintext, err = f.use(ctx, eventMake, Generate, keyARN, ec, p, func(k *key, canonical []byte) (secret.Bytes, material, error) {
		k, err := f.fresh(ctx, k)
		if err != nil {
			return secret.Bytes{}, material{}, err
		}
		made := secret.Random(secret.Size)
		blob, err = f.s.encryptUnder(ctx, k, made, canonical, true)
		return made, k.current(), err
	})
	if err != nil {
		return secret.Bytes{}, nil, err
	}
	return plaintext, blob, nil
}

// Open opens a blob. The plaintext is the caller's to clear.
func (f *ForService) Open(ctx context.Context, keyARN string, blob []byte, ec Context, p Purpose) (secret.Bytes, error) {
	event := eventOpen
	if p.Successor != "" {
		event = eventMerge
	}
	return f.use(ctx, event, Decrypt, keyARN, ec, p, func(k *key, canonical []byte) (secret.Bytes, material, error) {
		return f.decrypt(ctx, k, blob, canonical)
	})
}

// ReEncrypt opens a blob and seals what was in it under the key's current material.
// The plaintext, with which the caller verifies the new blob, is the caller's to
// clear.
func (f *ForService) ReEncrypt(ctx context.Context, keyARN string, blob []byte, ec Context, p Purpose) (plaintext secret.Bytes, fresh []byte, err error) {
	plaintext, err = f.use(ctx, eventReEncrypt, Decrypt, keyARN, ec, p, func(k *key, canonical []byte) (secret.Bytes, material, error) {
		plain, _, err := f.decrypt(ctx, k, blob, canonical)
		if err != nil {
			return secret.Bytes{}, material{}, err
		}
		defer plain.Clear()
		if k, err = f.fresh(ctx, k); err != nil {
			return secret.Bytes{}, material{}, err
		}
		if fresh, err = f.s.encryptUnder(ctx, k, plain, canonical, true); err != nil {
			return secret.Bytes{}, material{}, err
		}
		// What replaces the only ciphertext must be known to open.
		again, m, err := f.decrypt(ctx, k, fresh, canonical)
		if err == nil && !again.Equal(plain) {
			again.Clear()
			err = fault.New(Internal, "").Because(fmt.Errorf("a blob under key %s opens to another key", k.ID))
		}
		return again, m, err
	})
	if err != nil {
		return secret.Bytes{}, nil, err
	}
	return plaintext, fresh, nil
}

// Deleted records that a generation was no object's any more and goes.
func (f *ForService) Deleted(ctx context.Context, keyARN string, p Purpose) error {
	return f.record(ctx, eventDelete, keyARN, p, "", nil)
}

// find returns the key of an ARN, whatever its state.
func (f *ForService) find(ctx context.Context, keyARN string) (*key, error) {
	if a, ok := aws.ParseARN(keyARN); ok && a.Account == ownedBy {
		return f.s.owned.named(ctx, keyARN)
	}
	account, resource, err := f.s.parseARN(keyARN)
	if err != nil {
		return nil, err
	}
	const prefix = "key/"
	if len(resource) <= len(prefix) || resource[:len(prefix)] != prefix {
		return nil, fault.New(InvalidArn, "%s is not the ARN of a key.", keyARN)
	}
	return f.s.cachedKey(ctx, keyRef{account, resource[len(prefix):]})
}

// key returns a key that can be used now.
func (f *ForService) key(ctx context.Context, keyARN string) (*key, error) {
	k, err := f.find(ctx, keyARN)
	if err != nil || k.Account == ownedBy {
		return k, err
	}
	if err := f.s.fitsService(k, Decrypt); err != nil {
		return k, err
	}
	return k, f.allowsUpkeep(ctx, k)
}

// fresh returns the key after a rotation that is due. The service-owned key does
// not rotate.
func (f *ForService) fresh(ctx context.Context, k *key) (*key, error) {
	if k.Account == ownedBy {
		return k, nil
	}
	return f.s.rotateIfDue(ctx, k)
}

func (f *ForService) decrypt(ctx context.Context, k *key, blob, canonical []byte) (secret.Bytes, material, error) {
	ref, held, err := f.s.materials.Inspect(blob)
	switch {
	case err != nil:
		return secret.Bytes{}, material{}, fromMaterials(err)
	case ref.Key != k.ID:
		return secret.Bytes{}, material{}, fault.New(IncorrectKey, "")
	case !held:
		return secret.Bytes{}, material{}, fault.New(InvalidCiphertext, "")
	}
	if k.Account == ownedBy {
		plain, err := f.s.materials.Decrypt(ctx, blob, canonical)
		if err != nil {
			return secret.Bytes{}, material{}, fromMaterials(err)
		}
		return plain, k.current(), nil
	}
	return f.s.decrypt(ctx, ciphertext{key: k, ref: ref}, blob, canonical)
}

// use checks the key, does the work, counts and records. The plaintext is given out
// only after the record is durable.
func (f *ForService) use(ctx context.Context, event string, class Class, keyARN string, ec Context, p Purpose,
	do func(k *key, canonical []byte) (secret.Bytes, material, error)) (secret.Bytes, error) {

	var plaintext secret.Bytes
	var m material
	k, err := f.key(ctx, keyARN)
	if err == nil {
		var canonical []byte
		if canonical, err = ec.Canonical(); err == nil {
			plaintext, m, err = do(k, canonical)
		}
	}
	if k == nil || k.Account != ownedBy { // nobody counts the service-owned key
		f.s.count(string(class), fromService, err)
	}
	if unrecorded := f.record(ctx, event, keyARN, p, m.ID, err); err == nil {
		err = unrecorded
	}
	if err != nil {
		plaintext.Clear()
		return secret.Bytes{}, err
	}
	return plaintext, nil
}

// record writes a service event.
func (f *ForService) record(ctx context.Context, event, keyARN string, p Purpose, materialID string, failed error) error {
	details := map[string]string{"keyArn": keyARN, "bucketArn": p.Bucket, "cofferGeneration": p.Generation}
	if p.Successor != "" {
		details["cofferNewGeneration"] = p.Successor
	}
	if materialID != "" {
		details["keyMaterialId"] = materialID
	}
	encoded, err := json.Marshal(details)
	if err != nil {
		return fmt.Errorf("encode %s event: %w", event, err)
	}
	r := f.s.event(event)
	r.UserIdentity = audit.Identity{AccountID: p.Account, InvokedBy: internally}
	r.SourceIPAddress, r.UserAgent = internally, internally
	r.EventType, r.RecipientAccountID, r.ServiceEventDetails = audit.TypeServiceEvent, p.Account, encoded
	r.AdditionalEventData = map[string]any{"cofferGeneration": p.Generation}
	r.Resources = []audit.Resource{{AccountID: p.Account, Type: "AWS::S3::Bucket", ARN: p.Bucket}}
	if a, ok := aws.ParseARN(keyARN); ok && a.Account != ownedBy {
		r.Resources = append(r.Resources, audit.Resource{AccountID: a.Account, Type: keyResource, ARN: keyARN})
	}
	if failed != nil {
		r.ErrorCode = ErrorName(failed)
		if e, ok := fault.As(failed); ok {
			r.ErrorMessage = e.Message
		}
	}
	if err := f.s.trail.Append(context.WithoutCancel(ctx), r, true); err != nil {
		return fault.New(Unavailable, "").Because(err)
	}
	return nil
}
