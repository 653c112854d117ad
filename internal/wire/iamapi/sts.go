// SPDX-License-Identifier: Apache-2.0

package iamapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

// stsOps is the table of STS.
func (a *API) stsOps() []pipeline.Op {
	return []pipeline.Op{
		newOp(stsService, "GetCallerIdentity", pipeline.Read, a.IAM.GetCallerIdentity),
	}
}
