// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"strings"
	"testing"
	"time"
)

const later = "2999-12-30T12:00:00.000Z"

// policyText is a policy with those conditions, in base64.
func policyText(conditions string) string {
	return base64Text([]byte(`{"expiration": "` + later + `", "conditions": [` + conditions + `]}`))
}

func TestPolicyDocuments(t *testing.T) {
	for document, want := range map[string]string{
		`{"expiration": "` + later + `", "conditions": []}`:                                   "",
		`{"conditions": [], "expiration": "2999-12-30T12:00:00Z"}`:                            "",
		`{"expiration": "` + later + `", "conditions": [["content-length-range", 0, "512"]]}`: "",
		`{"expiration": "` + later + `", "conditions": [["content-length-range", "a", "b"]]}`: "",
		`{"expiration": "` + later + `", "conditions": [["eq", "no dollar sign", "a"]]}`:      "",

		``:                                 "Invalid JSON.",
		`[]`:                               "Invalid JSON.",
		`null`:                             "Invalid JSON.",
		`{"expiration": "` + later + `",}`: "Invalid JSON.",
		`{"expiration": "` + later + `", "conditions": []} {}`:                "Invalid JSON.",
		`{"expiration": "` + later + `", "conditions": [], "conditions": []}`: "Invalid JSON.",
		`{"expiration": "` + later + "\xff" + `", "conditions": []}`:          "Invalid JSON.",
		`{}`:                              "Policy missing expiration.",
		`{"conditions": []}`:              "Policy missing expiration.",
		`{"expiration": "` + later + `"}`: "Policy missing conditions.",
		`{"EXPIRATION": "` + later + `", "conditions": []}`:                                    "Unexpected: 'expiration'",
		`{"Statement": [], "expiration": "` + later + `"}`:                                     "Unexpected: 'statement'",
		`{"expiration": "` + later + `", "conditions": {}}`:                                    "Invalid 'conditions' value: must be a List.",
		`{"expiration": "` + later + `", "conditions": null}`:                                  "Invalid 'conditions' value: must be a List.",
		`{"expiration": 1, "conditions": []}`:                                                  "Invalid 'expiration' value: 1",
		`{"expiration": "2999-12-30 12:00:00 UTC", "conditions": []}`:                          "Invalid 'expiration' value: '2999-12-30 12:00:00 UTC'",
		`{"expiration": "2999-12-30T12:00:00+02:00", "conditions": []}`:                        "Invalid 'expiration' value: '2999-12-30T12:00:00+02:00'",
		`{"expiration": "` + later + `", "conditions": ["eq"]}`:                                "Invalid Condition: must be a List or Object.",
		`{"expiration": "` + later + `", "conditions": [null]}`:                                "Invalid Condition: must be a List or Object.",
		`{"expiration": "` + later + `", "conditions": [{}]}`:                                  "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
		`{"expiration": "` + later + `", "conditions": [{"acl":"a","key":"b"}]}`:               "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
		`{"expiration": "` + later + `", "conditions": [{"key":"a","key":"b"}]}`:               "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
		`{"expiration": "` + later + `", "conditions": [{"Content-Length":619}]}`:              "Invalid Simple-Condition: value must be a string.",
		`{"expiration": "` + later + `", "conditions": [{"key":null}]}`:                        "Invalid JSON.",
		`{"expiration": "` + later + `", "conditions": [[]]}`:                                  "Invalid Condition: missing operation identifier.",
		`{"expiration": "` + later + `", "conditions": [[1, "$key", "a"]]}`:                    "Invalid JSON.",
		`{"expiration": "` + later + `", "conditions": [["ends-with", "$key", "a"]]}`:          "Invalid Condition: unknown operation 'ends-with'.",
		`{"expiration": "` + later + `", "conditions": [["eq", "$key"]]}`:                      "Invalid eq: wrong number of arguments.",
		`{"expiration": "` + later + `", "conditions": [["eq", "$key", 1]]}`:                   "Invalid JSON.",
		`{"expiration": "` + later + `", "conditions": [["content-length-range", 0]]}`:         "Invalid content-length-range: wrong number of arguments.",
		`{"expiration": "` + later + `", "conditions": [["content-length-range", 0, 512.0]]}`:  "Invalid JSON.",
		`{"expiration": "` + later + `", "conditions": [["content-length-range", 0, null]]}`:   "Invalid JSON.",
		`{"expiration": "` + later + `", "conditions": [["content-length-range", 0, 1e999]]}`:  "Invalid JSON.",
		`{"expiration": "` + later + `", "conditions": [["content-length-range", 0, [[[]]]]]}`: "Invalid JSON.",
	} {
		_, err := parsePostPolicy(base64Text([]byte(document)))
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", document, err)
			}
			continue
		}
		if kind, message := faultOf(err); kind != InvalidPolicyDocument || message != "Invalid Policy: "+want {
			t.Errorf("%s: %v, want %s", document, err, want)
		}
	}
	if _, err := parsePostPolicy("e30"); err == nil {
		t.Error("base64 without its padding is taken")
	}
}

