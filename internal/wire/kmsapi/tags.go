// SPDX-License-Identifier: Apache-2.0

package kmsapi

import "github.com/cofferstore/coffer/internal/wire/pipeline"

func (a *API) tagOps() []pipeline.Op {
	return []pipeline.Op{
		define(a, "TagResource", 0, a.Keys.TagResource),
		define(a, "UntagResource", 0, a.Keys.UntagResource),
		define(a, "ListResourceTags", pipeline.Read, a.Keys.ListResourceTags),
	}
}
