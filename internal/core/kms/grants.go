// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"regexp"
	"slices"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

const maxGrants = 50_000 // of one key

var (
	grantName     = regexp.MustCompile(`^[a-zA-Z0-9:/_-]+$`)
	principalText = regexp.MustCompile(`^[\w+=,.@:/-]+$`)
)

// GrantConstraints narrow a grant to requests with an encryption context: with exactly
// these pairs, or with at least these. At most one of them is given.
type GrantConstraints struct {
	EncryptionContextEquals Context
	EncryptionContextSubset Context
}

// CreateGrant is the request of Service.CreateGrant. Principals are named by ARN.
type CreateGrant struct {
	Constraints       *GrantConstraints
	DryRun            bool
	GrantTokens       []string
	GranteePrincipal  string
	KeyId             string
	Name              string
	Operations        []string
	RetiringPrincipal string
}

func (in CreateGrant) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// GrantMade names a grant that was made, or that was there already.
type GrantMade struct {
	GrantId    string
	GrantToken string
	touched
}

// CreateGrant lets a principal use a key beside what its policy says. With the same
// name and members it answers the grant that there is.
func (s *Service) CreateGrant(ctx context.Context, by iam.Caller, in CreateGrant) (GrantMade, error) {
	return counted(s, "CreateGrant", func() (GrantMade, error) {
		if err := in.check(); err != nil {
			return GrantMade{}, err
		}
		g := newGrant(by, in)
		f := facts{Context: g.context(), Tokens: in.GrantTokens, Keys: in.conditions(), grant: g}
		defer s.oneByOne(in.KeyId)()
		k, err := s.editWith(ctx, by, "CreateGrant", in.KeyId, f, func(k *key, b *meta.Batch) error {
			if err := s.fitsGrant(k, g); err != nil {
				return err
			}
			// Not before: who exists is not for everybody to know.
			if err := s.namePrincipals(ctx, g, in); err != nil {
				return err
			}
			if in.DryRun {
				return dryRun()
			}
			id, err := s.sameGrant(ctx, k, g)
			switch {
			case err != nil:
				return err
			case id != "":
				g.ID = id
				return errUnchanged
			case k.Grants >= maxGrants:
				return fault.New(LimitExceeded, "%s has reached its limit of %d grants.", s.arnOf(k), maxGrants)
			}
			k.Grants++
			g.put(k, b)
			return nil
		})
		if err != nil {
			return GrantMade{}, err
		}
		return GrantMade{g.ID, grantToken(k.ref(), g.ID), touched{k.ref().arn(s.region)}}, nil
	})
}

