// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	. "github.com/cofferstore/coffer/internal/core/policy"
)

var kinds = map[Kind]string{Identity: "identity", Session: "session", ServiceControl: "service control", Trust: "trust", Bucket: "bucket", Key: "key"}

// sound is a statement that the kind takes.
func sound(kind Kind) string {
	switch kind {
	case Trust:
		return `"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"`
	case Bucket:
		return `"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"`
	case Key:
		return `"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"`
	}
	return `"Effect":"Allow","Action":"s3:*","Resource":"*"`
}

func parseText(kind Kind, text string) error {
	own := ""
	if kind == Bucket {
		own = "arn:aws:s3:::photos"
	}
	_, err := Parse(kind, own, text)
	return err
}

// TestFormOfDocuments: what is no document of any kind.
func TestFormOfDocuments(t *testing.T) {
	general := map[Kind]string{Bucket: "Invalid policy syntax."}
	for kind, name := range kinds {
		st := sound(kind)
		if err := parseText(kind, `{"Version":"2008-10-17","Id":"x","Statement":{"Sid":"","Condition":{},`+st+`}}`); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for what, text := range map[string]string{
			"a list":              `[]`,
			"nothing":             ``,
			"cut off":             `{`,
			"two values":          `{"Statement":{` + st + `}} {}`,
			"null":                `null`,
			"a name twice":        `{"Version":"2012-10-17","Version":"2012-10-17","Statement":{` + st + `}}`,
			"an element twice":    `{"Statement":{"Sid":"a",` + st + `,"Sid":"b"}}`,
			"a key twice":         `{"Statement":{` + st + `,"Condition":{"Bool":{"a":"true","a":"false"}}}}`,
			"version as number":   `{"Version":2012,"Statement":{` + st + `}}`,
			"null statement":      `{"Statement":[null]}`,
			"statement as text":   `{"Statement":"x"}`,
			"statement in a list": `{"Statement":[[{` + st + `}]]}`,
			"too deep":            `{"Statement":` + strings.Repeat("[", 30) + strings.Repeat("]", 30) + `}`,
			"invalid UTF-8":       "{\"Id\":\"\xff\",\"Statement\":{" + st + `}}`,
			"too long":            `{"Id":"` + strings.Repeat("x", MaxText) + `","Statement":{` + st + `}}`,
			"other version":       `{"Version":"2020-01-01","Statement":{` + st + `}}`,
			"no statement":        `{"Version":"2012-10-17"}`,
			"no statements":       `{"Statement":[]}`,
			"unknown element":     `{"Statement":{` + st + `,"Foo":1}}`,
			"element in lower":    `{"statement":{` + st + `}}`,
			"condition as list":   `{"Statement":{` + st + `,"Condition":[]}}`,
			"operator as text":    `{"Statement":{` + st + `,"Condition":{"Bool":"true"}}}`,
			"no values":           `{"Statement":{` + st + `,"Condition":{"Bool":{"a":[]}}}}`,
			"null value":          `{"Statement":{` + st + `,"Condition":{"Bool":{"a":null}}}}`,
			"object as value":     `{"Statement":{` + st + `,"Condition":{"Bool":{"a":{}}}}}`,
			"unknown operator":    `{"Statement":{` + st + `,"Condition":{"StringEqual":{"a":"b"}}}}`,
			"unknown, empty":      `{"Statement":{` + st + `,"Condition":{"StringEqual":{}}}}`,
			"Null if it exists":   `{"Statement":{` + st + `,"Condition":{"NullIfExists":{"a":"true"}}}}`,
			"variable left open":  `{"Version":"2012-10-17","Statement":{` + st + `,"Condition":{"StringLike":{"a":"${b"}}}}`,
			"variable unnamed":    `{"Version":"2012-10-17","Statement":{` + st + `,"Condition":{"StringLike":{"a":"${}"}}}}`,
			"default unquoted":    `{"Version":"2012-10-17","Statement":{` + st + `,"Condition":{"StringLike":{"a":"${b, c}"}}}}`,
			"effect as number":    `{"Statement":{` + strings.Replace(st, `"Allow"`, `1`, 1) + `}}`,
			"effect in lower":     `{"Statement":{` + strings.Replace(st, `Allow`, `allow`, 1) + `}}`,
			"no effect":           `{"Statement":{` + strings.Replace(st, `"Effect":"Allow",`, ``, 1) + `}}`,
			"empty action":        `{"Statement":{` + strings.Replace(st, `"Action":"`, `"Action":[""],"Sid":"`, 1) + `}}`,
			"two actions":         `{"Statement":{` + st + `,"NotAction":"s3:*"}}`,
			"Sid of a newline":    `{"Statement":{"Sid":"a\n",` + st + `}}`,
		} {
			err := parseText(kind, text)
			if !errors.Is(err, Malformed) || message(err) == "" || strings.Contains(message(err), "%") {
				t.Errorf("%s policy, %s: %v", name, what, err)
			}
			if text == `{"Statement":{`+st+`,"Condition":[]}}` && general[kind] != "" && message(err) != general[kind] {
				t.Errorf("%s policy, %s: %v", name, what, err)
			}
		}
	}
}

