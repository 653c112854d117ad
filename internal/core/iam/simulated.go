// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// source is where a policy in a simulation comes from.
type source struct {
	id, kind string
	doc      *policy.Document
}

// simulation is a simulation under way.
type simulation struct {
	who     policy.Principal
	account string
	caller  Caller // whose facts are known
	config  policy.RightsConfig
	sources map[string]source // by their names in config
	entries policy.Values
	rights  *policy.Rights
	parsed  map[policy.Kind]*policy.Document // the resource's policy
	places  map[*policy.Document][][2]policy.Position
	written map[string]string // condition keys as policies write them, by lower case
}

// simulated fills in whose policies are simulated. Faults: NoSuchEntity, InvalidInput.
func (s *Service) simulated(ctx context.Context, m *simulation, arn string) error {
	a, ok := aws.ParseARN(arn)
	kind, _, _ := strings.Cut(a.Resource, "/")
	if !ok || a.Service != "iam" || kind != kindUser && kind != kindGroup && kind != kindRole {
		return fault.New(InvalidInput, "Invalid Entity Arn: %s does not clearly define entity type and name.", arn)
	}
	name := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	var h *holder
	if a.Account == m.account {
		var err error
		if h, err = holderNamed(ctx, s, kind, m.account, name); err != nil {
			return err
		}
	}
	if h == nil || h.arn() != arn {
		return noSuch(kind, name)
	}
	p := Principal{Type: IAMUser, Account: m.account, ARN: arn, PrincipalID: h.ID, UserName: h.Name}
	holders := []*holder{h}
	switch row := h.row.(type) {
	case *user:
		for _, id := range row.Groups {
			g, err := groupByID(ctx, s, id)
			if err != nil {
				return err
			}
			if g != nil {
				holders = append(holders, g.holder())
			}
		}
	case *role:
		p = Principal{
			Type: AssumedRole, Account: m.account, ARN: sessionARN(m.account, h.Name, "simulated"), PrincipalID: h.ID + ":simulated",
			RoleARN: arn, RoleID: h.ID,
		}
	case *group:
		p = Principal{Type: IAMUser, Account: m.account, ARN: entityARN(m.account, kindUser, "/", "simulated")}
	}
	m.who, m.caller = questioned(&p), Caller{Principal: p}
	for _, each := range holders {
		if err := s.addSources(ctx, m, each); err != nil {
			return err
		}
	}
	if h.boundary == nil || *h.boundary == "" {
		return s.addControls(ctx, m)
	}
	m.config.Boundary = &policy.Attached{Name: *h.boundary}
	attached, err := s.attached(ctx, m.account, *h.boundary)
	if err != nil {
		return err
	}
	if attached != nil {
		m.config.Boundary = attached
		m.source(attached)
	}
	return s.addControls(ctx, m)
}

// addSources adds the policies of a user, group or role, under names that say whose
// they are.
func (s *Service) addSources(ctx context.Context, m *simulation, h *holder) error {
	first := len(m.config.Policies)
	if err := s.addPolicies(ctx, &m.config, *h.entity); err != nil {
		return err
	}
	for i := first; i < len(m.config.Policies); i++ {
		p := &m.config.Policies[i]
		if strings.HasPrefix(p.Name, "arn:") {
			m.source(p)
			continue
		}
		p.Name = h.kind + "_" + h.Name + "_" + p.Name
		m.sources[p.Name] = source{p.Name, h.kind, p.Doc}
	}
	return nil
}

// source notes where a managed policy comes from.
func (m *simulation) source(p *policy.Attached) {
	kind := "user-managed"
	if strings.HasPrefix(p.Name, "arn:aws:iam::"+offeredBy+":") {
		kind = "aws-managed"
	}
	m.sources[p.Name] = source{p.Name[strings.LastIndexByte(p.Name, '/')+1:], kind, p.Doc}
}

// addControls adds the service control policies of the account.
func (s *Service) addControls(ctx context.Context, m *simulation) error {
	a, err := found[account](ctx, s, accountRow(m.account))
	if err != nil || a == nil {
		return err
	}
	m.config.Controls, err = s.controls(a)
	for _, level := range m.config.Controls {
		for _, p := range level {
			m.sources[p.Name] = source{p.Name, "none", p.Doc}
		}
	}
	return err
}
