// SPDX-License-Identifier: Apache-2.0

package s3api

import "testing"

func TestVersioning(t *testing.T) {
	s := newStation(t, "us-east-1")
	s.do("PUT", "/photos", "").want(200)
	doc := func(inner string) string {
		return `<VersioningConfiguration xmlns="` + namespace + `">` + inner + `</VersioningConfiguration>`
	}
	get := func() *answer { return s.do("GET", "/photos?versioning", "") }
	put := func(inner string) *answer { return s.do("PUT", "/photos?versioning", doc(inner)) }
	get().wantDocument(200, `<VersioningConfiguration></VersioningConfiguration>`)
	for _, status := range []string{"Enabled", "Suspended"} {
		put("<Status>" + status + "</Status>").want(200)
		get().wantDocument(200, `<VersioningConfiguration><Status>`+status+`</Status></VersioningConfiguration>`)
	}
	put("<Status>Enabled</Status><MfaDelete>Disabled</MfaDelete>").want(200)
	for inner, code := range map[string]string{
		"<Status>enabled</Status>":                               "MalformedXML",
		"<Status>Disabled</Status>":                              "MalformedXML",
		"<Status>Enabled</Status><MfaDelete>perhaps</MfaDelete>": "MalformedXML",
		"": "IllegalVersioningConfigurationException",
	} {
		put(inner).wantCode(400, code)
	}
	put("<Status>Suspended</Status><MfaDelete>Enabled</MfaDelete>").wantCode(501, "NotImplemented")
	get().want(200, "<Status>Enabled</Status>")
	s.do("GET", "/nowhere?versioning", "").wantCode(404, "NoSuchBucket")
}
