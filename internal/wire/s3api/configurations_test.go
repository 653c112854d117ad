// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/bucket"
)

// A kind of configuration: documents that are taken, and those that are not.
var configurationCases = []struct {
	sub, root, listing string
	good               []string // what is in the root, but for the Id
	bad                map[string]string
}{
	{"analytics", "AnalyticsConfiguration", "ListBucketAnalyticsConfigurationResult", []string{
		`<StorageClassAnalysis></StorageClassAnalysis>`,
		`<Filter><Prefix></Prefix></Filter><StorageClassAnalysis></StorageClassAnalysis>`,
		`<Filter><Tag><Key>a</Key><Value></Value></Tag></Filter><StorageClassAnalysis></StorageClassAnalysis>`,
		`<Filter><And><Prefix>p/</Prefix><Tag><Key>a</Key><Value>b</Value></Tag><Tag><Key>c</Key><Value>d</Value></Tag></And></Filter><StorageClassAnalysis></StorageClassAnalysis>`,
		analysisTo(`<Format>CSV</Format><Bucket>arn:aws:s3:::reports</Bucket>`),
		analysisTo(`<Format>CSV</Format><BucketAccountId>444455556666</BucketAccountId><Bucket>arn:aws:s3:::reports</Bucket><Prefix>p &amp; q/</Prefix>`),
	}, map[string]string{
		``: "MalformedXML",
		`<StorageClassAnalysis><Other/></StorageClassAnalysis>`:                                                                "MalformedXML",
		`<StorageClassAnalysis/><StorageClassAnalysis/>`:                                                                       "MalformedXML",
		`<Other/><StorageClassAnalysis/>`:                                                                                      "MalformedXML",
		`<Filter/><StorageClassAnalysis/>`:                                                                                     "MalformedXML",
		`<Filter><Prefix>a</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></Filter><StorageClassAnalysis/>`:                    "MalformedXML",
		`<Filter><And><Prefix>a</Prefix></And></Filter><StorageClassAnalysis/>`:                                                "MalformedXML",
		`<Filter><AccessPointArn>a</AccessPointArn></Filter><StorageClassAnalysis/>`:                                           "MalformedXML",
		`<Filter><Tag><Key>a</Key></Tag></Filter><StorageClassAnalysis/>`:                                                      "MalformedXML",
		`<Filter><Tag><Key></Key><Value/></Tag></Filter><StorageClassAnalysis/>`:                                               "InvalidTag",
		`<Filter><And><Tag><Key>a</Key><Value/></Tag><Tag><Key>a</Key><Value/></Tag></And></Filter><StorageClassAnalysis/>`:    "InvalidTag",
		`<Filter><Prefix>` + strings.Repeat("p", 1025) + `</Prefix></Filter><StorageClassAnalysis/>`:                           "InvalidArgument",
		`<StorageClassAnalysis><DataExport><OutputSchemaVersion>V_1</OutputSchemaVersion></DataExport></StorageClassAnalysis>`: "MalformedXML",
		analysisTo(`<Format>ORC</Format><Bucket>arn:aws:s3:::reports</Bucket>`):                                                "MalformedXML",
		analysisTo(`<Format>CSV</Format>`):                                                                                     "MalformedXML",
		analysisTo(`<Format>CSV</Format><Bucket>reports</Bucket>`):                                                             "InvalidS3DestinationBucket",
		analysisTo(`<Format>CSV</Format><BucketAccountId>me</BucketAccountId><Bucket>arn:aws:s3:::reports</Bucket>`):           "InvalidArgument",
	}},
	{"intelligent-tiering", "IntelligentTieringConfiguration", "ListBucketIntelligentTieringConfigurationsOutput", []string{
		`<Status>Enabled</Status><Tiering><Days>90</Days><AccessTier>ARCHIVE_ACCESS</AccessTier></Tiering>`,
		`<Filter><Prefix>a</Prefix></Filter><Status>Disabled</Status><Tiering><Days>730</Days><AccessTier>ARCHIVE_ACCESS</AccessTier></Tiering><Tiering><Days>180</Days><AccessTier>DEEP_ARCHIVE_ACCESS</AccessTier></Tiering>`,
	}, map[string]string{
		`<Status>Enabled</Status>`: "MalformedXML",
		`<Status>On</Status><Tiering><Days>90</Days><AccessTier>ARCHIVE_ACCESS</AccessTier></Tiering>`:                                                                               "MalformedXML",
		`<Tiering><Days>90</Days><AccessTier>ARCHIVE_ACCESS</AccessTier></Tiering>`:                                                                                                  "MalformedXML",
		`<Status>Enabled</Status><Tiering><Days>90</Days><AccessTier>GLACIER</AccessTier></Tiering>`:                                                                                 "MalformedXML",
		`<Status>Enabled</Status><Tiering><Days>x</Days><AccessTier>ARCHIVE_ACCESS</AccessTier></Tiering>`:                                                                           "MalformedXML",
		`<Status>Enabled</Status><Tiering><Days>89</Days><AccessTier>ARCHIVE_ACCESS</AccessTier></Tiering>`:                                                                          "InvalidArgument",
		`<Status>Enabled</Status><Tiering><Days>179</Days><AccessTier>DEEP_ARCHIVE_ACCESS</AccessTier></Tiering>`:                                                                    "InvalidArgument",
		`<Status>Enabled</Status><Tiering><Days>731</Days><AccessTier>ARCHIVE_ACCESS</AccessTier></Tiering>`:                                                                         "InvalidArgument",
		`<Status>Enabled</Status><Tiering><Days>90</Days><AccessTier>ARCHIVE_ACCESS</AccessTier></Tiering><Tiering><Days>91</Days><AccessTier>ARCHIVE_ACCESS</AccessTier></Tiering>`: "MalformedXML",
	}},
	{"metrics", "MetricsConfiguration", "ListMetricsConfigurationsResult", []string{
		``, `<Filter><Prefix>a</Prefix></Filter>`,
		`<Filter><And><Tag><Key>a</Key><Value>b</Value></Tag><Tag><Key>c</Key><Value>d</Value></Tag></And></Filter>`,
	}, map[string]string{
		`<Filter></Filter>`: "MalformedXML", `<Status>Enabled</Status>`: "MalformedXML", `words`: "MalformedXML",
		`<Filter><And><Prefix>a</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And><Prefix>a</Prefix></Filter>`: "MalformedXML",
		`<Filter><AccessPointArn>arn:aws:s3:us-east-1:000000000001:accesspoint/a</AccessPointArn></Filter>`:       "InvalidArgument",
	}},
	{"inventory", "InventoryConfiguration", "ListInventoryConfigurationsResult", []string{
		inventoryOf(`<Bucket>arn:aws:s3:::reports</Bucket><Format>CSV</Format>`, ``),
		inventoryOf(`<AccountId>444455556666</AccountId><Bucket>arn:aws:s3:::reports</Bucket><Format>ORC</Format><Prefix>a</Prefix><Encryption><SSE-S3></SSE-S3></Encryption>`, `<OptionalFields><Field>Size</Field><Field>BucketKeyStatus</Field></OptionalFields>`),
		inventoryOf(`<Bucket>arn:aws:s3:::reports</Bucket><Format>Parquet</Format><Encryption><SSE-KMS><KeyId>arn:aws:kms:us-east-1:000000000001:key/k</KeyId></SSE-KMS></Encryption>`, `<OptionalFields></OptionalFields>`),
	}, map[string]string{
		``: "MalformedXML",
		inventoryOf(`<Bucket>arn:aws:s3:::reports</Bucket><Format>JSON</Format>`, ``):                                                                       "MalformedXML",
		inventoryOf(`<Bucket>arn:aws:s3:::reports</Bucket>`, ``):                                                                                            "MalformedXML",
		inventoryOf(`<Bucket>arn:aws:s3:::reports</Bucket><Format>CSV</Format>`, `<OptionalFields><Field>Colour</Field></OptionalFields>`):                  "MalformedXML",
		inventoryOf(`<Bucket>arn:aws:s3:::reports</Bucket><Format>CSV</Format>`, `<OptionalFields><Field>Size</Field><Field>Size</Field></OptionalFields>`): "MalformedXML",
		inventoryOf(`<Bucket>arn:aws:s3:::reports</Bucket><Format>CSV</Format><Encryption/>`, ``):                                                           "MalformedXML",
		inventoryOf(`<Bucket>arn:aws:s3:::reports</Bucket><Format>CSV</Format><Encryption><SSE-KMS><KeyId/></SSE-KMS></Encryption>`, ``):                    "MalformedXML",
		inventoryOf(`<Bucket>arn:aws:s3:::reports</Bucket><Format>CSV</Format><Encryption><SSE-S3/><SSE-KMS><KeyId>k</KeyId></SSE-KMS></Encryption>`, ``):   "MalformedXML",
		inventoryOf(`<Bucket>reports</Bucket><Format>CSV</Format>`, ``):                                                                                     "InvalidS3DestinationBucket",
		inventoryOf(`<Bucket>arn:aws:s3::444455556666:reports</Bucket><Format>CSV</Format>`, ``):                                                            "InvalidS3DestinationBucket",
		strings.Replace(inventoryOf(`<Bucket>arn:aws:s3:::reports</Bucket><Format>CSV</Format>`, ``), "Daily", "Hourly", 1):                                 "MalformedXML",
		strings.Replace(inventoryOf(`<Bucket>arn:aws:s3:::reports</Bucket><Format>CSV</Format>`, ``), "All", "Some", 1):                                     "MalformedXML",
		strings.Replace(inventoryOf(`<Bucket>arn:aws:s3:::reports</Bucket><Format>CSV</Format>`, ``), "true", "yes", 1):                                     "MalformedXML",
	}},
}

