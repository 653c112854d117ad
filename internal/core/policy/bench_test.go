// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"
	"testing"

	. "github.com/cofferstore/coffer/internal/core/policy"
)

// typical is a read of an object by a user with two policies of its own, in a bucket whose
// policy wants TLS and keeps writers to one key.
func typical(t testing.TB, more ...Attached) *Question {
	policies := append([]Attached{
		attached(t, Identity, "'Effect':'Allow','Action':['s3:GetObject','s3:PutObject'],'Resource':'arn:aws:s3:::photos/*','Condition':{'IpAddress':{'aws:SourceIp':['10.0.0.0/8','192.0.2.0/24']}}"),
		attached(t, Identity, "'Effect':'Allow','Action':'s3:ListBucket','Resource':'arn:aws:s3:::photos'"),
	}, more...)
	return &Question{
		Principal: alice, Rights: NewRights(RightsConfig{Policies: policies}), Owner: home,
		Action: "s3:GetObject", Resource: photo,
		Context: Values{"aws:sourceip": {"192.0.2.7"}, "aws:securetransport": {"true"}},
		Policy: parse(t, Bucket,
			"'Effect':'Deny','Principal':'*','Action':'s3:*','Resource':['arn:aws:s3:::photos','arn:aws:s3:::photos/*'],'Condition':{'Bool':{'aws:SecureTransport':'false'}}",
			"'Effect':'Deny','Principal':'*','Action':'s3:PutObject','Resource':'arn:aws:s3:::photos/*','Condition':{'Null':{'s3:x-amz-server-side-encryption-aws-kms-key-id':'true'}}"),
	}
}

// elsewhere500 are policies that cannot match the typical question: of other actions, of
// other services, and of other buckets.
func elsewhere500(t testing.TB) []Attached {
	var all []Attached
	for i := range 500 {
		statement := fmt.Sprintf("'Effect':'Allow','Action':['s3:GetObject','s3:PutObject'],'Resource':['arn:aws:s3:::tenant-%d/*','arn:aws:s3:::tenant-%d']", i, i)
		switch i % 3 {
		case 1:
			statement = fmt.Sprintf("'Effect':'Allow','Action':'kms:*','Resource':'arn:aws:kms:us-east-1:111122223333:key/%d'", i)
		case 2:
			statement = "'Effect':'Allow','Action':['s3:ListBucket','s3:GetBucketLocation'],'Resource':'*'"
		}
		all = append(all, attached(t, Identity, statement))
	}
	return all
}

func BenchmarkDecide(b *testing.B) {
	many := make([]string, 150)
	for i := range many {
		many[i] = fmt.Sprintf("'Effect':'Allow','Principal':{'AWS':'arn:aws:iam::111122223333:user/u%d'},'Action':'s3:GetObject','Resource':'arn:aws:s3:::photos/u%d/*'", i, i)
	}
	wide := typical(b)
	wide.Policy = parse(b, Bucket, many...)
	kms := typical(b)
	kms.Action, kms.Resource, kms.Decides, kms.Policy = "kms:Decrypt", key1, true, parse(b, Key, grant(aws(root.ARN), "kms:*"), grant(aws(alice.ARN), "kms:Decrypt"))
	refused := typical(b)
	refused.Context = Values{"aws:sourceip": {"203.0.113.1"}, "aws:securetransport": {"true"}}
	for _, bench := range []struct {
		name string
		q    *Question
		want bool
	}{
		{"typical", typical(b), true},
		{"500 policies that cannot match", typical(b, elsewhere500(b)...), true},
		{"bucket policy of 150 statements", wide, true},
		{"KMS", kms, true},
		{"refused", refused, false},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d := Decide(bench.q); d.Allowed != bench.want {
					b.Fatalf("%+v", d)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	text := typical(b).Policy.Text()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(Bucket, "arn:aws:s3:::photos", text); err != nil {
			b.Fatal(err)
		}
	}
}

// TestDecisionCostsNothingForOthers: policies that cannot match add no allocation.
func TestDecisionCostsNothingForOthers(t *testing.T) {
	alone, among := typical(t), typical(t, elsewhere500(t)...)
	one := testing.AllocsPerRun(100, func() { Decide(alone) })
	all := testing.AllocsPerRun(100, func() { Decide(among) })
	if all > one || one > 6 {
		t.Errorf("%v allocations alone, %v among 500 policies; want no more, and few", one, all)
	}
}
