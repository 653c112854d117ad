// SPDX-License-Identifier: Apache-2.0

package iamapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

// accountOps is the table of what is of the account as a whole.
func (a *API) accountOps() []pipeline.Op {
	return []pipeline.Op{
		newOp(iamService, "CreateAccountAlias", 0, a.IAM.CreateAccountAlias),
		newOp(iamService, "DeleteAccountAlias", 0, a.IAM.DeleteAccountAlias),
		newOp(iamService, "ListAccountAliases", pipeline.Read, a.IAM.ListAccountAliases),
		newOp(iamService, "GetAccountSummary", pipeline.Read, a.IAM.GetAccountSummary),
		newOp(iamService, "GetAccountAuthorizationDetails", pipeline.Read, a.IAM.GetAccountAuthorizationDetails),
	}
}
