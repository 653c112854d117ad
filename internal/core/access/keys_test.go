// SPDX-License-Identifier: Apache-2.0

package access

import (
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
)

func TestConditionKeys(t *testing.T) {
	w := newWorld(t)
	w.identity[alice.ARN] = mayAll
	w.objects["a"] = object.Facts{Found: true, Owner: ownerAccount, Tags: []bucket.Tag{{Key: "Team", Value: "red"}}}
	w.objects["av7"] = object.Facts{Found: true, Owner: ownerAccount, Tags: []bucket.Tag{{Key: "team", Value: "blue"}}}
	w.uploads["up"] = sse.Applied{Algorithm: sse.KMS, KeyARN: keyOne}
	w.uploads["plain"] = sse.Applied{Algorithm: sse.AES256}
	kmsPut := func(key string) object.Put {
		return object.Put{Ref: object1("a"), Attributes: object.Attributes{SSE: sse.Request{Algorithm: sse.KMS, KeyID: key}}}
	}
	tagged := object.Put{Ref: object1("a"), Attributes: object.Attributes{Tags: []bucket.Tag{{Key: "team", Value: "red"}}}}
	twice := object.Put{Ref: object1("a"), Attributes: object.Attributes{Tags: []bucket.Tag{{Key: "TEAM", Value: "blue"}, {Key: "team", Value: "red"}}}}
	two, inTenDays := 2, time.Now().Add(10*24*time.Hour)
	lockedPut := object.Put{Ref: object1("a"), Attributes: object.Attributes{Lock: object.Lock{Mode: bucket.Governance, Until: inTenDays, Hold: object.HoldOn}}}
	part := func(id string) object.UploadPart {
		return object.UploadPart{UploadRef: object.UploadRef{Ref: object1("a"), UploadID: id}}
	}
	w.uploads["default"] = w.uploads["up"]
	w.uploads["customers"] = sse.Applied{Algorithm: sse.Customer}
	const key = `"s3:x-amz-server-side-encryption-aws-kms-key-id"`
	const method = `"s3:x-amz-server-side-encryption"`
	for _, c := range []struct {
		condition string
		in        any
		denied    bool
	}{
		{`{"StringEquals":{"s3:ExistingObjectTag/team":"red"}}`, get("a"), true},
		{`{"StringEquals":{"s3:ExistingObjectTag/team":"red"}}`, object.Get{VersionRef: object.VersionRef{Ref: object1("a"), VersionID: "v7"}}, false},
		{`{"StringEquals":{"s3:ExistingObjectTag/team":"red"}}`, get("b"), false},
		{`{"StringEquals":{"s3:ExistingObjectTag/team":"red"}}`, tagged, false},
		{`{"StringEquals":{"s3:RequestObjectTag/team":"red"}}`, tagged, true},
		{`{"StringEquals":{"s3:RequestObjectTag/team":"red"}}`, twice, true},
		{`{"ForAnyValue:StringEquals":{"s3:RequestObjectTagKeys":"team"}}`, tagged, true},
		{`{"StringEquals":{"s3:ResourceAccount":"` + ownerAccount + `"}}`, get("a"), true},
		{`{"StringEquals":{"s3:VersionId":"v7"}}`, object.Get{VersionRef: object.VersionRef{Ref: object1("a"), VersionID: "v7"}}, true},
		{`{"Null":{` + key + `:"true"}}`, put("a"), true},
		{`{"Null":{` + key + `:"true"}}`, kmsPut(""), false},
		{`{"StringEquals":{` + key + `:"` + keyOne + `"}}`, kmsPut("alias/one"), true},
		{`{"StringEquals":{` + key + `:"arn:aws:kms:us-east-1:111122223333:key/managed"}}`, kmsPut(""), true},
		{`{"StringEquals":{` + key + `:"alias/nowhere"}}`, kmsPut("alias/nowhere"), true},
		{`{"Null":{` + key + `:"true"}}`, part("up"), false},
		{`{"Null":{` + key + `:"true"}}`, part("plain"), true},
		{`{"StringEquals":{` + key + `:"` + keyOne + `"}}`, object.Complete{UploadRef: object.UploadRef{Ref: object1("a"), UploadID: "up"}}, true},
		{`{"Null":{` + method + `:"true"}}`, part("up"), false},
		{`{"Null":{` + method + `:"true"}}`, part("default"), true},
		{`{"Null":{` + method + `:"true"}}`, part("customers"), true},
		{`{"Null":{` + method + `:"true"}}`, part("nowhere"), true},
		{`{"StringEquals":{` + method + `:"AES256"}}`, part("plain"), true},
		{`{"StringEquals":{"s3:x-amz-server-side-encryption-customer-algorithm":"AES256"}}`, part("customers"), true},
		{`{"Null":{"s3:x-amz-server-side-encryption-customer-algorithm":"true"}}`, part("plain"), true},
		{`{"StringEquals":{` + method + `:"aws:kms"}}`, object.UpdateEncryption{VersionRef: object.VersionRef{Ref: object1("a")}, KeyARN: keyOne}, true},
		{`{"StringEquals":{"s3:x-amz-object-ownership":"ObjectWriter"}}`, bucket.PutOwnership{Ref: photos, Ownership: bucket.ObjectWriter}, true},
		{`{"StringEquals":{"s3:object-lock-mode":"GOVERNANCE"}}`, lockedPut, true},
		{`{"Null":{"s3:object-lock-mode":"true"}}`, put("a"), true},
		{`{"StringEquals":{"s3:object-lock-legal-hold":"ON"}}`, lockedPut, true},
		{`{"NumericEquals":{"s3:object-lock-remaining-retention-days":"10"}}`, lockedPut, true},
		{`{"DateGreaterThan":{"s3:object-lock-retain-until-date":"2020-01-01T00:00:00Z"}}`, lockedPut, true},
		{`{"StringEquals":{"s3:object-lock-mode":"GOVERNANCE"}}`, object.CreateUpload{Ref: object1("a"), Attributes: lockedPut.Attributes}, true},
		{`{"StringEquals":{"s3:object-lock-mode":"COMPLIANCE"}}`, object.PutRetention{VersionRef: object.VersionRef{Ref: object1("a")}, Mode: bucket.Compliance, Until: inTenDays}, true},
		{`{"Null":{"s3:object-lock-mode":"true"}}`, object.PutRetention{VersionRef: object.VersionRef{Ref: object1("a")}}, true},
		{`{"StringEquals":{"s3:object-lock-legal-hold":"OFF"}}`, object.PutLegalHold{VersionRef: object.VersionRef{Ref: object1("a")}, Hold: object.HoldOff}, true},
		{`{"NumericLessThan":{"s3:object-lock-remaining-retention-days":"11"}}`, object.MayBypass{VersionRef: object.VersionRef{Ref: object1("a")}, Lock: lockedPut.Lock}, true},
		{`{"NumericEquals":{"s3:object-lock-remaining-retention-days":"730"}}`, bucket.PutObjectLock{Ref: photos, Rule: true, Mode: bucket.Governance, Years: &two}, true},
		{`{"NumericEquals":{"s3:object-lock-remaining-retention-days":"2"}}`, bucket.PutObjectLock{Ref: photos, Rule: true, Mode: bucket.Governance, Days: &two}, true},
		{`{"Null":{"s3:object-lock-mode":"true"}}`, bucket.PutObjectLock{Ref: photos}, true},
		{`{"StringEquals":{"s3:prefix":"x"}}`, object.List{Ref: photos}, true}, // from the surface, below
	} {
		w.policy(`{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"],"Condition":` + c.condition + `}`)
		err := w.Authorize(t.Context(), Request{By: alice, In: c.in, Keys: policy.Values{"s3:prefix": {"x"}}})
		if (err != nil) != c.denied {
			t.Errorf("%s %+v: %v, denied %t wanted", c.condition, c.in, err, c.denied)
		}
	}
}

