// SPDX-License-Identifier: Apache-2.0

// Package kmsapi speaks the KMS API: JSON 1.1 documents over POST, the operation
// in X-Amz-Target. It reads them into core/kms's typed requests and writes the
// results, with the codec of package json11. It decides nothing.
//
// A file is a feature, named as in core: its operations, and what their answers
// look like where that is not the result itself.
package kmsapi

import (
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/json11"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// NeedsSecureTransport: the request came over a connection that anybody may have read.
const NeedsSecureTransport fault.Kind = "kmsapi: needs a secure connection"

// target is KMS's name in X-Amz-Target.
var target = json11.Target{"TrentService."}

// API is the KMS family's operations over the key management service.
type API struct{ Keys *kms.Service }

// Family returns the family. It matches requests by their X-Amz-Target.
func (a *API) Family() *pipeline.Family {
	ops := a.ops()
	return &pipeline.Family{
		Name: "kms", Source: "kms.amazonaws.com", Services: []string{"kms"}, Whole: true,
		Match: target.Match, Find: target.Find(ops),
		Codes: codes, Fault: json11.Fault(onTheWire), Ops: ops,
		TellsCaller: true,
	}
}

// ops is the table of everything KMS does here, feature by feature, and of what
// it does not do.
func (a *API) ops() []pipeline.Op {
	var ops []pipeline.Op
	for _, feature := range [][]pipeline.Op{
		a.keyOps(), a.aliasOps(), a.cryptoOps(), a.dataKeyOps(), a.signOps(), a.importOps(), a.rotationOps(), a.keyPolicyOps(), a.grantOps(), a.tagOps(),
		unsupportedOps(),
	} {
		ops = append(ops, feature...)
	}
	return ops
}
