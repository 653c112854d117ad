// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

func TestCreateKeyDescribesASymmetricKey(t *testing.T) {
	n := newNode(t)
	in := CreateKey{Description: "photos", Tags: []Tag{{"team", "web"}}, KeySpec: SymmetricDefault, KeyUsage: EncryptDecrypt, Origin: OriginKMS}
	made, err := n.CreateKey(t.Context(), owner, in)
	if err != nil {
		t.Fatal(err)
	}
	got := n.describe(made.Arn)
	if got.Arn != "arn:aws:kms:"+region+":"+home+":key/"+got.KeyId || got.AWSAccountId != home || !got.Enabled || got.KeyState != Enabled ||
		got.KeyManager != "CUSTOMER" || got.Description != "photos" || got.CustomerMasterKeySpec != SymmetricDefault || got.DeletionDate != nil ||
		len(got.CurrentKeyMaterialId) != 64 || !slices.Equal(got.EncryptionAlgorithms, []string{SymmetricDefault}) || got.CreationDate.IsZero() {
		t.Errorf("unexpected metadata %+v", got)
	}
	if !slices.Equal(made.Touches(), []string{made.Arn}) {
		t.Errorf("touches %v", made.Touches())
	}
}

func TestCreateKeyRefuses(t *testing.T) {
	n := newNode(t)
	tags := make([]Tag, 51)
	for i := range tags {
		tags[i].TagKey = uuid.NewString()
	}
	for name, c := range map[string]struct {
		in      CreateKey
		kind    fault.Kind
		message string
	}{
		"unknown spec": {CreateKey{KeySpec: "AES_512"}, Validation,
			"1 validation error detected: Value 'AES_512' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: [" + strings.Join(keySpecs, ", ") + "]"},
		"HMAC without usage": {CreateKey{KeySpec: "HMAC_256"}, Validation,
			"You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."},
		"a curve that there is not": {CreateKey{KeySpec: "ECC_SECG_P256K1", KeyUsage: SignVerify}, UnsupportedOperation, "Keys of KeySpec ECC_SECG_P256K1 are not supported."},
		"ML-DSA by the old member":  {CreateKey{CustomerMasterKeySpec: "ML_DSA_65", KeyUsage: SignVerify}, UnsupportedOperation, "Keys of KeySpec ML_DSA_65 are not supported."},
		"RSA without usage":         {CreateKey{KeySpec: "RSA_2048"}, Validation, "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."},
		"RSA for MACs":              {CreateKey{KeySpec: "RSA_2048", KeyUsage: GenerateVerifyMAC}, Validation, "KeyUsage GENERATE_VERIFY_MAC is not compatible with KeySpec RSA_2048"},
		"Ed25519 for agreement":     {CreateKey{KeySpec: "ECC_NIST_EDWARDS25519", KeyUsage: KeyAgreement}, Validation, ""},
		"both spec members":         {CreateKey{KeySpec: SymmetricDefault, CustomerMasterKeySpec: SymmetricDefault}, Validation, ""},
		"signing key":               {CreateKey{KeyUsage: "SIGN_VERIFY"}, Validation, ""},
		"a hardware module":         {CreateKey{Origin: "AWS_CLOUDHSM"}, UnsupportedOperation, "Keys of Origin AWS_CLOUDHSM are not supported."},
		"custom key store":          {CreateKey{CustomKeyStoreId: "cks-1"}, UnsupportedOperation, ""},
		"long description":          {CreateKey{Description: strings.Repeat("x", 8193)}, Validation, "1 validation error detected: Value at 'description' failed to satisfy constraint: Member must have length less than or equal to 8192"},
		"two problems": {CreateKey{KeyUsage: "X", Tags: []Tag{{strings.Repeat("k", 129), ""}}}, Validation,
			"2 validation errors detected: Value 'X' at 'keyUsage' failed to satisfy constraint: Member must satisfy enum value set: [SIGN_VERIFY, ENCRYPT_DECRYPT, GENERATE_VERIFY_MAC, KEY_AGREEMENT]; Value '" +
				strings.Repeat("k", 129) + "' at 'tags.1.member.tagKey' failed to satisfy constraint: Member must have length less than or equal to 128"},
		"duplicate tags": {CreateKey{Tags: []Tag{{"a", "1"}, {"a", "2"}}}, Tagging, "Duplicate tag keys"},
		"reserved tag":   {CreateKey{Tags: []Tag{{"AWS:a", "1"}}}, Tagging, "Tags beginning with aws: are reserved"},
		"51 tags":        {CreateKey{Tags: tags}, Tagging, "Too many tags"},
		"no policy":      {CreateKey{Policy: "{}"}, MalformedPolicy, ""},
	} {
		_, err := n.CreateKey(t.Context(), owner, c.in)
		refused(t, name, err, c.kind, c.message)
	}
	if list := must(n.ListKeys(t.Context(), owner, ListKeys{}))(t); len(list.Keys) != 0 {
		t.Errorf("refused requests made %d keys", len(list.Keys))
	}
}