// The key of a write is that of the bucket's default when the request names none.
func TestTheKeyOfTheBucketsDefault(t *testing.T) {
	w := newWorld(t)
	w.policy(`{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::photos/*","Condition":{"Null":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"true"}}}`)
	w.decides("SSE-S3", root, put("a"), iam.AccessDenied)
	w.must(w.buckets.PutEncryption(t.Context(), root, bucket.PutEncryption{Ref: photos, Rules: []bucket.EncryptionRule{{
		Default: &bucket.DefaultEncryption{Algorithm: sse.KMS, KeyID: "alias/one"},
	}}}))
	w.decides("SSE-KMS", root, put("a"), nil)
	aes := put("a")
	aes.SSE.Algorithm = sse.AES256
	w.decides("SSE-S3 against the default", root, aes, iam.AccessDenied)
	insecure := root
	insecure.Secure = false
	w.decides("over an open connection, before the policy", insecure, put("a"), sse.NeedsSecureTransport)
	insecure = nobody
	insecure.Secure = false
	w.decides("a copy, before the policy of its source", insecure, object.Copy{Ref: object1("b"), Source: object.Source{VersionRef: object.VersionRef{Ref: object1("a")}}}, sse.NeedsSecureTransport)
}

// What a policy asks for in every statement is found once.
func TestManyConditionsOnOneKey(t *testing.T) {
	w := newWorld(t)
	w.uploads["up"] = sse.Applied{Algorithm: sse.KMS, KeyARN: keyOne}
	deny := `{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::photos/*","Condition":{"StringNotEquals":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"` + keyOne + `"}}}`
	w.policy(deny + strings.Repeat(","+deny, 50))
	in := put("a")
	in.SSE = sse.Request{Algorithm: sse.KMS, KeyID: "alias/one"}
	w.decides("an object", root, in, nil)
	w.decides("a part", root, object.UploadPart{UploadRef: object.UploadRef{Ref: object1("a"), UploadID: "up"}}, nil)
	if w.resolved != 1 || w.looked != 1 {
		t.Errorf("the key was resolved %d times and the upload read %d times", w.resolved, w.looked)
	}
}
