// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/cofferstore/coffer/internal/core/policy"
)

// facts is what a decision rests on besides the caller and the need. As a
// [policy.Context] it is KMS's condition keys (KMS Developer Guide, "Condition keys for
// AWS KMS"), each made when a policy asks for it.
type facts struct {
	Key       *key // nil for actions that use no key
	Context   Context
	ViaS3     bool     // S3 asks for the caller
	Alias     string   // by which the request names the key, "" without
	Algorithm string   // of encryption; "" for operations that do not encrypt
	Tokens    []string // of grants
	// Keys are the condition keys of the operation's own members, in lower case.
	Keys policy.Values

	grant   *grant       // that is to be made
	tokens  []tokenGrant // of Tokens
	service *Service
	account string // the caller's
}

const (
	encryptionContextKey = "kms:encryptioncontext:"
	resourceTagKey       = "aws:resourcetag/"
)

// Values returns the values of a condition key.
func (f *facts) Values(key string) ([]string, bool) {
	if values, ok := f.Keys[key]; ok {
		return values, true
	}
	switch key {
	case "kms:calleraccount":
		return f.ofKey(f.account)
	case "kms:viaservice":
		if f.ViaS3 {
			return one("s3." + f.service.region + ".amazonaws.com")
		}
		return nil, false
	case "aws:viaawsservice":
		return one(strconv.FormatBool(f.ViaS3))
	case "kms:encryptionalgorithm":
		return given(f.Algorithm)
	case "kms:requestalias":
		return given(f.Alias)
	case "kms:encryptioncontextkeys":
		return f.contextKeys()
	}
	if name, ok := strings.CutPrefix(key, encryptionContextKey); ok {
		return f.contextValues(name)
	}
	if f.Key == nil {
		return nil, false
	}
	return f.keyValues(key)
}

// keyValues returns what the key itself has to say.
func (f *facts) keyValues(key string) ([]string, bool) {
	k := f.Key
	switch key {
	case "kms:keyspec", "kms:customermasterkeyspec":
		return one(k.Spec)
	case "kms:keyusage", "kms:customermasterkeyusage":
		return one(k.Usage)
	case "kms:keyorigin":
		return one(k.Origin)
	case "kms:multiregion":
		return one(strconv.FormatBool(k.MultiRegion))
	case "kms:multiregionkeytype":
		if k.MultiRegion {
			return one(primaryKey)
		}
		return nil, false
	case "kms:resourcealiases":
		return k.Aliases, len(k.Aliases) > 0
	case "aws:resourceaccount":
		return one(k.Account)
	}
	if name, ok := strings.CutPrefix(key, resourceTagKey); ok {
		for _, t := range k.Tags {
			if sameName(t.TagKey, name) {
				return one(t.TagValue)
			}
		}
	}
	return nil, false
}

// contextKeys are the names of the encryption context's pairs.
func (f *facts) contextKeys() ([]string, bool) {
	if len(f.Context) == 0 {
		return nil, false
	}
	names := make([]string, 0, len(f.Context))
	for name := range f.Context {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, true
}

// contextValues finds the pair of a name in any case. Two names that differ in their
// case alone are one condition key with both values.
func (f *facts) contextValues(name string) ([]string, bool) {
	var values []string
	for n, v := range f.Context {
		if sameName(n, name) {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	return values, len(values) > 0
}

// sameName compares names of pairs and tags in any case. Letters that fold to others of
// another length are not the same: with "awſ:s3:arn" a caller could give S3's own pair
// a second value.
func sameName(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

// ofKey is a condition key that operations on keys have.
func (f *facts) ofKey(value string) ([]string, bool) {
	if f.Key == nil {
		return nil, false
	}
	return one(value)
}

func one(value string) ([]string, bool) { return []string{value}, true }

func given(value string) ([]string, bool) {
	if value == "" {
		return nil, false
	}
	return one(value)
}

// conditions are the condition keys of a new key: what it will be.
func (in CreateKey) conditions() policy.Values {
	spec, usage, origin := cmp.Or(in.KeySpec, in.CustomerMasterKeySpec, SymmetricDefault), cmp.Or(in.KeyUsage, EncryptDecrypt), cmp.Or(in.Origin, OriginKMS)
	return requestTags(policy.Values{
		"kms:keyspec": {spec}, "kms:customermasterkeyspec": {spec}, "kms:keyusage": {usage}, "kms:customermasterkeyusage": {usage},
		"kms:keyorigin": {origin}, "kms:multiregion": {strconv.FormatBool(in.MultiRegion)},
		"kms:bypasspolicylockoutsafetycheck": {strconv.FormatBool(in.BypassPolicyLockoutSafetyCheck)},
	}, in.Tags)
}

// requestTags are the condition keys of tags that a request sets.
func requestTags(keys policy.Values, tags []Tag) policy.Values {
	names := make([]string, len(tags))
	for i, t := range tags {
		names[i] = t.TagKey
		keys = withKey(keys, "aws:requesttag/"+strings.ToLower(t.TagKey), t.TagValue)
	}
	return withKey(keys, "aws:tagkeys", names...)
}

// withKey adds a condition key; one without values is absent.
func withKey(keys policy.Values, name string, values ...string) policy.Values {
	if len(values) == 0 {
		return keys
	}
	if keys == nil {
		keys = policy.Values{}
	}
	keys[name] = append(keys[name], values...)
	return keys
}
