// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
)

var bucket = Context{"aws:s3:arn": "arn:aws:s3:::example-bucket"}

func TestS3DataKeyIsServiceHeld(t *testing.T) {
	n := newNode(t)
	k, v := n.key(), n.ViaS3()
	plain, blob, err := v.GenerateDataKey(t.Context(), owner, k.Arn, bucket, "")
	if err != nil || plain.Len() != 32 || len(blob) != 140 {
		t.Fatalf("%d bytes, a blob of %d, %v", plain.Len(), len(blob), err)
	}
	got, err := v.Decrypt(t.Context(), owner, k.Arn, blob, bucket)
	if err != nil || !got.Equal(plain) {
		t.Errorf("does not come back: %v", err)
	}
	if got, err := v.OpenBucketKey(t.Context(), owner, Generate, k.Arn, blob, bucket, "g"); err != nil || !got.Equal(plain) {
		t.Errorf("a writer cannot open it: %v", err)
	}
	for _, id := range []string{"", k.KeyId} {
		_, err := n.Decrypt(t.Context(), owner, DecryptCiphertext{CiphertextBlob: blob, EncryptionContext: bucket, KeyId: id})
		refused(t, "public Decrypt", err, InvalidCiphertext, "")
		_, err = n.ReEncrypt(t.Context(), owner, ReEncrypt{CiphertextBlob: blob, SourceEncryptionContext: bucket, SourceKeyId: id, DestinationKeyId: k.KeyId})
		refused(t, "public ReEncrypt", err, InvalidCiphertext, "")
	}
	other := n.key()
	public := n.encrypt(k.KeyId, "x", bucket)
	for name, c := range map[string]struct {
		key  string
		blob []byte
		ec   Context
		kind fault.Kind
	}{
		"another context":     {k.Arn, blob, Context{"aws:s3:arn": "arn:aws:s3:::other"}, InvalidCiphertext},
		"another key":         {other.Arn, blob, bucket, IncorrectKey},
		"a client's own blob": {k.Arn, public, bucket, InvalidCiphertext},
		"garbage":             {k.Arn, []byte("x"), bucket, InvalidCiphertext},
	} {
		_, err := v.Decrypt(t.Context(), owner, c.key, c.blob, c.ec)
		refused(t, name, err, c.kind, "")
	}
}

func TestS3FollowsStateAndPermissionAtOnce(t *testing.T) {
	n := newNode(t)
	k, v := n.key(), n.ViaS3()
	check := func(by iam.Caller) error { return v.Check(t.Context(), by, Decrypt, k.Arn, bucket) }
	if err := check(owner); err != nil {
		t.Fatal(err)
	}
	must(n.DisableKey(t.Context(), owner, KeyOnly{k.KeyId}))(t)
	refused(t, "disabled", check(owner), Disabled, k.Arn+" is disabled.")
	must(n.ScheduleKeyDeletion(t.Context(), owner, ScheduleKeyDeletion{KeyId: k.KeyId}))(t)
	refused(t, "pending deletion", check(owner), InvalidState, k.Arn+" is pending deletion.")
	for who, by := range map[string]iam.Caller{"user": alice, "another account": stranger, "nobody": anonymous} {
		refused(t, who, check(by), AccessDenied, "")
	}
	_, _, err := v.GenerateDataKey(t.Context(), alice, k.Arn, bucket, "")
	refused(t, "user", err, AccessDenied, "User: "+alice.ARN+" is not authorized to perform: kms:GenerateDataKey on resource: "+k.Arn+" because no identity-based policy allows the kms:GenerateDataKey action")
	if n.counted("Decrypt", fromS3, "ok") != 0 || len(n.trail.named("Decrypt")) != 0 {
		t.Error("a check was counted or recorded as a KMS request")
	}
}

