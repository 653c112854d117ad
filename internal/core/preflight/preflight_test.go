// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const (
	key1   = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	key2   = "arn:aws:kms:us-east-1:111122223333:key/2234abcd-12ab-34cd-56ef-1234567890ab"
	writer = "arn:aws:iam::111122223333:role/app/writer"
	rootOf = "'Sid':'Root','Effect':'Allow','Principal':{'AWS':'arn:aws:iam::111122223333:root'},'Action':'kms:PutKeyPolicy','Resource':'*'"
)

// document puts statements together; apostrophes are quotes.
func document(statements ...string) string {
	for i, s := range statements {
		statements[i] = "    {" + s + "}"
	}
	return strings.ReplaceAll("{\n  'Version': '2012-10-17',\n  'Statement': [\n"+strings.Join(statements, ",\n")+"\n  ]\n}", "'", `"`)
}

// on is the condition of an operator on the object's ARN.
func on(operator string, values ...string) string {
	list := ""
	for i, v := range values {
		if i > 0 {
			list += ","
		}
		list += "'arn:aws:s3:::" + v + "'"
	}
	return ",'Condition':{'" + operator + "':{'kms:EncryptionContext:aws:s3:arn':[" + list + "]}}"
}

func keyed(effect, action, condition string) Document {
	return Document{Kind: KeyPolicy, Name: key1, Resource: key1, Text: document(rootOf,
		"'Sid':'S','Effect':'"+effect+"','Principal':{'AWS':'"+writer+"'},'Action':"+action+",'Resource':'*'"+condition)}
}

func inline(effect, rest, condition string) Document {
	return Document{Kind: Inline, Name: "role writer, inline policy p", Concerns: []string{writer}, Text: document("'Effect':'" + effect + "'," + rest + condition)}
}

const (
	uses = "['kms:Decrypt','kms:GenerateDataKey']"
	all  = "'Action':'kms:*','Resource':'*'"
)

