// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// CreateKey is the request of Service.CreateKey.
type CreateKey struct {
	BypassPolicyLockoutSafetyCheck bool
	CustomKeyStoreId               string
	CustomerMasterKeySpec          string
	Description                    string
	KeySpec                        string
	KeyUsage                       string
	MultiRegion                    bool
	Origin                         string
	Policy                         string // "" takes the default policy
	Tags                           []Tag
	XksKeyId                       string
}

// CreateKey makes a key of the caller's account: with fresh material, or waiting for
// material to be imported.
func (s *Service) CreateKey(ctx context.Context, by iam.Caller, in CreateKey) (KeyMetadata, error) {
	return counted(s, "CreateKey", func() (KeyMetadata, error) {
		if err := in.check(); err != nil {
			return KeyMetadata{}, err
		}
		f := facts{Keys: in.conditions()}
		if err := s.authorizeAccount(ctx, by, "kms:CreateKey", f); err != nil {
			return KeyMetadata{}, err
		}
		if len(in.Tags) > 0 {
			if err := s.authorizeAccount(ctx, by, "kms:TagResource", f); err != nil {
				return KeyMetadata{}, err
			}
		}
		k := newKey(by.Account, ManagerCustomer)
		if spec := in.spec(); spec != "" {
			k.Spec = spec
		}
		if in.KeyUsage != "" {
			k.Usage = in.KeyUsage
		}
		k.MultiRegion = in.MultiRegion
		if in.Origin == OriginExternal {
			k.Origin, k.State = OriginExternal, PendingImport
		}
		k.Description, k.Tags, k.Policy = in.Description, in.Tags, defaultPolicy(by.Account)
		if in.Policy != "" {
			if err := s.setPolicy(ctx, by, k, in.Policy, in.BypassPolicyLockoutSafetyCheck); err != nil {
				return KeyMetadata{}, err
			}
		}
		if err := s.create(ctx, k, nil); err != nil {
			return KeyMetadata{}, err
		}
		return s.metadata(k), nil
	})
}

func (in CreateKey) check() error {
	var p problems
	p.length(in.Description, "description", 0, 8192)
	p.oneOf(in.KeySpec, "keySpec", keySpecs)
	p.oneOf(in.CustomerMasterKeySpec, "customerMasterKeySpec", keySpecs)
	p.oneOf(in.KeyUsage, "keyUsage", keyUsages)
	p.oneOf(in.Origin, "origin", origins)
	p.tags(in.Tags)
	p.policy(in.Policy)
	if err := p.err(); err != nil {
		return err
	}
	if in.KeySpec != "" && in.CustomerMasterKeySpec != "" {
		return fault.New(Validation, "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.")
	}
	if err := checkSpec(in.spec(), in.KeyUsage); err != nil {
		return err
	}
	switch {
	case in.Origin != "" && in.Origin != OriginKMS && in.Origin != OriginExternal:
		return fault.New(UnsupportedOperation, "Keys of Origin %s are not supported.", in.Origin)
	case in.CustomKeyStoreId != "" || in.XksKeyId != "":
		return fault.New(UnsupportedOperation, "Custom key stores are not supported.")
	}
	return checkTags(in.Tags)
}

// spec is the spec that the request names, by one name or the other, or "".
func (in CreateKey) spec() string { return in.KeySpec + in.CustomerMasterKeySpec }

func newKey(account, manager string) *key {
	return &key{
		Account: account, ID: uuid.New(), Created: now(),
		Usage: EncryptDecrypt, Spec: SymmetricDefault, Origin: OriginKMS, Manager: manager, State: Enabled,
		parsed: &parsedKey{},
	}
}

