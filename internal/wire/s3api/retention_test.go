// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
)

const lockEnabled = `<ObjectLockEnabled>Enabled</ObjectLockEnabled>`

func lockConfiguration(inner string) string {
	return `<ObjectLockConfiguration xmlns="` + namespace + `">` + inner + `</ObjectLockConfiguration>`
}

func defaultRetention(inner string) string {
	return lockConfiguration(lockEnabled + `<Rule><DefaultRetention>` + inner + `</DefaultRetention></Rule>`)
}

func retention(mode string, until time.Time) string {
	return `<Retention><Mode>` + mode + `</Mode><RetainUntilDate>` + until.Format(time.RFC3339) + `</RetainUntilDate></Retention>`
}

const locks = "x-amz-bucket-object-lock-enabled: true"

func TestObjectLockConfiguration(t *testing.T) {
	s := newStation(t, "us-east-1")
	s.do("PUT", "/plain", "").want(200)
	s.do("GET", "/plain?object-lock", "").wantCode(404, "ObjectLockConfigurationNotFoundError", "<BucketName>plain</BucketName>")
	notVersioned := "<Message>Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration</Message>"
	s.do("PUT", "/plain?object-lock", lockConfiguration(lockEnabled)).wantCode(409, "InvalidBucketState", notVersioned)
	s.do("PUT", "/plain?versioning", `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`).want(200)
	s.do("PUT", "/plain?object-lock", lockConfiguration(lockEnabled), "x-amz-bucket-object-lock-token: x").want(200)

	s.do("PUT", "/locks", "", locks).want(200)
	s.do("PUT", "/locks", "", locks).want(200)
	s.do("PUT", "/unlocked", "").want(200)
	s.do("PUT", "/unlocked", "", locks).wantCode(409, "BucketAlreadyOwnedByYou")
	s.do("GET", "/locks?versioning", "").want(200, "<Status>Enabled</Status>")
	for _, name := range []string{"plain", "locks"} {
		s.do("GET", "/"+name+"?object-lock", "").wantDocument(200, "<ObjectLockConfiguration>"+lockEnabled+"</ObjectLockConfiguration>")
		s.do("PUT", "/"+name+"?versioning", `<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>`).
			wantCode(409, "InvalidBucketState", "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.")
		s.do("PUT", "/"+name+"?versioning", `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`).want(200)
	}
	for _, period := range []string{"<Days>1</Days>", "<Days>36500</Days>", "<Years>100</Years>"} {
		s.do("PUT", "/locks?object-lock", defaultRetention("<Mode>COMPLIANCE</Mode>"+period)).want(200)
		s.do("GET", "/locks?object-lock", "").want(200, "<Rule><DefaultRetention><Mode>COMPLIANCE</Mode>"+period+"</DefaultRetention></Rule>")
	}
	for _, document := range []string{
		"nonsense", lockConfiguration(""), lockConfiguration("<ObjectLockEnabled>Disabled</ObjectLockEnabled>"), lockConfiguration(lockEnabled + lockEnabled),
		lockConfiguration("<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule>"),
		lockConfiguration(lockEnabled + "<Rule/>"), defaultRetention(""), defaultRetention("<Mode>GOVERNANCE</Mode>"), defaultRetention("<Days>1</Days>"),
		defaultRetention("<Mode>BAD-VALUE</Mode><Days>1</Days>"), defaultRetention("<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>"),
		defaultRetention("<Mode>GOVERNANCE</Mode><Days>1.5</Days>"), defaultRetention("<Mode>GOVERNANCE</Mode><Weeks>1</Weeks>"),
		lockConfiguration(lockEnabled + "<Other/>"),
	} {
		s.do("PUT", "/locks?object-lock", document).wantCode(400, "MalformedXML")
	}
	for inner, argument := range map[string]string{
		"<Days>0</Days>": "Days", "<Days>-3</Days>": "Days", "<Days>36501</Days>": "Days", "<Years>101</Years>": "Years", "<Years>-5</Years>": "Years",
	} {
		s.do("PUT", "/locks?object-lock", defaultRetention("<Mode>GOVERNANCE</Mode>"+inner)).
			wantCode(400, "InvalidArgument", "<ArgumentName>"+argument+"</ArgumentName>", "<Message>Default retention period ")
	}
	s.do("PUT", "/locks?object-lock", "").wantCode(400, "MissingRequestBodyError")
	s.do("PUT", "/locks?object-lock", lockConfiguration(lockEnabled), "no digest").wantCode(400, "InvalidRequest", "Missing required header")
	s.do("GET", "/locks?object-lock", "").want(200, "<Years>100</Years>")
}

