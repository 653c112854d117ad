// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
)

// reader reads rows: the service from the store, a change as it leaves them.
type reader interface {
	read(ctx context.Context, row string, into any) (found bool, err error)
}

func (s *Service) read(ctx context.Context, row string, into any) (bool, error) {
	return s.row(ctx, row, into)
}

func (c *change) read(_ context.Context, row string, into any) (bool, error) { return c.get(row, into) }

// userNamed returns a user, nil when there is none. So do those that follow.
func userNamed(ctx context.Context, r reader, account, name string) (*user, error) {
	return found[user](ctx, r, userRow(account, name))
}

func groupNamed(ctx context.Context, r reader, account, name string) (*group, error) {
	return found[group](ctx, r, groupRow(account, name))
}

func roleNamed(ctx context.Context, r reader, account, name string) (*role, error) {
	return found[role](ctx, r, roleRow(account, name))
}

func found[T any](ctx context.Context, r reader, row string) (*T, error) {
	v := new(T)
	if ok, err := r.read(ctx, row, v); err != nil || !ok {
		return nil, err
	}
	return v, nil
}

// identityOf finds what has a unique id.
func identityOf(ctx context.Context, r reader, id string) (*identity, error) {
	return found[identity](ctx, r, idRow(id))
}

// userByID returns the user with a unique id, nil when there is none.
func userByID(ctx context.Context, r reader, id string) (*user, error) {
	i, err := identityOf(ctx, r, id)
	if err != nil || i == nil || i.Kind != kindUser {
		return nil, err
	}
	return userNamed(ctx, r, i.Account, i.Name)
}

func groupByID(ctx context.Context, r reader, id string) (*group, error) {
	i, err := identityOf(ctx, r, id)
	if err != nil || i == nil || i.Kind != kindGroup {
		return nil, err
	}
	return groupNamed(ctx, r, i.Account, i.Name)
}

func roleByID(ctx context.Context, r reader, id string) (*role, error) {
	i, err := identityOf(ctx, r, id)
	if err != nil || i == nil || i.Kind != kindRole {
		return nil, err
	}
	return roleNamed(ctx, r, i.Account, i.Name)
}

// policyByARN returns a managed policy that an account can use: its own, or one that every
// account has.
func policyByARN(ctx context.Context, r reader, account, arn string) (*managed, error) {
	a, ok := aws.ParseARN(arn)
	if !ok || a.Service != "iam" || a.Region != "" || !strings.HasPrefix(a.Resource, kindPolicy+"/") {
		return nil, nil
	}
	if a.Account == "aws" {
		return offeredPolicies[arn], nil
	}
	if a.Account != account {
		return nil, nil
	}
	p, err := found[managed](ctx, r, policyRow(account, a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]))
	if err != nil || p == nil || p.arn() != arn {
		return nil, err
	}
	return p, nil
}

// roleByARN returns the role of an ARN in any account.
func roleByARN(ctx context.Context, r reader, arn string) (*role, error) {
	a, ok := aws.ParseARN(arn)
	if !ok || a.Service != "iam" || !strings.HasPrefix(a.Resource, kindRole+"/") {
		return nil, nil
	}
	found, err := roleNamed(ctx, r, a.Account, a.Resource[strings.LastIndexByte(a.Resource, '/')+1:])
	if err != nil || found == nil || found.arn() != arn {
		return nil, err
	}
	return found, nil
}

// userByARN returns the user of an ARN in any account.
func userByARN(ctx context.Context, r reader, arn string) (*user, error) {
	a, ok := aws.ParseARN(arn)
	if !ok || a.Service != "iam" || !strings.HasPrefix(a.Resource, kindUser+"/") {
		return nil, nil
	}
	found, err := userNamed(ctx, r, a.Account, a.Resource[strings.LastIndexByte(a.Resource, '/')+1:])
	if err != nil || found == nil || found.arn() != arn {
		return nil, err
	}
	return found, nil
}
