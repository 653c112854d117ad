// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"strings"
	"testing"
)

// A key's policy stops the upkeep of bucket keys by name alone.
func TestUpkeepIsDenied(t *testing.T) {
	const allow = `{"Effect":"Allow","Principal":{"AWS":"ACCOUNT"},"Action":"kms:*","Resource":"*"}`
	for name, c := range map[string]struct {
		statement string
		denied    bool
	}{
		"nothing said":          {allow, false},
		"decrypting":            {`{"Effect":"Deny","Principal":{"Service":"s3.amazonaws.com"},"Action":"kms:Decrypt","Resource":"*"}`, true},
		"generating":            {`{"Effect":"Deny","Principal":{"Service":["x.amazonaws.com","s3.amazonaws.com"]},"Action":"kms:Gen*","Resource":"*"}`, true},
		"something else":        {`{"Effect":"Deny","Principal":{"Service":"s3.amazonaws.com"},"Action":"kms:Sign","Resource":"*"}`, false},
		"another service":       {`{"Effect":"Deny","Principal":{"Service":"ec2.amazonaws.com"},"Action":"kms:*","Resource":"*"}`, false},
		"everyone":              {`{"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*"}`, false},
		"only keys of accounts": {`{"Effect":"Deny","Principal":{"Service":"s3.amazonaws.com"},"Action":"kms:*","Resource":"*","Condition":{"StringNotEquals":{"kms:CallerAccount":"ACCOUNT"}}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			k := must(n.CreateKey(t.Context(), owner, CreateKey{}))(t)
			statements := c.statement
			if statements != allow {
				statements = allow + "," + statements
			}
			text := strings.ReplaceAll(`{"Version":"2012-10-17","Statement":[`+statements+`]}`, "ACCOUNT", owner.Account)
			if _, err := n.PutKeyPolicy(t.Context(), owner, PutKeyPolicy{KeyId: k.KeyId, Policy: text}); err != nil {
				t.Fatal(err)
			}
			err := n.ForService().Usable(t.Context(), k.Arn)
			if c.denied {
				refused(t, "usable", err, AccessDenied, "")
			} else if err != nil {
				t.Errorf("usable: %v", err)
			}
		})
	}
}
