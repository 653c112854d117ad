// SPDX-License-Identifier: Apache-2.0

package iamapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

// groupOps is the table of groups.
func (a *API) groupOps() []pipeline.Op {
	return []pipeline.Op{
		newOp(iamService, "CreateGroup", 0, a.IAM.CreateGroup),
		newOp(iamService, "GetGroup", pipeline.Read, a.IAM.GetGroup),
		newOp(iamService, "ListGroups", pipeline.Read, a.IAM.ListGroups),
		newOp(iamService, "UpdateGroup", 0, a.IAM.UpdateGroup),
		newOp(iamService, "DeleteGroup", 0, a.IAM.DeleteGroup),
		newOp(iamService, "AddUserToGroup", 0, a.IAM.AddUserToGroup),
		newOp(iamService, "RemoveUserFromGroup", 0, a.IAM.RemoveUserFromGroup),
		newOp(iamService, "ListGroupsForUser", pipeline.Read, a.IAM.ListGroupsForUser),
		newOp(iamService, "PutGroupPolicy", 0, a.IAM.PutGroupPolicy),
		newOp(iamService, "GetGroupPolicy", pipeline.Read, a.IAM.GetGroupPolicy),
		newOp(iamService, "DeleteGroupPolicy", 0, a.IAM.DeleteGroupPolicy),
		newOp(iamService, "ListGroupPolicies", pipeline.Read, a.IAM.ListGroupPolicies),
		newOp(iamService, "AttachGroupPolicy", 0, a.IAM.AttachGroupPolicy),
		newOp(iamService, "DetachGroupPolicy", 0, a.IAM.DetachGroupPolicy),
		newOp(iamService, "ListAttachedGroupPolicies", pipeline.Read, a.IAM.ListAttachedGroupPolicies),
	}
}
