// SPDX-License-Identifier: Apache-2.0

package kmsapi

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/google/go-cmp/cmp"

	"github.com/cofferstore/coffer/internal/core/audit"
)

type members = map[string]any

func keyTouched(arn string) audit.Resource {
	return audit.Resource{AccountID: home, Type: "AWS::KMS::Key", ARN: arn}
}

// expect compares a part of the newest record.
func (s *station) expect(what string, got, want any) {
	s.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("%s of %s (-want +got):\n%s", what, s.trail.last(s.t).EventName, diff)
	}
}

func TestRecordsOfCryptography(t *testing.T) {
	s, ctx := newStation(t), t.Context()
	id, arn := s.key()
	_, other := s.key()
	ok(s.CreateAlias(ctx, &sdk.CreateAliasInput{AliasName: aws.String("alias/app"), TargetKeyId: &id}))(s)
	r := s.trail.last(t)
	s.expect("resources", r.Resources, []audit.Resource{
		keyTouched(arn), {AccountID: home, Type: "AWS::KMS::Alias", ARN: "arn:aws:kms:" + region + ":" + home + ":alias/app"},
	})
	s.expect("parameters", r.RequestParameters, members{"aliasName": "alias/app", "targetKeyId": id})
	if r.ReadOnly || r.ResponseElements != nil || r.RequestID != s.last.header.Get("X-Amzn-Requestid") {
		t.Errorf("record %+v of request %s", r, s.last.header.Get("X-Amzn-Requestid"))
	}

	ec := map[string]string{"tenant": "t-17"}
	const text = "nobody must read this in the trail"
	blob := ok(s.Encrypt(ctx, &sdk.EncryptInput{KeyId: aws.String("alias/app"), Plaintext: []byte(text), EncryptionContext: ec}))(s).CiphertextBlob
	r = s.trail.last(t)
	s.expect("parameters", r.RequestParameters, members{
		"keyId": "alias/app", "encryptionContext": members{"tenant": "t-17"}, "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
	})
	s.expect("resources", r.Resources, []audit.Resource{keyTouched(arn)})
	material, _ := r.AdditionalEventData["keyMaterialId"].(string)
	if len(material) != 64 || !r.ReadOnly || r.ResponseElements != nil {
		t.Errorf("record %+v", r)
	}

	opened := ok(s.Decrypt(ctx, &sdk.DecryptInput{CiphertextBlob: blob, EncryptionContext: ec}))(s)
	r = s.trail.last(t)
	s.expect("parameters", r.RequestParameters, members{"encryptionContext": members{"tenant": "t-17"}, "encryptionAlgorithm": "SYMMETRIC_DEFAULT"})
	s.expect("resources", r.Resources, []audit.Resource{keyTouched(arn)})
	s.expect("material", r.AdditionalEventData["keyMaterialId"], any(*opened.KeyMaterialId))

	ok(s.ReEncrypt(ctx, &sdk.ReEncryptInput{CiphertextBlob: blob, SourceEncryptionContext: ec, DestinationKeyId: &other}))(s)
	r = s.trail.last(t)
	s.expect("resources", r.Resources, []audit.Resource{keyTouched(arn), keyTouched(other)})
	s.expect("parameters", r.RequestParameters, members{
		"sourceEncryptionContext": members{"tenant": "t-17"}, "destinationKeyId": other,
		"sourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT", "destinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
	})
	s.expect("source material", r.AdditionalEventData["sourceKeyMaterialId"], any(material))

	ok(s.GenerateDataKey(ctx, &sdk.GenerateDataKeyInput{KeyId: &id, NumberOfBytes: aws.Int32(64)}))(s)
	s.expect("parameters", s.trail.last(t).RequestParameters, members{"keyId": id, "numberOfBytes": 64.0})

	all, err := json.Marshal(s.trail.records)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{text, base64.StdEncoding.EncodeToString([]byte(text)), base64.StdEncoding.EncodeToString(blob)} {
		if strings.Contains(string(all), secret) {
			t.Errorf("the trail shows %q", secret)
		}
	}
}

