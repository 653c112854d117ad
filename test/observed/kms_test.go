// SPDX-License-Identifier: Apache-2.0

package observed

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/link/keystore/keystoretest"
	"github.com/cofferstore/coffer/test/coffertest"
)

// members are what a KMS request or answer has.
type members map[string]any

// kms makes a KMS request and returns the answer's document.
func (r *row) kms(operation string, in members) (int, members) {
	r.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		r.Fatal(err)
	}
	a := r.send(r.signedFor("kms", string(body), "Content-Type", "application/x-amz-json-1.1", "X-Amz-Target", "TrentService."+operation))
	var out members
	if len(a.body) > 0 {
		if err := json.Unmarshal([]byte(a.body), &out); err != nil {
			r.Fatalf("%s: %v: %s", operation, err, a.body)
		}
	}
	return a.status, out
}

// does makes a KMS request that must succeed.
func (r *row) does(operation string, in members) members {
	r.Helper()
	status, out := r.kms(operation, in)
	if status != 200 {
		r.Fatalf("%s: %d %v", operation, status, out)
	}
	return out
}

// refuses makes a KMS request that must fail so; message "" stands for none, else it is a part.
func (r *row) refuses(operation string, in members, code, message string) {
	r.Helper()
	status, out := r.kms(operation, in)
	text, there := out["message"].(string)
	if status != 400 || out["__type"] != code || !strings.Contains(text, message) || message == "" && there {
		r.Errorf("%s: got %d %v, want %s %q", operation, status, out, code, message)
	}
}

// key makes a KMS key and returns its metadata.
func (r *row) key(in members) members {
	r.Helper()
	return r.does("CreateKey", in)["KeyMetadata"].(map[string]any)
}

func (r *row) arn(in members) string { r.Helper(); return r.key(in)["Arn"].(string) }

func bytes64(n int) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("x"), n)) }

// importing prepares an import of a key's material.
func (r *row) importing(arn string, letter string) *kms.ImportKeyMaterialInput {
	r.Helper()
	p, err := r.s.KMS.GetParametersForImport(r.Context(), &kms.GetParametersForImportInput{
		KeyId: &arn, WrappingAlgorithm: types.AlgorithmSpecRsaAesKeyWrapSha256, WrappingKeySpec: types.WrappingKeySpecRsa2048,
	})
	if err != nil {
		r.Fatal(err)
	}
	blob, err := keystoretest.Wrap(p.PublicKey, keystore.WrapSHA256, []byte(strings.Repeat(letter, 32)))
	if err != nil {
		r.Fatal(err)
	}
	return &kms.ImportKeyMaterialInput{KeyId: &arn, ImportToken: p.ImportToken, EncryptedKeyMaterial: blob, ExpirationModel: types.ExpirationModelTypeKeyMaterialDoesNotExpire}
}