func analysisTo(to string) string {
	return `<StorageClassAnalysis><DataExport><OutputSchemaVersion>V_1</OutputSchemaVersion><Destination><S3BucketDestination>` + to + `</S3BucketDestination></Destination></DataExport></StorageClassAnalysis>`
}

// inventoryOf has no Id: it goes where ID stands.
func inventoryOf(to, fields string) string {
	return `<Destination><S3BucketDestination>` + to + `</S3BucketDestination></Destination><IsEnabled>true</IsEnabled><Filter><Prefix>logs/</Prefix></Filter>ID<IncludedObjectVersions>All</IncludedObjectVersions>` + fields + `<Schedule><Frequency>Daily</Frequency></Schedule>`
}

// withID returns a document of a configuration.
func withID(root, id, inner string) string {
	id = `<Id>` + id + `</Id>`
	if strings.Contains(inner, "ID<") {
		return `<` + root + `>` + strings.Replace(inner, "ID<", id+"<", 1) + `</` + root + `>`
	}
	return `<` + root + `>` + id + inner + `</` + root + `>`
}

func TestConfigurations(t *testing.T) {
	for _, k := range configurationCases {
		t.Run(k.sub, func(t *testing.T) {
			s := photos(t)
			at := "/photos?" + k.sub
			empty := `<` + k.listing + `><IsTruncated>false</IsTruncated></` + k.listing + `>`
			s.do("GET", at, "").wantDocument(200, empty)
			missing := func() {
				t.Helper()
				s.do("GET", at+"&id=a", "").wantCode(404, "NoSuchConfiguration", "The specified configuration does not exist.")
				s.do("DELETE", at+"&id=a", "").wantCode(404, "NoSuchConfiguration")
			}
			missing()
			for _, inner := range k.good {
				s.do("PUT", at+"&id=a", withID(k.root, "a", inner)).want(204)
				s.do("GET", at+"&id=a", "").wantDocument(200, withID(k.root, "a", inner))
				s.do("GET", at, "").wantDocument(200, strings.Replace(empty, "<IsT", withID(k.root, "a", inner)+"<IsT", 1))
			}
			for inner, code := range k.bad {
				s.do("PUT", at+"&id=b", withID(k.root, "b", inner)).wantCode(400, code)
			}
			good := k.good[0]
			for _, id := range []string{"", "a b", "a/b", strings.Repeat("a", 65)} {
				s.do("PUT", at+"&id=b", withID(k.root, id, good)).wantCode(400, "MalformedXML")
			}
			mismatch := "MalformedXML"
			if k.sub == "inventory" {
				mismatch = "IdMismatch"
			}
			s.do("PUT", at+"&id=b", withID(k.root, "c", good)).wantCode(400, mismatch)
			s.do("PUT", at, withID(k.root, "c", good)).wantCode(400, "InvalidRequest")
			s.do("PUT", at+"&id=b", "").wantCode(400, "MalformedXML")
			s.do("PUT", at+"&id=b", "<Other/>").wantCode(400, "MalformedXML")
			s.do("PUT", at+"&id=b", withID(k.root, "b", good+strings.Repeat(" ", 64<<10))).wantCode(400, "MaxMessageLengthExceeded")
			s.do("PUT", "/missing?"+k.sub+"&id=a", withID(k.root, "a", good)).wantCode(404, "NoSuchBucket")
			s.do("GET", "/missing?"+k.sub, "").wantCode(404, "NoSuchBucket")
			s.do("DELETE", "/missing?"+k.sub+"&id=a", "").wantCode(404, "NoSuchBucket")
			s.do("GET", at+"&id=b", "").wantCode(404, "NoSuchConfiguration")
			s.do("GET", at+"&id="+strings.Repeat("a", 65), "").wantCode(404, "NoSuchConfiguration")
			s.do("DELETE", at+"&id=a", "").want(204)
			missing()
			s.do("GET", at, "").wantDocument(200, empty)
		})
	}
}