func TestPolicyConditions(t *testing.T) {
	form := &postForm{fields: []formField{
		{"Key", "user/alice/cat.jpg"}, {"Content-Type", "image/png, image/gif"}, {"x-amz-meta-list", "a,b"}, {"empty", ""},
		{"Policy", "p"}, {"X-Amz-Signature", "s"}, {"X-Ignore-Me", "i"}, {"price", `$5 "or" more`},
	}}
	const all = `{"bucket": "photos"}, ["starts-with", "$key", ""], ["starts-with", "$content-type", ""], ["starts-with", "$X-Amz-Meta-List", ""], ["eq", "$empty", ""], ["starts-with", "$price", ""]`
	const failed = "Policy Condition failed: "
	for _, tc := range []struct{ conditions, want string }{
		{all, ""},
		{all + `, ["eq", "$KEY", "user/alice/cat.jpg"]`, ""},
		{all + `, ["EQ", "$key", "user/alice/cat.jpg"]`, ""},
		{all + `, {"KEY": "user/alice/cat.jpg"}`, ""},
		{all + `, ["eq", "$key", "User/alice/cat.jpg"]`, failed + `["eq", "$key", "User/alice/cat.jpg"]`},
		{all + `, {"Key": "dog"}`, failed + `["eq", "$Key", "dog"]`},
		{all + `, ["Starts-With", "$key", "<user>/bob"]`, failed + `["Starts-With", "$key", "<user>/bob"]`},
		{all + `, ["starts-with", "$key", "USER"]`, failed + `["starts-with", "$key", "USER"]`},
		{all + `, ["eq", "key", "user/alice/cat.jpg"]`, failed + `["eq", "key", "user/alice/cat.jpg"]`},
		{all + `, ["starts-with", "$absent", ""]`, failed + `["starts-with", "$absent", ""]`},
		{all + `, {"price": "\"free\""}`, failed + `["eq", "$price", "\"free\""]`},
		{all + `, {"price": "\$5 \"or\" more"}`, ""},
		{all + `, {"price": "\\\$5"}`, failed + `["eq", "$price", "\\$5"]`},
		{all + `, {"price": "\v"}`, failed + `["eq", "$price", "\u000b"]`},
		// A list of types is as good as its worst; lists of other things are text.
		{all + `, ["starts-with", "$Content-Type", "image/"]`, ""},
		{all + `, ["starts-with", "$Content-Type", "image/p"]`, failed + `["starts-with", "$Content-Type", "image/p"]`},
		{all + `, ["starts-with", "$x-amz-meta-list", "a"]`, ""},
		{`["starts-with", "$key", ""]`, "Extra input fields: bucket"},
		{strings.Replace(all, `["eq", "$empty", ""], `, "", 1), "Extra input fields: empty"},
		{strings.Replace(all, `["starts-with", "$X-Amz-Meta-List", ""], `, "", 1), "Extra input fields: x-amz-meta-list"},
		{strings.Replace(all, "photos", "Photos", 1), failed + `["eq", "$bucket", "Photos"]`},
		{strings.Replace(all, `{"bucket": "photos"}`, `["starts-with", "$bucket", "ph"]`, 1), ""},
	} {
		p, err := parsePostPolicy(policyText(tc.conditions))
		if err != nil {
			t.Errorf("%s: %v", tc.conditions, err)
			continue
		}
		_, err = p.check(form, "photos")
		if tc.want == "" {
			if err != nil {
				t.Errorf("%s: %v", tc.conditions, err)
			}
			continue
		}
		if kind, message := faultOf(err); kind != PolicyViolated || message != "Invalid according to Policy: "+tc.want {
			t.Errorf("%s: %v, want %s", tc.conditions, err, tc.want)
		}
	}
}

