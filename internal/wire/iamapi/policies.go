// SPDX-License-Identifier: Apache-2.0

package iamapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

// policyOps is the table of managed policies.
func (a *API) policyOps() []pipeline.Op {
	return []pipeline.Op{
		newOp(iamService, "CreatePolicy", 0, a.IAM.CreatePolicy),
		newOp(iamService, "GetPolicy", pipeline.Read, a.IAM.GetPolicy),
		newOp(iamService, "ListPolicies", pipeline.Read, a.IAM.ListPolicies),
		newOp(iamService, "DeletePolicy", 0, a.IAM.DeletePolicy),
		newOp(iamService, "CreatePolicyVersion", 0, a.IAM.CreatePolicyVersion),
		newOp(iamService, "GetPolicyVersion", pipeline.Read, a.IAM.GetPolicyVersion),
		newOp(iamService, "ListPolicyVersions", pipeline.Read, a.IAM.ListPolicyVersions),
		newOp(iamService, "DeletePolicyVersion", 0, a.IAM.DeletePolicyVersion),
		newOp(iamService, "SetDefaultPolicyVersion", 0, a.IAM.SetDefaultPolicyVersion),
		newOp(iamService, "ListEntitiesForPolicy", pipeline.Read, a.IAM.ListEntitiesForPolicy),
	}
}