func TestLocksOfObjects(t *testing.T) {
	s := newStation(t, "us-east-1")
	s.do("PUT", "/locks", "", locks).want(200)
	s.do("PUT", "/plain", "").want(200)
	s.do("PUT", "/plain/k", "x").want(200)
	at := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	until := lockUntilHeader + ": " + at.Format(time.RFC3339)
	governed, held := lockModeHeader+": GOVERNANCE", lockHoldHeader+": ON"

	both := lockUntilHeader + " and " + lockModeHeader + " must both be supplied"
	for _, c := range []struct {
		headers []string
		pieces  []string
	}{
		{[]string{lockModeHeader + ": BAD-VALUE"}, []string{both, "<ArgumentName>" + lockUntilHeader + "</ArgumentName><RequestId>"}},
		{[]string{until}, []string{both, "<ArgumentName>" + lockModeHeader + "</ArgumentName><RequestId>"}},
		{[]string{lockModeHeader + ": BAD-VALUE", until}, []string{"Unknown wormMode directive.", "<ArgumentName>" + lockModeHeader + "</ArgumentName><ArgumentValue>BAD-VALUE</ArgumentValue>"}},
		{[]string{governed, lockUntilHeader + ": tomorrow"}, []string{"The retain until date must be provided in ISO 8601 format", "<ArgumentValue>tomorrow</ArgumentValue>"}},
		{[]string{governed, lockUntilHeader + ": 2020-01-01T00:00:00Z"}, []string{"The retain until date must be in the future!", "<ArgumentName>" + lockUntilHeader + "</ArgumentName><ArgumentValue>2020-01-01T00:00:00Z</ArgumentValue>"}},
		{[]string{governed, lockUntilHeader + ": 99999-01-01T00:00:00Z"}, []string{"ISO 8601"}},
		{[]string{lockHoldHeader + ": on"}, []string{"Legal Hold must be either of", "<ArgumentValue>on</ArgumentValue>"}},
	} {
		s.do("PUT", "/locks/k", "x", c.headers...).wantCode(400, "InvalidArgument", c.pieces...)
		s.do("POST", "/locks/k?uploads", "", c.headers...).wantCode(400, "InvalidArgument", c.pieces...)
		s.do("PUT", "/locks/k", "", append(c.headers, "x-amz-copy-source: plain/k")...).wantCode(400, "InvalidArgument", c.pieces...)
	}
	for _, headers := range [][]string{{governed, until}, {held}} {
		missing := "<Message>Bucket is missing ObjectLockConfiguration</Message>"
		s.do("PUT", "/plain/k", "x", headers...).wantCode(400, "InvalidRequest", missing)
		s.do("POST", "/plain/k?uploads", "", headers...).wantCode(400, "InvalidRequest", missing)
		s.do("PUT", "/locks/k", "x", append(headers, "no digest")...).
			wantCode(400, "InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters")
	}
	s.do("PUT", "/plain/k?retention", retention("GOVERNANCE", at)).wantCode(400, "InvalidRequest", "<Message>Bucket is missing Object Lock Configuration</Message>")
	s.do("GET", "/plain/k?legal-hold", "").wantCode(400, "InvalidRequest", "<Message>Bucket is missing Object Lock Configuration</Message>")

	s.do("PUT", "/locks/k", "x", governed, until, held).want(200).wantHeader(lockModeHeader, "")
	shown := at.Format("2006-01-02T15:04:05.000Z")
	for _, method := range []string{"GET", "HEAD"} {
		s.do(method, "/locks/k", "").want(200).wantHeader(lockModeHeader, "GOVERNANCE").wantHeader(lockUntilHeader, shown).wantHeader(lockHoldHeader, "ON")
	}
	s.do("GET", "/locks/k?retention", "").wantDocument(200, "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>"+shown+"</RetainUntilDate></Retention>")
	s.do("GET", "/locks/k?legal-hold", "").wantDocument(200, "<LegalHold><Status>ON</Status></LegalHold>")
	s.do("PUT", "/locks/k?legal-hold", "<LegalHold><Status>OFF</Status></LegalHold>").want(200)
	s.do("HEAD", "/locks/k", "").wantHeader(lockHoldHeader, "OFF")

	s.do("PUT", "/locks/bare", "x").want(200).wantHeader(lockModeHeader, "")
	s.do("HEAD", "/locks/bare", "").want(200).wantHeader(lockModeHeader, "").wantHeader(lockHoldHeader, "")
	for _, sub := range []string{"retention", "legal-hold"} {
		s.do("GET", "/locks/bare?"+sub, "").wantCode(404, "NoSuchObjectLockConfiguration", "<Message>The specified object does not have a ObjectLock configuration</Message>")
		s.do("GET", "/locks/none?"+sub, "").wantCode(404, "NoSuchKey")
		s.do("PUT", "/locks/bare?"+sub, "<Other/>").wantCode(400, "MalformedXML")
		s.do("PUT", "/locks/bare?"+sub, "").wantCode(400, "InvalidRequest")
	}
	s.do("PUT", "/locks/bare?retention", "<Retention><Mode>GOVERNANCE</Mode></Retention>").wantCode(400, "MalformedXML")
	s.do("PUT", "/locks/bare?retention", retention("BAD-VALUE", at)).wantCode(400, "MalformedXML")
	s.do("PUT", "/locks/bare?retention", retention("GOVERNANCE", time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))).
		wantCode(400, "InvalidArgument", "The retain until date must be in the future!", "<ArgumentName>RetainUntilDate</ArgumentName><ArgumentValue>Wed Jan 01 00:00:00 UTC 2020</ArgumentValue>")
	s.do("PUT", "/locks/bare?legal-hold", "<LegalHold><Status>MAYBE</Status></LegalHold>").wantCode(400, "MalformedXML")
	s.do("PUT", "/locks/bare?legal-hold", "<LegalHold/>").wantCode(400, "MalformedXML")
}

