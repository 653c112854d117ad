// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Kinds of fault of temporary credentials.
const (
	// ExpiredToken: the session is over.
	ExpiredToken fault.Kind = "iam: expired session token"
	// InvalidToken: the session token is missing, was not given out here, or is not of
	// this access key; or what the session was of is no more.
	InvalidToken fault.Kind = "iam: invalid session token"
)

// openedToken is what is kept of a session token: good until it expires, and as long as
// the account's epoch is of this version.
type openedToken struct {
	epoch   uint64
	expires time.Time
	secret  secret.Bytes
	who     Principal
}

// recentTokens is how many opened session tokens are kept, and half of how many are
// kept at most. Most take about 1 KiB; with tags it may be 60 KiB.
const recentTokens = 4096

// weight is about how many bytes a token takes in memory.
func (t *openedToken) weight() int {
	s := t.who.Session
	n := 1 << 10
	for _, text := range s.Policies {
		n += len(text)
	}
	for _, arn := range s.PolicyARNs {
		n += len(arn)
	}
	for key, value := range s.Tags {
		n += 2*len(key) + len(value) + 128
	}
	return n
}

// tokenID tells tokens apart without keeping them.
type tokenID [sha256.Size]byte

func idOfToken(accessKeyID, token string) tokenID {
	var room [1024]byte // for most tokens
	text := append(room[:0], accessKeyID...)
	text = append(text, 0) // no access key id has it
	return sha256.Sum256(append(text, token...))
}

// LookupSession returns the secret of a temporary access key with its session token, and
// the principal that the session is. The secret is shared and must not be cleared.
// A session ends at its time, and before that with the role or user that it is of, and
// with the access key that a user's own session began with. Faults: ExpiredToken,
// InvalidToken.
func (s *Service) LookupSession(ctx context.Context, accessKeyID, token string) (secret.Bytes, Principal, error) {
	id := idOfToken(accessKeyID, token)
	t, ok := s.tokens.get(id)
	if !ok {
		d, err := s.box.open(accessKeyID, token)
		if err != nil {
			return secret.Bytes{}, Principal{}, fault.New(InvalidToken, "").Because(err)
		}
		t = &openedToken{expires: d.Expires, secret: s.box.secretOf(accessKeyID), who: d.principal(accessKeyID)}
	}
	if !time.Now().Before(t.expires) {
		return secret.Bytes{}, Principal{}, ExpiredToken
	}
	if ok {
		ver, err := s.epochOf(ctx, t.who.Account)
		if err != nil {
			return secret.Bytes{}, Principal{}, err
		}
		if ver == t.epoch {
			return t.secret, t.who, nil
		}
	}
	t, err := s.holder(ctx, t)
	if err != nil {
		return secret.Bytes{}, Principal{}, err
	}
	s.tokens.put(id, t)
	return t.secret, t.who, nil
}

// holder finds who a session is of, as they are now.
func (s *Service) holder(ctx context.Context, t *openedToken) (*openedToken, error) {
	for range tries {
		ver, err := s.epochOf(ctx, t.who.Account)
		if err != nil {
			return nil, err
		}
		who, err := s.present1(ctx, t.who)
		if err != nil {
			return nil, err
		}
		again, err := s.epochOf(ctx, t.who.Account)
		if err != nil {
			return nil, err
		}
		if again == ver {
			return &openedToken{ver, t.expires, t.secret, who}, nil
		}
	}
	return nil, fault.New(meta.Unavailable, "").Because(errTooManyChanges)
}