// now is the time in the resolution in which rows keep it.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// create makes the first material of a new key, then its rows. The material
// comes first, so that no row ever names what is not there; a crash between
// leaves material that nothing names. with may add rows to the commit.
func (s *Service) create(ctx context.Context, k *key, with func(b *meta.Batch) error) error {
	if !k.external() {
		m, err := s.materials.Generate(ctx, keystore.Ref{Key: k.ID, Version: 1}, keystore.Spec(k.Spec))
		if err != nil {
			return fromMaterials(err)
		}
		k.addMaterial(m, k.Created, "")
	}
	err := s.commit(ctx, func(b *meta.Batch) error {
		if with != nil {
			if err := with(b); err != nil {
				return err
			}
		}
		if !k.managed() {
			if err := s.countKeys(ctx, k.Account, +1, b); err != nil {
				return err
			}
		}
		b.PutIf([]byte(k.ref().row()), encode(k), 0)
		b.PutIf([]byte(indexRows+k.ID.String()), k.index(), 0)
		return nil
	})
	if isNotWritten(err) {
		// Best effort: what stays is sealed, and named by nothing.
		_ = s.materials.Destroy(context.WithoutCancel(ctx), k.ID)
	}
	return err
}

// isNotWritten reports whether a failed commit surely wrote nothing. Unavailable
// leaves that open, and then the material must stay.
func isNotWritten(err error) bool {
	return err != nil && ErrorName(err) != ErrorName(Unavailable)
}

// countKeys keeps the number of an account's customer keys. Error: LimitExceeded.
func (s *Service) countKeys(ctx context.Context, account string, delta int, b *meta.Batch) error {
	row := []byte(countRows + account)
	item, err := meta.Get1(ctx, s.store, row)
	if err != nil {
		return fromMeta(err)
	}
	n := 0
	if item.Ver != 0 {
		if n, err = strconv.Atoi(string(item.Value)); err != nil {
			return fault.New(Internal, "").Because(err)
		}
	}
	if n += delta; delta > 0 && n > s.maxKeys {
		return fault.New(LimitExceeded, "The account has reached its limit of %d KMS keys.", s.maxKeys)
	}
	b.PutIf(row, []byte(strconv.Itoa(max(n, 0))), item.Ver)
	return nil
}

// DescribeKey is the request of Service.DescribeKey. KeyId may be an alias.
type DescribeKey struct {
	KeyId       string
	GrantTokens []string
}

func (in DescribeKey) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// DescribeKey describes a key.
func (s *Service) DescribeKey(ctx context.Context, by iam.Caller, in DescribeKey) (KeyMetadata, error) {
	return counted(s, "DescribeKey", func() (KeyMetadata, error) {
		var p problems
		p.keyID(in.KeyId, "keyId")
		p.grantTokens(in.GrantTokens)
		if err := p.err(); err != nil {
			return KeyMetadata{}, err
		}
		ref, alias, err := s.describedKey(ctx, by, in)
		if err != nil {
			return KeyMetadata{}, err
		}
		k, err := s.readKey(ctx, by, "DescribeKey", ref, facts{Alias: alias, Tokens: in.GrantTokens})
		if err != nil {
			return KeyMetadata{}, err
		}
		return s.metadata(k), nil
	})
}

// describedKey makes the managed key when its predefined alias is asked for, as
// S3 would.
func (s *Service) describedKey(ctx context.Context, by iam.Caller, in DescribeKey) (ref keyRef, alias string, err error) {
	ref, alias, err = s.resolve(ctx, by, "kms:DescribeKey", in.KeyId, facts{Tokens: in.GrantTokens})
	if isNotFound(err) && s.namesManaged(by, in.KeyId) {
		ref, err = s.managedKey(ctx, by)
		return ref, managedAlias, err
	}
	return ref, alias, err
}

// readKey reads the key for an operation that changes nothing, after a rotation
// that was due has been done.
func (s *Service) readKey(ctx context.Context, by iam.Caller, operation string, ref keyRef, f facts) (*key, error) {
	k, err := s.freshKey(ctx, ref)
	if err := s.authorizeKey(ctx, by, "kms:"+operation, ref, k, err, f); err != nil {
		return nil, err
	}
	if err := s.fits(k, operation); err != nil {
		return nil, err
	}
	return s.rotateIfDue(ctx, k)
}