func TestResolve(t *testing.T) {
	n := newNode(t)
	k := n.key()
	must(n.CreateAlias(t.Context(), owner, CreateAlias{"alias/photos", k.KeyId}))(t)
	missing := uuid.NewString()
	for name, want := range map[string]string{
		k.KeyId: k.Arn, k.Arn: k.Arn, "alias/photos": k.Arn, aliasARNs + "alias/photos": k.Arn,
		missing: "arn:aws:kms:" + region + ":" + home + ":key/" + missing,
	} {
		if got, err := n.ViaS3().Resolve(t.Context(), owner, name); err != nil || got != want {
			t.Errorf("%s resolves to %s, %v; want %s", name, got, err, want)
		}
	}
	for name, message := range map[string]string{
		"fake-key-id": "Invalid keyId 'fake-key-id'",
		"aws/s3":      "Invalid keyId 'aws/s3'",
		"arn:aws:kms:us-west-2:" + home + ":key/" + missing: "Invalid arn us-west-2",
		"alias/none": "Alias " + aliasARNs + "alias/none is not found.",
	} {
		_, err := n.ViaS3().Resolve(t.Context(), owner, name)
		refused(t, name, err, NotFound, message)
	}
	_, err := n.ViaS3().Resolve(t.Context(), stranger, "alias/photos") // an alias is the requester's
	refused(t, "another account's alias", err, NotFound, "")
	_, err = n.ViaS3().Resolve(t.Context(), anonymous, "")
	refused(t, "nobody", err, AccessDenied, "")
	_, _, err = n.ViaS3().GenerateDataKey(t.Context(), owner, "arn:aws:kms:"+region+":"+home+":key/"+missing, bucket, "")
	refused(t, "use of a missing key", err, NotFound, "")
	if n.counted("GenerateDataKey", fromS3, "NotFoundException") != 1 {
		t.Error("the use of a missing key was not counted")
	}
}

func TestS3RequestsAreRecordedAsTheCallers(t *testing.T) {
	n := newNode(t)
	k, v := n.key(), n.ViaS3()
	ec := Context{"tenant": "t-17", "aws:s3:arn": "arn:aws:s3:::example-bucket"}
	ctx, event := audit.Naming(t.Context())
	_, blob, err := v.GenerateDataKey(ctx, owner, k.Arn, ec, "gen-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Decrypt(t.Context(), owner, k.Arn, blob, ec); err != nil {
		t.Fatal(err)
	}
	if _, err := v.OpenBucketKey(t.Context(), owner, Generate, k.Arn, blob, ec, "gen-1"); err != nil {
		t.Fatal(err)
	}
	made, opened := n.trail.named("GenerateDataKey"), n.trail.named("Decrypt")
	if len(made) != 2 || len(opened) != 1 {
		t.Fatalf("%d GenerateDataKey and %d Decrypt events, want 2 (one for the writer who opens) and 1", len(made), len(opened))
	}
	g, d := made[0], opened[0]
	if g.UserIdentity.ARN != owner.ARN || g.UserIdentity.InvokedBy != audit.InvokedByS3 || g.SourceIPAddress != audit.InvokedByS3 || g.UserAgent != audit.InvokedByS3 ||
		g.EventSource != "kms.amazonaws.com" || !g.ReadOnly || !g.ManagementEvent || g.EventType != audit.TypeAPICall || g.RecipientAccountID != home ||
		g.ResponseElements != nil || g.AWSRegion != region || g.ErrorCode != "" || g.EventTime.Nanosecond() != 0 {
		t.Errorf("record %+v", g)
	}
	if !slices.Equal(g.Resources, []audit.Resource{{AccountID: home, Type: "AWS::KMS::Key", ARN: k.Arn}}) {
		t.Errorf("resources %v", g.Resources)
	}
	if p := g.RequestParameters; len(p) != 3 || p["keyId"] != k.Arn || p["keySpec"] != "AES_256" || p["encryptionContext"].(Context)["tenant"] != "t-17" {
		t.Errorf("GenerateDataKey parameters %v", p)
	}
	if p := d.RequestParameters; len(p) != 2 || p["encryptionAlgorithm"] != SymmetricDefault {
		t.Errorf("Decrypt parameters %v: no key id, S3 does not pass one", p)
	}
	a := g.AdditionalEventData
	if a["keyMaterialId"] != k.CurrentKeyMaterialId || a["cofferParentRequestId"] != owner.RequestID || a["cofferClientIp"] != owner.SourceIP || a["cofferGeneration"] != "gen-1" {
		t.Errorf("additional data %v", a)
	}
	if _, there := d.AdditionalEventData["cofferGeneration"]; there {
		t.Error("a request without a generation names one")
	}
	if g.EventID != event || g.EventID == d.EventID || g.RequestID == d.RequestID || g.EventID == g.RequestID {
		t.Error("ids are not unique")
	}
}