func TestRemovingLockedObjects(t *testing.T) {
	s := newStation(t, "us-east-1")
	s.do("PUT", "/locks", "", locks).want(200)
	s.do("PUT", "/locks?object-lock", defaultRetention("<Mode>GOVERNANCE</Mode><Days>1</Days>")).want(200)
	put := func(key string) string { return s.do("PUT", "/locks/"+key, "x").want(200).spelt("x-amz-version-id") }
	a, b := put("a"), put("b")
	const text = "<Message>Access Denied because object protected by object lock.</Message>"
	bypass, none := bypassHeader+": true", bypassHeader+": false"
	s.do("DELETE", "/locks/a?versionId="+a, "").wantCode(403, "AccessDenied", text)
	s.do("DELETE", "/locks/a?versionId="+a, "", none).wantCode(403, "AccessDenied", text)
	s.do("DELETE", "/locks/a", "").want(204).wantHeader("x-amz-delete-marker", "true")
	many := `<Delete><Object><Key>a</Key><VersionId>` + a + `</VersionId></Object><Object><Key>b</Key></Object></Delete>`
	s.do("POST", "/locks?delete", many).want(200, "<Error><Key>a</Key><VersionId>"+a+"</VersionId><Code>AccessDenied</Code>"+text+"</Error>", "<Deleted><Key>b</Key><DeleteMarker>true")
	s.do("POST", "/locks?delete", strings.Replace(many, "<Key>b</Key>", "<Key>b</Key><VersionId>"+b+"</VersionId>", 1), bypass).
		want(200, "<Deleted><Key>a</Key><VersionId>"+a+"</VersionId></Deleted>", "<Deleted><Key>b</Key>")
	c := put("c")
	s.do("PUT", "/locks/c?retention", "<Retention/>").wantCode(403, "AccessDenied", text)
	s.do("PUT", "/locks/c?retention", "<Retention/>", bypass).want(200)
	s.do("HEAD", "/locks/c", "").wantHeader(lockModeHeader, "")
	s.do("DELETE", "/locks/c?versionId="+c, "", none).want(204)
	c = put("c")
	s.do("PUT", "/locks/c?legal-hold", "<LegalHold><Status>ON</Status></LegalHold>").want(200)
	s.do("DELETE", "/locks/c?versionId="+c, "", bypass).wantCode(403, "AccessDenied", text)

	s.do("PUT", "/plain", "").want(200)
	s.do("PUT", "/plain/a", "x").want(200)
	const notHere = "<Message>x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets.</Message><ArgumentName>x-amz-bypass-governance-retention</ArgumentName><RequestId>"
	for _, header := range []string{bypass, none} {
		s.do("DELETE", "/plain/a", "", header).wantCode(400, "InvalidArgument", notHere)
		s.do("POST", "/plain?delete", `<Delete><Object><Key>a</Key></Object></Delete>`, header).wantCode(400, "InvalidArgument", notHere)
	}
	s.do("HEAD", "/plain/a", "").want(200)
}