// edit changes the key for an operation of its own account.
func (s *Service) edit(ctx context.Context, by iam.Caller, operation, name string, f func(k *key, b *meta.Batch) error) (*key, error) {
	return s.editWith(ctx, by, operation, name, facts{}, f)
}

// editWith is edit for an operation whose members are condition keys.
func (s *Service) editWith(ctx context.Context, by iam.Caller, operation, name string, given facts, f func(k *key, b *meta.Batch) error) (*key, error) {
	var p problems
	if p.keyID(name, "keyId"); p != nil {
		return nil, p.err()
	}
	ref, err := s.keyNamed(by, name)
	if err != nil {
		return nil, err
	}
	abroad := ref.account != by.Account
	if by.IsAnonymous() || abroad && !acrossAccounts("kms:"+operation) {
		return nil, s.authorizeKey(ctx, by, "kms:"+operation, ref, nil, s.noKey(ref), given)
	}
	k, err := s.change(ctx, ref, func(k *key, b *meta.Batch) error {
		if err := s.authorizeKey(ctx, by, "kms:"+operation, ref, k, nil, given); err != nil {
			return err
		}
		if err := s.fits(k, operation); err != nil {
			return err
		}
		return f(k, b)
	})
	if abroad && isNotFound(err) {
		return nil, s.authorizeKey(ctx, by, "kms:"+operation, ref, nil, err, given)
	}
	return k, err
}

// done is the result of an edit that answers nothing.
func (s *Service) done(k *key, err error) (Done, error) {
	if err != nil {
		return Done{}, err
	}
	return Done{touched{k.ref().arn(s.region)}}, nil
}

// ListKeys is the request of Service.ListKeys.
type ListKeys struct {
	Limit  *int
	Marker string
}

// KeyList is a page of an account's keys.
type KeyList struct {
	Keys       []KeyListEntry
	NextMarker string
	Truncated  bool
}

// KeyListEntry names a key.
type KeyListEntry struct{ KeyId, KeyArn string }

// ListKeys lists the caller's account's keys.
func (s *Service) ListKeys(ctx context.Context, by iam.Caller, in ListKeys) (KeyList, error) {
	return counted(s, "ListKeys", func() (KeyList, error) {
		var p problems
		if p.page(in.Limit, in.Marker); p != nil {
			return KeyList{}, p.err()
		}
		if err := s.authorizeAccount(ctx, by, "kms:ListKeys", facts{}); err != nil {
			return KeyList{}, err
		}
		out := KeyList{Keys: []KeyListEntry{}}
		at := time.Now()
		next, err := s.scanPage(ctx, keyRows+by.Account+"/", pageSize(in.Limit, 100, 1000), in.Marker, func(item meta.Item) (bool, error) {
			k, err := decodeKey(item.Value, item.Ver)
			if err != nil || k.gone(at) {
				return false, err
			}
			out.Keys = append(out.Keys, KeyListEntry{k.name(), k.ref().arn(s.region)})
			return true, nil
		})
		out.NextMarker, out.Truncated = next, next != ""
		return out, err
	})
}

// UpdateKeyDescription is the request of Service.UpdateKeyDescription.
type UpdateKeyDescription struct{ KeyId, Description string }

func (in UpdateKeyDescription) names() ([]string, []string, []byte) {
	return []string{in.KeyId}, nil, nil
}

// UpdateKeyDescription replaces a key's description.
func (s *Service) UpdateKeyDescription(ctx context.Context, by iam.Caller, in UpdateKeyDescription) (Done, error) {
	return counted(s, "UpdateKeyDescription", func() (Done, error) {
		var p problems
		p.keyID(in.KeyId, "keyId")
		if p.length(in.Description, "description", 0, 8192); p != nil {
			return Done{}, p.err()
		}
		return s.done(s.edit(ctx, by, "UpdateKeyDescription", in.KeyId, func(k *key, _ *meta.Batch) error {
			k.Description = in.Description
			return nil
		}))
	})
}
