// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
)

const home = "111122223333"

// event is a record of the home account.
func event(category, source, name string, readOnly bool, arns ...string) *audit.Record {
	r := &audit.Record{
		EventCategory: category, EventSource: source, EventName: name, ReadOnly: readOnly, EventType: audit.TypeAPICall, RecipientAccountID: home,
		UserIdentity: audit.Identity{Type: iam.IAMUser, ARN: "arn:aws:iam::" + home + ":user/app"},
	}
	for _, arn := range arns {
		kind := objectType
		if !strings.Contains(arn, "/") {
			kind = bucketType
		}
		r.Resources = append(r.Resources, audit.Resource{Type: kind, ARN: arn})
	}
	return r
}

// Events of the tables below.
var (
	putObject    = event(audit.Data, "s3.amazonaws.com", "PutObject", false, "arn:aws:s3:::data/in/a.csv", "arn:aws:s3:::data")
	getObject    = event(audit.Data, "s3.amazonaws.com", "GetObject", true, "arn:aws:s3:::data/in/a.csv", "arn:aws:s3:::data")
	getOther     = event(audit.Data, "s3.amazonaws.com", "GetObject", true, "arn:aws:s3:::data-2/in/a.csv", "arn:aws:s3:::data-2")
	listObjects  = event(audit.Data, "s3.amazonaws.com", "ListObjects", true, "arn:aws:s3:::data")
	createBucket = event(audit.Management, "s3.amazonaws.com", "CreateBucket", false, "arn:aws:s3:::data")
	decrypt      = event(audit.Management, "kms.amazonaws.com", "Decrypt", true)
	createKey    = event(audit.Management, "kms.amazonaws.com", "CreateKey", false)
	createUser   = event(audit.Management, "iam.amazonaws.com", "CreateUser", false)
	everyEvent   = []*audit.Record{putObject, getObject, getOther, listObjects, createBucket, decrypt, createKey, createUser}
	everyName    = []string{"putObject", "getObject", "getOther", "listObjects", "createBucket", "decrypt", "createKey", "createUser"}
)

// chosen names the events that a trail wants.
func chosen(t *Trail) string {
	var names []string
	for i, r := range everyEvent {
		if t.Wants(r) {
			names = append(names, everyName[i])
		}
	}
	return strings.Join(names, " ")
}

func objects(values ...string) []DataResource { return []DataResource{{objectType, values}} }

func TestBasicSelectors(t *testing.T) {
	for what, test := range map[string]struct {
		selectors []EventSelector
		want      string
	}{
		"none: all management events": {nil, "createBucket decrypt createKey createUser"},
		"reads":                       {[]EventSelector{{ReadWriteType: readOnly, Management: true}}, "decrypt"},
		"writes without KMS":          {[]EventSelector{{ReadWriteType: writeOnly, Management: true, Exclude: []string{"kms.amazonaws.com"}}}, "createBucket createUser"},
		"all without KMS":             {[]EventSelector{{ReadWriteType: all, Management: true, Exclude: []string{"kms.amazonaws.com"}}}, "createBucket createUser"},
		"all objects":                 {[]EventSelector{{ReadWriteType: all, Data: objects("arn:aws:s3")}}, "putObject getObject getOther listObjects"},
		"all buckets":                 {[]EventSelector{{ReadWriteType: all, Data: objects("arn:aws:s3:::")}}, "putObject getObject getOther listObjects"},
		"a bucket":                    {[]EventSelector{{ReadWriteType: all, Data: objects("arn:aws:s3:::data/")}}, "putObject getObject listObjects"},
		"writes to a bucket":          {[]EventSelector{{ReadWriteType: writeOnly, Data: objects("arn:aws:s3:::data/")}}, "putObject"},
		"a prefix":                    {[]EventSelector{{ReadWriteType: all, Data: objects("arn:aws:s3:::data/in/")}}, "putObject getObject"},
		"another prefix":              {[]EventSelector{{ReadWriteType: all, Data: objects("arn:aws:s3:::data/out/")}}, ""},
		"one of two":                  {[]EventSelector{{ReadWriteType: all, Data: objects("arn:aws:s3:::none/", "arn:aws:s3:::data-2/")}}, "getOther"},
		"functions":                   {[]EventSelector{{ReadWriteType: all, Data: []DataResource{{"AWS::Lambda::Function", []string{"arn:aws:lambda"}}}}}, ""},
		"any of several selectors": {[]EventSelector{
			{ReadWriteType: writeOnly, Management: true}, {ReadWriteType: readOnly, Data: objects("arn:aws:s3:::data-2/")},
		}, "getOther createBucket createKey createUser"},
		"nothing": {[]EventSelector{{ReadWriteType: all}}, ""},
	} {
		if got := chosen(&Trail{Account: home, Global: true, Basic: test.selectors}); got != test.want {
			t.Errorf("%s: %q, want %q", what, got, test.want)
		}
	}
}

func where(fields ...FieldSelector) []AdvancedSelector { return []AdvancedSelector{{Fields: fields}} }

func TestAdvancedSelectors(t *testing.T) {
	is := func(field string, values ...string) FieldSelector {
		return FieldSelector{Field: field, Equals: values}
	}
	data, management := is(fieldCategory, audit.Data), is(fieldCategory, audit.Management)
	for what, test := range map[string]struct {
		selectors []AdvancedSelector
		want      string
	}{
		"management":         {where(management), "createBucket decrypt createKey createUser"},
		"data":               {where(data, is(fieldResource, objectType)), "putObject getObject getOther listObjects"},
		"writes of data":     {where(data, is(fieldReadOnly, "false")), "putObject"},
		"without KMS":        {where(management, FieldSelector{Field: fieldSource, NotEquals: excludable}), "createBucket createUser"},
		"names":              {where(data, is(fieldName, "PutObject", "ListObjects")), "putObject listObjects"},
		"names that begin":   {where(data, FieldSelector{Field: fieldName, StartsWith: []string{"Get", "List"}}), "getObject getOther listObjects"},
		"a bucket":           {where(data, FieldSelector{Field: fieldARN, StartsWith: []string{"arn:aws:s3:::data/"}}), "putObject getObject listObjects"},
		"not a bucket":       {where(data, FieldSelector{Field: fieldARN, NotStartsWith: []string{"arn:aws:s3:::data/"}}), "getOther"},
		"a suffix":           {where(data, FieldSelector{Field: fieldARN, EndsWith: []string{".csv"}}), "putObject getObject getOther"},
		"not a suffix":       {where(data, FieldSelector{Field: fieldARN, NotEndsWith: []string{".csv"}}), "listObjects"},
		"an object":          {where(data, is(fieldARN, "arn:aws:s3:::data/in/a.csv")), "putObject getObject"},
		"a bucket's listing": {where(data, is(fieldARN, "arn:aws:s3:::data/")), "listObjects"},
		"operators that choose are alternatives": {where(data, FieldSelector{
			Field: fieldARN, Equals: []string{"arn:aws:s3:::data/"}, StartsWith: []string{"arn:aws:s3:::data-2/"}}), "getOther listObjects"},
		"and those that do not all hold": {where(data, FieldSelector{
			Field: fieldARN, StartsWith: []string{"arn:aws:s3:::data"}, NotEndsWith: []string{".csv"}, NotEquals: []string{"arn:aws:s3:::data/"}}), ""},
		"who":          {where(data, FieldSelector{Field: fieldPrincipal, EndsWith: []string{":user/app"}}, is(fieldReadOnly, "false")), "putObject"},
		"somebody":     {where(management, FieldSelector{Field: fieldPrincipal, NotEndsWith: []string{":user/app"}}), ""},
		"kinds":        {where(management, is(fieldType, audit.TypeServiceEvent)), ""},
		"no console":   {where(management, is(fieldConsole, "true")), ""},
		"any selector": {[]AdvancedSelector{where(data, is(fieldName, "PutObject"))[0], where(management, is(fieldName, "Decrypt"))[0]}, "putObject decrypt"},
	} {
		if got := chosen(&Trail{Account: home, Global: true, Advanced: test.selectors}); got != test.want {
			t.Errorf("%s: %q, want %q", what, got, test.want)
		}
	}
}

func TestWhatNoTrailGets(t *testing.T) {
	everything := &Trail{Account: home, Global: true, Basic: []EventSelector{{ReadWriteType: all, Management: true, Data: objects("arn:aws:s3")}}}
	if got := chosen(everything); got != strings.Join(everyName, " ") {
		t.Fatalf("gets %s", got)
	}
	foreign, own, ofKMS := *putObject, *putObject, *decrypt
	foreign.RecipientAccountID = "444455556666"
	own.UserIdentity = audit.Identity{Type: iam.AWSService, InvokedBy: ServiceName}
	ofKMS.UserIdentity = audit.Identity{Type: iam.AWSService, InvokedBy: audit.InvokedByS3}
	for what, r := range map[string]*audit.Record{"another account's": &foreign, "its own delivery": &own, "KMS requests of its delivery": &ofKMS} {
		if everything.Wants(r) {
			t.Errorf("gets %s", what)
		}
	}
	logs := *putObject // of another service that delivers
	logs.UserIdentity = audit.Identity{Type: iam.AWSService, InvokedBy: "logging.s3.amazonaws.com"}
	if !everything.Wants(&logs) {
		t.Error("does not get what another service writes")
	}
	regional := *everything
	regional.Global = false
	if regional.Wants(createUser) || !regional.Wants(createKey) {
		t.Error("without global events: those of IAM come, or others do not")
	}
}

func TestLookingAtRecordsTakesNoMemory(t *testing.T) {
	trail := &Trail{Account: home, Global: true, Advanced: where(
		FieldSelector{Field: fieldCategory, Equals: []string{audit.Data}}, FieldSelector{Field: fieldARN, StartsWith: []string{"arn:aws:s3:::none/"}, NotEndsWith: []string{"x"}})}
	if n := testing.AllocsPerRun(100, func() {
		for _, r := range everyEvent {
			if trail.Wants(r) {
				t.Error("chosen")
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestWantsAsTheGuideSays compares with the User Guide's sentences, written down one by
// one on whole texts.
func TestWantsAsTheGuideSays(t *testing.T) {
	words := []string{"a", "b", "a/", "a/b", "ab", "/", "b/a"}
	some := func(t *rapid.T, label string) []string {
		return rapid.SliceOfN(rapid.SampledFrom(words), 0, 2).Draw(t, label)
	}
	rapid.Check(t, func(rt *rapid.T) {
		f := FieldSelector{
			Field: rapid.SampledFrom([]string{fieldName, fieldARN, fieldPrincipal}).Draw(rt, "field"), Equals: some(rt, "eq"), StartsWith: some(rt, "sw"), EndsWith: some(rt, "ew"),
			NotEquals: some(rt, "neq"), NotStartsWith: some(rt, "nsw"), NotEndsWith: some(rt, "new"),
		}
		r := event(audit.Data, "s3.amazonaws.com", rapid.SampledFrom(words).Draw(rt, "name"), true)
		r.UserIdentity.ARN = rapid.SampledFrom(words).Draw(rt, "who")
		values := map[string][]string{fieldName: {r.EventName}, fieldPrincipal: {r.UserIdentity.ARN}}
		for range rapid.IntRange(0, 2).Draw(rt, "objects") {
			arn := rapid.SampledFrom(words).Draw(rt, "object")
			r.Resources = append(r.Resources, audit.Resource{Type: objectType, ARN: arn})
			values[fieldARN] = append(values[fieldARN], arn)
		}
		if rapid.Bool().Draw(rt, "has a bucket") {
			arn := rapid.SampledFrom(words).Draw(rt, "bucket")
			r.Resources = append(r.Resources, audit.Resource{Type: bucketType, ARN: arn})
			if len(values[fieldARN]) == 0 {
				values[fieldARN] = []string{arn + "/"}
			}
		}
		has := func(list []string, f func(s string) bool) bool { return slices.ContainsFunc(list, f) }
		want := has(values[f.Field], func(v string) bool {
			is := func(s string) bool { return v == s }
			begins := func(s string) bool { return strings.HasPrefix(v, s) }
			ends := func(s string) bool { return strings.HasSuffix(v, s) }
			chooses := len(f.Equals)+len(f.StartsWith)+len(f.EndsWith) == 0 || has(f.Equals, is) || has(f.StartsWith, begins) || has(f.EndsWith, ends)
			return chooses && !has(f.NotEquals, is) && !has(f.NotStartsWith, begins) && !has(f.NotEndsWith, ends)
		})
		if got := (&Trail{Account: home, Global: true, Advanced: where(f)}).Wants(r); got != want {
			rt.Fatalf("%+v of %+v: %v, want %v", f, values, got, want)
		}
		prefixes := append(some(rt, "prefixes"), rapid.SampledFrom(words).Draw(rt, "prefix"))
		want = has(values[fieldARN], func(v string) bool {
			return has(prefixes, func(p string) bool { return strings.HasPrefix(v, p) })
		})
		if got := (&Trail{Account: home, Global: true, Basic: []EventSelector{{ReadWriteType: all, Data: objects(prefixes...)}}}).Wants(r); got != want {
			rt.Fatalf("prefixes %v of %v: %v, want %v", prefixes, values[fieldARN], got, want)
		}
	})
}
