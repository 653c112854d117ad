// SPDX-License-Identifier: Apache-2.0

package kms

import "testing"

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