func TestKeyNames(t *testing.T) {
	n := newNode(t)
	k := n.key()
	missing := uuid.NewString()
	for _, c := range []struct {
		what, name string
		kind       fault.Kind
		message    string
	}{
		{"word", "fake-key-id", NotFound, "Invalid keyId 'fake-key-id'"},
		{"UUID without dashes", strings.ReplaceAll(k.KeyId, "-", ""), NotFound, "Invalid keyId '" + strings.ReplaceAll(k.KeyId, "-", "") + "'"},
		{"UUID in upper case", strings.ToUpper(missing), NotFound, ""},
		{"missing UUID", missing, NotFound, "Key 'arn:aws:kms:" + region + ":" + home + ":key/" + missing + "' does not exist"},
		{"multi-Region id", "mrk-" + strings.Repeat("0", 32), NotFound, "Key 'arn:aws:kms:" + region + ":" + home + ":key/mrk-" + strings.Repeat("0", 32) + "' does not exist"},
		{"ARN of another Region", strings.Replace(k.Arn, region, "us-west-2", 1), NotFound, "Invalid arn us-west-2"},
		{"missing alias", "alias/none", NotFound, "Alias arn:aws:kms:" + region + ":" + home + ":alias/none is not found."},
		{"bare alias", "none", NotFound, "Invalid keyId 'none'"},
		{"ARN of another service", "arn:aws:s3:::bucket", InvalidArn, ""},
		{"ARN cut short", "arn:aws:kms:" + region, InvalidArn, ""},
		{"nothing", "", Validation, "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null"},
		{"missing key of another account", "arn:aws:kms:" + region + ":" + elsewhere + ":key/" + missing, AccessDenied, ""},
	} {
		_, err := n.DescribeKey(t.Context(), owner, DescribeKey{KeyId: c.name})
		refused(t, c.what, err, c.kind, c.message)
	}
	must(n.CreateAlias(t.Context(), owner, CreateAlias{"alias/photos", k.KeyId}))(t)
	for _, name := range []string{k.KeyId, k.Arn, "alias/photos", "arn:aws:kms:" + region + ":" + home + ":alias/photos"} {
		if got := n.describe(name); got.Arn != k.Arn {
			t.Errorf("%s is %s, want %s", name, got.Arn, k.Arn)
		}
	}
	_, err := n.EnableKey(t.Context(), owner, KeyOnly{"alias/photos"})
	refused(t, "alias where a key is wanted", err, NotFound, "Invalid keyId 'alias/photos'")
	_, err = n.EnableKey(t.Context(), owner, KeyOnly{"arn:aws:kms:" + region + ":" + home + ":alias/photos"})
	refused(t, "alias ARN where a key is wanted", err, InvalidArn, "")
}

func TestOnlyTheRootOfTheAccountIsAllowed(t *testing.T) {
	n := newNode(t)
	k := n.key()
	blob := n.encrypt(k.KeyId, "x", nil)
	for who, by := range map[string]iam.Caller{"user": alice, "root of another account": stranger, "nobody": anonymous} {
		for operation, call := range map[string]func() error{
			"kms:DescribeKey": func() error { _, err := n.DescribeKey(t.Context(), by, DescribeKey{KeyId: k.Arn}); return err },
			"kms:DisableKey":  func() error { _, err := n.DisableKey(t.Context(), by, KeyOnly{k.Arn}); return err },
			"kms:Decrypt": func() error {
				_, err := n.Decrypt(t.Context(), by, DecryptCiphertext{CiphertextBlob: blob})
				return err
			},
			"kms:GenerateDataKey": func() error {
				_, err := n.GenerateDataKey(t.Context(), by, GenerateDataKey{KeyId: k.Arn, KeySpec: "AES_256"})
				return err
			},
		} {
			arn := by.ARN
			if arn == "" {
				arn = "anonymous"
			}
			want := "User: " + arn + " is not authorized to perform: " + operation + " on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"
			if by.Account == home {
				want = "User: " + arn + " is not authorized to perform: " + operation + " on resource: " + k.Arn + " because no identity-based policy allows the " + operation + " action"
			}
			if operation == "kms:Decrypt" && by.Account != home {
				want = "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access."
			}
			refused(t, who+" "+operation, call(), AccessDenied, want)
		}
	}
	_, err := n.CreateKey(t.Context(), alice, CreateKey{})
	refused(t, "user CreateKey", err, AccessDenied, "User: "+alice.ARN+" is not authorized to perform: kms:CreateKey on resource: * because no identity-based policy allows the kms:CreateKey action")
	if got := n.describe(k.KeyId); got.KeyState != Enabled {
		t.Errorf("a refused DisableKey left %s", got.KeyState)
	}
}

