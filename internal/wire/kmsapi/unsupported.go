// SPDX-License-Identifier: Apache-2.0

package kmsapi

import (
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/wire/json11"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// unsupportedOps are the operations of the API that Coffer does not offer. Their
// callers are authenticated and their calls recorded, as others.
func unsupportedOps() []pipeline.Op {
	return target.Unsupported(kms.UnsupportedOperation, []json11.Group{
		{
			What:  "Custom key stores",
			Reads: []string{"DescribeCustomKeyStores"},
			Rest: []string{
				"ConnectCustomKeyStore", "CreateCustomKeyStore", "DeleteCustomKeyStore", "DisconnectCustomKeyStore", "UpdateCustomKeyStore",
			},
		}, {
			What:  "Key encapsulation",
			Reads: []string{"Decapsulate", "Encapsulate"},
		}, {
			What: "Replicas of multi-Region keys",
			Rest: []string{"ReplicateKey", "UpdatePrimaryRegion"},
		},
	})
}