func TestRefusedS3RequestsAreRecorded(t *testing.T) {
	n := newNode(t)
	k, v := n.key(), n.ViaS3()
	_, _, refusal := v.GenerateDataKey(t.Context(), alice, k.Arn, bucket, "")
	must(n.DisableKey(t.Context(), owner, KeyOnly{k.KeyId}))(t)
	_, _, _ = v.GenerateDataKey(t.Context(), owner, k.Arn, bucket, "")
	got := n.trail.named("GenerateDataKey")
	if len(got) != 2 {
		t.Fatalf("%d events, want 2", len(got))
	}
	if got[0].ErrorCode != "AccessDenied" || got[0].RequestParameters != nil || got[0].AdditionalEventData["keyMaterialId"] != nil || len(got[0].Resources) != 1 || got[0].UserIdentity.UserName != "alice" {
		t.Errorf("denied: %+v", got[0])
	}
	if event := audit.EventOf(refusal); event != got[0].EventID {
		t.Errorf("the refusal names event %q, want %q", event, got[0].EventID)
	}
	if got[1].ErrorCode != "DisabledException" || got[1].ErrorMessage != k.Arn+" is disabled." || got[1].RequestParameters == nil {
		t.Errorf("disabled: %+v", got[1])
	}
	for outcome, want := range map[string]float64{"AccessDeniedException": 1, "DisabledException": 1, "ok": 0} {
		if c := n.counted("GenerateDataKey", fromS3, outcome); c != want {
			t.Errorf("outcome %s counted %v times, want %v", outcome, c, want)
		}
	}
}

func TestNoKeyWithoutRecord(t *testing.T) {
	n := newNode(t)
	k := n.key()
	n.trail.failWith(errors.New("disk full"))
	plain, blob, err := n.ViaS3().GenerateDataKey(t.Context(), owner, k.Arn, bucket, "")
	refused(t, "trail fails", err, Unavailable, "")
	if plain.Len() != 0 || blob != nil {
		t.Error("a key was given out that the trail does not know of")
	}
}

