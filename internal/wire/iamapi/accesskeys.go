// SPDX-License-Identifier: Apache-2.0

package iamapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

// accessKeyOps is the table of access keys.
func (a *API) accessKeyOps() []pipeline.Op {
	return []pipeline.Op{
		newOp(iamService, "CreateAccessKey", 0, a.IAM.CreateAccessKey),
		newOp(iamService, "ListAccessKeys", pipeline.Read, a.IAM.ListAccessKeys),
		newOp(iamService, "UpdateAccessKey", 0, a.IAM.UpdateAccessKey),
		newOp(iamService, "DeleteAccessKey", 0, a.IAM.DeleteAccessKey),
		newOp(iamService, "GetAccessKeyLastUsed", pipeline.Read, a.IAM.GetAccessKeyLastUsed),
	}
}
