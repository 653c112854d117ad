// SPDX-License-Identifier: Apache-2.0

package kmsapi

import (
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) keyOps() []pipeline.Op {
	return []pipeline.Op{
		defineAs(a, "CreateKey", 0, a.Keys.CreateKey, inMetadata),
		defineAs(a, "DescribeKey", pipeline.Read, a.Keys.DescribeKey, inMetadata),
		define(a, "ListKeys", pipeline.Read, a.Keys.ListKeys),
		define(a, "GetKeyLastUsage", pipeline.Read, a.Keys.GetKeyLastUsage),
		define(a, "UpdateKeyDescription", 0, a.Keys.UpdateKeyDescription),
		define(a, "EnableKey", 0, a.Keys.EnableKey),
		define(a, "DisableKey", 0, a.Keys.DisableKey),
		define(a, "ScheduleKeyDeletion", 0, a.Keys.ScheduleKeyDeletion),
		define(a, "CancelKeyDeletion", 0, a.Keys.CancelKeyDeletion),
	}
}

type metadataAnswer struct{ KeyMetadata kms.KeyMetadata }

func inMetadata(m kms.KeyMetadata) any { return metadataAnswer{m} }
