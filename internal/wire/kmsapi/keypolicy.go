// SPDX-License-Identifier: Apache-2.0

package kmsapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

func (a *API) keyPolicyOps() []pipeline.Op {
	return []pipeline.Op{
		define(a, "GetKeyPolicy", pipeline.Read, a.Keys.GetKeyPolicy),
		define(a, "PutKeyPolicy", 0, a.Keys.PutKeyPolicy),
		define(a, "ListKeyPolicies", pipeline.Read, a.Keys.ListKeyPolicies),
	}
}