// TestTexts are the services' words for what is wrong.
func TestTexts(t *testing.T) {
	for _, test := range []struct {
		kind      Kind
		what      string
		statement string // with apostrophes
		want      string
	}{
		{Identity, "principal", "'Effect':'Allow','Principal':'*','Action':'s3:*','Resource':'*'", "Policy document should not specify a principal."},
		{Session, "not principal", "'Effect':'Deny','NotPrincipal':'*','Action':'s3:*','Resource':'*'", "Policy document should not specify a principal."},
		{ServiceControl, "principal", "'Effect':'Deny','Principal':'*','Action':'s3:*','Resource':'*'", "Policy document should not specify a principal."},
		{Identity, "Sid twice", "'Sid':'a','Effect':'Allow','Action':'s3:*','Resource':'*'},{'Sid':'a','Effect':'Allow','Action':'s3:*','Resource':'*'", "Statement IDs (SID) in a single policy must be unique."},
		{Identity, "Sid with spaces", "'Sid':'a b','Effect':'Allow','Action':'s3:*','Resource':'*'", "Syntax errors in policy."},
		{Identity, "no resource", "'Effect':'Allow','Action':'s3:*'", "Policy statement must contain resources."},
		{Identity, "no resources", "'Effect':'Allow','Action':'s3:*','Resource':[]", "Policy statement must contain resources."},
		{Identity, "no action", "'Effect':'Allow','Resource':'*'", "Policy statement must contain actions."},
		{Identity, "no actions", "'Effect':'Allow','Action':[],'Resource':'*'", "Policy statement must contain actions."},
		{Identity, "bare action", "'Effect':'Allow','Action':'GetObject','Resource':'*'", "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."},
		{Identity, "colons", "'Effect':'Allow','Action':'s3:Get:Object','Resource':'*'", "Actions/Condition can contain only one colon."},
		{Identity, "vendor", "'Effect':'Allow','Action':'s*:GetObject','Resource':'*'", "Vendor s* is not valid"},
		{Identity, "resource", "'Effect':'Allow','Action':'s3:*','Resource':'photos'", `Resource photos must be in ARN format or "*".`},
		{Identity, "short ARN", "'Effect':'Allow','Action':'s3:*','Resource':'arn:aws:s3:photos'", `Resource arn:aws:s3:photos must be in ARN format or "*".`},
		{Identity, "partition", "'Effect':'Allow','Action':'s3:*','Resource':'arn:gcp:s3:::photos'", `Partition "gcp" is not valid for resource "arn:gcp:s3:::photos".`},
		{Identity, "service", "'Effect':'Allow','Action':'s3:*','Resource':'arn:aws:s*:::photos'", "Resource vendor must be fully qualified and cannot contain regexes."},
		{Identity, "effect", "'Effect':'allow','Action':'s3:*','Resource':'*'", "The policy failed legacy parsing"},
		{Identity, "element", "'Effect':'Allow','action':'s3:*','Resource':'*'", "Syntax errors in policy."},
		{Identity, "operator", "'Effect':'Allow','Action':'s3:*','Resource':'*','Condition':{'StringEqual':{'a':'b'}}", "Syntax errors in policy."},
		{Trust, "resource", sound(Trust) + ",'Resource':'*'", "Has prohibited field Resource."},
		{Trust, "not resource", sound(Trust) + ",'NotResource':'*'", "Has prohibited field NotResource."},
		{Trust, "not principal", "'Effect':'Deny','NotPrincipal':'*','Action':'sts:AssumeRole'", "Has prohibited field NotPrincipal."},
		{Trust, "no principal", "'Effect':'Allow','Action':'sts:AssumeRole'", "Missing required field Principal"},
		{Trust, "group", "'Effect':'Allow','Principal':{'AWS':'arn:aws:iam::111122223333:group/g'},'Action':'sts:AssumeRole'", `Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:group/g"`},
		{Trust, "users", "'Effect':'Allow','Principal':{'AWS':'arn:aws:iam::111122223333:user/*'},'Action':'sts:AssumeRole'", `Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:user/*"`},
		{Trust, "name", "'Effect':'Allow','Principal':'alice','Action':'sts:AssumeRole'", `Invalid principal in policy: "AWS":"alice"`},
		{Trust, "action", "'Effect':'Allow','Principal':'*','Action':'s3:GetObject'", "AssumeRole policy may only specify STS AssumeRole actions."},
		{Trust, "canonical user", "'Effect':'Allow','Principal':{'CanonicalUser':'" + strings.Repeat("0a", 32) + "'},'Action':'sts:AssumeRole'", `Invalid principal in policy: "CanonicalUser":"` + strings.Repeat("0a", 32) + `"`},
		{Bucket, "no principal", "'Effect':'Allow','Action':'s3:GetObject','Resource':'arn:aws:s3:::photos/*'", "Missing required field Principal"},
		{Bucket, "no effect", "'Principal':'*','Action':'s3:GetObject','Resource':'arn:aws:s3:::photos/*'", "Missing required field Effect"},
		{Bucket, "no action", "'Effect':'Allow','Principal':'*','Resource':'arn:aws:s3:::photos/*'", "Missing required field Action"},
		{Bucket, "no resource", "'Effect':'Allow','Principal':'*','Action':'s3:GetObject'", "Missing required field Resource"},
		{Bucket, "principal", grant(aws("alice"), "s3:GetObject"), "Invalid principal in policy"},
		{Bucket, "kms action", grant("'*'", "s3:GetObject") + "},{" + strings.ReplaceAll(grant("'*'", "kms:Decrypt"), `"*"`, "arn:aws:s3:::photos/*"), "Policy has invalid action"},
		{Bucket, "unknown action", grant("'*'", "s3:GetObjects"), "Policy has invalid action"},
		{Bucket, "unknown actions", grant("'*'", "s3:Fetch*"), "Policy has invalid action"},
		{Bucket, "bare action", grant("'*'", "GetObject"), "Policy has invalid action"},
		{Bucket, "create on objects", grant("'*'", "s3:CreateBucket"), "Action does not apply to any resource(s) in statement"},
		{Bucket, "one of two", strings.Replace(grant("'*'", "s3:GetObject"), "'s3:GetObject'", "['s3:GetObject','s3:ListBucket']", 1), "Action does not apply to any resource(s) in statement"},
		{Bucket, "object action on bucket", strings.Replace(grant("'*'", "s3:GetObject"), "photos/*", "photos", 1), "Action does not apply to any resource(s) in statement"},
		{Bucket, "account's action", strings.Replace(grant("'*'", "s3:ListAllMyBuckets"), "photos/*", "photos", 1), "Action does not apply to any resource(s) in statement"},
		{Bucket, "everything", strings.Replace(grant("'*'", "s3:GetObject"), "arn:aws:s3:::photos/*", "*", 1), "Policy has invalid resource"},
		{Bucket, "another bucket", strings.Replace(grant("'*'", "s3:GetObject"), "photos/*", "videos/*", 1), "Policy has invalid resource"},
		{Bucket, "longer name", strings.Replace(grant("'*'", "s3:GetObject"), "photos/*", "photos2/*", 1), "Policy has invalid resource"},
		{Bucket, "word", strings.Replace(grant("'*'", "s3:GetObject"), "arn:aws:s3:::photos/*", "photos", 1), "Policy has invalid resource"},
		{Bucket, "operator", grant("'*'", "s3:GetObject") + ",'Condition':{'StringEqual':{'a':'b'}}", "Invalid Condition type : StringEqual"},
		{Bucket, "condition key", grant("'*'", "s3:GetObject") + ",'Condition':{'StringEquals':{'s3:Prefixes':'b'}}", "Policy has an invalid condition key"},
		{Bucket, "tag without a name", grant("'*'", "s3:GetObject") + ",'Condition':{'StringEquals':{'s3:ExistingObjectTags':'b'}}", "Policy has an invalid condition key"},
		{Bucket, "prefix of a read", grant("'*'", "s3:GetObject") + ",'Condition':{'StringEquals':{'s3:prefix':'b'}}", "Conditions do not apply to combination of actions and resources in statement"},
		{Bucket, "prefix of one of two", "'Effect':'Allow','Principal':'*','Action':['s3:ListBucket','s3:GetObject'],'Resource':['arn:aws:s3:::photos','arn:aws:s3:::photos/*'],'Condition':{'StringEquals':{'s3:prefix':'b'}}",
			"Conditions do not apply to combination of actions and resources in statement"},
		{Bucket, "key of a listing", strings.Replace(grant("'*'", "s3:ListBucket"), "photos/*", "photos", 1) + ",'Condition':{'Null':{'s3:x-amz-server-side-encryption-aws-kms-key-id':'true'}}",
			"Conditions do not apply to combination of actions and resources in statement"},
		{Bucket, "element", grant("'*'", "s3:GetObject") + ",'principal':'*'", "Unknown field principal"},
		{Bucket, "allow but", "'Effect':'Allow','NotPrincipal':'*','Action':'s3:GetObject','Resource':'arn:aws:s3:::photos/*'", "Invalid policy syntax."},
		{Bucket, "Sid twice", "'Sid':'a b'," + grant("'*'", "s3:GetObject") + "},{'Sid':'a b'," + grant("'*'", "s3:GetObject"), "Statement IDs (SID) in a single policy must be unique."},
		{Key, "Sid twice", "'Sid':'a b'," + grant("'*'", "kms:*") + "},{'Sid':'a b'," + grant("'*'", "kms:*"), "Statement IDs (SID) in a single policy must be unique."},
		{Key, "principal", grant(aws("arn:aws:iam::111122223333:group/g"), "kms:*"), "Policy contains a statement with one or more invalid principals."},
		{Key, "no principal", "'Effect':'Allow','Action':'kms:*','Resource':'*'", "Policy statement must contain either a principal or a NotPrincipal."},
		{Key, "effect", "'Effect':'allow','Principal':'*'", "Policy statement must have an effect of Allow or Deny."},
		{Key, "bare action", strings.Replace(grant("'*'", "kms:Decrypt"), "kms:", "", 1), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."},
		{Key, "resource", strings.Replace(grant("'*'", "kms:Decrypt"), "'Resource':'*'", "'Resource':'key'", 1), `Resource key must be in ARN format or "*".`},
		{Key, "too permissive", grant("'*'", "kms:Decrypt") + ",'Condition':{'ForAllValues:StringEquals':{'kms:EncryptionContext:a':'b'}}", "OverlyPermissiveCondition: ForAllValues:StringEquals with kms:EncryptionContext:a also allows requests without it."},
		{Key, "too permissive with tags", grant("'*'", "kms:Decrypt") + ",'Condition':{'ForAllValues:StringLikeIfExists':{'aws:RequestTag/a':'b'}}", "OverlyPermissiveCondition: ForAllValues:StringLikeIfExists with aws:RequestTag/a also allows requests without it."},
	} {
		text := `{"Version":"2012-10-17","Statement":[{` + strings.ReplaceAll(test.statement, "'", `"`) + `}]}`
		if err := parseText(test.kind, text); !errors.Is(err, Malformed) || message(err) != test.want {
			t.Errorf("%s policy, %s: %v, want %q", kinds[test.kind], test.what, err, test.want)
		}
	}
	// put is a bucket policy whose statement has this in the place of what is sound.
	put := func(element, value string) string {
		all := map[string]string{"Effect": `"Allow"`, "Principal": `"*"`, "Action": `"s3:GetObject"`, "Resource": `"arn:aws:s3:::photos/*"`}
		all[element] = value
		var members []string
		for name, v := range all {
			members = append(members, `"`+name+`":`+v)
		}
		return `{"Statement":[{` + strings.Join(members, ",") + `}]}`
	}
	for text, want := range map[string]string{
		`[]`: "Policies must be valid JSON and the first byte must be '{'", ` {"Statement":[]}`: "Policies must be valid JSON and the first byte must be '{'",
		`{}`: "Missing required field Statement", `{"Version":"1","Statement":{}}`: "The policy must contain a valid version string",
		`{"Foo":1}`: "Unknown field Foo", `{true}`: "This policy contains invalid Json", `{"Statement":[]}`: "Could not parse the policy: Statement is empty!",
		put("Action", `""`): "Policy has invalid action", put("Action", `[]`): "Policy has invalid action", put("Action", `true`): "Invalid policy syntax.",
		put("Resource", `""`): "Policy has invalid resource", put("Resource", `[]`): "Policy has invalid resource", put("Resource", `{}`): "Invalid policy syntax.",
		put("Principal", `{}`): "Invalid principal in policy", put("Principal", `{"AWS":[]}`): "Invalid principal in policy",
		put("Principal", `{"AWS":""}`): "Invalid principal in policy", put("Principal", `[]`): "Invalid policy syntax.",
		put("Condition", `{"NotIpAddress":{"aws:SourceIp":"300.1.1.1/8"}}`):      "Invalid IP address in Conditions",
		put("Condition", `{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","here"]}}`): "Invalid IP address in Conditions",
		put("Condition", `{"IpAddress":{"aws:SourceIp":"2001:db8::/32"}}`):       "",
	} {
		if err := parseText(Bucket, text); message(err) != want {
			t.Errorf("bucket policy %s: %v, want %q", text, err, want)
		}
	}
}

// TestPolicyOfTheBlog: what each service says of AWS's example "minimum permissions", which
// is usable nowhere as it is printed.
func TestPolicyOfTheBlog(t *testing.T) {
	printed := `{"Version":"2012-10-17","Statement":[{"Sid":"Permissions to use Bucket Keys","Effect":"Allow",
		"Principal":{"AWS":"arn:aws:iam::111122223333:user/willcavin"},
		"Action":["s3:PutObject","s3:GetObject","s3:CreateBucket","kms:Decrypt","kms:GenerateDataKey"],"Resource":"arn:aws:s3:::willcavinbucket/*"}]}`
	alone := strings.Replace(printed, `,"kms:Decrypt","kms:GenerateDataKey"`, ``, 1)
	unnamed := strings.Replace(printed, `"Principal":{"AWS":"arn:aws:iam::111122223333:user/willcavin"},`, ``, 1)
	for _, test := range []struct {
		what string
		kind Kind
		text string
		want string
	}{
		{"printed", Bucket, printed, "Policy has invalid action"},
		{"without kms", Bucket, alone, "Action does not apply to any resource(s) in statement"},
		{"without kms and CreateBucket", Bucket, strings.Replace(alone, `,"s3:CreateBucket"`, ``, 1), ""},
		{"printed", Identity, printed, "Policy document should not specify a principal."},
		{"without a principal", Identity, unnamed, "Syntax errors in policy."}, // the Sid
		{"without a principal and spaces", Identity, strings.Replace(unnamed, "Permissions to use Bucket Keys", "BucketKeys", 1), ""},
		{"printed", Key, printed, ""},
	} {
		if _, err := Parse(test.kind, map[Kind]string{Bucket: "arn:aws:s3:::willcavinbucket"}[test.kind], test.text); message(err) != test.want {
			t.Errorf("%s policy, %s: %v, want %q", kinds[test.kind], test.what, err, test.want)
		}
	}
}

// TestTaken are documents that look odd and are right.
func TestTaken(t *testing.T) {
	everything := "'Effect':'Allow','Principal':'*','Action':"
	for _, test := range []struct {
		kind      Kind
		statement string
	}{
		{Identity, "'Effect':'Allow','NotAction':['iam:*','*'],'NotResource':'*'"},
		{Identity, "'Effect':'Allow','Action':'S3:getObject','Resource':['arn:*:s3:::photos','arn:aws:kms:*','arn:aws-cn:s3:::photos']"},
		{Identity, "'Effect':'Allow','Action':['s3:Get?bject*','execute-api:Invoke'],'Resource':'arn:aws:s3:::photos/${aws:username}/${*}'"},
		{Trust, "'Effect':'Allow','Principal':{'Federated':'arn:aws:iam::111122223333:oidc-provider/id.example.com'},'Action':['sts:AssumeRoleWithWebIdentity','sts:TagSession'],'Condition':{'StringEquals':{'id.example.com:aud':'x'}}"},
		{Trust, "'Effect':'Allow','Principal':{'Service':['s3.amazonaws.com','logging.s3.amazonaws.com'],'AWS':['111122223333','arn:aws:sts::111122223333:assumed-role/r/s']},'Action':'sts:*'"},
		{Bucket, everything + "'s3:*','Resource':['arn:aws:s3:::photos','arn:aws:s3:::photos/a/*']"},
		{Bucket, everything + "'s3:*','Resource':'arn:aws:s3:::photos*'"},
		{Bucket, everything + "'*','Resource':'arn:aws:s3:::photos/*'"},
		{Bucket, everything + "['s3:*','s3:List*'],'Resource':['arn:aws:s3:::photos','arn:aws:s3:::photos/*'],'Condition':{'StringLike':{'s3:Prefix':'a/*','s3:authType':'POST'}}"},
		{Bucket, everything + "'s3:PutObject','Resource':'arn:aws:s3:::photos/*','Condition':{'Null':{'s3:x-amz-server-side-encryption-aws-kms-key-id':'true','s3:RequestObjectTag/a':'true','aws:anything':'true'}}"},
		{Bucket, everything + "'s3:Get*','Resource':'arn:aws:s3:::photos/*','Condition':{'StringEquals':{'s3:ExistingObjectTag/team/x':'a','s3:versionid':'v'}}"},
		{Bucket, everything + "['s3:ListBucket','s3:PutObject'],'Resource':['arn:aws:s3:::photos','arn:aws:s3:::photos/*']"},
		{Bucket, "'Sid':'Permissions to use Bucket Keys','Effect':'Deny','NotPrincipal':{'AWS':['111122223333'],'CanonicalUser':'" + strings.Repeat("0a", 32) + "'},'NotAction':'s3:GetObject','Resource':'arn:aws:s3:::photos'"},
		{Key, "'Sid':'Enable IAM User Permissions','Effect':'Allow','Principal':{'AWS':'arn:aws:iam::111122223333:root'}"},
		{Key, everything + "'s3:GetObject','Resource':'arn:aws:s3:::photos/*'"},
		{Key, everything + "'kms:*'"},
		{Key, everything[:strings.Index(everything, ",'Action'")] + ",'Resource':'*'"},
	} {
		text := document(test.statement)
		if err := parseText(test.kind, text); err != nil {
			t.Errorf("%s policy %s: %v", kinds[test.kind], text, err)
		}
	}
}

// TestAKeysStatementWithoutActionsHasNoEffect: neither as an allow nor as a deny.
func TestAKeysStatementWithoutActionsHasNoEffect(t *testing.T) {
	for _, missing := range []string{"'Resource':'*'", "'Action':'kms:*'"} {
		allows := parse(t, Key, "'Effect':'Allow','Principal':"+aws(alice.ARN)+","+missing)
		denies := parse(t, Key, grant(aws(alice.ARN), "kms:*"), "'Effect':'Deny','Principal':'*',"+missing)
		q := &Question{Principal: alice, Action: "kms:Decrypt", Resource: key1, Decides: true, Policy: allows}
		if d := Decide(q); d.Allowed || d.Explicit {
			t.Errorf("with %s alone an allow: %+v", missing, d)
		}
		if q.Policy = denies; !Decide(q).Allowed {
			t.Errorf("with %s alone a deny: %+v", missing, Decide(q))
		}
	}
}

func TestNamed(t *testing.T) {
	canonical := strings.Repeat("0a", 32)
	d := parse(t, Bucket,
		grant("{'AWS':['"+alice.ARN+"','"+batch.RoleARN+"','"+batch.ARN+"','444455556666'],'Service':'s3.amazonaws.com'}", "s3:GetObject"),
		grant("{'AWS':['"+alice.ARN+"','arn:aws:iam::444455556666:root'],'CanonicalUser':'"+canonical+"'}", "s3:PutObject"),
		grant("'*'", "s3:PutObject"))
	if got := d.Named(); !slices.Equal(got, []string{alice.ARN, batch.RoleARN, batch.ARN}) {
		t.Errorf("named %v", got)
	}
	if got := d.Accounts(); !slices.Equal(got, []string{other}) {
		t.Errorf("accounts %v", got)
	}
	if got := d.CanonicalUsers(); !slices.Equal(got, []string{canonical}) {
		t.Errorf("canonical users %v", got)
	}
	trust := parse(t, Trust, "'Effect':'Allow','Principal':{'Federated':'arn:aws:iam::111122223333:oidc-provider/x.example.com'},'Action':'sts:*'")
	if got := trust.Providers(); !slices.Equal(got, []string{"arn:aws:iam::111122223333:oidc-provider/x.example.com"}) {
		t.Errorf("providers %v", got)
	}
}

func TestSize(t *testing.T) {
	if got := Size(" {\n\t\"é\" : 1\r}"); got != 7 {
		t.Errorf("size %d, want 7", got)
	}
}
