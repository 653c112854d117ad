// SPDX-License-Identifier: Apache-2.0

package iamapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

// providerOps are those on identity providers.
func (a *API) providerOps() []pipeline.Op {
	const read = pipeline.Read
	return []pipeline.Op{
		newOp(iamService, "CreateOpenIDConnectProvider", 0, a.IAM.CreateOpenIDConnectProvider),
		newOp(iamService, "GetOpenIDConnectProvider", read, a.IAM.GetOpenIDConnectProvider),
		newOp(iamService, "ListOpenIDConnectProviders", read, a.IAM.ListOpenIDConnectProviders),
		newOp(iamService, "DeleteOpenIDConnectProvider", 0, a.IAM.DeleteOpenIDConnectProvider),
		newOp(iamService, "UpdateOpenIDConnectProviderThumbprint", 0, a.IAM.UpdateOpenIDConnectProviderThumbprint),
		newOp(iamService, "AddClientIDToOpenIDConnectProvider", 0, a.IAM.AddClientIDToOpenIDConnectProvider),
		newOp(iamService, "RemoveClientIDFromOpenIDConnectProvider", 0, a.IAM.RemoveClientIDFromOpenIDConnectProvider),
		newOp(iamService, "TagOpenIDConnectProvider", 0, a.IAM.TagOpenIDConnectProvider),
		newOp(iamService, "UntagOpenIDConnectProvider", 0, a.IAM.UntagOpenIDConnectProvider),
		newOp(iamService, "ListOpenIDConnectProviderTags", read, a.IAM.ListOpenIDConnectProviderTags),
	}
}
