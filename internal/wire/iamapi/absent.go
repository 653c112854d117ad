// SPDX-License-Identifier: Apache-2.0

package iamapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

// absentOps is the table of what users and roles have on AWS and not here.
func (a *API) absentOps() []pipeline.Op {
	const noPassword = "404 `NoSuchEntity`, as for every user without a password"
	return []pipeline.Op{
		newOp(iamService, "ListInstanceProfiles", pipeline.Read, a.IAM.ListInstanceProfiles),
		newOp(iamService, "ListInstanceProfilesForRole", pipeline.Read, a.IAM.ListInstanceProfilesForRole),
		newOp(iamService, "ListMFADevices", pipeline.Read, a.IAM.ListMFADevices),
		newOp(iamService, "ListVirtualMFADevices", pipeline.Read, a.IAM.ListVirtualMFADevices),
		newOp(iamService, "ListSSHPublicKeys", pipeline.Read, a.IAM.ListSSHPublicKeys),
		newOp(iamService, "ListSigningCertificates", pipeline.Read, a.IAM.ListSigningCertificates),
		newOp(iamService, "ListServiceSpecificCredentials", pipeline.Read, a.IAM.ListServiceSpecificCredentials),
		pipeline.Answered(newOp(iamService, "GetLoginProfile", pipeline.Read, a.IAM.GetLoginProfile), noPassword),
		pipeline.Answered(newOp(iamService, "DeleteLoginProfile", 0, a.IAM.DeleteLoginProfile), noPassword),
	}
}
