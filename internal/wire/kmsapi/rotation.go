// SPDX-License-Identifier: Apache-2.0

package kmsapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

func (a *API) rotationOps() []pipeline.Op {
	return []pipeline.Op{
		define(a, "EnableKeyRotation", 0, a.Keys.EnableKeyRotation),
		define(a, "DisableKeyRotation", 0, a.Keys.DisableKeyRotation),
		define(a, "GetKeyRotationStatus", pipeline.Read, a.Keys.GetKeyRotationStatus),
		define(a, "RotateKeyOnDemand", 0, a.Keys.RotateKeyOnDemand),
		define(a, "ListKeyRotations", pipeline.Read, a.Keys.ListKeyRotations),
	}
}
