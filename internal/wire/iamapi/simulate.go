// SPDX-License-Identifier: Apache-2.0

package iamapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

// simulateOps are those that say what policies would decide.
func (a *API) simulateOps() []pipeline.Op {
	return []pipeline.Op{
		newOp(iamService, "SimulatePrincipalPolicy", pipeline.Read, a.IAM.SimulatePrincipalPolicy),
		newOp(iamService, "SimulateCustomPolicy", pipeline.Read, a.IAM.SimulateCustomPolicy),
	}
}