func (in CreateGrant) check() error {
	var p problems
	p.keyID(in.KeyId, "keyId")
	p.principal(in.GranteePrincipal, "granteePrincipal", true)
	p.principal(in.RetiringPrincipal, "retiringPrincipal", false)
	if len(in.Operations) == 0 {
		p.present("", "operations")
	}
	for _, o := range in.Operations {
		p.oneOf(o, "operations", grantOperations)
	}
	if in.Name != "" {
		p.length(in.Name, "name", 1, 256)
		p.matches(in.Name, "name", grantName)
	}
	p.grantTokens(in.GrantTokens)
	if err := p.err(); err != nil {
		return err
	}
	if c := in.Constraints; c != nil {
		if c.EncryptionContextEquals != nil && c.EncryptionContextSubset != nil {
			return fault.New(Validation, "A grant may have either the EncryptionContextEquals or the EncryptionContextSubset constraint, not both.")
		}
		for _, ec := range []Context{c.EncryptionContextEquals, c.EncryptionContextSubset} {
			if err := checkConstraint(ec); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkConstraint bounds the pairs of a constraint (KMS Developer Guide, "Resource
// quotas").
func checkConstraint(ec Context) error {
	if len(ec) > 8 {
		return fault.New(Validation, "A grant constraint may have at most 8 encryption context pairs.")
	}
	for _, v := range ec {
		if len(v) > 384 {
			return fault.New(Validation, "A value in a grant constraint may have at most 384 characters.")
		}
	}
	_, err := ec.Canonical()
	return err
}

// principal checks the ARN of a principal as the API's model does.
func (p *problems) principal(arn, member string, required bool) {
	if required {
		p.present(arn, member)
	}
	if arn != "" {
		p.length(arn, member, 1, 256)
		p.matches(arn, member, principalText)
	}
}

// conditions are the condition keys of a request to make a grant.
func (in CreateGrant) conditions() policy.Values {
	keys := policy.Values{
		"kms:grantoperations": in.Operations, "kms:granteeprincipal": {in.GranteePrincipal}, "kms:grantisforawsresource": {"false"},
	}
	if in.RetiringPrincipal != "" {
		keys["kms:retiringprincipal"] = []string{in.RetiringPrincipal}
	}
	if c := in.Constraints; c != nil && c.EncryptionContextEquals != nil {
		keys["kms:grantconstrainttype"] = []string{"EncryptionContextEquals"}
	} else if c != nil && c.EncryptionContextSubset != nil {
		keys["kms:grantconstrainttype"] = []string{"EncryptionContextSubset"}
	}
	return keys
}

// notForService is the condition key of operations that no service does for itself.
var notForService = policy.Values{"kms:grantisforawsresource": {"false"}}

// ListGrants is the request of Service.ListGrants. GrantId and GranteePrincipal
// restrict the list.
type ListGrants struct {
	GrantId          string
	GranteePrincipal string
	KeyId            string
	Limit            *int
	Marker           string
}

func (in ListGrants) names() ([]string, []string, []byte) { return []string{in.KeyId}, nil, nil }

// GrantList is a page of grants.
type GrantList struct {
	Grants     []GrantListEntry
	NextMarker string
	Truncated  bool
	touched
}

// GrantListEntry describes a grant. A principal that was deleted is named by its
// unique id.
type GrantListEntry struct {
	Constraints       *GrantConstraints
	CreationDate      time.Time
	GrantId           string
	GranteePrincipal  string
	IssuingAccount    string
	KeyId             string
	Name              string
	Operations        []string
	RetiringPrincipal string
}

// ListGrants lists a key's grants.
func (s *Service) ListGrants(ctx context.Context, by iam.Caller, in ListGrants) (GrantList, error) {
	return counted(s, "ListGrants", func() (GrantList, error) {
		var p problems
		p.keyID(in.KeyId, "keyId")
		p.principal(in.GranteePrincipal, "granteePrincipal", false)
		p.length(in.GrantId, "grantId", 0, 128)
		if p.page(in.Limit, in.Marker); p != nil {
			return GrantList{}, p.err()
		}
		ref, err := s.keyNamed(by, in.KeyId)
		if err != nil {
			return GrantList{}, err
		}
		k, err := s.readKey(ctx, by, "ListGrants", ref, facts{Keys: notForService})
		if err != nil {
			return GrantList{}, err
		}
		out := GrantList{Grants: []GrantListEntry{}, touched: touched{s.arnOf(k)}}
		if in.GrantId != "" {
			g, err := s.grantByID(ctx, ref, in.GrantId)
			if err != nil {
				return GrantList{}, err
			}
			if in.GranteePrincipal == "" || g.Grantee.ARN == in.GranteePrincipal {
				out.Grants, err = s.entry(ctx, ref, g, out.Grants)
			}
			return out, err
		}
		next, err := s.scanPage(ctx, grantRows+ref.account+"/"+ref.id+"/", pageSize(in.Limit, 50, 100), in.Marker, func(item meta.Item) (bool, error) {
			g, err := decodeGrant(item.Value)
			if err != nil || in.GranteePrincipal != "" && g.Grantee.ARN != in.GranteePrincipal {
				return false, err
			}
			out.Grants, err = s.entry(ctx, ref, g, out.Grants)
			return true, err
		})
		out.NextMarker, out.Truncated = next, next != ""
		return out, err
	})
}

// entry appends the description of a grant.
func (s *Service) entry(ctx context.Context, ref keyRef, g *grant, to []GrantListEntry) ([]GrantListEntry, error) {
	e := GrantListEntry{
		CreationDate: g.Created, GrantId: g.ID, IssuingAccount: aws.RootARN(g.Issuer), KeyId: ref.arn(s.region),
		Name: g.Name, Operations: slices.Clone(g.Operations),
	}
	if g.Equals != nil || g.Subset != nil {
		e.Constraints = &GrantConstraints{g.Equals, g.Subset}
	}
	var err error
	if e.GranteePrincipal, err = s.shown(ctx, g.Grantee); err != nil {
		return to, err
	}
	if g.Retiring != nil {
		if e.RetiringPrincipal, err = s.shown(ctx, *g.Retiring); err != nil {
			return to, err
		}
	}
	return append(to, e), nil
}

// ListRetirableGrants is the request of Service.ListRetirableGrants.
type ListRetirableGrants struct {
	Limit             *int
	Marker            string
	RetiringPrincipal string
}

// ListRetirableGrants lists the grants, of keys of any account, that a principal of
// the caller's account may retire because they name it.
func (s *Service) ListRetirableGrants(ctx context.Context, by iam.Caller, in ListRetirableGrants) (GrantList, error) {
	return counted(s, "ListRetirableGrants", func() (GrantList, error) {
		var p problems
		p.principal(in.RetiringPrincipal, "retiringPrincipal", true)
		if p.page(in.Limit, in.Marker); p != nil {
			return GrantList{}, p.err()
		}
		if err := s.authorizeAccount(ctx, by, "kms:ListRetirableGrants", facts{}); err != nil {
			return GrantList{}, err
		}
		if a, ok := aws.ParseARN(in.RetiringPrincipal); !ok || a.Account != by.Account {
			return GrantList{}, fault.New(InvalidArn, "%s is not the ARN of a principal of the account.", in.RetiringPrincipal)
		}
		who, err := s.principalNamed(ctx, in.RetiringPrincipal)
		if err != nil {
			return GrantList{}, err
		}
		prefix := retiringRows + by.Account + "/" + who.segment() + "/"
		out := GrantList{Grants: []GrantListEntry{}}
		next, err := s.scanPage(ctx, prefix, pageSize(in.Limit, 50, 100), in.Marker, func(item meta.Item) (bool, error) {
			ref, id, err := splitRetiring(string(item.Key[len(prefix):]))
			if err != nil {
				return false, err
			}
			g, err := s.grantAt(ctx, ref, string(item.Value), id)
			if err != nil || g == nil {
				return false, err // retired since
			}
			out.Grants, err = s.entry(ctx, ref, g, out.Grants)
			return true, err
		})
		out.NextMarker, out.Truncated = next, next != ""
		return out, err
	})
}

// grantOperations are what a grant may allow, in the order of the service model.
var grantOperations = []string{
	"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo", "Sign", "Verify",
	"GetPublicKey", "CreateGrant", "RetireGrant", "DescribeKey", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext",
	"GenerateMac", "VerifyMac", "DeriveSharedSecret",
}

// fitsGrant reports whether the key can do what the grant allows.
func (s *Service) fitsGrant(k *key, g *grant) error {
	for _, o := range g.Operations {
		if !fitsUsage(k.Usage, o) {
			return fault.New(Validation, "Operation %s is not valid for a key whose key usage is %s.", o, k.Usage)
		}
	}
	if k.Spec != SymmetricDefault && (g.Equals != nil || g.Subset != nil) {
		return fault.New(Validation, "Encryption context constraints are for symmetric encryption keys only.")
	}
	return nil
}

// fitsUsage says which operations grants of keys of a usage may allow.
func fitsUsage(usage, operation string) bool {
	switch operation {
	case "CreateGrant", "RetireGrant", "DescribeKey":
		return true
	case "GetPublicKey":
		return usage != "GENERATE_VERIFY_MAC"
	case "Sign", "Verify":
		return usage == "SIGN_VERIFY"
	case "GenerateMac", "VerifyMac":
		return usage == "GENERATE_VERIFY_MAC"
	case "DeriveSharedSecret":
		return usage == "KEY_AGREEMENT"
	}
	return usage == EncryptDecrypt
}
