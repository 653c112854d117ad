// SPDX-License-Identifier: Apache-2.0

package kmsapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

func (a *API) grantOps() []pipeline.Op {
	return []pipeline.Op{
		define(a, "CreateGrant", 0, a.Keys.CreateGrant),
		define(a, "ListGrants", pipeline.Read, a.Keys.ListGrants),
		define(a, "ListRetirableGrants", pipeline.Read, a.Keys.ListRetirableGrants),
		define(a, "RetireGrant", 0, a.Keys.RetireGrant),
		define(a, "RevokeGrant", 0, a.Keys.RevokeGrant),
	}
}
