// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"testing"

	"github.com/cofferstore/coffer/internal/core/iam/iamtest"
)

// BenchmarkCheck is what every S3 request under a KMS key costs.
func BenchmarkCheck(b *testing.B) {
	n := newNode(b)
	k := n.key()
	b.ReportAllocs()
	for b.Loop() {
		if err := n.ViaS3().Check(b.Context(), owner, Generate, k.Arn, bucket); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCheckByPolicy is what every S3 request under a KMS key pays for its
// decision: a key policy of five statements that names the user, with conditions.
func BenchmarkCheckByPolicy(b *testing.B) {
	n := newNode(b)
	accounts := iamtest.New(b, n.store, home, elsewhere)
	n.policies = accounts
	k := n.key()
	put := PutKeyPolicy{KeyId: k.KeyId, Policy: `{"Version":"2012-10-17","Statement":[
		{"Sid":"account","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + home + `:root"},"Action":"kms:*","Resource":"*"},
		{"Sid":"admins","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + home + `:root"},"Action":["kms:Create*","kms:Describe*","kms:Put*","kms:ScheduleKeyDeletion"],"Resource":"*"},
		{"Sid":"s3","Effect":"Allow","Principal":{"AWS":"*"},"Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"*",
		 "Condition":{"StringEquals":{"kms:ViaService":"s3.` + region + `.amazonaws.com","kms:CallerAccount":"` + home + `"},"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::example-*"}}},
		{"Sid":"guard","Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}},
		{"Sid":"grants","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + elsewhere + `:root"},"Action":"kms:CreateGrant","Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":"true"}}}]}`}
	must(n.PutKeyPolicy(b.Context(), owner, put))(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := n.ViaS3().Check(b.Context(), owner, Decrypt, k.Arn, bucket); err != nil {
			b.Fatal(err)
		}
	}
}