// FuzzRetention: a document that is taken is one that is written so again.
func FuzzRetention(f *testing.F) {
	f.Add("<Retention/>")
	f.Add(retention("GOVERNANCE", time.Unix(1<<31, 0).UTC()))
	f.Add("<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate> 2030-01-01T00:00:00.9999+14:00 </RetainUntilDate></Retention>")
	f.Add("<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>10000-01-01T00:00:00Z</RetainUntilDate></Retention>")
	f.Fuzz(func(t *testing.T, document string) {
		l, err := parseRetention([]byte(document))
		if err != nil {
			return
		}
		if l.Mode == "" {
			if !l.Until.IsZero() {
				t.Errorf("%q is %+v", document, l)
			}
			return
		}
		resp, _ := encodeRetention(nil, l)
		again, err := parseRetention(resp.Body)
		if err != nil || again != l {
			t.Errorf("%q is %+v, written %s, read %+v, %v", document, l, resp.Body, again, err)
		}
	})
}

// FuzzObjectLock: a configuration that is taken is written so that it is the same one.
func FuzzObjectLock(f *testing.F) {
	f.Add(lockConfiguration(lockEnabled))
	f.Add(defaultRetention("<Mode>GOVERNANCE</Mode><Days>1</Days>"))
	f.Add(defaultRetention("<Mode>COMPLIANCE</Mode><Years>100</Years>"))
	f.Add(defaultRetention("<Mode>x</Mode><Years>-1</Years>"))
	f.Fuzz(func(t *testing.T, document string) {
		in, err := parseObjectLock([]byte(document))
		if err != nil {
			return
		}
		var l bucket.ObjectLock
		if in.Rule {
			l.Mode = in.Mode
			if in.Days != nil {
				l.Days = *in.Days
			} else {
				l.Years = *in.Years
			}
			if !l.Mode.Valid() || l.Days+l.Years <= 0 {
				return // which core refuses
			}
		}
		resp, _ := encodeObjectLock(nil, &l)
		again, err := parseObjectLock(resp.Body)
		if err != nil || again.Rule != in.Rule || again.Mode != in.Mode || !same(again.Days, in.Days) || !same(again.Years, in.Years) {
			t.Errorf("%q is %+v, written %s, read %+v, %v", document, in, resp.Body, again, err)
		}
	})
}

func same(a, b *int) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }
