// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/trails"
)

func trail(name string, t trails.Trail) Consumer {
	if t.Account == "" {
		t.Account = "111122223333"
	}
	t.Name, t.Logging = name, true
	return Consumer{ARN: "arn:aws:cloudtrail:us-east-1:" + t.Account + ":trail/" + name, Trail: t}
}

func data(kind string, management bool, values ...string) trails.EventSelector {
	e := trails.EventSelector{ReadWriteType: kind, Management: management}
	if values != nil {
		e.Data = []trails.DataResource{{Type: "AWS::S3::Object", Values: values}}
	}
	return e
}

func advanced(fields ...trails.FieldSelector) trails.AdvancedSelector {
	return trails.AdvancedSelector{Fields: fields}
}

func TestConsumers(t *testing.T) {
	const photos = "arn:aws:s3:::photos/"
	objects := trails.FieldSelector{Field: "resources.type", Equals: []string{"AWS::S3::Object"}}
	dataOnly := trails.FieldSelector{Field: "eventCategory", Equals: []string{"Data"}}
	managementOnly := trails.FieldSelector{Field: "eventCategory", Equals: []string{"Management"}}
	noKMS := data("All", true)
	noKMS.Exclude = []string{"kms.amazonaws.com"}
	many := trails.EventSelector{ReadWriteType: "All", Management: true}
	for range 250 {
		many.Data = append(many.Data, trails.DataResource{Type: "AWS::S3::Object", Values: []string{"arn:aws:s3:::other/"}})
	}
	full := []trails.EventSelector{data("WriteOnly", true), data("WriteOnly", true), data("WriteOnly", true), data("WriteOnly", true), data("WriteOnly", true)}
	for name, test := range map[string]struct {
		trails []Consumer
		sinks  []Sink
		want   string // warnings, by what they begin with
		edit   string // of the first: what is in it
	}{
		"not known":                    {nil, nil, "", ""},
		"none":                         {[]Consumer{}, nil, "account 111122223333 has no trail that takes S3 data events of all of photos", ""},
		"one that does not log":        {[]Consumer{{ARN: "arn", Trail: trails.Trail{Account: "111122223333"}}}, nil, "account 111122223333 has no trail", ""},
		"one without selectors":        {[]Consumer{trail("t", trails.Trail{})}, nil, "trail t takes events of KMS and no S3 data events of photos|account 111122223333 has", `"DataResources":[{"Type":"AWS::S3::Object","Values":["` + photos + `"]}]`},
		"all objects":                  {[]Consumer{trail("t", trails.Trail{Basic: []trails.EventSelector{data("All", true, "arn:aws:s3")}})}, nil, "", ""},
		"this bucket's":                {[]Consumer{trail("t", trails.Trail{Basic: []trails.EventSelector{data("All", true, photos)}})}, nil, "", ""},
		"in two selectors":             {[]Consumer{trail("t", trails.Trail{Basic: []trails.EventSelector{data("ReadOnly", true, photos), data("WriteOnly", true, photos)}})}, nil, "", ""},
		"another bucket's":             {[]Consumer{trail("t", trails.Trail{Basic: []trails.EventSelector{data("All", true, "arn:aws:s3:::photos2/")}})}, nil, "trail t takes events of KMS and no S3|account", photos},
		"some of its objects":          {[]Consumer{trail("t", trails.Trail{Basic: []trails.EventSelector{data("All", true, photos+"in/")}})}, nil, "trail t takes events of KMS and not all S3 data events|account", photos + `"`},
		"reads alone":                  {[]Consumer{trail("t", trails.Trail{Basic: []trails.EventSelector{data("All", true), data("ReadOnly", false, photos)}})}, nil, "trail t takes events of KMS and not all S3 data|account", `{"ReadWriteType":"ReadOnly","IncludeManagementEvents":false,"DataResources"`},
		"writes alone, and no KMS's":   {[]Consumer{trail("t", trails.Trail{Basic: []trails.EventSelector{data("WriteOnly", true, photos)}})}, nil, "account 111122223333 has no trail", `{"ReadWriteType":"All","IncludeManagementEvents":false,"DataResources":[{"Type":"AWS::S3::Object","Values":["` + photos + `"]}]}`},
		"without events of KMS":        {[]Consumer{trail("t", trails.Trail{Basic: []trails.EventSelector{noKMS}})}, nil, "account 111122223333 has no trail", `"ExcludeManagementEventSources":["kms.amazonaws.com"]`},
		"another trail has them":       {[]Consumer{trail("kms", trails.Trail{}), trail("s3", trails.Trail{Basic: []trails.EventSelector{data("All", false, photos)}})}, nil, "trail kms takes events of KMS", photos},
		"another account's":            {[]Consumer{trail("t", trails.Trail{Account: "444455556666", Basic: []trails.EventSelector{data("All", true, photos)}})}, nil, "account 111122223333 has no trail", ""},
		"advanced":                     {[]Consumer{trail("t", trails.Trail{Advanced: []trails.AdvancedSelector{advanced(managementOnly), advanced(dataOnly, objects)}})}, nil, "", ""},
		"advanced, not some":           {[]Consumer{trail("t", trails.Trail{Advanced: []trails.AdvancedSelector{advanced(managementOnly), advanced(dataOnly, objects, trails.FieldSelector{Field: "resources.ARN", NotStartsWith: []string{photos + "tmp/"}})}})}, nil, "trail t takes events of KMS and not all|account", `{"Field":"resources.ARN","StartsWith":["` + photos + `"]}`},
		"advanced, without deletes":    {[]Consumer{trail("t", trails.Trail{Advanced: []trails.AdvancedSelector{advanced(managementOnly), advanced(dataOnly, objects, trails.FieldSelector{Field: "eventName", NotEquals: []string{"DeleteObject"}})}})}, nil, "trail t takes events of KMS and not all|account", photos},
		"too many values":              {[]Consumer{trail("t", trails.Trail{Basic: []trails.EventSelector{many}})}, nil, "trail t takes events of KMS and no|account", "unproven"},
		"too many selectors":           {[]Consumer{trail("t", trails.Trail{Basic: full})}, nil, "account 111122223333 has no trail", "unproven"},
		"a sink without data events":   {[]Consumer{trail("t", trails.Trail{Basic: []trails.EventSelector{data("All", true, photos)}})}, []Sink{{"webhook siem", "audit-webhook-events", true, false}}, "webhook siem gets events of KMS and no S3 data events", ""},
		"a sink with data events":      {[]Consumer{}, []Sink{{"webhook siem", "audit-webhook-events", true, true}}, "", ""},
		"a sink for management events": {nil, []Sink{{"syslog", "audit-syslog-events", false, false}}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, &Input{Owner: "111122223333", Trails: test.trails, Sinks: test.sinks})
			var got []string
			for _, w := range r.Warnings {
				got = append(got, w.Concerns+" "+w.Text)
			}
			want := strings.Split(test.want, "|")
			if test.want == "" {
				want = nil
			}
			if len(got) != len(want) {
				t.Fatalf("warned of %q, want %q", got, want)
			}
			for i := range want {
				if !strings.HasPrefix(got[i], want[i]) {
					t.Errorf("warned of %q, want %q", got[i], want[i])
				}
			}
			if test.edit == "" {
				return
			}
			w := r.Warnings[0]
			if test.edit == "unproven" {
				if w.Proven || w.Unproven == "" {
					t.Errorf("%s is said to be proven", w.Edited)
				}
				return
			}
			if !w.Proven || !strings.Contains(string(w.Edited), test.edit) || !json.Valid(w.Now) || len(w.Now) >= len(w.Edited) {
				t.Errorf("now %s, edited %s, %q", w.Now, w.Edited, w.Unproven)
			}
		})
	}
}

