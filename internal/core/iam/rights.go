// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"errors"
	"strings"

	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// rightsID tells what is kept of one principal from that of another: by its unique id
// and by what narrows its session.
type rightsID struct {
	kind   string // type of principal
	entity string
	scope  [32]byte
}

// rights is what is known of a principal for deciding, good as long as the account's
// epoch is of this version. It does not change.
type rights struct {
	epoch uint64
	row   []byte // of the epoch
	// gone: there is no such principal (any more).
	gone bool
	// tags are the user's or role's own, by their keys in lower case.
	tags   map[string]string
	all    *policy.Rights
	weight int // about how many bytes it takes
}

// weigh says how many bytes rights take, with the documents that they may be the last to
// need.
func (r *rights) weigh() {
	r.weight = 1 << 10
	for key, value := range r.tags {
		r.weight += len(key) + len(value) + 64
	}
	if r.all == nil {
		return
	}
	add := func(list ...policy.Attached) {
		for _, a := range list {
			if a.Doc != nil {
				r.weight += parsedText / 2 * len(a.Doc.Text())
			}
		}
	}
	add(r.all.Policies...)
	add(r.all.Session...)
	for _, level := range r.all.Controls {
		add(level...)
	}
	if r.all.Boundary != nil {
		add(*r.all.Boundary)
	}
}

// errTooManyChanges: an account changed each time that it was read.
var errTooManyChanges = errors.New("iam: the account changes faster than it is read")

// rightsOf returns what a principal's account says of it.
func (s *Service) rightsOf(ctx context.Context, p *Principal) (*rights, error) {
	id := rightsID{p.Type, p.entity(), p.Scope}
	if r, ok := s.rights.get(id); ok && string(r.row[len(epochRows):]) == p.Account {
		switch ver, err := meta.Version(ctx, s.store, r.row); {
		case err != nil:
			return nil, err
		case ver == r.epoch:
			return r, nil
		}
	}
	for range tries {
		ver, err := s.epochOf(ctx, p.Account)
		if err != nil {
			return nil, err
		}
		r, err := s.readRights(ctx, p, ver)
		if err != nil {
			return nil, err
		}
		again, err := s.epochOf(ctx, p.Account)
		if err != nil {
			return nil, err
		}
		if again == ver { // all that was read is of one moment
			r.row = []byte(epochRow(p.Account))
			r.weigh()
			s.rights.put(id, r)
			return r, nil
		}
	}
	return nil, fault.New(meta.Unavailable, "").Because(errTooManyChanges)
}

// readRights puts together what the rows say of a principal.
func (s *Service) readRights(ctx context.Context, p *Principal, ver uint64) (*rights, error) {
	out := &rights{epoch: ver}
	a, err := found[account](ctx, s, accountRow(p.Account))
	if err != nil {
		return nil, err
	}
	id := p.entity()
	if ver == 0 || a == nil || a.Closing || id == "" {
		out.gone = true
		return out, nil
	}
	var c policy.RightsConfig
	switch {
	case p.Type == Root, p.Type == FederatedUser && id == p.Account:
		err = s.rootRights(&c)
	case strings.HasPrefix(id, prefixRole):
		var r *role
		if r, err = roleByID(ctx, s, id); err == nil && r != nil && r.Account == p.Account {
			out.tags = lowerTags(r.Tags)
			err = s.entityRights(ctx, &c, r.entity, r.Boundary, nil)
		} else {
			out.gone = true
		}
	default:
		var u *user
		if u, err = userByID(ctx, s, id); err == nil && u != nil && u.Account == p.Account {
			out.tags = lowerTags(u.Tags)
			err = s.entityRights(ctx, &c, u.entity, u.Boundary, u.Groups)
		} else {
			out.gone = true
		}
	}
	if err != nil || out.gone {
		return out, err
	}
	if err := s.sessionRights(ctx, &c, p); err != nil {
		return nil, err
	}
	if c.Controls, err = s.controls(a); err != nil {
		return nil, err
	}
	out.all = policy.NewRights(c)
	return out, nil
}

