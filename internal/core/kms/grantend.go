// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash/fnv"
	"strings"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// RevokeGrant is the request of Service.RevokeGrant.
type RevokeGrant struct {
	DryRun  bool
	GrantId string
	KeyId   string
}

func (in RevokeGrant) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// RevokeGrant ends a grant for whoever may revoke grants of the key.
func (s *Service) RevokeGrant(ctx context.Context, by iam.Caller, in RevokeGrant) (Done, error) {
	return counted(s, "RevokeGrant", func() (Done, error) {
		var p problems
		p.keyID(in.KeyId, "keyId")
		p.present(in.GrantId, "grantId")
		if p.length(in.GrantId, "grantId", 0, 128); p != nil {
			return Done{}, p.err()
		}
		defer s.oneByOne(in.KeyId)()
		return s.done(s.editWith(ctx, by, "RevokeGrant", in.KeyId, facts{Keys: notForService}, func(k *key, b *meta.Batch) error {
			g, err := s.grantByID(ctx, k.ref(), in.GrantId)
			if err != nil {
				return err
			}
			if in.DryRun {
				return dryRun()
			}
			s.endGrant(k, g, b)
			return nil
		}))
	})
}

// oneByOne keeps this node's changes of a key's grants, which all change its row, from
// conflicting. key is the key's id or ARN.
func (s *Service) oneByOne(key string) (done func()) {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(key[strings.LastIndexByte(key, '/')+1:]))
	m := &s.granting[sum.Sum32()%uint32(len(s.granting))]
	m.Lock()
	return m.Unlock
}

func (s *Service) endGrant(k *key, g *grant, b *meta.Batch) {
	k.Grants = max(k.Grants-1, 0)
	g.remove(k.ref(), b)
}

// RetireGrant is the request of Service.RetireGrant: GrantToken alone, or the ARN of
// the key and GrantId.
type RetireGrant struct {
	DryRun     bool
	GrantId    string
	GrantToken string
	KeyId      string
}

func (in RetireGrant) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// RetireGrant ends a grant for whom it concerns: its retiring principal, its grantee
// if it says so, or the account that made it.
func (s *Service) RetireGrant(ctx context.Context, by iam.Caller, in RetireGrant) (Done, error) {
	return counted(s, "RetireGrant", func() (Done, error) {
		ref, id, err := s.grantToRetire(by, in)
		if err != nil {
			return Done{}, err
		}
		defer s.oneByOne(ref.id)()
		k, err := s.change(ctx, ref, func(k *key, b *meta.Batch) error {
			g, err := s.grantByID(ctx, k.ref(), id)
			if err != nil {
				return err
			}
			if err := s.mayRetire(ctx, by, k, g); err != nil {
				return err
			}
			if err := s.fits(k, "RetireGrant"); err != nil {
				return err
			}
			if in.DryRun {
				return dryRun()
			}
			s.endGrant(k, g, b)
			return nil
		})
		switch {
		case err == nil:
		case in.GrantToken != "" && (isNotFound(err) || errors.Is(err, InvalidGrantID)):
			return Done{}, fault.New(InvalidGrantToken, "")
		case ref.account != by.Account && (isNotFound(err) || errors.Is(err, InvalidGrantID)):
			return Done{}, s.authorizeKey(ctx, by, "kms:RetireGrant", ref, nil, s.noKey(ref), facts{})
		}
		return s.done(k, err)
	})
}

// grantToRetire reads which grant a request is about. Errors: Validation,
// InvalidGrantToken, InvalidArn, NotFound.
func (s *Service) grantToRetire(by iam.Caller, in RetireGrant) (keyRef, string, error) {
	var p problems
	p.length(in.KeyId, "keyId", 0, 2048)
	p.length(in.GrantId, "grantId", 0, 128)
	p.bytes(len(in.GrantToken), "grantToken", 0, 8192)
	switch {
	case p != nil:
		return keyRef{}, "", p.err()
	case in.GrantToken != "" && (in.KeyId != "" || in.GrantId != ""):
		return keyRef{}, "", fault.New(Validation, "You must specify either a grant token, or a grant ID and a key ARN, not both.")
	case in.GrantToken != "":
		return parseGrantToken(in.GrantToken)
	case in.KeyId == "" || in.GrantId == "":
		return keyRef{}, "", fault.New(Validation, "You must specify either a grant token, or a grant ID and a key ARN.")
	}
	ref, err := s.keyNamed(by, in.KeyId)
	return ref, in.GrantId, err
}