// What an edit says is what takes the warning away.
func TestEditedSelectorsWarnNoMore(t *testing.T) {
	var files Files
	for _, text := range []string{
		`{"TrailARN":"arn:aws:cloudtrail:us-east-1:111122223333:trail/main","EventSelectors":[{"ReadWriteType":"All","IncludeManagementEvents":true,"DataResources":[],"ExcludeManagementEventSources":[]}]}`,
		`{"TrailARN":"arn:aws:cloudtrail:us-east-1:111122223333:trail/second","AdvancedEventSelectors":[{"Name":"m","FieldSelectors":[{"Field":"eventCategory","Equals":["Management"]}]}]}`,
	} {
		if err := files.Add(Trails, "t.json", text); err != nil {
			t.Fatal(err)
		}
	}
	r := run(t, files.Input("photos", ""))
	if len(r.Warnings) != 3 || r.Warnings[0].Policy != "arn:aws:cloudtrail:us-east-1:111122223333:trail/main" {
		t.Fatalf("%+v", r.Warnings)
	}
	var edited Files
	for _, w := range r.Warnings[:2] {
		text := strings.Replace(string(w.Edited), `"TrailName"`, `"TrailARN"`, 1)
		if err := edited.Add(Trails, "t.json", text); err != nil || !w.Proven {
			t.Fatalf("%v %q", err, w.Unproven)
		}
	}
	if r := run(t, edited.Input("photos", "")); len(r.Warnings) > 0 {
		t.Errorf("%+v", r.Warnings)
	}
	for _, text := range []string{`{}`, `{"TrailARN":"arn:aws:s3:::x"}`, `{"TrailARN":7}`, `{"TrailARN":"arn:aws:cloudtrail:us-east-1:111122223333:trail/main","EventSelectors":{}}`} {
		if err := edited.Add(Trails, "t.json", text); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}
