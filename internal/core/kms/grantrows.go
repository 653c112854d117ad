// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Rows of grants. A segment stands for a principal: see principal.segment.
//
//	k/g/<account>/<key id>/<grantee>/<grant id>                        a grant
//	k/h/<account>/<key id>/<grant id>                                  its grantee's segment, to find it by its id
//	k/f/<account>/<key id>/<fingerprint>                               of a named one: grantee's segment, "/", grant id
//	k/r/<account>/<retiring principal>/<account>/<key id>/<grant id>   its grantee's segment; the first account is the principal's
const (
	grantRows    = "k/g/"
	grantIDRows  = "k/h/"
	printRows    = "k/f/"
	retiringRows = "k/r/"
)

// grant is the row of a grant. It does not change.
type grant struct {
	Version    int        `json:"version"`
	ID         string     `json:"id"`
	Name       string     `json:"name,omitempty"`
	Created    time.Time  `json:"created"`
	Issuer     string     `json:"issuer"` // the account of who made it
	Grantee    principal  `json:"grantee"`
	Retiring   *principal `json:"retiring,omitempty"`
	Operations []string   `json:"operations"`
	Equals     Context    `json:"equals,omitzero"`
	Subset     Context    `json:"subset,omitzero"`
}

// principal is who a grant is for: an account's root, a user, a role, a session.
type principal struct {
	ARN string `json:"arn"`
	// ID is unique: that of the user or role; of a role's session the role's, ":" and
	// the session's name.
	ID string `json:"id,omitempty"`
}

// identity is the principal as index: a user, role or role's session by the unique id.
func (p principal) identity() string {
	if p.ID != "" {
		return "id/" + p.ID
	}
	if a, ok := aws.ParseARN(p.ARN); ok && a.Resource == "root" {
		return ofAccount(a.Account)
	}
	return "arn/" + p.ARN
}

func ofAccount(account string) string { return "account/" + account }

// segment is the identity in a row's key.
func (p principal) segment() string { return segmentOf(p.identity()) }

func segmentOf(identity string) string {
	sum := sha256.Sum256([]byte("coffer grant principal\x00" + identity))
	return hex.EncodeToString(sum[:16])
}

func (p principal) account() string {
	a, _ := aws.ParseARN(p.ARN)
	return a.Account
}

// newGrant makes what a request asks for, without its principals.
func newGrant(by iam.Caller, in CreateGrant) *grant {
	id := make([]byte, 32)
	rand.Read(id)
	g := &grant{Version: 1, ID: hex.EncodeToString(id), Name: in.Name, Created: now(), Issuer: by.Account}
	g.Operations = slices.Compact(slices.Sorted(slices.Values(in.Operations)))
	if c := in.Constraints; c != nil {
		g.Equals, g.Subset = c.EncryptionContextEquals, c.EncryptionContextSubset
	}
	return g
}

// namePrincipals finds the principals that a request names. Error: InvalidArn.
func (s *Service) namePrincipals(ctx context.Context, g *grant, in CreateGrant) (err error) {
	if g.Grantee, err = s.principalNamed(ctx, in.GranteePrincipal); err != nil || in.RetiringPrincipal == "" {
		return err
	}
	retiring, err := s.principalNamed(ctx, in.RetiringPrincipal)
	g.Retiring = &retiring
	return err
}

// context is what the grant demands of encryption contexts.
func (g *grant) context() Context {
	if g.Equals != nil {
		return g.Equals
	}
	return g.Subset
}

// fingerprint is of everything that a request gives, without what it was given.
func (g *grant) fingerprint() string {
	same := *g
	same.ID, same.Created = "", time.Time{}
	sum := sha256.Sum256(encode(same))
	return hex.EncodeToString(sum[:])
}

// sameGrant returns the id of a grant of the same name and members, "" when there is
// none.
func (s *Service) sameGrant(ctx context.Context, k *key, g *grant) (id string, err error) {
	if g.Name == "" {
		return "", nil
	}
	ref := k.ref()
	item, err := meta.Get1(ctx, s.store, []byte(printRows+ref.account+"/"+ref.id+"/"+g.fingerprint()))
	if err != nil {
		return "", fromMeta(err)
	}
	_, id, _ = strings.Cut(string(item.Value), "/")
	return id, nil
}

func (g *grant) row(ref keyRef) []byte {
	return []byte(grantRows + ref.account + "/" + ref.id + "/" + g.Grantee.segment() + "/" + g.ID)
}

// put adds the grant's rows to a batch that also writes the key's row.
func (g *grant) put(k *key, b *meta.Batch) {
	ref, segment := k.ref(), g.Grantee.segment()
	b.PutIf(g.row(ref), encode(g), 0)
	b.Put(g.idRow(ref), []byte(segment))
	if g.Name != "" {
		b.Put(g.printRow(ref), []byte(segment+"/"+g.ID))
	}
	if g.Retiring != nil {
		b.Put(g.retiringRow(ref), []byte(segment))
	}
}

// remove adds the removal of the grant's rows to a batch.
func (g *grant) remove(ref keyRef, b *meta.Batch) {
	b.Delete(g.row(ref))
	b.Delete(g.idRow(ref))
	if g.Name != "" {
		b.Delete(g.printRow(ref))
	}
	if g.Retiring != nil {
		b.Delete(g.retiringRow(ref))
	}
}

func (g *grant) idRow(ref keyRef) []byte {
	return []byte(grantIDRows + ref.account + "/" + ref.id + "/" + g.ID)
}

func (g *grant) printRow(ref keyRef) []byte {
	return []byte(printRows + ref.account + "/" + ref.id + "/" + g.fingerprint())
}

