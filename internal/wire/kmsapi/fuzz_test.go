// SPDX-License-Identifier: Apache-2.0

package kmsapi

import (
	"encoding/json"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/cofferstore/coffer/internal/core/kms"
)

// FuzzOperation sends documents to every operation: done, or refused by name, and
// never an internal error.
func FuzzOperation(f *testing.F) {
	shared := newStation(f)
	id, arn := shared.key()
	waiting := *ok(shared.CreateKey(f.Context(), &sdk.CreateKeyInput{Origin: "EXTERNAL"}))(shared).KeyMetadata.KeyId
	signer := shared.keyOf("ECC_NIST_P256", "SIGN_VERIFY")
	var names []string
	for _, op := range (&API{Keys: &kms.Service{}}).ops() {
		names = append(names, op.Name)
	}
	for i := range names {
		for _, document := range []string{
			`{}`, `{"KeyId":"` + id + `"}`, `{"KeyId":"` + arn + `","Policy":"{}","PolicyName":"default","Limit":1,"Marker":"x"}`,
			`{"KeyId":"alias/x","AliasName":"alias/x","TargetKeyId":"` + id + `","Description":"d","PendingWindowInDays":7,"RotationPeriodInDays":90}`,
			`{"KeyId":"` + id + `","Plaintext":"YQ==","EncryptionContext":{"a":"b"},"KeySpec":"AES_256","NumberOfBytes":32,"DryRun":true}`,
			`{"CiphertextBlob":"Q0tCMQ==","SourceEncryptionContext":{"a":1},"DestinationKeyId":"` + arn + `","GrantTokens":["x"]}`,
			`{"KeyId":"` + waiting + `","ImportToken":"Q0lUMQ==","EncryptedKeyMaterial":"YQ==","ValidTo":1.5e9,"ImportType":"NEW_KEY_MATERIAL"}`,
			`{"KeyId":"` + signer + `","Message":"YQ==","Signature":"MAA=","SigningAlgorithm":"ECDSA_SHA_256","MessageType":"DIGEST","Mac":"YQ==","MacAlgorithm":"HMAC_SHA_256"}`,
			`{"KeyId":"` + id + `","PublicKey":"MAA=","KeyAgreementAlgorithm":"ECDH","KeyPairSpec":"ECC_NIST_P256","ValidTo":-1e300}`,
			`{"Tags":[{"TagKey":"a","TagValue":"b"}],"TagKeys":["a"],"KeyId":"arn:aws:kms:us-east-1:1:key/x"}`,
		} {
			f.Add(uint8(i), document)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, document string) {
		shared.trail.records = nil
		s := *shared
		s.t = t
		name := names[int(which)%len(names)]
		a := s.post(name, document, loopback)
		var refusal struct {
			Type string `json:"__type"`
		}
		if a.Body.Len() > 0 {
			if err := json.Unmarshal(a.Body.Bytes(), &refusal); err != nil {
				t.Fatalf("%s %q: %d with what is no JSON: %s", name, document, a.Code, a.Body)
			}
		}
		if a.Code >= 500 || a.Code >= 400 && (refusal.Type == "" || refusal.Type == "InvalidSignatureException") {
			t.Errorf("%s %q: %d %s", name, document, a.Code, a.Body)
		}
	})
}
