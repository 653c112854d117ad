// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"slices"
)

// Placed is the policies of every account where they stand, for those who look through
// them and decide nothing.
type Placed struct {
	Entities []PlacedEntity
	Managed  []PlacedPolicy // by ARN, in the version that counts
	Controls []PlacedControl
}

// PlacedControl is a service control policy of an account.
type PlacedControl struct {
	Account string
	PlacedPolicy
}

// PlacedEntity is a user, group or role with its policies.
type PlacedEntity struct {
	ARN      string
	Inline   []PlacedPolicy // by name
	Attached []string       // ARNs of managed policies
	Boundary string         // ARN of a managed policy; "" for none
	Members  []string       // ARNs of a group's users
}

// PlacedPolicy is a policy by its name.
type PlacedPolicy struct{ Name, Text string }

// Placed reads the policies of all accounts. It is not one moment's when they change
// meanwhile. Error: meta's.
func (s *Service) Placed(ctx context.Context) (*Placed, error) {
	out := &Placed{}
	members := map[string][]string{} // by the group's unique id
	var groups []group
	err := s.scan(ctx, userRows, "", func(row string, value []byte) (bool, error) {
		var u user
		if err := decodeRow(row, value, &u); err != nil {
			return false, err
		}
		out.place(u.arn(), &u.entity, u.Boundary)
		for _, id := range u.Groups {
			members[id] = append(members[id], u.arn())
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	err = s.scan(ctx, groupRows, "", func(row string, value []byte) (bool, error) {
		var g group
		if err := decodeRow(row, value, &g); err != nil {
			return false, err
		}
		groups = append(groups, g)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	for i := range groups {
		out.place(groups[i].arn(), &groups[i].entity, "")
		out.Entities[len(out.Entities)-1].Members = members[groups[i].ID]
	}
	err = s.scan(ctx, roleRows, "", func(row string, value []byte) (bool, error) {
		var r role
		if err := decodeRow(row, value, &r); err != nil {
			return false, err
		}
		out.place(r.arn(), &r.entity, r.Boundary)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return out, s.placeManaged(ctx, out)
}

func (p *Placed) place(arn string, e *entity, boundary string) {
	placed := PlacedEntity{ARN: arn, Attached: slices.Clone(e.Attached), Boundary: boundary}
	for _, n := range e.Inline {
		placed.Inline = append(placed.Inline, PlacedPolicy(n))
	}
	p.Entities = append(p.Entities, placed)
}

func (s *Service) placeManaged(ctx context.Context, out *Placed) error {
	err := s.scan(ctx, policyRows, "", func(row string, value []byte) (bool, error) {
		var p managed
		if err := decodeRow(row, value, &p); err != nil {
			return false, err
		}
		out.Managed = append(out.Managed, PlacedPolicy{p.arn(), p.text()})
		return true, nil
	})
	if err != nil {
		return err
	}
	return s.scan(ctx, accountRows, "", func(row string, value []byte) (bool, error) {
		var a account
		if err := decodeRow(row, value, &a); err != nil {
			return false, err
		}
		for _, c := range a.Controls {
			out.Controls = append(out.Controls, PlacedControl{a.ID, PlacedPolicy(c)})
		}
		return true, nil
	})
}
