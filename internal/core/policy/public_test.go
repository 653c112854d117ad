// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"testing"

	. "github.com/cofferstore/coffer/internal/core/policy"
)

func TestPublic(t *testing.T) {
	read := grant("'*'", "s3:GetObject")
	when := func(condition string) string { return read + ",'Condition':{" + condition + "}" }
	for _, test := range []struct {
		name, statement string
		want            bool
	}{
		{"everyone", read, true},
		{"everyone, as AWS", grant(aws("*"), "s3:GetObject"), true},
		{"everyone among others", grant("{'AWS':['"+alice.ARN+"','*']}", "s3:GetObject"), true},
		{"a user", grant(aws(alice.ARN), "s3:GetObject"), false},
		{"another account", grant(aws(other), "s3:GetObject"), false},
		{"a service", grant("{'Service':'logging.s3.amazonaws.com'}", "s3:PutObject"), false},
		{"everyone denied", "'Effect':'Deny','Principal':'*','Action':'s3:*','Resource':'arn:aws:s3:::photos/*'", false},
		{"an organization", when("'StringEquals':{'aws:PrincipalOrgID':'o-1'}"), false},
		{"one of organizations", when("'ForAnyValue:StringLike':{'aws:PrincipalOrgPaths':['o-1/r/a']}"), false},
		{"any organization", when("'StringLike':{'aws:PrincipalOrgID':'o-*'}"), true},
		{"a star that is no wildcard", when("'StringEquals':{'aws:PrincipalOrgID':'*'}"), false},
		{"an escaped star", when("'StringLike':{'aws:PrincipalOrgID':'o${*}'}"), false},
		{"a variable", when("'StringEquals':{'aws:PrincipalAccount':'${aws:PrincipalTag/x}'}"), true},
		{"one value of two", when("'StringLike':{'aws:SourceVpc':['vpc-1','vpc-*']}"), true},
		{"not", when("'StringNotEquals':{'aws:PrincipalAccount':'1'}"), true},
		{"if it exists", when("'StringEqualsIfExists':{'aws:SourceVpce':'vpce-1'}"), true},
		{"all values", when("'ForAllValues:StringEquals':{'aws:PrincipalOrgPaths':'o'}"), true},
		{"exists", when("'Null':{'aws:PrincipalArn':'false'}"), true},
		{"a role", when("'ArnEquals':{'aws:PrincipalArn':'arn:aws:iam::111122223333:role/r'}"), false},
		{"roles", when("'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::111122223333:role/*'}"), true},
		{"a userid", when("'StringEquals':{'aws:userid':'AIDA1'}"), false},
		{"sessions of a role", when("'StringLike':{'aws:userid':'AROA1:*'}"), true},
		{"referer", when("'StringLike':{'aws:Referer':'https://example.com/'}"), true},
		{"TLS", when("'Bool':{'aws:SecureTransport':'true'}"), true},
		{"a KMS key", grant("'*'", "s3:PutObject") + ",'Condition':{'StringEquals':{'s3:x-amz-server-side-encryption-aws-kms-key-id':'" + key1 + "'}}", false},
		{"addresses", when("'IpAddress':{'aws:SourceIp':['192.0.2.0/24','2001:db8::/32']}"), false},
		{"private addresses", when("'IpAddress':{'aws:SourceIp':'10.0.0.0/8'}"), false},
		{"half of the internet", when("'IpAddress':{'aws:SourceIp':'0.0.0.0/1'}"), true},
		{"addresses and all of them", when("'IpAddress':{'aws:SourceIp':['192.0.2.0/24','::/0']}"), true},
		{"not these addresses", when("'NotIpAddress':{'aws:SourceIp':'192.0.2.0/24'}"), true},
		{"access points of an account", when("'ArnLike':{'s3:DataAccessPointArn':'arn:aws:s3:us-east-1:111122223333:accesspoint/*'}"), false},
		{"access points of any", when("'ArnLike':{'s3:DataAccessPointArn':'arn:aws:s3:us-east-1:*:accesspoint/x'}"), true},
		{"one of two conditions", when("'Bool':{'aws:SecureTransport':'true'},'StringEquals':{'aws:SourceVpc':'vpc-1'}"), false},
	} {
		if got := parse(t, Bucket, test.statement).Public(); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
		if !parse(t, Bucket, test.statement, read).Public() {
			t.Errorf("%s beside a public statement: not public", test.name)
		}
	}
}
