// SPDX-License-Identifier: Apache-2.0

package iamapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

// stsOps is the table of STS.
func (a *API) stsOps() []pipeline.Op {
	return []pipeline.Op{
		newOp(stsService, "GetCallerIdentity", pipeline.Read, a.IAM.GetCallerIdentity),
		newOp(stsService, "GetAccessKeyInfo", pipeline.Read, a.IAM.GetAccessKeyInfo),
		newOp(stsService, "AssumeRole", pipeline.Read, a.IAM.AssumeRole),
		newOp(stsService, "AssumeRoleWithWebIdentity", pipeline.Read|pipeline.Open, a.IAM.AssumeRoleWithWebIdentity),
		newOp(stsService, "GetSessionToken", pipeline.Read, a.IAM.GetSessionToken),
		newOp(stsService, "GetFederationToken", pipeline.Read, a.IAM.GetFederationToken),
	}
}