func TestRecordsOfChanges(t *testing.T) {
	s, ctx := newStation(t), t.Context()
	m := ok(s.CreateKey(ctx, &sdk.CreateKeyInput{Description: aws.String("d"), Tags: []types.Tag{{TagKey: aws.String("team"), TagValue: aws.String("a")}}}))(s).KeyMetadata
	r := s.trail.last(t)
	s.expect("parameters", r.RequestParameters, members{"description": "d", "tags": []any{members{"tagKey": "team", "tagValue": "a"}}})
	s.expect("resources", r.Resources, []audit.Resource{keyTouched(*m.Arn)})
	answer, _ := r.ResponseElements["keyMetadata"].(members)
	if answer["arn"] != *m.Arn || answer["aWSAccountId"] != home || answer["enabled"] != true || answer["keyState"] != "Enabled" {
		t.Errorf("response %v", r.ResponseElements)
	}

	gone := ok(s.ScheduleKeyDeletion(ctx, &sdk.ScheduleKeyDeletionInput{KeyId: m.KeyId}))(s)
	s.expect("response", s.trail.last(t).ResponseElements, members{
		"keyId": *m.Arn, "keyState": "PendingDeletion", "pendingWindowInDays": 30.0,
		"deletionDate": gone.DeletionDate.Format("2006-01-02T15:04:05.999Z07:00"),
	})
	ok(s.CancelKeyDeletion(ctx, &sdk.CancelKeyDeletionInput{KeyId: m.KeyId}))(s)
	s.expect("response", s.trail.last(t).ResponseElements, members{"keyId": *m.Arn})
}

func TestRecordsOfFailures(t *testing.T) {
	s, ctx := newStation(t), t.Context()
	id, arn := s.key()

	_, err := s.as("AKIAABROAD", password).Encrypt(ctx, &sdk.EncryptInput{KeyId: &arn, Plaintext: []byte("x")})
	theirs := s.trail.last(t)
	s.trail.records = s.trail.records[:len(s.trail.records)-1]
	r := s.trail.last(t)
	if theirs.RecipientAccountID != home || theirs.SharedEventID != r.EventID || r.SharedEventID != r.EventID || theirs.EventID == r.EventID ||
		theirs.UserIdentity.ARN != r.UserIdentity.ARN || theirs.RequestID != r.RequestID {
		t.Errorf("the key's owner has %+v", theirs)
	}
	if err == nil || r.ErrorCode != "AccessDenied" || !strings.HasPrefix(r.ErrorMessage, "User: ") || r.RequestParameters != nil || r.RecipientAccountID != abroad {
		t.Errorf("a denied call: %+v", r)
	}
	if s.last.header.Get("X-Amzn-Errortype") != "AccessDeniedException" {
		t.Errorf("denied as %s", s.last.header.Get("X-Amzn-Errortype"))
	}
	s.expect("resources", r.Resources, []audit.Resource{keyTouched(arn)})

	blob := ok(s.Encrypt(ctx, &sdk.EncryptInput{KeyId: &id, Plaintext: []byte("x")}))(s).CiphertextBlob
	ok(s.DisableKey(ctx, &sdk.DisableKeyInput{KeyId: &id}))(s)
	if _, err := s.Decrypt(ctx, &sdk.DecryptInput{CiphertextBlob: blob}); err == nil {
		t.Fatal("decrypted under a disabled key")
	}
	r = s.trail.last(t)
	if r.ErrorCode != "DisabledException" || r.RequestParameters == nil || r.AdditionalEventData["keyMaterialId"] != nil {
		t.Errorf("a failed call: %+v", r)
	}
	s.expect("resources", r.Resources, []audit.Resource{keyTouched(arn)})

	if _, err := s.UpdatePrimaryRegion(ctx, &sdk.UpdatePrimaryRegionInput{KeyId: &id, PrimaryRegion: aws.String("us-east-1")}); err == nil {
		t.Fatal("a Region was changed")
	}
	if r = s.trail.last(t); r.EventName != "UpdatePrimaryRegion" || r.ErrorCode != "UnsupportedOperationException" || r.ReadOnly {
		t.Errorf("an unsupported call: %+v", r)
	}
}
