// SPDX-License-Identifier: Apache-2.0

package iamapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

// userOps is the table of users.
func (a *API) userOps() []pipeline.Op {
	return []pipeline.Op{
		newOp(iamService, "CreateUser", 0, a.IAM.CreateUser),
		newOp(iamService, "GetUser", pipeline.Read, a.IAM.GetUser),
		newOp(iamService, "ListUsers", pipeline.Read, a.IAM.ListUsers),
		newOp(iamService, "UpdateUser", 0, a.IAM.UpdateUser),
		newOp(iamService, "DeleteUser", 0, a.IAM.DeleteUser),
		newOp(iamService, "PutUserPermissionsBoundary", 0, a.IAM.PutUserPermissionsBoundary),
		newOp(iamService, "DeleteUserPermissionsBoundary", 0, a.IAM.DeleteUserPermissionsBoundary),
		newOp(iamService, "PutUserPolicy", 0, a.IAM.PutUserPolicy),
		newOp(iamService, "GetUserPolicy", pipeline.Read, a.IAM.GetUserPolicy),
		newOp(iamService, "DeleteUserPolicy", 0, a.IAM.DeleteUserPolicy),
		newOp(iamService, "ListUserPolicies", pipeline.Read, a.IAM.ListUserPolicies),
		newOp(iamService, "AttachUserPolicy", 0, a.IAM.AttachUserPolicy),
		newOp(iamService, "DetachUserPolicy", 0, a.IAM.DetachUserPolicy),
		newOp(iamService, "ListAttachedUserPolicies", pipeline.Read, a.IAM.ListAttachedUserPolicies),
	}
}
