// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cofferstore/coffer/internal/secret"
)

// A multi-Region key is named by its own form of id everywhere, and is otherwise a key
// like others.
func TestMultiRegionKeys(t *testing.T) {
	n, ctx := newNode(t), t.Context()
	made := must(n.CreateKey(ctx, owner, CreateKey{MultiRegion: true}))(t)
	if !regexp.MustCompile(`^mrk-[0-9a-f]{32}$`).MatchString(made.KeyId) || made.Arn != "arn:aws:kms:"+region+":"+home+":key/"+made.KeyId {
		t.Fatalf("made as %s, %s", made.KeyId, made.Arn)
	}
	want := &MultiRegionConfiguration{"PRIMARY", MultiRegionKey{made.Arn, region}, []MultiRegionKey{}}
	for _, name := range []string{made.KeyId, made.Arn} {
		if m := n.describe(name); !m.MultiRegion || !cmp.Equal(m.MultiRegionConfiguration, want) {
			t.Errorf("described as %+v", m)
		}
	}
	if m := n.describe(n.key().KeyId); m.MultiRegion || m.MultiRegionConfiguration != nil {
		t.Errorf("a key of one Region is described as %+v", m)
	}

	blob := n.encrypt(made.KeyId, "x", Context{"a": "b"})
	dec := must(n.Decrypt(ctx, owner, DecryptCiphertext{CiphertextBlob: blob, EncryptionContext: Context{"a": "b"}}))(t)
	if dec.KeyId != made.Arn || string(dec.Plaintext.Reveal()) != "x" {
		t.Errorf("decrypted under %s", dec.KeyId)
	}
	plain, held, err := n.ViaS3().GenerateDataKey(ctx, owner, made.Arn, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := n.ViaS3().Decrypt(ctx, owner, made.Arn, held, nil); err != nil || !got.Equal(plain) {
		t.Errorf("S3's blob: %v", err)
	}

	must(n.CreateAlias(ctx, owner, CreateAlias{"alias/everywhere", made.KeyId}))(t)
	if m := n.describe("alias/everywhere"); m.KeyId != made.KeyId {
		t.Errorf("the alias stands for %s", m.KeyId)
	}
	if l := must(n.ListAliases(ctx, owner, ListAliases{KeyId: made.KeyId}))(t); len(l.Aliases) != 1 || l.Aliases[0].TargetKeyId != made.KeyId {
		t.Errorf("aliases %+v", l)
	}
	found := false
	for _, k := range must(n.ListKeys(ctx, owner, ListKeys{}))(t).Keys {
		found = found || k.KeyId == made.KeyId && k.KeyArn == made.Arn
	}
	if !found {
		t.Error("the key is not listed")
	}
	must(n.RotateKeyOnDemand(ctx, owner, KeyOnly{made.KeyId}))(t)
	if e := n.trail.named("RotateKey"); len(e) != 1 || !strings.Contains(string(e[0].ServiceEventDetails), made.KeyId) {
		t.Errorf("events %+v", e)
	}
	if l := must(n.ListKeyRotations(ctx, owner, ListKeyRotations{KeyId: made.KeyId}))(t); len(l.Rotations) != 1 || l.Rotations[0].KeyId != made.KeyId {
		t.Errorf("rotations %+v", l)
	}

	// The other form of the id names no key.
	digits := strings.TrimPrefix(made.KeyId, "mrk-")
	other := digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:]
	_, err = n.DescribeKey(ctx, owner, DescribeKey{KeyId: other})
	refused(t, "the other form", err, NotFound, "")
	single := "mrk-" + strings.ReplaceAll(n.key().KeyId, "-", "")
	_, err = n.DescribeKey(ctx, owner, DescribeKey{KeyId: single})
	refused(t, "another key in this form", err, NotFound, "")
}

func TestMultiRegionKeysOfOtherKinds(t *testing.T) {
	n, ctx := newNode(t), t.Context()
	signer := must(n.CreateKey(ctx, owner, CreateKey{MultiRegion: true, KeySpec: "ECC_NIST_P256", KeyUsage: SignVerify}))(t)
	n.useAll(n.describe(signer.KeyId))
	imported := must(n.CreateKey(ctx, owner, CreateKey{MultiRegion: true, Origin: OriginExternal}))(t)
	if got := n.bring(imported.KeyId, secret.Random(32).Reveal()); got.KeyId != imported.Arn {
		t.Errorf("imported for %s", got.KeyId)
	}
	n.decrypt(n.encrypt(imported.KeyId, "x", nil))
}