func TestListKeysPages(t *testing.T) {
	n := newNode(t)
	want := map[string]bool{}
	for range 5 {
		want[n.key().KeyId] = true
	}
	must(n.CreateKey(t.Context(), stranger, CreateKey{}))(t)
	marker, pages := "", 0
	for {
		list := must(n.ListKeys(t.Context(), owner, ListKeys{Limit: ptr(2), Marker: marker}))(t)
		for _, k := range list.Keys {
			if !want[k.KeyId] {
				t.Errorf("%s listed twice or of another account", k.KeyId)
			}
			delete(want, k.KeyId)
		}
		pages++
		if marker = list.NextMarker; !list.Truncated {
			break
		}
	}
	if len(want) != 0 || pages != 3 || marker != "" {
		t.Errorf("%d pages, %d keys not listed, last marker %q", pages, len(want), marker)
	}
	for name, m := range map[string]string{"garbage": "x", "forged": marker + "AAAAAAAAAAAAAAAA", "of another list": must(n.tagMarker())(t)} {
		_, err := n.ListKeys(t.Context(), owner, ListKeys{Marker: m})
		refused(t, name+" marker", err, InvalidMarker, "")
	}
	for _, limit := range []int{0, 1001} {
		_, err := n.ListKeys(t.Context(), owner, ListKeys{Limit: &limit})
		refused(t, "limit", err, Validation, "")
	}
}

func (n *node) tagMarker() (string, error) {
	k := n.key()
	tag := TagResource{k.KeyId, []Tag{{"a", ""}, {"b", ""}}}
	if _, err := n.TagResource(n.t.Context(), owner, tag); err != nil {
		return "", err
	}
	list, err := n.ListResourceTags(n.t.Context(), owner, ListResourceTags{KeyId: k.KeyId, Limit: ptr(1)})
	return list.NextMarker, err
}

func TestKeyLimit(t *testing.T) {
	n := newNode(t)
	n.maxKeys = 2
	n.key()
	n.key()
	_, err := n.CreateKey(t.Context(), owner, CreateKey{})
	refused(t, "a third key", err, LimitExceeded, "")
	if _, err := n.CreateKey(t.Context(), stranger, CreateKey{}); err != nil {
		t.Errorf("another account: %v", err)
	}
	page, err := n.store.Scan(t.Context(), meta.Range{Start: []byte("k/m/"), End: meta.PrefixEnd([]byte("k/m/"))})
	if err != nil || len(page.Items) != 3 {
		t.Errorf("%d rows of material for 3 keys, %v", len(page.Items), err)
	}
}

func TestTags(t *testing.T) {
	n := newNode(t)
	k := n.key()
	tags := func() []Tag {
		t.Helper()
		return must(n.ListResourceTags(t.Context(), owner, ListResourceTags{KeyId: k.KeyId}))(t).Tags
	}
	if got := tags(); got == nil || len(got) != 0 {
		t.Errorf("a key without tags lists %#v, want an empty list", got)
	}
	must(n.TagResource(t.Context(), owner, TagResource{k.KeyId, []Tag{{"a", "1"}, {"b", "2"}}}))(t)
	must(n.TagResource(t.Context(), owner, TagResource{k.KeyId, []Tag{{"c", "3"}, {"a", "4"}}}))(t)
	if got := tags(); !slices.Equal(got, []Tag{{"a", "4"}, {"b", "2"}, {"c", "3"}}) {
		t.Errorf("got %v: a known tag keeps its place, a new one goes to the end", got)
	}
	must(n.UntagResource(t.Context(), owner, UntagResource{k.KeyId, []string{"a", "b", "c", "unknown"}}))(t)
	if got := tags(); got == nil || len(got) != 0 {
		t.Errorf("all tags removed, got %#v, want an empty list", got)
	}
	_, err := n.TagResource(t.Context(), owner, TagResource{k.KeyId, []Tag{{"a", strings.Repeat("v", 257)}}})
	refused(t, "long value", err, Validation, "1 validation error detected: Value '"+strings.Repeat("v", 257)+"' at 'tags.1.member.tagValue' failed to satisfy constraint: Member must have length less than or equal to 256")
	_, err = n.UntagResource(t.Context(), owner, UntagResource{k.KeyId, []string{"aws:x"}})
	refused(t, "reserved", err, Tagging, "Tags beginning with aws: are reserved")
}

