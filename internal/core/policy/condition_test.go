// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"strings"
	"testing"

	. "github.com/cofferstore/coffer/internal/core/policy"
)

// satisfied reports whether an allow with the condition, in apostrophes, allows.
func satisfied(t *testing.T, version, condition string, context Values) bool {
	t.Helper()
	text := `{"Version":"` + version + `","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{` + strings.ReplaceAll(condition, "'", `"`) + `}}}`
	d, err := Parse(Identity, "", text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return Decide(&Question{
		Principal: alice, Rights: NewRights(RightsConfig{Policies: []Attached{{Doc: d}}}),
		Action: "s3:GetObject", Resource: photo, Context: context,
	}).Allowed
}

// TestOperators compares one value of the request with one of the policy.
func TestOperators(t *testing.T) {
	for _, test := range []struct {
		operator, policy, request string
		want                      bool
	}{
		{"StringEquals", "a", "a", true},
		{"StringEquals", "a", "A", false},
		{"StringEquals", "a*", "ab", false},
		{"StringEquals", "a*", "a*", true},
		{"StringNotEquals", "a", "b", true},
		{"StringNotEquals", "a", "a", false},
		{"StringEqualsIgnoreCase", "Straße", "STRAßE", true},
		{"StringEqualsIgnoreCase", "a", "b", false},
		{"StringNotEqualsIgnoreCase", "a", "A", false},
		{"StringNotEqualsIgnoreCase", "a", "b", true},
		{"StringLike", "a*c", "abbc", true},
		{"StringLike", "a*c", "abcd", false},
		{"StringLike", "a*b*c", "a-b-b-c", true},
		{"StringLike", "*", "", true},
		{"StringLike", "**a**", "bab", true},
		{"StringLike", "a?c", "abc", true},
		{"StringLike", "a?c", "ac", false},
		{"StringLike", "a?c", "aéc", true},
		{"StringLike", "*??", "€", false},
		{"StringLike", "a/*", "a/b/c", true},
		{"StringLike", "a${*}", "a*", true},
		{"StringLike", "a${*}", "ab", false},
		{"StringLike", "${?}${$}", "?$", true},
		{"StringNotLike", "a*", "ab", false},
		{"StringNotLike", "a*", "b", true},
		{"StringLike", "arn:aws:svc:*:111122223333:finance/*", "arn:aws:svc:us-east-2:999999999999:store/abc:111122223333:finance/d.txt", true},
		{"ArnLike", "arn:aws:svc:*:111122223333:finance/*", "arn:aws:svc:us-east-2:999999999999:store/abc:111122223333:finance/d.txt", false},
		{"ArnLike", "arn:aws:svc:*:111122223333:finance/*", "arn:aws:svc:us-east-2:111122223333:finance/a:b", true},
		{"ArnEquals", "arn:aws:s3:::b*", "arn:aws:s3:::bucket/x", true},
		{"ArnEquals", "arn:aws:s3:::b", "arn:aws:s3:::b", true},
		{"ArnEquals", "*", "arn:aws:s3:::b", true},
		{"ArnEquals", "*", "b", false},
		{"ArnEquals", "arn:*", "arn:aws:s3:::b", false},
		{"ArnNotEquals", "arn:aws:s3:::b", "arn:aws:s3:::b", false},
		{"ArnNotLike", "arn:aws:s3:::b*", "arn:aws:s3:::c", true},
		{"ArnNotLike", "arn:aws:s3:::b*", "no ARN", true},
		{"NumericEquals", "1", "1", true},
		{"NumericEquals", "1", "1.0", true},
		{"NumericEquals", "9007199254740993", "9007199254740992", false},
		{"NumericEquals", "1", "one", false},
		{"NumericEquals", "one", "one", false},
		{"NumericEquals", "0x10", "16", false},
		{"NumericNotEquals", "1", "2", true},
		{"NumericNotEquals", "1", "1", false},
		{"NumericNotEquals", "1", "one", true},
		{"NumericLessThan", "10", "9", true},
		{"NumericLessThan", "10", "10", false},
		{"NumericLessThan", "1.5", "-2", true},
		{"NumericLessThanEquals", "10", "10", true},
		{"NumericLessThanEquals", "10", "10.5", false},
		{"NumericGreaterThan", "10", "11", true},
		{"NumericGreaterThan", "10", "10", false},
		{"NumericGreaterThanEquals", "10", "10", true},
		{"NumericGreaterThanEquals", "10", "nan", false},
		{"NumericLessThan", "10", "", false},
		{"DateEquals", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z", true},
		{"DateEquals", "2026-01-02T03:04:05Z", "2026-01-02T04:04:05+01:00", true},
		{"DateEquals", "1767323045", "2026-01-02T03:04:05Z", true},
		{"DateEquals", "2026-01-02", "2026-01-02T00:00:00Z", true},
		{"DateEquals", "2026-01-02T03:04Z", "2026-01-02T03:04:00.000Z", true},
		{"DateEquals", "yesterday", "yesterday", false},
		{"DateNotEquals", "2026-01-02", "2026-01-03", true},
		{"DateNotEquals", "2026-01-02", "yesterday", true},
		{"DateLessThan", "2026-01-02", "2026-01-01T23:59:59.999Z", true},
		{"DateLessThan", "2026-01-02", "2026-01-02", false},
		{"DateLessThanEquals", "2026-01-02", "2026-01-02", true},
		{"DateGreaterThan", "2026-01-02", "2026-01-02T00:00:01Z", true},
		{"DateGreaterThan", "2026-01-02", "2026-01-02", false},
		{"DateGreaterThanEquals", "2026-01-02T10:00Z", "1767348000.5", true},
		{"Bool", "true", "true", true},
		{"Bool", "True", "true", true},
		{"Bool", "true", "false", false},
		{"Bool", "false", "false", true},
		{"Bool", "yes", "yes", false},
		{"BinaryEquals", "aGVsbG8=", "hello", true},
		{"BinaryEquals", "aGVsbG8=", "Hello", false},
		{"BinaryEquals", "not base64!", "not base64!", false},
		{"IpAddress", "203.0.113.0/24", "203.0.113.9", true},
		{"IpAddress", "203.0.113.0/24", "203.0.114.9", false},
		{"IpAddress", "203.0.113.77/24", "203.0.113.9", true},
		{"IpAddress", "203.0.113.9", "203.0.113.9", true},
		{"IpAddress", "203.0.113.0/24", "::ffff:203.0.113.9", true},
		{"IpAddress", "::ffff:203.0.113.0/121", "203.0.113.100", true},
		{"IpAddress", "::ffff:203.0.113.0/121", "203.0.113.200", false},
		{"IpAddress", "::ffff:0.0.0.0/95", "203.0.113.200", false},
		{"IpAddress", "2001:db8::/32", "2001:db8:1::1", true},
		{"IpAddress", "2001:db8::1", "2001:0db8::0001", true},
		{"IpAddress", "2001:db8::1", "2001:db8::2", false},
		{"IpAddress", "203.0.113.0/24", "here", false},
		{"IpAddress", "here", "203.0.113.9", false},
		{"NotIpAddress", "203.0.113.0/24", "203.0.113.9", false},
		{"NotIpAddress", "203.0.113.0/24", "203.0.114.9", true},
		{"NotIpAddress", "203.0.113.0/24", "here", true},
		{"Null", "true", "x", false},
		{"Null", "false", "x", true},
	} {
		context := Values{"test:key": {test.request}}
		for _, operator := range []string{test.operator, strings.ToLower(test.operator), test.operator + "IfExists", "ForAnyValue:" + test.operator, "ForAllValues:" + test.operator + "IfExists"} {
			if test.operator == "Null" && operator != test.operator {
				continue
			}
			condition := "'" + operator + "':{'Test:Key':'" + test.policy + "'}"
			if got := satisfied(t, "2012-10-17", condition, context); got != test.want {
				t.Errorf("%s with %q: %t, want %t", condition, test.request, got, test.want)
			}
		}
	}
}

// TestTruth is which of a key's values must match which of the policy's.
func TestTruth(t *testing.T) {
	absent, empty := Values{}, Values{"k": {}}
	one := func(values ...string) Values { return Values{"k": values} }
	for _, test := range []struct {
		condition string
		context   Values
		want      bool
	}{
		{"'StringEquals':{'k':['a','b']}", one("b"), true},
		{"'StringEquals':{'k':['a','b']}", one("c"), false},
		{"'StringNotEquals':{'k':['a','b']}", one("b"), false},
		{"'StringNotEquals':{'k':['a','b']}", one("c"), true},
		{"'StringEquals':{'k':'a'}", absent, false},
		{"'StringEquals':{'k':'a'}", empty, false},
		{"'StringNotEquals':{'k':'a'}", absent, true},      // C12
		{"'StringEqualsIfExists':{'k':'a'}", absent, true}, // C13
		{"'StringEqualsIfExists':{'k':'a'}", one("b"), false},
		{"'StringNotEqualsIfExists':{'k':'a'}", absent, true},
		{"'NumericLessThanIfExists':{'k':'5'}", absent, true},
		{"'NotIpAddress':{'k':'10.0.0.0/8'}", absent, true},
		{"'ForAllValues:StringEquals':{'k':['a']}", absent, true}, // C10
		{"'ForAllValues:StringEquals':{'k':['a']}", empty, true},
		{"'ForAllValues:StringEquals':{'k':['a','b']}", one("a", "b"), true},
		{"'ForAllValues:StringEquals':{'k':['a','b']}", one("a", "c"), false},
		{"'ForAllValues:StringNotEquals':{'k':['a','b']}", one("c", "d"), true},
		{"'ForAllValues:StringNotEquals':{'k':['a','b']}", one("c", "a"), false},
		{"'ForAllValues:StringNotEquals':{'k':['a','b']}", absent, true},
		{"'ForAnyValue:StringEquals':{'k':['a']}", absent, false}, // C11
		{"'ForAnyValue:StringEqualsIfExists':{'k':['a']}", absent, true},
		{"'ForAnyValue:StringEquals':{'k':['a']}", one("b", "a"), true},
		{"'ForAnyValue:StringEquals':{'k':['a']}", one("b", "c"), false},
		{"'ForAnyValue:StringNotEquals':{'k':['a']}", absent, false},
		{"'ForAnyValue:StringNotEquals':{'k':['a']}", one("a", "b"), true},
		{"'ForAnyValue:StringNotEquals':{'k':['a']}", one("a", "a"), false},
		{"'StringEquals':{'k':['a']}", one("b", "a"), true},
		{"'StringNotEquals':{'k':['a']}", one("b", "a"), false},
		{"'Null':{'k':'true'}", absent, true}, // C14
		{"'Null':{'k':'true'}", empty, true},
		{"'Null':{'k':'true'}", one("x"), false},
		{"'Null':{'k':false}", one("x"), true},
		{"'Null':{'k':false}", absent, false},
		{"'Null':{'k':['true','false']}", absent, true},
		{"'NumericEquals':{'k':5}", one("5"), true},
		{"'Bool':{'k':true}", one("true"), true},
		{"'StringEquals':{'k':'a','l':'b'}", one("a"), false},
		{"'StringEquals':{'k':'a'},'StringLike':{'k':'a*'}", one("a"), true},
		{"'StringEquals':{'k':'a'},'StringLike':{'k':'b*'}", one("a"), false},
		{"'StringEquals':{}", absent, true},
		{"", absent, true},
		{"'StringEquals':{'kms:EncryptionContext:Team':'a'}", Values{"kms:encryptioncontext:team": {"a"}}, true},
	} {
		if got := satisfied(t, "2012-10-17", test.condition, test.context); got != test.want {
			t.Errorf("%s with %v: %t, want %t", test.condition, test.context, got, test.want)
		}
	}
}

func TestVariables(t *testing.T) {
	context := Values{
		"k": {"alice"}, "aws:username": {"alice"}, "aws:star": {"*"}, "aws:two": {"a", "b"}, "aws:truth": {"true"}, "aws:odd": {"\xff\xfe\xfd"},
		"aws:arn": {"arn:aws:s3:::b"}, "odd": {"x\xff\xfe\xfdx"}, "arn": {"arn:aws:s3:::b"}, "account": {"arn:aws:s3:r:1:x"}, "aws:colons": {"r:1"},
		"star": {"*"}, "t": {"true"},
	}
	for _, test := range []struct {
		condition string
		want      bool
	}{
		{"'StringEquals':{'k':'${aws:username}'}", true},
		{"'StringEquals':{'k':'${AWS:UserName}'}", true},
		{"'StringNotEquals':{'k':'${aws:username}'}", false},
		{"'StringEqualsIgnoreCase':{'k':'${aws:username}'}", true},
		{"'StringLike':{'k':'a*${aws:star}'}", false},
		{"'StringLike':{'star':'${aws:star}'}", true},
		{"'StringLike':{'k':'*${aws:username}*'}", true},
		{"'StringLike':{'odd':'?${aws:odd}?'}", true},
		{"'StringEquals':{'k':'${aws:nothing}'}", false},
		{"'StringNotEquals':{'k':'${aws:nothing}'}", true},
		{"'StringEquals':{'k':'${aws:two}'}", false},
		{"'StringEquals':{'k':['${aws:nothing}','alice']}", true},
		{"'StringEquals':{'k':'${aws:nothing, \\u0027alice\\u0027}'}", true},
		{"'StringEquals':{'k':'${aws:username, \\u0027bob\\u0027}'}", true},
		{"'StringEquals':{'k':'al${aws:nothing, \\u0027ic\\u0027}e'}", true},
		{"'ArnEquals':{'arn':'${aws:arn}'}", true},
		{"'ArnEquals':{'account':'arn:aws:s3:${aws:colons}:x'}", false},
		{"'Bool':{'t':'${aws:truth}'}", true},
		{"'Bool':{'t':'${aws:nothing}'}", false},
		{"'NumericEquals':{'k':'${aws:username}'}", false},
	} {
		if got := satisfied(t, "2012-10-17", test.condition, context); got != test.want {
			t.Errorf("%s: %t, want %t", test.condition, got, test.want)
		}
		// The version before has no variables: the text stands for itself.
		if strings.Contains(test.condition, "username") && strings.HasPrefix(test.condition, "'String") {
			if satisfied(t, "2008-10-17", test.condition, context) != strings.Contains(test.condition, "Not") {
				t.Errorf("%s of version 2008-10-17 has a variable", test.condition)
			}
		}
	}
}
