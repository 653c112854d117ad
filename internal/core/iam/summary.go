// SPDX-License-Identifier: Apache-2.0

package iam

import "context"

// GetAccountSummary asks how much there is in the account, and may be.
type GetAccountSummary struct{}

// AccountSummary is numbers by their names.
type AccountSummary struct{ SummaryMap map[string]int }

// GetAccountSummary says how much there is in the account, and may be.
func (s *Service) GetAccountSummary(ctx context.Context, by Caller, _ GetAccountSummary) (AccountSummary, error) {
	if err := s.may(ctx, by, "GetAccountSummary", "*", nil); err != nil {
		return AccountSummary{}, err
	}
	var e epoch
	if _, err := s.row(ctx, epochRow(by.Account), &e); err != nil {
		return AccountSummary{}, err
	}
	versions := 0
	err := s.scan(ctx, policyRows+by.Account+"/", "", func(row string, value []byte) (bool, error) {
		var p managed
		err := decodeRow(row, value, &p)
		versions += len(p.Versions)
		return true, err
	})
	return AccountSummary{map[string]int{
		"Users": e.Users, "UsersQuota": maxUsers,
		"Groups": e.Groups, "GroupsQuota": maxGroups,
		"Roles": e.Roles, "RolesQuota": maxRoles,
		"Policies": e.Policies, "PoliciesQuota": maxPolicies, "PolicySizeQuota": maxManaged,
		"PolicyVersionsInUse": versions, "PolicyVersionsInUseQuota": maxPolicies * maxVersions, "VersionsPerPolicyQuota": maxVersions,
		"GroupsPerUserQuota": maxUserGroups, "AccessKeysPerUserQuota": maxAccessKeys,
		"AttachedPoliciesPerUserQuota": maxAttached, "AttachedPoliciesPerGroupQuota": maxAttached, "AttachedPoliciesPerRoleQuota": maxAttached,
		"UserPolicySizeQuota": maxUserInline, "GroupPolicySizeQuota": maxGroupInline, "RolePolicySizeQuota": maxRoleInline,
		"AssumeRolePolicySizeQuota": maxTrust, "AccountAccessKeysPresent": 1,
	}}, err
}
