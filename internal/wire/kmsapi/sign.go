// SPDX-License-Identifier: Apache-2.0

package kmsapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

func (a *API) signOps() []pipeline.Op {
	return []pipeline.Op{
		define(a, "Sign", pipeline.Read, a.Keys.Sign),
		define(a, "Verify", pipeline.Read, a.Keys.Verify),
		define(a, "GetPublicKey", pipeline.Read, a.Keys.GetPublicKey),
		define(a, "DeriveSharedSecret", pipeline.Read, a.Keys.DeriveSharedSecret),
		define(a, "GenerateMac", pipeline.Read, a.Keys.GenerateMac),
		define(a, "VerifyMac", pipeline.Read, a.Keys.VerifyMac),
	}
}
