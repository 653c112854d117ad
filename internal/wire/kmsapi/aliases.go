// SPDX-License-Identifier: Apache-2.0

package kmsapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

func (a *API) aliasOps() []pipeline.Op {
	return []pipeline.Op{
		define(a, "CreateAlias", 0, a.Keys.CreateAlias),
		define(a, "UpdateAlias", 0, a.Keys.UpdateAlias),
		define(a, "DeleteAlias", 0, a.Keys.DeleteAlias),
		define(a, "ListAliases", pipeline.Read, a.Keys.ListAliases),
	}
}
