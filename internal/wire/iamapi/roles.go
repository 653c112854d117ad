// SPDX-License-Identifier: Apache-2.0

package iamapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

// roleOps is the table of roles.
func (a *API) roleOps() []pipeline.Op {
	return []pipeline.Op{
		newOp(iamService, "CreateRole", 0, a.IAM.CreateRole),
		newOp(iamService, "GetRole", pipeline.Read, a.IAM.GetRole),
		newOp(iamService, "ListRoles", pipeline.Read, a.IAM.ListRoles),
		newOp(iamService, "UpdateRole", 0, a.IAM.UpdateRole),
		newOp(iamService, "UpdateRoleDescription", 0, a.IAM.UpdateRoleDescription),
		newOp(iamService, "UpdateAssumeRolePolicy", 0, a.IAM.UpdateAssumeRolePolicy),
		newOp(iamService, "DeleteRole", 0, a.IAM.DeleteRole),
		newOp(iamService, "PutRolePermissionsBoundary", 0, a.IAM.PutRolePermissionsBoundary),
		newOp(iamService, "DeleteRolePermissionsBoundary", 0, a.IAM.DeleteRolePermissionsBoundary),
		newOp(iamService, "PutRolePolicy", 0, a.IAM.PutRolePolicy),
		newOp(iamService, "GetRolePolicy", pipeline.Read, a.IAM.GetRolePolicy),
		newOp(iamService, "DeleteRolePolicy", 0, a.IAM.DeleteRolePolicy),
		newOp(iamService, "ListRolePolicies", pipeline.Read, a.IAM.ListRolePolicies),
		newOp(iamService, "AttachRolePolicy", 0, a.IAM.AttachRolePolicy),
		newOp(iamService, "DetachRolePolicy", 0, a.IAM.DetachRolePolicy),
		newOp(iamService, "ListAttachedRolePolicies", pipeline.Read, a.IAM.ListAttachedRolePolicies),
	}
}