func TestUpdateKeyDescription(t *testing.T) {
	n := newNode(t)
	k := n.key()
	must(n.UpdateKeyDescription(t.Context(), owner, UpdateKeyDescription{k.KeyId, "new"}))(t)
	if got := n.describe(k.KeyId).Description; got != "new" {
		t.Errorf("description %q", got)
	}
}

// Two administrators change the same key at once, and neither change is lost.
func TestConcurrentChangesAreAllKept(t *testing.T) {
	n := newNode(t)
	k := n.key()
	var wg sync.WaitGroup
	for _, tag := range []string{"a", "b", "c", "d", "e", "f"} {
		wg.Go(func() {
			if _, err := n.TagResource(t.Context(), owner, TagResource{k.KeyId, []Tag{{tag, ""}}}); err != nil {
				t.Error(err)
			}
			n.encrypt(k.KeyId, "x", nil)
		})
	}
	wg.Wait()
	if got := must(n.ListResourceTags(t.Context(), owner, ListResourceTags{KeyId: k.KeyId}))(t).Tags; len(got) != 6 {
		t.Errorf("6 concurrent taggings left %d tags", len(got))
	}
}

func TestStoreFailuresAreUnavailable(t *testing.T) {
	n := newNode(t)
	store := &failing{Store: n.store}
	n.Service.store, n.view.store = store, store
	k := n.key()
	store.set(errors.New("disk on fire"))
	_, err := n.DescribeKey(t.Context(), owner, DescribeKey{KeyId: k.Arn})
	refused(t, "DescribeKey", err, Unavailable, "")
	if strings.Contains(ErrorName(err), "Internal") {
		t.Errorf("called %s", ErrorName(err))
	}
	store.set(meta.Damaged)
	_, err = n.DescribeKey(t.Context(), owner, DescribeKey{KeyId: k.Arn})
	refused(t, "DescribeKey of a damaged row", err, Internal, "")
}

func TestEndlessConflictsEnd(t *testing.T) {
	n := newNode(t)
	k := n.key()
	other := New(n.store, n.materials, n.trail, Config{Region: region})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	store := &failing{Store: n.store, before: func() {
		_, _ = other.UpdateKeyDescription(ctx, owner, UpdateKeyDescription{k.KeyId, uuid.NewString()})
	}}
	n.Service.store = store
	_, err := n.DisableKey(ctx, owner, KeyOnly{k.KeyId})
	refused(t, "DisableKey against a busy writer", err, Unavailable, "")
}

func TestTouchedNamesWhatAFailedRequestMeant(t *testing.T) {
	n := newNode(t)
	k, l := n.key(), n.key()
	must(n.CreateAlias(t.Context(), owner, CreateAlias{"alias/photos", k.KeyId}))(t)
	aliasARN := "arn:aws:kms:" + region + ":" + home + ":alias/photos"
	blob := n.encrypt(k.KeyId, "x", nil)
	for name, c := range map[string]struct {
		request any
		want    []string
	}{
		"by alias":      {DescribeKey{KeyId: "alias/photos"}, []string{k.Arn}},
		"by ciphertext": {DecryptCiphertext{CiphertextBlob: blob}, []string{k.Arn}},
		"both keys":     {ReEncrypt{CiphertextBlob: blob, DestinationKeyId: l.KeyId}, []string{l.Arn, k.Arn}},
		"key and alias": {CreateAlias{"alias/photos", k.KeyId}, []string{k.Arn, aliasARN}},
		"nothing":       {ListKeys{}, nil},
		"nonsense":      {KeyOnly{"nonsense"}, nil},
	} {
		if got := n.Touched(t.Context(), owner, c.request); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestOperationsAreCounted(t *testing.T) {
	n := newNode(t)
	k := n.key()
	n.encrypt(k.KeyId, "x", nil)
	must(n.DisableKey(t.Context(), owner, KeyOnly{k.KeyId}))(t)
	_, _ = n.Encrypt(t.Context(), owner, Encrypt{KeyId: k.KeyId, Plaintext: secret.New([]byte("x"))})
	for _, want := range [][2]string{{"CreateKey", "ok"}, {"Encrypt", "ok"}, {"Encrypt", "DisabledException"}, {"DisableKey", "ok"}} {
		if got := n.counted(want[0], fromAPI, want[1]); got != 1 {
			t.Errorf("%s with outcome %s counted %v times, want once", want[0], want[1], got)
		}
	}
}

// counted reads a counter.
func (n *node) counted(operation, source, outcome string) float64 {
	n.t.Helper()
	families, err := n.metrics.Gather()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if family.GetName() == "coffer_kms_requests_total" && labels["operation"] == operation && labels["source"] == source && labels["outcome"] == outcome {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}
