// SPDX-License-Identifier: Apache-2.0

package kmsapi

import (
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) cryptoOps() []pipeline.Op {
	return []pipeline.Op{
		defineAs(a, "Encrypt", pipeline.Read, a.Keys.Encrypt, encrypted),
		define(a, "Decrypt", pipeline.Read, a.Keys.Decrypt),
		define(a, "ReEncrypt", pipeline.Read, a.Keys.ReEncrypt),
	}
}

type encryptAnswer struct {
	CiphertextBlob      []byte
	EncryptionAlgorithm string
	KeyId               string
}

// encrypted leaves out the material, which the API's answer does not name.
func encrypted(r kms.Encrypted) any {
	return encryptAnswer{r.CiphertextBlob, r.EncryptionAlgorithm, r.KeyId}
}
