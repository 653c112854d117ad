// SPDX-License-Identifier: Apache-2.0

package kmsapi

import (
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// unsupportedOps are the operations of the API that Coffer does not offer. Their
// callers are authenticated and their calls recorded, as others.
func unsupportedOps() []pipeline.Op {
	var ops []pipeline.Op
	for _, group := range []struct {
		what        string
		reads, rest []string
	}{
		{
			what:  "Custom key stores",
			reads: []string{"DescribeCustomKeyStores"},
			rest: []string{
				"ConnectCustomKeyStore", "CreateCustomKeyStore", "DeleteCustomKeyStore", "DisconnectCustomKeyStore", "UpdateCustomKeyStore",
			},
		}, {
			what:  "Key encapsulation",
			reads: []string{"Decapsulate", "Encapsulate"},
		}, {
			what: "Replicas of multi-Region keys",
			rest: []string{"ReplicateKey", "UpdatePrimaryRegion"},
		},
	} {
		err := fault.New(kms.UnsupportedOperation, "%s: not supported by Coffer.", group.what)
		for _, name := range group.reads {
			op := pipeline.Unsupported(name, target.Route(name), err)
			op.Traits = pipeline.Read
			ops = append(ops, op)
		}
		for _, name := range group.rest {
			ops = append(ops, pipeline.Unsupported(name, target.Route(name), err))
		}
	}
	return ops
}
