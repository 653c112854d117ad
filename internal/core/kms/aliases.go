// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

const (
	aliasPrefix   = "alias/"
	reservedAlias = "alias/aws/" // of keys that services manage
	maxAliases    = 50           // of one key
)

var aliasName = regexp.MustCompile(`^[a-zA-Z0-9:/_-]+$`)

// checkAlias checks the name of an alias that is to be changed, and the key that
// goes with it unless that is nil.
func checkAlias(name string, target *string) error {
	var p problems
	p.present(name, "aliasName")
	p.length(name, "aliasName", 0, 256)
	if name != "" {
		p.matches(name, "aliasName", aliasName)
	}
	if target != nil {
		p.keyID(*target, "targetKeyId")
	}
	if p != nil {
		return p.err()
	}
	switch {
	case !strings.HasPrefix(name, aliasPrefix):
		return fault.New(Validation, `Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html`)
	case strings.HasPrefix(name, reservedAlias):
		return fault.New(InvalidAliasName, `Aliases that begin with "alias/aws/" are reserved.`)
	case strings.HasSuffix(name, "/"):
		return fault.New(InvalidAliasName, "Alias must not end in a slash.")
	}
	return nil
}

// CreateAlias is the request of Service.CreateAlias. TargetKeyId is a key id or
// key ARN.
type CreateAlias struct{ AliasName, TargetKeyId string }

func (in CreateAlias) names() ([]string, []string, []byte) {
	return []string{in.TargetKeyId}, []string{in.AliasName}, nil
}

// CreateAlias gives a key of the caller's account another name.
func (s *Service) CreateAlias(ctx context.Context, by iam.Caller, in CreateAlias) (Done, error) {
	return counted(s, "CreateAlias", func() (Done, error) {
		if err := checkAlias(in.AliasName, &in.TargetKeyId); err != nil {
			return Done{}, err
		}
		k, err := s.edit(ctx, by, "CreateAlias", in.TargetKeyId, func(k *key, b *meta.Batch) error {
			if err := s.authorizeAlias(ctx, by, "kms:CreateAlias", in.AliasName); err != nil {
				return err
			}
			a, err := s.freshAlias(ctx, by.Account, in.AliasName)
			if err != nil {
				return err
			}
			if a != nil {
				return fault.New(AlreadyExists, "An alias with the name %s already exists", aws.AliasARN(s.region, by.Account, in.AliasName))
			}
			at := now()
			b.PutIf([]byte(aliasRow(by.Account, in.AliasName)), encode(alias{Target: k.name(), Created: at, Updated: at}), 0)
			return s.addAlias(k, in.AliasName)
		})
		return s.aliasDone(by, in.AliasName, k, err)
	})
}

func (s *Service) addAlias(k *key, name string) error {
	if len(k.Aliases) >= maxAliases {
		return fault.New(LimitExceeded, "%s has reached its limit of %d aliases.", k.ref().arn(s.region), maxAliases)
	}
	k.Aliases = append(k.Aliases, name)
	slices.Sort(k.Aliases)
	return nil
}

func (s *Service) aliasDone(by iam.Caller, name string, k *key, err error) (Done, error) {
	if err != nil {
		return Done{}, err
	}
	return Done{touched{k.ref().arn(s.region), aws.AliasARN(s.region, by.Account, name)}}, nil
}

// UpdateAlias is the request of Service.UpdateAlias. TargetKeyId is a key id or
// key ARN.
type UpdateAlias struct{ AliasName, TargetKeyId string }

func (in UpdateAlias) names() ([]string, []string, []byte) {
	return []string{in.TargetKeyId}, []string{in.AliasName}, nil
}

// UpdateAlias moves an alias to another key of the caller's account. The key
// that it leaves may be in any state.
func (s *Service) UpdateAlias(ctx context.Context, by iam.Caller, in UpdateAlias) (Done, error) {
	return counted(s, "UpdateAlias", func() (Done, error) {
		if err := checkAlias(in.AliasName, &in.TargetKeyId); err != nil {
			return Done{}, err
		}
		k, err := s.edit(ctx, by, "UpdateAlias", in.TargetKeyId, func(k *key, b *meta.Batch) error {
			a, from, err := s.aliasAndKey(ctx, by, "kms:UpdateAlias", in.AliasName)
			if err != nil {
				return err
			}
			a.Updated = now()
			if from.ID != k.ID {
				if from.Usage != k.Usage || kindOfKey(from.Spec) != kindOfKey(k.Spec) {
					return fault.New(Validation, "Alias %s cannot move from a key of KeySpec %s and KeyUsage %s to one of KeySpec %s and KeyUsage %s.",
						in.AliasName, from.Spec, from.Usage, k.Spec, k.Usage)
				}
				a.Target = k.name()
				removeAlias(from, in.AliasName)
				b.PutIf([]byte(from.ref().row()), encode(from), from.ver)
				if err := s.addAlias(k, in.AliasName); err != nil {
					return err
				}
			}
			b.PutIf([]byte(aliasRow(by.Account, in.AliasName)), encode(a), a.ver)
			return nil
		})
		return s.aliasDone(by, in.AliasName, k, err)
	})
}