func TestPoliciesExpire(t *testing.T) {
	for at, want := range map[time.Time]string{
		time.Now().Add(time.Minute):  "",
		time.Now().Add(-time.Second): "Invalid according to Policy: Policy expired.",
	} {
		p := &postPolicy{expiration: at, conditions: []postCondition{{operation: equal, field: "$bucket", value: "photos"}}}
		_, err := p.check(new(postForm), "photos")
		if _, message := faultOf(err); message != want {
			t.Errorf("expires %v: %v, want %q", at, err, want)
		}
	}
}

func TestRangesOfAPolicy(t *testing.T) {
	form := new(postForm)
	p, err := parsePostPolicy(policyText(`{"bucket": "photos"}, ["content-length-range", 1, 10], ["content-length-range", "0", "7"]`))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.check(form, "photos"); err != nil || got != (sizes{1, 7}) {
		t.Errorf("two ranges are %v, %v; want what both allow", got, err)
	}
}

// The example of "Examples: Browser-Based Upload using HTTP POST (Using AWS
// Signature Version 4)", without the ACL that is not served here.
const documentedPolicy = `{ "expiration": "2999-12-30T12:00:00.000Z",
  "conditions": [
    {"bucket": "sigv4examplebucket"},
    ["starts-with", "$key", "user/user1/"],
    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
    ["starts-with", "$Content-Type", "image/"],
    {"x-amz-meta-uuid": "14365123651274"},
    {"x-amz-server-side-encryption": "AES256"},
    ["starts-with", "$x-amz-meta-tag", ""],
    ["content-length-range", 1, "10"]
  ]
}`

// No policy, however strange, is taken for another one than it is: what is parsed
// refuses a form that has a field too many, and one for another bucket.
func FuzzPostPolicy(f *testing.F) {
	for _, document := range []string{
		documentedPolicy, `{"expiration":"2999-12-30T12:00:00Z","conditions":[]}`, `{"expiration":"2999-12-30T12:00:00Z","conditions":[["eq","$a"]]}`,
		`{"expiration":"2999-12-30T12:00:00Z","conditions":[{"bucket":"photos"},["eq","$","a"],["content-length-range",-1,"x"],{"":""}]}`,
		`{"a":"\$\v\u0000"}`, `[[[[`, `{"expiration": 1 , "conditions" : [ null ]}`, `{"conditions":`,
	} {
		f.Add([]byte(document))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		p, err := parsePostPolicy(base64Text(document))
		if err != nil {
			if kind, message := faultOf(err); kind != InvalidPolicyDocument || !strings.HasPrefix(message, "Invalid Policy: ") {
				t.Errorf("%v", err)
			}
			return
		}
		extra := &postForm{fields: []formField{{"never\x00named", "v"}}}
		if _, err := p.check(extra, "\x00bucket"); err == nil {
			t.Errorf("%q allows everything", document)
		} else if kind, _ := faultOf(err); kind != PolicyViolated {
			t.Errorf("%v", err)
		}
	})
}

// A form is read to a file and fields within their bound, or refused.
func FuzzForm(f *testing.F) {
	end := "--" + testBoundary + "--\r\n"
	f.Add(formPart("key=${filename}") + strings.Replace(formPart("file=x"), `"file"`, `"file"; filename="a/b"`, 1) + end)
	f.Add(formPart("key=k") + formPart("KEY=l") + end)
	f.Add("--" + testBoundary + "\r\nContent-Disposition: form-data; name*=utf-8''file; filename*=utf-8''%ff\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := cat(t, "POST", "", "Content-Type: multipart/form-data; boundary="+testBoundary)
		read, err := readForm(c, strings.NewReader(text))
		if err != nil {
			if kind, _ := faultOf(err); kind == "" {
				t.Errorf("%v is no fault", err)
			}
			return
		}
		total, names := 0, map[string]bool{}
		form := read.(*postForm)
		for _, field := range form.fields {
			total += len(field.name) + len(field.value)
			if names[strings.ToLower(field.name)] || field.name == "" {
				t.Errorf("field %q is there twice", field.name)
			}
			names[strings.ToLower(field.name)] = true
		}
		if total > maxFields || form.file == nil {
			t.Errorf("%d bytes of fields, file %v", total, form.file)
		}
	})
}