// run looks through documents for the bucket photos.
func run(t testing.TB, in *Input) *Report {
	t.Helper()
	in.Bucket = "photos"
	r, err := Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestFamilies has the families of conditions that break in practice, in each kind of
// policy, and what becomes of them.
func TestFamilies(t *testing.T) {
	for _, test := range []struct {
		name    string
		doc     Document
		effect  Effect
		widens  bool
		byHand  bool // no edit keeps the meaning
		covered bool
	}{
		{"StringEquals, one object", keyed("Allow", uses, on("StringEquals", "photos/report.pdf")), StopsAllowing, true, false, false},
		{"StringEqualsIgnoreCase", keyed("Allow", uses, on("StringEqualsIgnoreCase", "Photos/Report.pdf")), StopsAllowing, true, false, false},
		{"StringLike, whole bucket", keyed("Allow", uses, on("StringLike", "photos/*")), StopsAllowing, false, false, false},
		{"StringLike, prefix", keyed("Allow", uses, on("StringLike", "photos/in/*")), StopsAllowing, true, false, false},
		{"StringLike, two buckets", keyed("Allow", uses, on("StringLike", "videos/*", "photos/*")), StopsAllowing, false, false, false},
		{"StringLike, wildcard for the bucket", keyed("Allow", uses, on("StringLike", "pho*/*")), StopsAllowing, false, false, false},
		{"StringLikeIfExists", keyed("Allow", uses, on("StringLikeIfExists", "photos/*")), StopsAllowing, false, false, false},
		{"ArnLike", keyed("Allow", uses, on("ArnLike", "photos/*")), StopsAllowing, false, false, false},
		{"ArnEquals, prefix", keyed("Allow", uses, on("ArnEquals", "photos/in/*")), StopsAllowing, true, false, false},
		{"ForAnyValue", keyed("Allow", uses, on("ForAnyValue:StringLike", "photos/*")), StopsAllowing, false, false, false},
		{"ForAnyValue, equal", keyed("Allow", uses, on("ForAnyValue:StringEquals", "photos/a", "photos/b")), StopsAllowing, true, false, false},
		{"ForAllValues, ARN", inline("Deny", all, on("ForAllValues:ArnNotLike", "photos/*")), StartsDenying, false, false, false},
		{"variable", inline("Allow", all, on("StringLike", "photos/${aws:username}/*")), StopsAllowing, true, false, false},
		{"variable for the bucket", inline("Allow", all, on("StringLike", "${aws:PrincipalTag/bucket}/*")), StopsAllowing, true, false, false},
		{"NotResource", inline("Allow", "'Action':'kms:*','NotResource':'"+key2+"'", on("StringLike", "photos/*")), StopsAllowing, false, false, false},
		{"NotResource, Deny", inline("Deny", "'Action':'kms:*','NotResource':'"+key2+"'", on("StringNotLike", "photos/*")), StartsDenying, false, false, false},
		{"NotAction", inline("Deny", "'NotAction':'kms:DescribeKey','Resource':'*'", on("StringNotLike", "photos/*")), StartsDenying, false, false, false},
		{"Deny but for the bucket", keyed("Deny", uses, on("StringNotLike", "photos/*")), StartsDenying, false, false, false},
		{"Deny but for a prefix", keyed("Deny", uses, on("ArnNotLike", "photos/in/*")), StartsDenying, true, false, false},
		{"Deny but for one object", keyed("Deny", uses, on("StringNotEquals", "photos/a")), StartsDenying, true, false, false},
		{"Deny the bucket", keyed("Deny", uses, on("StringLike", "photos/*")), StopsDenying, false, false, false},
		{"Deny a prefix", keyed("Deny", uses, on("StringLike", "photos/secret/*")), StopsDenying, false, true, false},
		{"Allow but for the bucket", keyed("Allow", uses, on("StringNotLike", "photos/*")), StartsAllowing, false, false, false},
		{"Allow but for a prefix", keyed("Allow", uses, on("StringNotLike", "photos/secret/*")), StartsAllowing, false, true, false},
		{"Deny the bucket by name", keyed("Deny", uses, on("StringEquals", "photos")), StartsDenying, false, true, false},
		{"Allow but for the bucket by name", keyed("Allow", uses, on("StringNotEquals", "photos")), StopsAllowing, false, true, false},
		{"another statement has the bucket", Document{Kind: KeyPolicy, Name: key1, Resource: key1, Text: document(
			"'Effect':'Allow','Principal':{'AWS':'"+writer+"'},'Action':"+uses+",'Resource':'*'"+on("StringLike", "photos/*"),
			"'Effect':'Allow','Principal':{'AWS':'"+writer+"'},'Action':'kms:*','Resource':'*'"+on("StringEquals", "photos"))}, StopsAllowing, false, false, true},
		{"boundary", Document{Kind: Boundary, Name: "b", Concerns: []string{writer}, Text: document("'Effect':'Allow'," + all + on("StringLike", "photos/*"))}, StopsAllowing, false, false, false},
		{"service control", Document{Kind: ServiceControl, Name: "scp", Text: document("'Effect':'Deny'," + all + on("StringNotLike", "photos/*"))}, StartsDenying, false, false, false},
		{"name of the key in other case", keyed("Allow", uses, strings.Replace(on("StringLike", "photos/*"), "EncryptionContext:aws", "encryptioncontext:AWS", 1)), StopsAllowing, false, false, false},
	} {
		r := run(t, &Input{Documents: []Document{test.doc}})
		i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Effect == test.effect })
		if i < 0 {
			t.Errorf("%s: found %+v", test.name, r.Findings)
			continue
		}
		f := r.Findings[i]
		if r.Breaks == test.covered || f.Covered != test.covered || f.Widens != test.widens || f.Weakens != (f.Effect == StopsDenying || f.Effect == StartsAllowing) {
			t.Errorf("%s: breaks %t, covered %t, widens %t, weakens %t", test.name, r.Breaks, f.Covered, f.Widens, f.Weakens)
		}
		if f.Why == "" || f.Widens && len(f.Advice) == 0 || len(f.Concerns) == 0 {
			t.Errorf("%s: %+v says too little", test.name, f)
		}
		if test.byHand {
			if len(f.Edited) > 0 || len(f.Advice) == 0 {
				t.Errorf("%s: edited to %s, advice %q", test.name, f.Edited, f.Advice)
			}
			continue
		}
		if !f.Proven || !json.Valid(f.Edited) || len(r.Edited) != 1 {
			t.Errorf("%s: not proven: %s: %s", test.name, f.Unproven, f.Edited)
			continue
		}
		// What is edited is found no more, and every old value is in it still.
		test.doc.Text = string(r.Edited[0].Text)
		if again := run(t, &Input{Documents: []Document{test.doc}}); again.Breaks || len(again.Warnings) > 0 {
			t.Errorf("%s: once edited, %+v %v is found", test.name, again.Findings, again.Warnings)
		}
	}
}

// TestUnaffected has conditions that mean the same with Bucket Keys.
func TestUnaffected(t *testing.T) {
	for name, doc := range map[string]Document{
		"bucket and objects":       keyed("Allow", uses, on("StringLike", "photos", "photos/*")),
		"bucket and a prefix":      keyed("Allow", uses, on("StringLike", "photos", "photos/in/*")),
		"wildcard":                 keyed("Allow", uses, on("StringLike", "photos*")),
		"everything":               keyed("Allow", uses, on("StringLike", "*")),
		"another bucket":           keyed("Allow", uses, on("StringLike", "videos/*")),
		"longer name":              keyed("Allow", uses, on("StringLike", "photos-2/*")),
		"deny but for another":     keyed("Deny", uses, on("StringNotLike", "videos/*")),
		"deny but for both":        keyed("Deny", uses, on("StringNotLike", "photos", "photos/in/*")),
		"no condition":             keyed("Allow", uses, ""),
		"names of the context":     keyed("Allow", uses, ",'Condition':{'ForAnyValue:StringEquals':{'kms:EncryptionContextKeys':'aws:s3:arn'}}"),
		"that there is one":        keyed("Allow", uses, ",'Condition':{'Null':{'kms:EncryptionContext:aws:s3:arn':'false'}}"),
		"another pair":             keyed("Allow", uses, ",'Condition':{'StringEquals':{'kms:EncryptionContext:department':'arn:aws:s3:::photos/a'}}"),
		"actions that S3 does not": keyed("Allow", "'kms:ScheduleKeyDeletion'", on("StringLike", "photos/*")),
		"other resources":          inline("Allow", "'Action':'*','Resource':'arn:aws:s3:::photos/*'", on("StringLike", "photos/*")),
		"an S3 policy":             inline("Allow", "'Action':'s3:*','Resource':'*'", on("StringLike", "photos/*")),
		"literal wildcards":        keyed("Allow", uses, on("StringEquals", "photo?")),
		"two clauses, not both":    keyed("Allow", uses, ",'Condition':{'StringLike':{'kms:EncryptionContext:aws:s3:arn':'arn:aws:s3:::videos/*'},'StringNotLike':{'kms:EncryptionContext:aws:s3:arn':'arn:aws:s3:::photos/*'}}"),
	} {
		if r := run(t, &Input{Documents: []Document{doc}}); r.Breaks || len(r.Findings) > 0 || len(r.Warnings) > 0 {
			t.Errorf("%s: %+v %v", name, r.Findings, r.Warnings)
		}
	}
}

func TestTwoClauses(t *testing.T) {
	both := ",'Condition':{'StringLike':{'kms:EncryptionContext:aws:s3:arn':'arn:aws:s3:::photos/*'},'StringNotLike':{'kms:EncryptionContext:aws:s3:arn':'arn:aws:s3:::photos/secret/*'}}"
	r := run(t, &Input{Documents: []Document{keyed("Allow", uses, both)}})
	if len(r.Findings) != 1 || r.Findings[0].Effect != StopsAllowing || !r.Findings[0].Widens || !r.Findings[0].Proven {
		t.Errorf("allow: %+v", r.Findings)
	}
	r = run(t, &Input{Documents: []Document{keyed("Deny", uses, both)}})
	if len(r.Findings) != 1 || r.Findings[0].Effect != StopsDenying || len(r.Findings[0].Edited) > 0 {
		t.Errorf("deny: %+v", r.Findings)
	}
}

// TestOtherConditions has statements that apply only when more is true.
func TestOtherConditions(t *testing.T) {
	for _, more := range []string{
		"'StringEquals':{'kms:ViaService':'s3.eu-west-1.amazonaws.com','kms:CallerAccount':'111122223333'}",
		"'StringLike':{'aws:PrincipalTag/team':['red*','blue']}",
		"'ArnLike':{'aws:PrincipalArn':'arn:aws:iam::*:role/app/*'}",
		"'IpAddress':{'aws:SourceIp':'10.0.0.0/8'}",
		"'NotIpAddress':{'aws:SourceIp':'203.0.113.0/24'}",
		"'Bool':{'aws:SecureTransport':'true','aws:ViaAWSService':true}",
		"'DateLessThan':{'aws:CurrentTime':'2027-01-01T00:00:00Z'}",
		"'DateGreaterThan':{'aws:CurrentTime':'2027-01-01T00:00:00Z'}",
		"'NumericLessThan':{'aws:MultiFactorAuthAge':'3600'}",
		"'Null':{'aws:TokenIssueTime':'true'}",
		"'Null':{'aws:TokenIssueTime':'false'}",
		"'ForAllValues:StringEquals':{'aws:TagKeys':['a','b']}",
		"'StringEquals':{'aws:PrincipalOrgID':'o-1234567890'}",
		"'StringNotEquals':{'kms:ViaService':'s3.us-east-1.amazonaws.com'}",
	} {
		condition := strings.Replace(on("StringLikeIfExists", "photos/*"), "'Condition':{", "'Condition':{"+more+",", 1)
		r := run(t, &Input{Documents: []Document{keyed("Allow", uses, condition)}})
		if len(r.Findings) != 1 || !r.Findings[0].Proven {
			t.Errorf("%s: %+v", more, r.Findings)
		}
	}
}

func TestPrincipals(t *testing.T) {
	for principal, want := range map[string]string{
		"'*'":                    "*",
		"{'AWS':'*'}":            "*",
		"{'AWS':'" + key1 + "'}": key1,
		"{'AWS':['444455556666','arn:aws:iam::444455556666:user/eve']}": "444455556666 arn:aws:iam::444455556666:user/eve",
		"{'AWS':'arn:aws:sts::111122223333:assumed-role/writer/s1'}":    "arn:aws:sts::111122223333:assumed-role/writer/s1",
		"{'AWS':'arn:aws:sts::111122223333:federated-user/eve'}":        "arn:aws:sts::111122223333:federated-user/eve",
		"{'Service':'logging.s3.amazonaws.com'}":                        "Service logging.s3.amazonaws.com",
	} {
		d := Document{Kind: KeyPolicy, Name: key1, Resource: key1, Text: document("'Effect':'Allow','Principal':" + principal + ",'Action':'kms:*','Resource':'*'" + on("StringLike", "photos/*"))}
		r := run(t, &Input{Documents: []Document{d}})
		// A key's ARN is no principal: the parser refuses the policy, and it is found all the same.
		if f := r.Findings[0]; strings.Join(f.Concerns, " ") != want || f.Proven == (want == key1) {
			t.Errorf("%s: %v, proven %t: %s", principal, f.Concerns, f.Proven, f.Unproven)
		}
	}
}

func grants(constraints string) []Grant {
	var g Grant
	text := fmt.Sprintf(`{"KeyId":%q,"GrantId":"g1","Name":"n","GranteePrincipal":%q,"Operations":["Decrypt","GenerateDataKey"],"Constraints":{%s}}`, key1, writer, constraints)
	if err := json.Unmarshal([]byte(strings.ReplaceAll(text, "'", `"`)), &g); err != nil {
		panic(err) // the test's own text
	}
	return []Grant{g}
}

func TestGrants(t *testing.T) {
	for constraints, found := range map[string]bool{
		"'EncryptionContextEquals':{'aws:s3:arn':'arn:aws:s3:::photos/a'}":                        true,
		"'EncryptionContextSubset':{'aws:s3:arn':'arn:aws:s3:::photos/a/b','department':'sales'}": true,
		"'EncryptionContextSubset':{'aws:s3:arn':'arn:aws:s3:::photos'}":                          false,
		"'EncryptionContextSubset':{'aws:s3:arn':'arn:aws:s3:::photos-2/a'}":                      false,
		"'EncryptionContextSubset':{'department':'arn:aws:s3:::photos/a'}":                        false,
		"": false,
	} {
		g := grants(constraints)
		r := run(t, &Input{Grants: g})
		if r.Breaks != found || found && !r.Findings[0].Proven {
			t.Errorf("%s: %+v", constraints, r.Findings)
		}
		if !found {
			continue
		}
		var second Grant
		if err := json.Unmarshal(r.Findings[0].Edited, &second); err != nil {
			t.Fatal(err)
		}
		r = run(t, &Input{Grants: append(g, second)})
		if r.Breaks || len(r.Findings) != 1 || !r.Findings[0].Covered {
			t.Errorf("%s: with the second grant %+v", constraints, r.Findings)
		}
	}
	if r := run(t, &Input{Key: key2, Grants: grants("'EncryptionContextEquals':{'aws:s3:arn':'arn:aws:s3:::photos/a'}")}); r.Breaks {
		t.Errorf("of another key: %+v", r.Findings)
	}
}

// TestEditKeepsTheRest has a policy with a layout of its own: all but the values that
// are added stays as it was.
func TestEditKeepsTheRest(t *testing.T) {
	const before = `{"Version" : "2012-10-17",
  "Id":"x &<>",  "Statement":[ {"Effect":"Allow","Principal":"*",
	"Action":"kms:Decrypt", "Resource":"*", "Condition": { "StringLike" : {
	   "kms:EncryptionContext:aws:s3:arn" : [
	      "arn:aws:s3:::photos/*",
	      "arn:aws:s3:::videos/*"
	   ]}, "ArnLike": {"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::photos/*"}}}]}
`
	const after = `{"Version" : "2012-10-17",
  "Id":"x &<>",  "Statement":[ {"Effect":"Allow","Principal":"*",
	"Action":"kms:Decrypt", "Resource":"*", "Condition": { "StringLike" : {
	   "kms:EncryptionContext:aws:s3:arn" : [
	      "arn:aws:s3:::photos/*",
	      "arn:aws:s3:::videos/*",
	      "arn:aws:s3:::photos"
	   ]}, "ArnLike": {"kms:EncryptionContext:aws:s3:arn":["arn:aws:s3:::photos/*", "arn:aws:s3:::photos"]}}}]}
`
	r := run(t, &Input{Documents: []Document{{Kind: KeyPolicy, Name: key1, Resource: key1, Text: before}}})
	if len(r.Edited) != 1 || string(r.Edited[0].Text) != after {
		t.Errorf("edited to %+v", r.Edited)
	}
}

// TestProveRefuses has edits that are none.
func TestProveRefuses(t *testing.T) {
	d := keyed("Allow", uses, on("StringLike", "photos/in/*"))
	in := &Input{Bucket: "photos"}
	for edited, says := range map[string]string{
		d.Text: "not allow all",
		strings.Replace(d.Text, "photos/in/*", "photos*", 1):             "about objects that exist",
		strings.Replace(d.Text, `photos/in/*"`, `photos"`, 1):            "about objects that exist",
		strings.Replace(d.Text, "StringLike", "StringFancy", 1):          "",
		strings.Replace(d.Text, `"kms:Decrypt",`, "", 1):                 "about objects that exist",
		strings.Replace(d.Text, "Statement", "Statements", 1):            "",
		strings.Replace(d.Text, `/*"]`, `/*","arn:aws:s3:::photos"]`, 1): "allow what is refused now",
	} {
		err := Prove(in, &d, edited, 1, StopsAllowing, false)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", edited, err, says)
		}
	}
	if err := Prove(in, &d, strings.Replace(d.Text, `/*"]`, `/*","arn:aws:s3:::photos"]`, 1), 1, StopsAllowing, true); err != nil {
		t.Error(err)
	}
	never := keyed("Allow", uses, ",'Condition':{'StringLike':{'kms:EncryptionContext:aws:s3:arn':'arn:aws:s3:::photos/*'},'Bool':{'aws:SecureTransport':['false']},'StringEquals':{'aws:securetransport':'true'}}")
	if err := Prove(in, &never, never.Text, 1, StopsAllowing, false); err == nil || !strings.Contains(err.Error(), "no question") {
		t.Errorf("a statement that never applies: %v", err)
	}
}

func TestInstead(t *testing.T) {
	r := run(t, &Input{Documents: []Document{keyed("Deny", "'kms:*'", on("StringLike", "photos/secret/*", "photos/keys/*"))}})
	want := `{"Sid":"InsteadOfEncryptionContext","Effect":"Deny","Principal":{"AWS":"arn:aws:iam::111122223333:role/app/writer"},` +
		`"Action":["s3:GetObject","s3:GetObjectVersion","s3:PutObject"],"Resource":["arn:aws:s3:::photos/keys/*","arn:aws:s3:::photos/secret/*"]}`
	if len(r.Findings) != 1 || string(r.Findings[0].Instead) != want {
		t.Errorf("%s", r.Findings[0].Instead)
	}
	group := inline("Deny", "'Action':'kms:Decrypt','Resource':'*'", on("StringEquals", "photos/a*b"))
	group.Concerns = []string{"arn:aws:iam::111122223333:group/staff"}
	r = run(t, &Input{Documents: []Document{group}, Members: map[string][]string{group.Concerns[0]: {"arn:aws:iam::111122223333:user/b", "arn:aws:iam::111122223333:user/a"}}})
	want = `{"Sid":"InsteadOfEncryptionContext","Effect":"Deny","Principal":{"AWS":["arn:aws:iam::111122223333:user/a","arn:aws:iam::111122223333:user/b"]},` +
		`"Action":["s3:GetObject","s3:GetObjectVersion"],"Resource":["arn:aws:s3:::photos/a${*}b"]}`
	if string(r.Findings[0].Instead) != want {
		t.Errorf("%s", r.Findings[0].Instead)
	}
}