// aliasAndKey reads an alias of the caller's account and the key that it names,
// both to be changed, and decides the action on both. An alias whose key is gone
// is gone with it. Errors: NotFound, AccessDenied.
func (s *Service) aliasAndKey(ctx context.Context, by iam.Caller, action, name string) (*alias, *key, error) {
	if err := s.authorizeAlias(ctx, by, action, name); err != nil {
		return nil, nil, err
	}
	a, err := s.freshAlias(ctx, by.Account, name)
	if err != nil {
		return nil, nil, err
	}
	if a == nil {
		return nil, nil, s.noAlias(by.Account, name)
	}
	ref := keyRef{by.Account, a.Target}
	k, err := s.freshKey(ctx, ref)
	if isNotFound(err) {
		return nil, nil, s.noAlias(by.Account, name)
	}
	if err := s.authorizeKey(ctx, by, action, ref, k, err, facts{}); err != nil {
		return nil, nil, err
	}
	return a, k.clone(), nil
}

func removeAlias(k *key, name string) {
	k.Aliases = slices.DeleteFunc(k.Aliases, func(a string) bool { return a == name })
}

// DeleteAlias is the request of Service.DeleteAlias.
type DeleteAlias struct{ AliasName string }

func (in DeleteAlias) names() ([]string, []string, []byte) {
	return nil, []string{in.AliasName}, nil
}

// DeleteAlias removes an alias; its key stays.
func (s *Service) DeleteAlias(ctx context.Context, by iam.Caller, in DeleteAlias) (Done, error) {
	return counted(s, "DeleteAlias", func() (Done, error) {
		if err := checkAlias(in.AliasName, nil); err != nil {
			return Done{}, err
		}
		var k *key
		err := s.commit(ctx, func(b *meta.Batch) error {
			var a *alias
			var err error
			if a, k, err = s.aliasAndKey(ctx, by, "kms:DeleteAlias", in.AliasName); err != nil {
				return err
			}
			removeAlias(k, in.AliasName)
			b.PutIf([]byte(k.ref().row()), encode(k), k.ver)
			row := []byte(aliasRow(by.Account, in.AliasName))
			b.Cond(row, a.ver)
			b.Delete(row)
			return nil
		})
		return s.aliasDone(by, in.AliasName, k, err)
	})
}

// ListAliases is the request of Service.ListAliases. KeyId, a key id or key ARN,
// restricts the list to one key.
type ListAliases struct {
	KeyId  string
	Limit  *int
	Marker string
}

func (in ListAliases) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// AliasList is a page of aliases.
type AliasList struct {
	Aliases    []AliasListEntry
	NextMarker string
	Truncated  bool
}

// AliasListEntry describes an alias.
type AliasListEntry struct {
	AliasArn        string
	AliasName       string
	CreationDate    time.Time
	LastUpdatedDate time.Time
	TargetKeyId     string
}

// ListAliases lists the aliases of the caller's account.
func (s *Service) ListAliases(ctx context.Context, by iam.Caller, in ListAliases) (AliasList, error) {
	return counted(s, "ListAliases", func() (AliasList, error) {
		var p problems
		p.length(in.KeyId, "keyId", 0, 2048)
		if p.page(in.Limit, in.Marker); p != nil {
			return AliasList{}, p.err()
		}
		if err := s.authorizeAccount(ctx, by, "kms:ListAliases", facts{}); err != nil {
			return AliasList{}, err
		}
		size := pageSize(in.Limit, 50, 100)
		if in.KeyId != "" {
			return s.aliasesOf(ctx, by, in, size)
		}
		prefix := aliasRows + by.Account + "/"
		out := AliasList{Aliases: []AliasListEntry{}}
		next, err := s.scanPage(ctx, prefix, size, in.Marker, func(item meta.Item) (bool, error) {
			a, err := decodeAlias(item.Value, item.Ver)
			if err == nil {
				out.Aliases = append(out.Aliases, s.aliasEntry(by.Account, string(item.Key[len(prefix):]), a))
			}
			return true, err
		})
		out.NextMarker, out.Truncated = next, next != ""
		return out, err
	})
}

func (s *Service) aliasesOf(ctx context.Context, by iam.Caller, in ListAliases, size int) (AliasList, error) {
	ref, err := s.keyNamed(by, in.KeyId)
	if err != nil {
		return AliasList{}, err
	}
	if ref.account != by.Account {
		return AliasList{}, s.authorizeKey(ctx, by, "kms:ListAliases", ref, nil, s.noKey(ref), facts{})
	}
	k, err := s.freshKey(ctx, ref)
	if err != nil {
		return AliasList{}, err
	}
	names, next, err := pageOf("aliases of "+ref.id, k.Aliases, size, in.Marker)
	if err != nil {
		return AliasList{}, err
	}
	out := AliasList{Aliases: []AliasListEntry{}, NextMarker: next, Truncated: next != ""}
	for _, name := range names {
		a, err := s.freshAlias(ctx, k.Account, name)
		if err != nil {
			return AliasList{}, err
		}
		if a != nil { // else deleted since the key was read
			out.Aliases = append(out.Aliases, s.aliasEntry(k.Account, name, a))
		}
	}
	return out, nil
}

func (s *Service) aliasEntry(account, name string, a *alias) AliasListEntry {
	return AliasListEntry{
		AliasArn: aws.AliasARN(s.region, account, name), AliasName: name,
		CreationDate: a.Created, LastUpdatedDate: a.Updated, TargetKeyId: a.Target,
	}
}
