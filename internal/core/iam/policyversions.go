// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
)

// PolicyVersion is a version of a managed policy as the API shows it.
type PolicyVersion struct {
	Document         string `api:"encoded"` // not in lists
	VersionId        string
	IsDefaultVersion bool
	CreateDate       time.Time
}

// PolicyVersionResult is the result of operations on one version.
type PolicyVersionResult struct{ PolicyVersion PolicyVersion }

// PolicyVersions is a page of a managed policy's versions.
type PolicyVersions struct {
	Versions []PolicyVersion
	Page
}

func (p *managed) shownVersion(v policyVersion) PolicyVersion {
	return PolicyVersion{VersionId: versionID(v.Number), IsDefaultVersion: v.Number == p.Default, CreateDate: v.Created}
}

// version finds a version by its id. Fault: NoSuchEntity.
func (p *managed) version(id string) (int, error) {
	i := slices.IndexFunc(p.Versions, func(v policyVersion) bool { return versionID(v.Number) == id })
	if i < 0 {
		return 0, fault.New(NoSuchEntity, "Policy %s version %s does not exist or is not attachable.", p.arn(), id)
	}
	return i, nil
}

// CreatePolicyVersion adds a version to a managed policy.
type CreatePolicyVersion struct {
	PolicyArn      string `api:"required 20-2048"`
	PolicyDocument string `api:"required 1-131072 document"`
	SetAsDefault   bool
}

// CreatePolicyVersion adds a version to a managed policy. Its number was none's before.
// Faults: NoSuchEntity, LimitExceeded, policy.Malformed.
func (s *Service) CreatePolicyVersion(ctx context.Context, by Caller, in CreatePolicyVersion) (out PolicyVersionResult, err error) {
	err = s.editPolicy(ctx, by, "CreatePolicyVersion", in.PolicyArn, nil, func(c *change, p *managed) error {
		if err := checkManaged(in.PolicyDocument); err != nil {
			return err
		}
		if len(p.Versions) >= maxVersions {
			return fault.New(LimitExceeded, "A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
		}
		p.Last++
		v := policyVersion{p.Last, c.now, in.PolicyDocument}
		p.Versions = append(p.Versions, v)
		if in.SetAsDefault {
			p.Default = v.Number
		}
		p.Updated = c.now
		out.PolicyVersion = p.shownVersion(v)
		return nil
	})
	return out, err
}

// GetPolicyVersion asks for a version of a managed policy.
type GetPolicyVersion struct {
	PolicyArn string `api:"required 20-2048"`
	VersionId string `api:"required version"`
}

// GetPolicyVersion returns a version of a managed policy. Fault: NoSuchEntity.
func (s *Service) GetPolicyVersion(ctx context.Context, by Caller, in GetPolicyVersion) (out PolicyVersionResult, err error) {
	p, err := s.allowedPolicy(ctx, s, by, "GetPolicyVersion", in.PolicyArn, nil)
	if err != nil {
		return out, err
	}
	i, err := p.version(in.VersionId)
	if err != nil {
		return out, err
	}
	out.PolicyVersion = p.shownVersion(p.Versions[i])
	out.PolicyVersion.Document = p.Versions[i].Text
	return out, nil
}

// ListPolicyVersions asks for the versions of a managed policy.
type ListPolicyVersions struct {
	PolicyArn string `api:"required 20-2048"`
	Paged
}

// ListPolicyVersions lists the versions of a managed policy, the newest first. Fault:
// NoSuchEntity.
func (s *Service) ListPolicyVersions(ctx context.Context, by Caller, in ListPolicyVersions) (out PolicyVersions, err error) {
	p, err := s.allowedPolicy(ctx, s, by, "ListPolicyVersions", in.PolicyArn, nil)
	if err != nil {
		return out, err
	}
	var all []PolicyVersion
	at := map[string]string{} // where each is in the list
	for i, v := range slices.Backward(p.Versions) {
		shown := p.shownVersion(v)
		at[shown.VersionId] = fmt.Sprintf("%03d", len(p.Versions)-i)
		all = append(all, shown)
	}
	out.Versions, out.Page, err = pageOf(in.Paged, "versions of "+p.ID, all, func(v PolicyVersion) string { return at[v.VersionId] })
	return out, err
}

// DeletePolicyVersion deletes a version of a managed policy.
type DeletePolicyVersion struct {
	PolicyArn string `api:"required 20-2048"`
	VersionId string `api:"required version"`
}

// DeletePolicyVersion deletes a version of a managed policy that is not the default.
// Faults: NoSuchEntity, DeleteConflict.
func (s *Service) DeletePolicyVersion(ctx context.Context, by Caller, in DeletePolicyVersion) (None, error) {
	return None{}, s.editPolicy(ctx, by, "DeletePolicyVersion", in.PolicyArn, nil, func(_ *change, p *managed) error {
		i, err := p.version(in.VersionId)
		if err != nil {
			return err
		}
		if p.Versions[i].Number == p.Default {
			return fault.New(DeleteConflict, "Cannot delete the default version of a policy.")
		}
		p.Versions = slices.Delete(p.Versions, i, i+1)
		return nil
	})
}

// SetDefaultPolicyVersion chooses the version that counts.
type SetDefaultPolicyVersion struct {
	PolicyArn string `api:"required 20-2048"`
	VersionId string `api:"required version"`
}

// SetDefaultPolicyVersion chooses the version that counts. Fault: NoSuchEntity.
func (s *Service) SetDefaultPolicyVersion(ctx context.Context, by Caller, in SetDefaultPolicyVersion) (None, error) {
	return None{}, s.editPolicy(ctx, by, "SetDefaultPolicyVersion", in.PolicyArn, nil, func(c *change, p *managed) error {
		i, err := p.version(in.VersionId)
		if err != nil {
			return err
		}
		p.Default, p.Updated = p.Versions[i].Number, c.now
		return nil
	})
}