// A page has a hundred, and the token leads to the next one.
func TestPagesOfConfigurations(t *testing.T) {
	s := photos(t)
	for i := range bucket.ConfigurationPage + 1 {
		id := fmt.Sprintf("m%03d", i)
		s.do("PUT", "/photos?metrics&id="+id, withID("MetricsConfiguration", id, "")).want(204)
	}
	token := continuationToken("m099")
	s.do("GET", "/photos?metrics", "").want(200, "<Id>m000</Id>", "<Id>m099</Id>", "<IsTruncated>true</IsTruncated><NextContinuationToken>"+token+"</NextContinuationToken>")
	s.do("GET", "/photos?metrics&continuation-token="+token, "").wantDocument(200,
		`<ListMetricsConfigurationsResult><ContinuationToken>`+token+`</ContinuationToken><MetricsConfiguration><Id>m100</Id></MetricsConfiguration><IsTruncated>false</IsTruncated></ListMetricsConfigurationsResult>`)
	s.do("GET", "/photos?metrics&continuation-token=x", "").wantCode(400, "InvalidArgument")
	if p := s.trail.last(t, "PutBucketMetricsConfiguration").RequestParameters["MetricsConfiguration"]; !reflect.DeepEqual(p, map[string]any{"Id": "m100"}) {
		t.Errorf("the record has %v", p)
	}
}

// FuzzConfigurations: a document that is taken is written so that it is read as the same.
func FuzzConfigurations(f *testing.F) {
	for i, k := range configurationCases {
		for _, inner := range k.good {
			f.Add(uint8(i), withID(k.root, "a", inner))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, document string) {
		switch which % 4 {
		case 0:
			sameAgain(t, analyticsForm, document)
		case 1:
			sameAgain(t, tieringForm, document)
		case 2:
			sameAgain(t, metricsForm, document)
		default:
			sameAgain(t, inventoryForm, document)
		}
	})
}

func sameAgain[C bucket.Configuration](t *testing.T, f configurationForm[C], document string) {
	c, n, err := f.read([]byte(document))
	if err != nil {
		return
	}
	_ = n.recorded()
	if again, _, err := f.read(f.document(&c)); err != nil || !reflect.DeepEqual(again, c) {
		t.Errorf("%+v became %+v, %v", c, again, err)
	}
}