// mayRetire decides by the grant, and by the policies of the account that made it. No
// key policy lets anybody retire a grant, but it may forbid it.
func (s *Service) mayRetire(ctx context.Context, by iam.Caller, k *key, g *grant) error {
	const action = "kms:RetireGrant"
	need, f := policy.Need{Action: action, Resource: s.arnOf(k)}, facts{Key: k, service: s, account: by.Account}
	concerns, toRole := false, true
	for _, p := range g.retirers(&f) {
		if p.is(&by.Principal) {
			concerns, toRole = true, toRole && p.isRoleOf(&by.Principal)
		}
	}
	if by.IsAnonymous() || !concerns && by.Account != g.Issuer {
		return denied(by, need, f, policy.Decision{Layer: policy.ByResource})
	}
	// The policies of the caller's own account are asked as for a resource of its own.
	q := policy.Question{Action: action, Resource: need.Resource, Owner: by.Account, Context: &f}
	if concerns {
		q.Decides, q.Granted, q.ToRole = true, true, toRole
		if q.Policy = s.policyOf(k); q.Policy == nil {
			return denied(by, need, f, policy.Decision{Layer: policy.ByResource})
		}
	}
	d, err := s.ask(ctx, by, false, &q)
	if err == nil && !d.Allowed {
		return denied(by, need, f, d)
	}
	return err
}

// retirers are those whom the grant itself lets retire it.
func (g *grant) retirers(f *facts) (out []principal) {
	if g.Retiring != nil {
		out = append(out, *g.Retiring)
	}
	if g.allows("RetireGrant", f) {
		out = append(out, g.Grantee)
	}
	return out
}

// A grant token names a grant. It lets nobody do anything that the grant does not: a
// request that brings it is decided by the grant's row as it is now. So it needs no
// secret, and its checksum only tells a mangled one.
const (
	tokenVersion = 1
	tokenNonce   = 8
	tokenSum     = 8
)

func grantToken(ref keyRef, id string) string {
	b := append(make([]byte, 0, 128), tokenVersion)
	nonce := make([]byte, tokenNonce)
	rand.Read(nonce)
	b = append(b, nonce...)
	b = append(b, ref.account+"/"+ref.id+"/"+id...)
	return base64.StdEncoding.EncodeToString(append(b, tokenSumOf(b)...))
}

func tokenSumOf(b []byte) []byte {
	sum := sha256.Sum256(append([]byte("coffer grant token\x00"), b...))
	return sum[:tokenSum]
}

// parseGrantToken reads a grant token. Error: InvalidGrantToken.
func parseGrantToken(token string) (ref keyRef, id string, err error) {
	b, err := base64.StdEncoding.DecodeString(token)
	if err == nil && len(b) > 1+tokenNonce+tokenSum && b[0] == tokenVersion {
		body := b[:len(b)-tokenSum]
		parts := strings.Split(string(body[1+tokenNonce:]), "/")
		if string(tokenSumOf(body)) == string(b[len(body):]) && len(parts) == 3 && validKeyID(parts[1]) {
			return keyRef{parts[0], parts[1]}, parts[2], nil
		}
	}
	return keyRef{}, "", fault.New(InvalidGrantToken, "")
}

// tokenGrant is a grant that a request brings the token of.
type tokenGrant struct {
	*grant
	of keyRef
}

func (g *tokenGrant) grantee(p *iam.Principal) bool { return g.Grantee.is(p) }

// tokenGrants reads the grants of a request's tokens, as they are now. Error:
// InvalidGrantToken.
func (s *Service) tokenGrants(ctx context.Context, tokens []string) ([]tokenGrant, error) {
	var out []tokenGrant
	for _, token := range tokens {
		ref, id, err := parseGrantToken(token)
		if err != nil {
			return nil, err
		}
		g, err := s.grantByID(ctx, ref, id)
		if errors.Is(err, InvalidGrantID) {
			return nil, fault.New(InvalidGrantToken, "")
		}
		if err != nil {
			return nil, err
		}
		out = append(out, tokenGrant{g, ref})
	}
	return out, nil
}
