// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"errors"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/iam"
)

// TestKeysOfReplicas: of the key of a replica either action is enough, a denial of either
// denies, and whoever makes no replica needs the one that generates.
func TestKeysOfReplicas(t *testing.T) {
	n := newTown(t)
	for _, c := range []struct {
		what              string
		allowed, denied   string
		replicates, reads bool
	}{
		{"encrypt", "kms:Encrypt", "", true, false},
		{"generate", "kms:GenerateDataKey", "", true, false},
		{"any generate", "kms:GenerateDataKey*", "", true, false},
		{"both", `kms:Encrypt","kms:GenerateDataKey`, "", true, false},
		{"encrypt is denied", `kms:Encrypt","kms:GenerateDataKey`, "kms:Encrypt", false, false},
		{"generate is denied", `kms:Encrypt","kms:GenerateDataKey`, "kms:GenerateDataKey", false, false},
		{"decrypt", "kms:Decrypt", "", false, true},
		{"nothing", "kms:DescribeKey", "", false, false},
	} {
		document := statement1(`"Effect":"Allow","Action":["` + c.allowed + `"],"Resource":"*"`)
		if c.denied != "" {
			document = documentOf(`{"Effect":"Allow","Action":["`+c.allowed+`"],"Resource":"*"}`, `{"Effect":"Deny","Action":"`+c.denied+`","Resource":"*"}`)
		}
		_, session := n.role(home, "role-"+strings.ReplaceAll(c.what, " ", "-"), document)
		k, v := n.keyWith(delegates), n.ViaS3()
		may := func(by iam.Caller, class Class) bool {
			err := v.Check(t.Context(), by, class, k.Arn, bucket)
			if err != nil && !errors.Is(err, AccessDenied) {
				t.Fatalf("%s: %v", c.what, err)
			}
			return err == nil
		}
		session.Replicates = true
		if got := may(session, Generate); got != c.replicates {
			t.Errorf("%s: makes replicas %t", c.what, got)
		}
		if got := may(session, Decrypt); got != c.reads {
			t.Errorf("%s: reads %t", c.what, got)
		}
		session.Replicates = false
		if may(session, Generate) && c.allowed == "kms:Encrypt" {
			t.Errorf("%s: whoever makes no replica needs only to encrypt", c.what)
		}
	}
}