func TestManagedKey(t *testing.T) {
	n := newNode(t)
	v := n.ViaS3()
	var wg sync.WaitGroup
	arns := make([]string, 8)
	for i := range arns {
		wg.Go(func() {
			name := ""
			if i%2 == 0 {
				name = "alias/aws/s3"
			}
			var err error
			if arns[i], err = v.Resolve(t.Context(), owner, name); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if arns = slices.Compact(arns); len(arns) != 1 {
		t.Fatalf("8 first uses made %d keys", len(arns))
	}
	arn := arns[0]
	if theirs, err := v.Resolve(t.Context(), stranger, ""); err != nil || theirs == arn {
		t.Errorf("another account's managed key is %s, %v", theirs, err)
	}
	d := n.describe("alias/aws/s3")
	if d.Arn != arn || d.KeyManager != "AWS" || d.Origin != OriginKMS || d.Description != "Default key that protects my S3 objects when no other key is defined" || !d.Enabled {
		t.Errorf("metadata %+v", d)
	}
	if got := n.status(arn); !got.KeyRotationEnabled || *got.RotationPeriodInDays != 365 {
		t.Errorf("rotation %+v, want every year", got)
	}
	if _, err := parsePolicy(arn, must(n.GetKeyPolicy(t.Context(), owner, GetKeyPolicy{KeyId: arn}))(t).Policy); err != nil {
		t.Errorf("policy: %v", err)
	}
	must(n.ListResourceTags(t.Context(), owner, ListResourceTags{KeyId: arn}))(t)
	plain, blob, err := v.GenerateDataKey(t.Context(), owner, arn, bucket, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := v.Decrypt(t.Context(), owner, arn, blob, bucket); err != nil || !got.Equal(plain) {
		t.Errorf("through S3: %v", err)
	}
	refused(t, "another account through S3", v.Check(t.Context(), stranger, Decrypt, arn, bucket), AccessDenied, "")
	for name, call := range map[string]func() error{
		"GenerateDataKey": func() error {
			_, err := n.GenerateDataKey(t.Context(), owner, GenerateDataKey{KeyId: arn, KeySpec: "AES_256"})
			return err
		},
		"DisableKey": func() error { _, err := n.DisableKey(t.Context(), owner, KeyOnly{arn}); return err },
		"ScheduleKeyDeletion": func() error {
			_, err := n.ScheduleKeyDeletion(t.Context(), owner, ScheduleKeyDeletion{KeyId: arn})
			return err
		},
		"PutKeyPolicy": func() error {
			_, err := n.PutKeyPolicy(t.Context(), owner, PutKeyPolicy{KeyId: arn, Policy: defaultPolicy(home)})
			return err
		},
		"TagResource": func() error {
			_, err := n.TagResource(t.Context(), owner, TagResource{arn, []Tag{{"a", ""}}})
			return err
		},
		"RotateKeyOnDemand":  func() error { _, err := n.RotateKeyOnDemand(t.Context(), owner, KeyOnly{arn}); return err },
		"DisableKeyRotation": func() error { _, err := n.DisableKeyRotation(t.Context(), owner, KeyOnly{arn}); return err },
		"CreateAlias":        func() error { _, err := n.CreateAlias(t.Context(), owner, CreateAlias{"alias/mine", arn}); return err },
	} {
		refused(t, name, call(), AccessDenied, "User: "+owner.ARN+" is not authorized to perform: kms:"+name+" on resource: "+arn+" because no resource-based policy allows the kms:"+name+" action")
	}
	_, err = n.DeleteAlias(t.Context(), owner, DeleteAlias{"alias/aws/s3"})
	refused(t, "DeleteAlias", err, InvalidAliasName, "")
}

func TestServiceOwnedKey(t *testing.T) {
	n := newNode(t)
	o := n.Owned()
	arn, err := o.Resolve(t.Context(), anonymous, "anything")
	if err != nil {
		t.Fatal(err)
	}
	plain, blob, err := o.GenerateDataKey(t.Context(), anonymous, arn, bucket, "")
	if err != nil {
		t.Fatal(err)
	}
	again := New(n.store, n.materials, n.trail, Config{Region: "us-west-2"}).Owned() // another node, the Region has changed
	if got, err := again.OpenBucketKey(t.Context(), alice, Decrypt, arn, blob, bucket, ""); err != nil || !got.Equal(plain) {
		t.Errorf("on another node: %v", err)
	}
	if err := o.Check(t.Context(), anonymous, Generate, arn, bucket); err != nil {
		t.Error(err)
	}
	refused(t, "another key's ARN", o.Check(t.Context(), owner, Generate, n.key().Arn, bucket), NotFound, "")
	_, err = o.Decrypt(t.Context(), owner, arn, blob, nil)
	refused(t, "another context", err, InvalidCiphertext, "")
	_, s3blob, err := n.ViaS3().GenerateDataKey(t.Context(), owner, n.key().Arn, bucket, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = o.Decrypt(t.Context(), owner, arn, s3blob, bucket)
	refused(t, "a blob of a customer key", err, InvalidCiphertext, "")
	_, err = n.Decrypt(t.Context(), owner, DecryptCiphertext{CiphertextBlob: blob, EncryptionContext: bucket})
	refused(t, "public Decrypt", err, InvalidCiphertext, "")
	_, err = n.DescribeKey(t.Context(), owner, DescribeKey{KeyId: arn})
	refused(t, "DescribeKey", err, InvalidArn, "")
	if got := len(n.trail.records); got != 1 {
		t.Errorf("%d records, want only that of the customer key", got)
	}
	if list := must(n.ListKeys(t.Context(), owner, ListKeys{}))(t); len(list.Keys) != 2 {
		t.Errorf("%d keys listed, want the 2 customer keys", len(list.Keys))
	}
}

func TestRacingNodesMakeOneServiceKey(t *testing.T) {
	n := newNode(t)
	other := New(n.store, n.materials, n.trail, Config{})
	arns := make([]string, 2)
	var wg sync.WaitGroup
	for i, s := range []*Service{n.Service, other} {
		wg.Go(func() {
			var err error
			if arns[i], err = s.Owned().Resolve(t.Context(), owner, ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if arns[0] != arns[1] {
		t.Errorf("two keys: %v", arns)
	}
}