func TestBucketPolicies(t *testing.T) {
	d := Document{Kind: BucketPolicy, Name: "photos", Text: document("'Effect':'Deny','Principal':'*','Action':'s3:*','Resource':'*'" + on("StringNotLike", "photos/*"))}
	r := run(t, &Input{Documents: []Document{d}})
	if r.Breaks || len(r.Findings) != 1 || r.Findings[0].Effect != NoEffect || len(r.Edited) != 0 {
		t.Errorf("%+v", r)
	}
}

func TestWriters(t *testing.T) {
	const alice, bob = "arn:aws:iam::111122223333:user/alice", "arn:aws:iam::111122223333:user/bob"
	staff := "arn:aws:iam::111122223333:group/staff"
	of := func(who, action, resource string) Document {
		return Document{Kind: Inline, Name: "p of " + who, Concerns: []string{who}, Text: document("'Effect':'Allow','Action':'" + action + "','Resource':'" + resource + "'")}
	}
	in := &Input{
		Members: map[string][]string{staff: {alice, bob}},
		Documents: []Document{
			of(staff, "kms:GenerateDataKey", key1), of(alice, "kms:Decrypt", "arn:aws:kms:*:111122223333:key/*"), of(bob, "kms:Decrypt", key2),
			of(writer, "kms:GenerateDataKey*", "*"),
			keyed("Allow", "'kms:GenerateDataKey'", ""),
		},
		Grants: []Grant{{KeyID: key2, GrantID: "g", GranteePrincipal: "arn:aws:iam::111122223333:role/load", Operations: []string{"GenerateDataKey"}}},
	}
	var who []string
	for _, w := range run(t, in).Warnings {
		who = append(who, w.Concerns)
	}
	if want := []string{writer, "arn:aws:iam::111122223333:role/load", bob}; !slices.Equal(who, want) {
		t.Errorf("warned of %q, want %q", who, want)
	}
	in.Key = key2
	who = nil
	for _, w := range run(t, in).Warnings {
		who = append(who, w.Concerns)
	}
	if want := []string{writer, "arn:aws:iam::111122223333:role/load"}; !slices.Equal(who, want) {
		t.Errorf("for the second key warned of %q, want %q", who, want)
	}
}

func TestVariableThatDecides(t *testing.T) {
	for _, value := range []string{"${aws:PrincipalTag/where}", "${aws:PrincipalTag/bucket}"} {
		r := run(t, &Input{Documents: []Document{inline("Allow", all, on("StringLike", value))}})
		if r.Breaks || len(r.Warnings) != 1 {
			t.Errorf("%s: %+v", value, r)
		}
	}
}

func TestOtherPartition(t *testing.T) {
	d := keyed("Allow", uses, strings.ReplaceAll(on("StringLike", "photos/*"), "arn:aws:", "arn:aws-cn:"))
	d.Resource = strings.Replace(key1, "arn:aws:", "arn:aws-cn:", 1)
	r := run(t, &Input{Documents: []Document{d}, Key: d.Resource})
	if !r.Breaks || !strings.Contains(string(r.Findings[0].Edited), `"arn:aws-cn:s3:::photos"`) {
		t.Errorf("%+v", r)
	}
}

// TestLongPolicies bounds what a policy that is written to be long can cost.
func TestLongPolicies(t *testing.T) {
	var statements []string
	for i := range 150 {
		statements = append(statements, fmt.Sprintf("'Effect':'Allow','Principal':{'AWS':['*','111122223333','444455556666']},'Action':'kms:*','Resource':'*'%s", on("StringLike", fmt.Sprintf("photos/%d/*", i))))
	}
	r := run(t, &Input{Documents: []Document{{Kind: KeyPolicy, Name: key1, Resource: key1, Text: document(statements...)}}})
	if len(r.Findings) != 150 || r.Findings[0].Proven || r.Findings[0].Unproven != errTooLong.Error() || len(r.Edited) != 1 {
		t.Errorf("%d findings, the first %+v", len(r.Findings), r.Findings[0])
	}
}
