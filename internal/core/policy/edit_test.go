// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	. "github.com/cofferstore/coffer/internal/core/policy"
)

const written = `{ "Version" : "2012-10-17",
  "Statement": [
    {"Effect":"Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:Decrypt",   "Resource": "*",
     "Condition": { "StringLike" : {"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::b\u002f*" , "aws:x": ["1",
           "2"]} }},
	{"Sid":"two", "Effect":"Allow","Principal":"*","Action":["kms:*"],"Resource":"*",
      "Condition": {
        "ArnLike": {
          "kms:EncryptionContext:aws:s3:arn": [
            "arn:aws:s3:::b/*"
          ]
        }
      }}
  ]
}
`

func TestRewriteLeavesTheRest(t *testing.T) {
	const arn = "kms:EncryptionContext:aws:s3:arn"
	for _, test := range []struct {
		name     string
		edits    []Edit
		old, new []string
	}{
		{"nothing", nil, nil, nil},
		{"one for one", []Edit{{Statement: 0, Operator: "StringLike", Key: arn, Values: []string{"a<b"}}}, []string{`"arn:aws:s3:::b\u002f*"`}, []string{`"a<b"`}},
		{"several for one", []Edit{{Statement: 0, Operator: "StringLike", Key: arn, Values: []string{"a", `"`}}}, []string{`"arn:aws:s3:::b\u002f*"`}, []string{`["a", "\""]`}},
		{"list", []Edit{{Statement: 0, Operator: "StringLike", Key: "aws:x", Values: []string{"a", "b", "c"}}},
			[]string{"[\"1\",\n           \"2\"]"}, []string{"[\"a\",\n           \"b\",\n           \"c\"]"}},
		{"list of lines", []Edit{{Statement: 1, Operator: "ArnLike", Key: arn, Values: []string{"arn:aws:s3:::b/*", "arn:aws:s3:::b"}}},
			[]string{"            \"arn:aws:s3:::b/*\"\n"}, []string{"            \"arn:aws:s3:::b/*\",\n            \"arn:aws:s3:::b\"\n"}},
		{"operator, and another statement", []Edit{
			{Statement: 1, Operator: "ArnLike", Key: arn, Values: []string{"x"}, NewOperator: "StringLike"},
			{Statement: 0, Operator: "StringLike", Key: "aws:x", Values: []string{"a"}},
		}, []string{`"ArnLike"`, "            \"arn:aws:s3:::b/*\"\n", "[\"1\",\n           \"2\"]"}, []string{`"StringLike"`, "            \"x\"\n", `["a"]`}},
	} {
		want := written
		for i := range test.old {
			want = strings.Replace(want, test.old[i], test.new[i], 1)
		}
		if got, err := Rewrite(written, test.edits...); got != want || err != nil {
			t.Errorf("%s: got %s, %v; want %s", test.name, got, err, want)
		}
	}
	for _, e := range []Edit{
		{Statement: 2, Operator: "ArnLike", Key: arn, Values: []string{"x"}},
		{Statement: -1, Operator: "ArnLike", Key: arn, Values: []string{"x"}},
		{Statement: 0, Operator: "ArnLike", Key: arn, Values: []string{"x"}},
		{Statement: 1, Operator: "ArnLike", Key: "aws:x", Values: []string{"x"}},
		{Statement: 1, Operator: "ArnLike", Key: arn},
	} {
		if got, err := Rewrite(written, e); !errors.Is(err, ErrNoCondition) {
			t.Errorf("%+v: %q, %v; want ErrNoCondition", e, got, err)
		}
	}
	twice := Edit{Statement: 1, Operator: "ArnLike", Key: arn, Values: []string{"x"}}
	other := twice
	other.Values = []string{"y"}
	if _, err := Rewrite(written, twice, other); err == nil {
		t.Error("two edits of one condition were made")
	}
	taken := `{"Statement":{"Condition":{"Bool":{"a":"1"},"Null":{"a":"1"}}}}`
	if got, err := Rewrite(taken, Edit{Operator: "Bool", Key: "a", Values: []string{"x"}, NewOperator: "Null"}); err == nil {
		t.Errorf("one operator twice: %s", got)
	}
	if _, err := Rewrite("{", twice); err == nil {
		t.Error("what is not JSON was edited")
	}
}

func TestStatementsAreShownAsWritten(t *testing.T) {
	d, err := Parse(Key, "", written)
	if err != nil {
		t.Fatal(err)
	}
	all := d.Statements()
	if len(all) != 2 || d.Kind() != Key || !d.Variables() || d.ID() != "" {
		t.Fatalf("%d statements of kind %v", len(all), d.Kind())
	}
	first, second := all[0], all[1]
	if first.Sid != "" || !first.Allow || !slices.Equal(first.Principals, []PrincipalName{{"AWS", home}}) || !slices.Equal(first.Actions, []string{"kms:Decrypt"}) {
		t.Errorf("first: %+v", first)
	}
	if len(first.Conditions) != 2 || first.Conditions[0].Operator != "StringLike" || first.Conditions[0].Key != "kms:EncryptionContext:aws:s3:arn" ||
		!slices.Equal(first.Conditions[0].Values, []string{"arn:aws:s3:::b/*"}) || !slices.Equal(first.Conditions[1].Values, []string{"1", "2"}) {
		t.Errorf("conditions: %+v", first.Conditions)
	}
	if second.Index != 1 || second.Sid != "two" || !slices.Equal(second.Principals, []PrincipalName{{"*", "*"}}) {
		t.Errorf("second: %+v", second)
	}
	if at := d.Positions()[second.Index][0]; at != (Position{6, 2}) {
		t.Errorf("second begins at %v", at)
	}
	if got := written[second.Start:second.End]; !strings.HasPrefix(got, `{"Sid":"two"`) || !strings.HasSuffix(got, "}}") {
		t.Errorf("second stands at %q", got)
	}
}
