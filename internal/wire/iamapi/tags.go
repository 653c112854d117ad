// SPDX-License-Identifier: Apache-2.0

package iamapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

// tagOps is the table of tags.
func (a *API) tagOps() []pipeline.Op {
	return []pipeline.Op{
		newOp(iamService, "TagUser", 0, a.IAM.TagUser),
		newOp(iamService, "UntagUser", 0, a.IAM.UntagUser),
		newOp(iamService, "ListUserTags", pipeline.Read, a.IAM.ListUserTags),
		newOp(iamService, "TagRole", 0, a.IAM.TagRole),
		newOp(iamService, "UntagRole", 0, a.IAM.UntagRole),
		newOp(iamService, "ListRoleTags", pipeline.Read, a.IAM.ListRoleTags),
		newOp(iamService, "TagPolicy", 0, a.IAM.TagPolicy),
		newOp(iamService, "UntagPolicy", 0, a.IAM.UntagPolicy),
		newOp(iamService, "ListPolicyTags", pipeline.Read, a.IAM.ListPolicyTags),
	}
}