// controls returns the service control policies of an account: one level, or none.
func (s *Service) controls(a *account) ([][]policy.Attached, error) {
	if a.Controls == nil {
		return nil, nil
	}
	level := make([]policy.Attached, 0, len(a.Controls))
	for _, n := range a.Controls {
		d, err := s.document(policy.ServiceControl, n.Text)
		if err != nil {
			return nil, err
		}
		level = append(level, policy.Attached{Name: n.Name, Doc: d})
	}
	return [][]policy.Attached{level}, nil
}

// rootRights are those of an account's root: everything. That it counts only in its own
// account is the resource's owner's doing, as for everybody's.
func (s *Service) rootRights(c *policy.RightsConfig) error {
	d, err := s.document(policy.Identity, allowEverything)
	c.Policies = []policy.Attached{{Name: "root", Doc: d}}
	return err
}

const allowEverything = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// entityRights adds what a user or role has: its own policies, and those of a user's
// groups.
func (s *Service) entityRights(ctx context.Context, c *policy.RightsConfig, e entity, boundary string, groups []string) error {
	if err := s.addPolicies(ctx, c, e); err != nil {
		return err
	}
	for _, id := range groups {
		g, err := groupByID(ctx, s, id)
		if err != nil {
			return err
		}
		if g == nil {
			continue // it has just been deleted: the epoch says so, and all is read again
		}
		if err := s.addPolicies(ctx, c, g.entity); err != nil {
			return err
		}
	}
	if boundary == "" {
		return nil
	}
	c.Boundary = &policy.Attached{Name: boundary}
	attached, err := s.attached(ctx, e.Account, boundary)
	if err == nil && attached != nil {
		c.Boundary = attached
	}
	return err
}

func (s *Service) addPolicies(ctx context.Context, c *policy.RightsConfig, e entity) error {
	for _, n := range e.Inline {
		d, err := s.document(policy.Identity, n.Text)
		if err != nil {
			return err
		}
		c.Policies = append(c.Policies, policy.Attached{Name: n.Name, Doc: d})
	}
	for _, arn := range e.Attached {
		a, err := s.attached(ctx, e.Account, arn)
		if err != nil {
			return err
		}
		if a != nil {
			c.Policies = append(c.Policies, *a)
		}
	}
	return nil
}

// attached returns the version of a managed policy that counts, nil when there is no
// such policy.
func (s *Service) attached(ctx context.Context, account, arn string) (*policy.Attached, error) {
	p, err := policyByARN(ctx, s, account, arn)
	if err != nil || p == nil {
		return nil, err
	}
	d, err := s.document(policy.Identity, p.text())
	if err != nil {
		return nil, err
	}
	return &policy.Attached{Name: arn, Doc: d}, nil
}

// sessionRights adds what narrows a session.
func (s *Service) sessionRights(ctx context.Context, c *policy.RightsConfig, p *Principal) error {
	if p.Session == nil {
		return nil
	}
	// What a federated user may do must be passed when its session begins.
	c.Narrowed = p.Session.Narrowed || p.Type == FederatedUser
	for _, text := range p.Session.Policies {
		d, err := s.document(policy.Session, text)
		if err != nil {
			return err
		}
		c.Session = append(c.Session, policy.Attached{Name: "session", Doc: d})
	}
	for _, arn := range p.Session.PolicyARNs {
		a, err := s.attached(ctx, p.Account, arn)
		if err != nil {
			return err
		}
		if a != nil {
			c.Session = append(c.Session, *a)
		}
	}
	if len(p.Session.Policies)+len(p.Session.PolicyARNs) > 0 {
		c.Narrowed = true
	}
	return nil
}

func lowerTags(tags []Tag) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	out := make(map[string]string, len(tags))
	for _, t := range tags {
		out[strings.ToLower(t.Key)] = t.Value
	}
	return out
}