func (g *grant) retiringRow(ref keyRef) []byte {
	return []byte(retiringRows + g.Retiring.account() + "/" + g.Retiring.segment() + "/" + ref.account + "/" + ref.id + "/" + g.ID)
}

// splitRetiring reads the end of a retiring principal's row.
func splitRetiring(rest string) (ref keyRef, id string, err error) {
	parts := strings.Split(rest, "/")
	if len(parts) != 3 {
		return keyRef{}, "", fault.New(Internal, "").Because(fmt.Errorf("row of a retirable grant ends in %q", rest))
	}
	return keyRef{parts[0], parts[1]}, parts[2], nil
}

func decodeGrant(value []byte) (*grant, error) {
	g := &grant{}
	if err := decode(value, g); err != nil {
		return nil, err
	}
	if g.Version != 1 {
		return nil, fault.New(Internal, "").Because(fmt.Errorf("grant %s has version %d", g.ID, g.Version))
	}
	return g, nil
}

// grantAt reads a grant; nil when there is none.
func (s *Service) grantAt(ctx context.Context, ref keyRef, segment, id string) (*grant, error) {
	item, err := meta.Get1(ctx, s.store, []byte(grantRows+ref.account+"/"+ref.id+"/"+segment+"/"+id))
	if err != nil {
		return nil, fromMeta(err)
	}
	if item.Ver == 0 {
		return nil, nil
	}
	return decodeGrant(item.Value)
}

// grantByID finds a key's grant. Error: InvalidGrantID.
func (s *Service) grantByID(ctx context.Context, ref keyRef, id string) (*grant, error) {
	if len(id) != 64 || strings.Trim(id, "0123456789abcdef") != "" {
		return nil, noGrant(id)
	}
	item, err := meta.Get1(ctx, s.store, []byte(grantIDRows+ref.account+"/"+ref.id+"/"+id))
	if err != nil {
		return nil, fromMeta(err)
	}
	if item.Ver == 0 {
		return nil, noGrant(id)
	}
	g, err := s.grantAt(ctx, ref, string(item.Value), id)
	if err == nil && g == nil {
		return nil, noGrant(id)
	}
	return g, err
}

func noGrant(id string) error { return fault.New(InvalidGrantID, "Grant ID %s not found", id) }

// principalNamed finds who an ARN names: one of an account, who exists. Error:
// InvalidArn.
func (s *Service) principalNamed(ctx context.Context, arn string) (principal, error) {
	a, ok := aws.ParseARN(arn)
	kind, _, _ := strings.Cut(a.Resource, "/")
	switch service := a.Service; {
	case !ok || a.Partition != partition || a.Region != "" || !aws.ValidAccount(a.Account):
		ok = false
	case service == "iam":
		ok = a.Resource == "root" || kind == "user" || kind == "role"
	default:
		ok = service == "sts" && (kind == "assumed-role" || kind == "federated-user")
	}
	invalid := fault.New(InvalidArn, "%s is not the ARN of a principal.", arn)
	if !ok {
		return principal{}, invalid
	}
	d, err := policy.Parse(policy.Key, "", principalPolicy(arn))
	if err != nil {
		return principal{}, invalid.Because(err)
	}
	ids, err := s.bind(ctx, d)
	switch {
	case errors.Is(err, iam.InvalidPrincipal):
		return principal{}, invalid
	case err != nil:
		return principal{}, fault.New(Unavailable, "").Because(err)
	}
	p := principal{ARN: arn}
	if kind == "user" || kind == "role" || kind == "assumed-role" {
		if p.ID = ids[arn]; p.ID == "" {
			return principal{}, invalid
		}
	}
	if kind == "assumed-role" {
		p.ID += ":" + a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	}
	return p, nil
}

// principalPolicy is a policy that names one principal, as they are found and shown.
func principalPolicy(arn string) string {
	named, err := json.Marshal(arn)
	if err != nil {
		panic("kms: encode a string: " + err.Error())
	}
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":` + string(named) + `},"Action":"kms:*","Resource":"*"}]}`
}

// shown is the principal's ARN now, or its unique id when it was deleted.
func (s *Service) shown(ctx context.Context, p principal) (string, error) {
	if p.ID == "" {
		return p.ARN, nil
	}
	id, _, _ := strings.Cut(p.ID, ":")
	text, err := s.policies.Show(ctx, principalPolicy(p.ARN), map[string]string{p.ARN: id})
	if err != nil {
		return "", fault.New(Unavailable, "").Because(err)
	}
	var d struct {
		Statement []struct{ Principal struct{ AWS string } }
	}
	if json.Unmarshal([]byte(text), &d) != nil || len(d.Statement) != 1 || d.Statement[0].Principal.AWS == "" {
		return p.ID, nil
	}
	if d.Statement[0].Principal.AWS == id { // deleted
		return p.ID, nil
	}
	return d.Statement[0].Principal.AWS, nil
}

// removeGrants removes all grants of a key that is being deleted.
func (s *Service) removeGrants(ctx context.Context, ref keyRef) error {
	prefix := []byte(grantRows + ref.account + "/" + ref.id + "/")
	for {
		page, err := s.store.Scan(ctx, meta.Range{Start: prefix, End: meta.PrefixEnd(prefix), Limit: 500})
		if err != nil {
			return fromMeta(err)
		}
		var b meta.Batch
		for _, item := range page.Items {
			g, err := decodeGrant(item.Value)
			if err != nil {
				return err
			}
			g.remove(ref, &b)
		}
		if len(page.Items) > 0 {
			if _, err := s.store.Commit(ctx, &b); err != nil {
				return fromMeta(err)
			}
		}
		if !page.More {
			return nil
		}
	}
}