func TestKMS(t *testing.T) {
	s := start(t)
	region := "arn:aws:kms:" + coffertest.Region + ":" + coffertest.Account + ":"
	s.row("10.1", "a key id that is none", func(r *row) {
		for _, id := range []string{"fake", strings.ReplaceAll(missingKey, "-", "")} {
			r.refuses("DescribeKey", members{"KeyId": id}, "NotFoundException", "Invalid keyId '"+id+"'")
		}
	})
	s.row("10.2", "a key that there is not", func(r *row) {
		for _, id := range []string{missingKey, "mrk-00000000000000000000000000000000"} {
			r.refuses("DescribeKey", members{"KeyId": id}, "NotFoundException", "Key '"+region+"key/"+id+"' does not exist")
		}
	})
	s.row("10.3", "the ARN of another region", func(r *row) {
		r.refuses("DescribeKey", members{"KeyId": "arn:aws:kms:eu-west-1:" + coffertest.Account + ":key/" + missingKey}, "NotFoundException", "Invalid arn eu-west-1")
	})
	s.row("10.4", "a disabled key", func(r *row) {
		arn := r.arn(nil)
		sealed := r.does("Encrypt", members{"KeyId": arn, "Plaintext": "eA=="})["CiphertextBlob"]
		r.does("DisableKey", members{"KeyId": arn})
		for operation, in := range map[string]members{
			"Encrypt": {"KeyId": arn, "Plaintext": "eA=="}, "Decrypt": {"CiphertextBlob": sealed}, "RotateKeyOnDemand": {"KeyId": arn},
			"GenerateDataKey": {"KeyId": arn, "KeySpec": "AES_256"}, "GenerateDataKeyWithoutPlaintext": {"KeyId": arn, "KeySpec": "AES_256"},
		} {
			r.refuses(operation, in, "DisabledException", arn+" is disabled.")
		}
	})
	s.row("10.5", "a key that waits to be deleted", func(r *row) {
		arn := r.arn(nil)
		r.does("ScheduleKeyDeletion", members{"KeyId": arn})
		r.refuses("Encrypt", members{"KeyId": arn, "Plaintext": "eA=="}, "KMSInvalidStateException", arn+" is pending deletion.")
	})
	s.row("10.6", "a key without material", func(r *row) {
		arn := r.arn(members{"Origin": "EXTERNAL"})
		r.refuses("Encrypt", members{"KeyId": arn, "Plaintext": "eA=="}, "KMSInvalidStateException", arn+" is pending import.")
		if _, err := r.s.KMS.ImportKeyMaterial(r.Context(), r.importing(arn, "a")); err != nil {
			r.Fatal(err)
		}
		r.does("Encrypt", members{"KeyId": arn, "Plaintext": "eA=="})
		r.does("DeleteImportedKeyMaterial", members{"KeyId": arn})
		r.refuses("Encrypt", members{"KeyId": arn, "Plaintext": "eA=="}, "KMSInvalidStateException", arn+" is pending import.")
	})
	s.row("10.7", "a ciphertext that is none, or with another context", func(r *row) {
		arn := r.arn(nil)
		sealed := r.does("Encrypt", members{"KeyId": arn, "Plaintext": "eA==", "EncryptionContext": members{"a": "b"}})["CiphertextBlob"]
		for _, in := range []members{{"CiphertextBlob": sealed}, {"CiphertextBlob": sealed, "EncryptionContext": members{"a": "c"}}, {"CiphertextBlob": "Z2FyYmFnZQ=="}} {
			r.refuses("Decrypt", in, "InvalidCiphertextException", "")
		}
	})
	s.row("10.8", "another key than the ciphertext's", func(r *row) {
		arn, other := r.arn(nil), r.arn(nil)
		sealed := r.does("Encrypt", members{"KeyId": arn, "Plaintext": "eA=="})["CiphertextBlob"]
		const text = "The key ID in the request does not identify a CMK that can perform this operation."
		r.refuses("Decrypt", members{"KeyId": other, "CiphertextBlob": sealed}, "IncorrectKeyException", text)
		r.refuses("ReEncrypt", members{"SourceKeyId": other, "DestinationKeyId": arn, "CiphertextBlob": sealed}, "IncorrectKeyException", text)
	})
	s.row("10.9", "an operation that the key is not for", func(r *row) {
		arn := r.arn(members{"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"})
		r.refuses("Encrypt", members{"KeyId": arn, "Plaintext": "eA==", "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}, "InvalidKeyUsageException", arn+" key usage is SIGN_VERIFY which is not valid for Encrypt.")
	})
	s.row("10.10", "a long plaintext", func(r *row) {
		r.refuses("Encrypt", members{"KeyId": r.arn(nil), "Plaintext": bytes64(4097)}, "ValidationException",
			"1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096")
	})
	s.row("10.11", "a plaintext too long for RSA", func(r *row) {
		for spec, sizes := range map[string][2]int{"RSA_2048": {190, 214}, "RSA_3072": {318, 342}, "RSA_4096": {446, 470}} {
			arn := r.arn(members{"KeySpec": spec, "KeyUsage": "ENCRYPT_DECRYPT"})
			algorithms := []string{"RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1"}
			if _, _, enforced := fips.State(); enforced { // which forbids SHA-1
				algorithms = algorithms[:1]
			}
			for i, algorithm := range algorithms {
				r.does("Encrypt", members{"KeyId": arn, "EncryptionAlgorithm": algorithm, "Plaintext": bytes64(sizes[i])})
				r.refuses("Encrypt", members{"KeyId": arn, "EncryptionAlgorithm": algorithm, "Plaintext": bytes64(sizes[i] + 1)}, "ValidationException",
					fmt.Sprintf("Algorithm %s and key spec %s cannot encrypt data larger than %d bytes.", algorithm, spec, sizes[i]))
			}
		}
	})
	s.row("10.12", "GenerateRandom", func(r *row) {
		r.refuses("GenerateRandom", members{"NumberOfBytes": 0}, "ValidationException", "Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have value greater than or equal to 1")
		r.refuses("GenerateRandom", members{"NumberOfBytes": 1025}, "ValidationException", "Member must have value less than or equal to 1024")
		r.refuses("GenerateRandom", members{}, "ValidationException", "NumberOfBytes is required.")
	})
	s.row("10.13", "an alias without its prefix", func(r *row) {
		r.refuses("CreateAlias", members{"AliasName": "main", "TargetKeyId": r.arn(nil)}, "ValidationException", `Alias must start with the prefix "alias/".`)
	})
	s.row("10.14", "a key without its usage", func(r *row) {
		for _, spec := range []string{"RSA_2048", "ECC_NIST_P256", "HMAC_256"} {
			r.refuses("CreateKey", members{"KeySpec": spec}, "ValidationException", "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
		}
	})
	s.row("10.15", "a value that is none of the possible", func(r *row) {
		r.refuses("CreateKey", members{"KeySpec": "AES_1"}, "ValidationException", "1 validation error detected: Value 'AES_1' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: [")
	})
	s.row("10.16", "a dry run that would succeed", func(r *row) {
		r.refuses("Encrypt", members{"KeyId": r.arn(nil), "Plaintext": "eA==", "DryRun": true}, "DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
	})
	s.row("10.17", "tags that are refused", func(r *row) {
		arn := r.arn(nil)
		tag := func(keys ...string) members {
			var tags []members
			for _, k := range keys {
				tags = append(tags, members{"TagKey": k, "TagValue": "v"})
			}
			return members{"KeyId": arn, "Tags": tags}
		}
		r.refuses("TagResource", tag("a", "a"), "TagException", "Duplicate tag keys")
		var many []string
		for i := range 51 {
			many = append(many, fmt.Sprint(i))
		}
		r.refuses("TagResource", tag(many...), "TagException", "Too many tags")
		for _, k := range []string{"aws:a", "AWS:a"} {
			r.refuses("TagResource", tag(k), "TagException", "Tags beginning with aws: are reserved")
		}
	})
	s.row("10.18", "tags that are too long", func(r *row) {
		arn := r.arn(nil)
		r.refuses("TagResource", members{"KeyId": arn, "Tags": []members{{"TagKey": strings.Repeat("k", 129), "TagValue": ""}}}, "ValidationException", "at 'tags.1.member.tagKey' failed to satisfy constraint: Member must have length less than or equal to 128")
		r.refuses("TagResource", members{"KeyId": arn, "Tags": []members{{"TagKey": "k", "TagValue": strings.Repeat("v", 257)}}}, "ValidationException", "at 'tags.1.member.tagValue' failed to satisfy constraint: Member must have length less than or equal to 256")
	})
	s.row("10.19", "rotation of keys that do not rotate", func(r *row) {
		for spec, usage := range map[string]string{"ECC_NIST_P256": "SIGN_VERIFY", "HMAC_256": "GENERATE_VERIFY_MAC"} {
			r.refuses("RotateKeyOnDemand", members{"KeyId": r.arn(members{"KeySpec": spec, "KeyUsage": usage})}, "UnsupportedOperationException", "")
		}
	})
	s.row("10.20", "rotation of imported material with no other", func(r *row) {
		arn := r.arn(members{"Origin": "EXTERNAL"})
		if _, err := r.s.KMS.ImportKeyMaterial(r.Context(), r.importing(arn, "a")); err != nil {
			r.Fatal(err)
		}
		r.refuses("RotateKeyOnDemand", members{"KeyId": arn}, "KMSInvalidStateException", "No available key material pending rotation for the key: "+arn+".")
	})
	s.row("10.21", "rotations on demand", func(r *row) {
		arn := r.arn(nil)
		for range 25 { // 10 when it was recorded
			r.is("key", r.does("RotateKeyOnDemand", members{"KeyId": idOf(arn)})["KeyId"].(string), arn)
		}
		r.refuses("RotateKeyOnDemand", members{"KeyId": arn}, "LimitExceededException", "The on-demand rotations limit has been reached")
	})
	s.row("10.22", "an import into a key of KMS's own", func(r *row) {
		arn := r.arn(nil)
		r.refuses("GetParametersForImport", members{"KeyId": arn, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"},
			"UnsupportedOperationException", arn+" origin is AWS_KMS which is not valid for this operation.")
	})
	s.row("10.23", "an import that expires never", func(r *row) {
		arn := r.arn(members{"Origin": "EXTERNAL"})
		in := r.importing(arn, "a")
		r.refuses("ImportKeyMaterial", members{"KeyId": arn, "ImportToken": in.ImportToken, "EncryptedKeyMaterial": in.EncryptedKeyMaterial, "ExpirationModel": "KEY_MATERIAL_EXPIRES"},
			"ValidationException", "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
	})
	s.row("10.24", "an import while another waits", func(r *row) {
		arn := r.arn(members{"Origin": "EXTERNAL"})
		for _, letter := range []string{"a", "b"} {
			in := r.importing(arn, letter)
			if letter == "b" {
				in.ImportType = types.ImportTypeNewKeyMaterial
			}
			if _, err := r.s.KMS.ImportKeyMaterial(r.Context(), in); err != nil {
				r.Fatal(err)
			}
		}
		in := r.importing(arn, "c")
		r.refuses("ImportKeyMaterial", members{"KeyId": arn, "ImportToken": in.ImportToken, "EncryptedKeyMaterial": in.EncryptedKeyMaterial,
			"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE", "ImportType": "NEW_KEY_MATERIAL"}, "KMSInvalidStateException", "cannot be imported into KMS key "+arn+", because another key material (id: ")
	})
	s.row("10.25", "a replica: there is no other region, and KMS says so", func(r *row) {
		arn := r.arn(members{"MultiRegion": true})
		r.refuses("ReplicateKey", members{"KeyId": arn, "ReplicaRegion": "eu-west-1"}, "UnsupportedOperationException", "Replicas of multi-Region keys")
	})
	s.row("10.26", "a MAC of another length than the key's", func(r *row) {
		arn := r.arn(members{"KeySpec": "HMAC_224", "KeyUsage": "GENERATE_VERIFY_MAC"})
		r.refuses("GenerateMac", members{"KeyId": arn, "Message": "eA==", "MacAlgorithm": "HMAC_SHA_256"}, "InvalidKeyUsageException", "Algorithm HMAC_SHA_256 is incompatible with key spec HMAC_224.")
	})
	s.row("10.27", "a MAC or signature of something else", func(r *row) {
		mac := r.arn(members{"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"})
		r.refuses("VerifyMac", members{"KeyId": mac, "Message": "eA==", "MacAlgorithm": "HMAC_SHA_256", "Mac": bytes64(32)}, "KMSInvalidMacException", "")
		sign := r.arn(members{"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"})
		r.refuses("Verify", members{"KeyId": sign, "Message": "eA==", "SigningAlgorithm": "RSASSA_PSS_SHA_256", "Signature": bytes64(256)}, "KMSInvalidSignatureException", "")
	})
	s.row("10.28", "a digest of a wrong length", func(r *row) {
		arn := r.arn(members{"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"})
		r.refuses("Sign", members{"KeyId": arn, "Message": bytes64(31), "MessageType": "DIGEST", "SigningAlgorithm": "RSASSA_PSS_SHA_256"},
			"ValidationException", "Digest is invalid length for algorithm RSASSA_PSS_SHA_256.")
	})
}

func TestShapesOfKMS(t *testing.T) {
	s := start(t)
	// has fails unless a document has exactly these members.
	has := func(r *row, what string, got members, want string) {
		r.Helper()
		names := map[string]bool{}
		for n := range strings.FieldsSeq(want) {
			names[n] = true
			if _, ok := got[n]; !ok {
				r.Errorf("%s has no %s: %v", what, n, got)
			}
		}
		for n := range got {
			if !names[n] {
				r.Errorf("%s has %s: %v", what, n, got[n])
			}
		}
	}
	const symmetric = "AWSAccountId Arn CreationDate CurrentKeyMaterialId CustomerMasterKeySpec Description Enabled EncryptionAlgorithms KeyId KeyManager KeySpec KeyState KeyUsage MultiRegion Origin"
	s.row("10.29", "keys", func(r *row) {
		has(r, "a symmetric key", r.key(nil), symmetric)
		mac := r.key(members{"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"})
		has(r, "an HMAC key", mac, strings.NewReplacer(" CurrentKeyMaterialId", "", "EncryptionAlgorithms", "MacAlgorithms").Replace(symmetric))
		external := r.key(members{"Origin": "EXTERNAL"})
		has(r, "an external key", external, strings.Replace(symmetric, " CurrentKeyMaterialId", "", 1))
		r.is("its state", fmt.Sprint(external["Enabled"], external["KeyState"]), "falsePendingImport")
		arn := external["Arn"].(string)
		if _, err := r.s.KMS.ImportKeyMaterial(r.Context(), r.importing(arn, "a")); err != nil {
			r.Fatal(err)
		}
		has(r, "with material", r.does("DescribeKey", members{"KeyId": arn})["KeyMetadata"].(map[string]any), symmetric+" ExpirationModel")
		r.does("DeleteImportedKeyMaterial", members{"KeyId": arn})
		after := r.does("DescribeKey", members{"KeyId": arn})["KeyMetadata"].(map[string]any)
		if after["KeyState"] != "PendingImport" || after["CurrentKeyMaterialId"] == nil {
			r.Errorf("after its deletion: %v", after)
		}
	})
	s.row("10.30", "what cryptographic operations answer", func(r *row) {
		arn := r.arn(nil)
		sealed := r.does("Encrypt", members{"KeyId": idOf(arn), "Plaintext": "eA=="})
		has(r, "Encrypt", sealed, "CiphertextBlob EncryptionAlgorithm KeyId")
		opened := r.does("Decrypt", members{"CiphertextBlob": sealed["CiphertextBlob"]})
		has(r, "Decrypt", opened, "EncryptionAlgorithm KeyId KeyMaterialId Plaintext")
		r.is("material's id", fmt.Sprint(len(opened["KeyMaterialId"].(string))), "64")
		data := r.does("GenerateDataKey", members{"KeyId": idOf(arn), "KeySpec": "AES_256"})
		has(r, "GenerateDataKey", data, "CiphertextBlob KeyId KeyMaterialId Plaintext")
		has(r, "GenerateDataKeyWithoutPlaintext", r.does("GenerateDataKeyWithoutPlaintext", members{"KeyId": arn, "KeySpec": "AES_256"}), "CiphertextBlob KeyId KeyMaterialId")
		again := r.does("ReEncrypt", members{"CiphertextBlob": sealed["CiphertextBlob"], "DestinationKeyId": idOf(arn)})
		for _, n := range []string{"CiphertextBlob", "SourceKeyId", "KeyId", "SourceEncryptionAlgorithm", "DestinationEncryptionAlgorithm"} {
			if again[n] == nil {
				r.Errorf("ReEncrypt has no %s: %v", n, again)
			}
		}
		for what, got := range map[string]any{"Encrypt": sealed["KeyId"], "Decrypt": opened["KeyId"], "GenerateDataKey": data["KeyId"], "ReEncrypt": again["KeyId"], "ReEncrypt's source": again["SourceKeyId"]} {
			r.is("key of "+what, fmt.Sprint(got), arn)
		}
	})
	s.row("10.31", "rotation", func(r *row) {
		arn := r.arn(nil)
		sealed := r.does("Encrypt", members{"KeyId": arn, "Plaintext": "eA=="})["CiphertextBlob"]
		r.does("RotateKeyOnDemand", members{"KeyId": arn})
		r.is("plaintext", fmt.Sprint(r.does("Decrypt", members{"CiphertextBlob": sealed})["Plaintext"]), "eA==")
		off := r.does("GetKeyRotationStatus", members{"KeyId": idOf(arn)})
		r.is("off", fmt.Sprint(off["KeyId"], off["KeyRotationEnabled"], off["NextRotationDate"]), arn+"false <nil>")
		r.does("EnableKeyRotation", members{"KeyId": arn})
		on := r.does("GetKeyRotationStatus", members{"KeyId": arn})
		r.is("on", fmt.Sprint(on["KeyRotationEnabled"], on["RotationPeriodInDays"]), "true 365")
		next, _ := on["NextRotationDate"].(float64)
		if d := time.Until(time.Unix(int64(next), 0)); d < 364*24*time.Hour || d > 366*24*time.Hour {
			r.Errorf("next rotation in %s", d)
		}
	})
	s.row("10.32", "tags", func(r *row) {
		arn := r.arn(members{"Tags": []members{{"TagKey": "a", "TagValue": "1"}, {"TagKey": "b", "TagValue": "2"}}})
		r.does("TagResource", members{"KeyId": arn, "Tags": []members{{"TagKey": "a", "TagValue": "3"}}})
		r.is("tags", fmt.Sprint(r.does("ListResourceTags", members{"KeyId": arn})["Tags"]), "[map[TagKey:a TagValue:3] map[TagKey:b TagValue:2]]")
		r.does("UntagResource", members{"KeyId": arn, "TagKeys": []string{"a", "b"}})
		if tags, ok := r.does("ListResourceTags", members{"KeyId": arn})["Tags"].([]any); !ok || len(tags) != 0 {
			r.Errorf("tags in the end: %v", tags)
		}
	})
}