// present1 returns a session's principal with the names that its role or user has now.
// Fault: InvalidToken, when there is none any more.
func (s *Service) present1(ctx context.Context, p Principal) (Principal, error) {
	a, err := found[account](ctx, s, accountRow(p.Account))
	if err != nil {
		return p, err
	}
	if a == nil || a.Closing {
		return p, InvalidToken
	}
	if p.Session.ParentKey != "" {
		if _, _, err := s.Lookup(ctx, p.Session.ParentKey); err != nil {
			if isKind(err, NoSuchAccessKey) {
				err = InvalidToken
			}
			return p, err
		}
	}
	switch p.Type {
	case AssumedRole:
		r, err := roleByID(ctx, s, p.RoleID)
		if err != nil {
			return p, err
		}
		if r == nil || r.Account != p.Account {
			return p, InvalidToken
		}
		p.RoleARN = r.arn()
		p.ARN = sessionARN(p.Account, r.Name, p.Session.Name)
	case IAMUser, FederatedUser:
		id := p.entity()
		if id == p.Account { // a root's
			return p, nil
		}
		u, err := userByID(ctx, s, id)
		if err != nil {
			return p, err
		}
		if u == nil || u.Account != p.Account {
			return p, InvalidToken
		}
		if p.Type == IAMUser {
			p.ARN, p.UserName = u.arn(), u.Name
		}
	}
	return p, nil
}

func isKind(err error, kind fault.Kind) bool {
	f, ok := fault.As(err)
	return ok && f.Kind == kind
}

// sessionARN is that of a role's session: it has no path.
func sessionARN(account, role, session string) string {
	return "arn:aws:sts::" + account + ":assumed-role/" + role + "/" + session
}

func federatedARN(account, name string) string {
	return "arn:aws:sts::" + account + ":federated-user/" + name
}

// principal returns who a token's session is, but for names that may have changed since.
func (d *tokenDocument) principal(accessKeyID string) Principal {
	p := Principal{Type: d.Type, Account: d.Account, PrincipalID: d.ID, AccessKeyID: accessKeyID, Scope: d.scope()}
	p.Session = &Session{
		Name: d.Name, Issued: d.Issued, Expires: d.Expires, Policies: d.Policies, PolicyARNs: d.ARNs, Narrowed: d.Narrowed,
		Transitive: d.Through, SourceIdentity: d.Source, MFA: d.MFA, Provider: d.Provider, Chained: d.Chained, ParentKey: d.Parent,
	}
	if len(d.Tags) > 0 {
		p.Session.Tags = make(map[string]string, len(d.Tags))
		for _, t := range d.Tags {
			p.Session.Tags[t.Key] = t.Value
		}
	}
	switch d.Type {
	case AssumedRole:
		p.RoleID, p.PrincipalID = d.ID, d.ID+":"+d.Name
	case FederatedUser:
		p.Session.Issuer, p.PrincipalID, p.ARN = d.ID, d.Account+":"+d.Name, federatedARN(d.Account, d.Name)
	case Root:
		p.ARN = aws.RootARN(d.Account)
	}
	return p
}

// scope is the hash of what narrows the session: equal sessions have equal scopes, and
// one that nothing narrows has none.
func (d *tokenDocument) scope() (sum [sha256.Size]byte) {
	if !d.Narrowed && len(d.Policies)+len(d.ARNs)+len(d.Tags) == 0 {
		return sum
	}
	h := sha256.New()
	var n [4]byte
	list := func(texts ...string) {
		binary.BigEndian.PutUint32(n[:], uint32(len(texts)))
		h.Write(n[:])
		for _, text := range texts {
			binary.BigEndian.PutUint32(n[:], uint32(len(text)))
			h.Write(n[:])
			h.Write([]byte(text))
		}
	}
	list("coffer/session-scope/1")
	list(d.Policies...)
	list(slices.Sorted(slices.Values(d.ARNs))...)
	tags := make([]string, 0, 2*len(d.Tags))
	for _, t := range d.Tags {
		tags = append(tags, strings.ToLower(t.Key), t.Value)
	}
	list(tags...)
	return [sha256.Size]byte(h.Sum(nil))
}

// begin gives out credentials for a session. Fault: PackedPolicyTooLarge.
func (s *Service) begin(d *tokenDocument) (c Credentials, packed *int, err error) {
	if packed, err = d.packed(); err != nil {
		return c, nil, err
	}
	id := newTemporaryID()
	token, err := s.box.seal(id, d)
	if err != nil {
		return c, nil, err
	}
	return Credentials{id, s.box.secretOf(id), token, d.Expires}, packed, nil
}
