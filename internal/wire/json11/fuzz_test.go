// SPDX-License-Identifier: Apache-2.0

package json11

import (
	"strings"
	"testing"
)

// FuzzDecode looks for documents that the codec takes and writes differently.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"KeyId":"a","Plaintext":"YQ==","EncryptionContext":{"a":"\ud83d\ude00"},"GrantTokens":["x"],"DryRun":true}`))
	f.Add([]byte(`{"KeyId":"\u0000","EncryptionContext":{}}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		var first, again encrypt
		if Decode(append([]byte(nil), document...), &first) != nil {
			return
		}
		if err := checkText(document); len(document) > 0 && err != nil && strings.TrimSpace(string(document)) != "" {
			t.Fatalf("took what is no text: %v", err)
		}
		written := Encode(struct {
			KeyId       string
			GrantTokens []string
			DryRun      bool
		}{first.KeyId, first.GrantTokens, first.DryRun})
		if err := Decode(written, &again); err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		if again.KeyId != first.KeyId || again.DryRun != first.DryRun || len(again.GrantTokens) != len(first.GrantTokens) {
			t.Fatalf("%q reads back as %+v from %s", document, again, written)
		}
	})
}
