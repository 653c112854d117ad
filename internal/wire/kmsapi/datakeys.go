// SPDX-License-Identifier: Apache-2.0

package kmsapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

func (a *API) dataKeyOps() []pipeline.Op {
	return []pipeline.Op{
		define(a, "GenerateDataKey", pipeline.Read, a.Keys.GenerateDataKey),
		define(a, "GenerateDataKeyWithoutPlaintext", pipeline.Read, a.Keys.GenerateDataKeyWithoutPlaintext),
		define(a, "GenerateDataKeyPair", pipeline.Read, a.Keys.GenerateDataKeyPair),
		define(a, "GenerateDataKeyPairWithoutPlaintext", pipeline.Read, a.Keys.GenerateDataKeyPairWithoutPlaintext),
		define(a, "GenerateRandom", pipeline.Read, a.Keys.GenerateRandom),
	}
}
