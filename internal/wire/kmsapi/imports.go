// SPDX-License-Identifier: Apache-2.0

package kmsapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

func (a *API) importOps() []pipeline.Op {
	return []pipeline.Op{
		define(a, "GetParametersForImport", pipeline.Read, a.Keys.GetParametersForImport),
		define(a, "ImportKeyMaterial", 0, a.Keys.ImportKeyMaterial),
		define(a, "DeleteImportedKeyMaterial", 0, a.Keys.DeleteImportedKeyMaterial),
	}
}
