// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// listed is a page of two objects as core returns it, whose dates are known.
func listed() object.Listing {
	sum := object.Checksum{Algorithm: checksum.CRC64NVME, Type: checksum.FullObject}
	return object.Listing{
		Entries: []object.Entry{
			{Key: "a&b", Size: 4, ETag: "0cc175b9c0f1b6a831c399e269772661", Modified: 1772601121987, Owner: testAccount, Checksum: sum},
			{Key: "a c", Size: 1 << 40, ETag: "93a0cb8ec20934211e19adabef9a6407-1", Modified: 1772601122000, Owner: testAccount, StorageClass: "STANDARD_IA"},
		},
		Prefixes: []string{"a/", "ä/"}, Truncated: true, Next: "ä/",
	}
}

var (
	ownerXML = "<Owner><ID>" + canonicalID(testAccount) + "</ID></Owner>"
	firstXML = `<LastModified>2026-03-04T05:12:01.000Z</LastModified><ETag>&quot;0cc175b9c0f1b6a831c399e269772661&quot;</ETag>` +
		`<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>4</Size>`
	secondXML = `<LastModified>2026-03-04T05:12:02.000Z</LastModified><ETag>&quot;93a0cb8ec20934211e19adabef9a6407-1&quot;</ETag><Size>1099511627776</Size>`
)

func encoded(t *testing.T, target string, encode func(*pipeline.Call) (*pipeline.Response, error)) *answer {
	t.Helper()
	c := call(t, "GET", target)
	c.Bucket = "photos"
	resp, err := encode(c)
	if err != nil {
		t.Fatal(err)
	}
	return &answer{t: t, what: target, status: resp.Status, header: resp.Header, body: string(resp.Body)}
}

func TestListDocument(t *testing.T) {
	v1 := func(c *pipeline.Call) (*pipeline.Response, error) { return encodeListV1(c, listed()) }
	v2 := func(c *pipeline.Call) (*pipeline.Response, error) { return encodeListV2(c, listed()) }
	contents := func(owner, a, b, group, other string) string {
		return `<Contents><Key>` + a + `</Key>` + firstXML + owner + `<StorageClass>STANDARD</StorageClass></Contents>` +
			`<Contents><Key>` + b + `</Key>` + secondXML + owner + `<StorageClass>STANDARD_IA</StorageClass></Contents>` +
			`<CommonPrefixes><Prefix>` + group + `</Prefix></CommonPrefixes><CommonPrefixes><Prefix>` + other + `</Prefix></CommonPrefixes></ListBucketResult>`
	}
	encoded(t, "/photos", v1).wantDocument(200,
		`<ListBucketResult><Name>photos</Name><Prefix></Prefix><Marker></Marker><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated>`+
			contents(ownerXML, "a&amp;b", "a c", "a/", "ä/"))
	encoded(t, "/photos?prefix=a%20&marker=%26&delimiter=/&max-keys=4&encoding-type=url", v1).wantDocument(200,
		`<ListBucketResult><Name>photos</Name><Prefix>a+</Prefix><Marker>%26</Marker><NextMarker>%C3%A4/</NextMarker><MaxKeys>4</MaxKeys>`+
			`<Delimiter>/</Delimiter><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>`+
			contents(ownerXML, "a%26b", "a+c", "a/", "%C3%A4/"))
	encoded(t, "/photos?list-type=2&max-keys=5000", v2).wantDocument(200,
		`<ListBucketResult><Name>photos</Name><Prefix></Prefix><NextContinuationToken>`+continuationToken("ä/")+`</NextContinuationToken>`+
			`<KeyCount>4</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated>`+
			contents("", "a&amp;b", "a c", "a/", "ä/"))
	encoded(t, "/photos?list-type=2&fetch-owner=true&start-after=%3C&continuation-token=AWE%3D&delimiter=/", v2).wantDocument(200,
		`<ListBucketResult><Name>photos</Name><Prefix></Prefix><ContinuationToken>AWE=</ContinuationToken>`+
			`<NextContinuationToken>`+continuationToken("ä/")+`</NextContinuationToken>`+
			`<KeyCount>4</KeyCount><MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter><IsTruncated>true</IsTruncated>`+
			contents(ownerXML, "a&amp;b", "a c", "a/", "ä/"))
}

func TestVersionsDocument(t *testing.T) {
	page := listed()
	versions := object.VersionListing{
		Entries:  []object.Entry{page.Entries[0], {Key: "a&b", Marker: true, Latest: true, VersionID: "v2", Modified: 1772601122000, Owner: testAccount}, page.Entries[1]},
		Prefixes: []string{"b/"}, Truncated: true, NextKey: "a c", NextVersion: "null",
	}
	versions.Entries[0].VersionID, versions.Entries[2].VersionID = "v1", "null"
	encoded(t, "/photos?versions&key-marker=a&version-id-marker=v0", func(c *pipeline.Call) (*pipeline.Response, error) {
		return encodeListVersions(c, versions)
	}).wantDocument(200,
		`<ListVersionsResult><Name>photos</Name><Prefix></Prefix><KeyMarker>a</KeyMarker><VersionIdMarker>v0</VersionIdMarker>`+
			`<NextKeyMarker>a c</NextKeyMarker><NextVersionIdMarker>null</NextVersionIdMarker><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated>`+
			`<Version><Key>a&amp;b</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest>`+firstXML+ownerXML+`<StorageClass>STANDARD</StorageClass></Version>`+
			`<DeleteMarker><Key>a&amp;b</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest><LastModified>2026-03-04T05:12:02.000Z</LastModified>`+ownerXML+`</DeleteMarker>`+
			`<Version><Key>a c</Key><VersionId>null</VersionId><IsLatest>false</IsLatest>`+secondXML+ownerXML+`<StorageClass>STANDARD_IA</StorageClass></Version>`+
			`<CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes></ListVersionsResult>`)
}

func TestListParameters(t *testing.T) {
	s := newStation(t, "us-east-1")
	s.do("PUT", "/photos", "").want(200)
	for query, want := range map[string]string{
		"encoding-type=base64":                      "Invalid Encoding Method specified in Request",
		"list-type=3":                               "Invalid List Type specified in Request",
		"max-keys=-1":                               "Argument max-keys must be an integer between 0 and 2147483647",
		"max-keys=many":                             "Provided max-keys not an integer or within integer range",
		"list-type=2&max-keys=2147483648":           "Provided max-keys not an integer or within integer range",
		"list-type=2&continuation-token=":           "The continuation token provided is incorrect",
		"list-type=2&continuation-token=a":          "The continuation token provided is incorrect",
		"list-type=2&continuation-token=Af8%3D":     "The continuation token provided is incorrect",
		"versions&encoding-type=URL":                "Invalid Encoding Method specified in Request",
		"versions&version-id-marker=a":              "A version-id marker cannot be specified without a key marker.",
		"versions&key-marker=a&version-id-marker=a": "Invalid version id specified",
	} {
		s.do("GET", "/photos?"+query, "").wantCode(400, "InvalidArgument", "<Message>"+want+"</Message>", "<ArgumentName>")
	}
	s.do("PUT", "/photos/cat", "meow").want(200)
	for _, query := range []string{"max-keys=0", "list-type=2&max-keys=0", "versions&max-keys=0"} {
		a := s.do("GET", "/photos?"+query, "").want(200, "<MaxKeys>0</MaxKeys>", "<IsTruncated>false</IsTruncated>")
		if strings.Contains(a.body, "<Key>") {
			t.Errorf("%s: %s", query, a.body)
		}
	}
	s.do("GET", "/nowhere?list-type=2", "").wantCode(404, "NoSuchBucket")
}

// client is the AWS SDK, which reads answers as customers' programs do.
func (s *station) client() *s3.Client {
	server := httptest.NewServer(s.road)
	s.t.Cleanup(server.Close)
	return s3.New(s3.Options{
		Region: s.region, BaseEndpoint: aws.String(server.URL), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(testAccess, testSecret, ""),
	})
}

// keysOf flattens what the SDK read: keys and common prefixes, in the order of the
// pages.
func keysOf(objects []types.Object, prefixes []types.CommonPrefix) (keys []string) {
	for _, o := range objects {
		keys = append(keys, aws.ToString(o.Key))
	}
	for _, p := range prefixes {
		keys = append(keys, aws.ToString(p.Prefix))
	}
	return keys
}

func TestListPages(t *testing.T) {
	s := newStation(t, "us-east-1")
	client, ctx := s.client(), t.Context()
	s.do("PUT", "/photos", "").want(200)
	keys := []string{"a", "a b", "a&b", "b//c", "b/1", "b/2", "c/", "c/d/e", "+", "é", "<x>"}
	for _, k := range keys {
		s.do("PUT", "/photos/"+url.PathEscape(k), "meow").want(200)
	}
	slices.Sort(keys)
	for _, tc := range []struct {
		prefix, delimiter string
		want              []string
	}{
		{"", "", keys},
		{"b/", "", []string{"b//c", "b/1", "b/2"}},
		{"", "/", []string{"+", "<x>", "a", "a b", "a&b", "b/", "c/", "é"}},
		{"b/", "/", []string{"b/1", "b/2", "b//"}},
		{"nothing", "/", nil},
	} {
		for _, size := range []int32{1, 2, 1000} {
			name := fmt.Sprintf("prefix %q delimiter %q by %d", tc.prefix, tc.delimiter, size)
			var v1, v2 []string
			marker := ""
			for {
				out, err := client.ListObjects(ctx, &s3.ListObjectsInput{
					Bucket: aws.String("photos"), Prefix: aws.String(tc.prefix), Delimiter: aws.String(tc.delimiter), Marker: aws.String(marker), MaxKeys: aws.Int32(size),
				})
				if err != nil {
					t.Fatal(name, err)
				}
				v1 = append(v1, keysOf(out.Contents, out.CommonPrefixes)...)
				if !aws.ToBool(out.IsTruncated) {
					break
				}
				if marker = aws.ToString(out.NextMarker); tc.delimiter == "" {
					marker = aws.ToString(out.Contents[len(out.Contents)-1].Key)
				}
			}
			pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{
				Bucket: aws.String("photos"), Prefix: aws.String(tc.prefix), Delimiter: aws.String(tc.delimiter), MaxKeys: aws.Int32(size),
			})
			for pages.HasMorePages() {
				out, err := pages.NextPage(ctx)
				if err != nil {
					t.Fatal(name, err)
				}
				page := keysOf(out.Contents, out.CommonPrefixes)
				if int(aws.ToInt32(out.KeyCount)) != len(page) || len(page) > int(size) {
					t.Errorf("%s: key count %d of %d", name, *out.KeyCount, len(page))
				}
				v2 = append(v2, page...)
			}
			for version, got := range map[string][]string{"V1": v1, "V2": v2} {
				slices.Sort(got) // a page has its common prefixes at the end
				want := slices.Sorted(slices.Values(tc.want))
				if !slices.Equal(got, want) {
					t.Errorf("%s %s: got %q, want %q", version, name, got, want)
				}
			}
		}
	}
}

func TestListEntries(t *testing.T) {
	s := newStation(t, "us-east-1")
	client, ctx := s.client(), t.Context()
	s.do("PUT", "/photos", "").want(200)
	s.do("PUT", "/photos?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>").want(200)
	put := s.do("PUT", "/photos/cat", "meow").want(200)
	s.do("DELETE", "/photos/cat", "").want(204)
	s.do("PUT", "/photos/dog", "woof").want(200)

	out, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("photos"), FetchOwner: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Contents) != 1 {
		t.Fatalf("%d entries, want the dog alone", len(out.Contents))
	}
	dog := out.Contents[0]
	if aws.ToString(dog.Key) != "dog" || aws.ToInt64(dog.Size) != 4 || dog.StorageClass != types.ObjectStorageClassStandard ||
		time.Since(aws.ToTime(dog.LastModified)) > time.Minute || aws.ToString(dog.Owner.ID) != canonicalID(testAccount) ||
		dog.Owner.DisplayName != nil || !slices.Equal(dog.ChecksumAlgorithm, []types.ChecksumAlgorithm{"CRC64NVME"}) || dog.ChecksumType != "FULL_OBJECT" {
		t.Errorf("entry %+v", dog)
	}
	head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("photos"), Key: aws.String("dog")})
	if err != nil {
		t.Fatal(err)
	}
	if !head.LastModified.Equal(*dog.LastModified) || aws.ToString(head.ETag) != aws.ToString(dog.ETag) {
		t.Errorf("listed %v %s, head %v %s", dog.LastModified, *dog.ETag, head.LastModified, *head.ETag)
	}

	versions, err := client.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: aws.String("photos")})
	if err != nil {
		t.Fatal(err)
	}
	if len(versions.Versions) != 2 || len(versions.DeleteMarkers) != 1 {
		t.Fatalf("%d versions, %d markers", len(versions.Versions), len(versions.DeleteMarkers))
	}
	cat, marker := versions.Versions[0], versions.DeleteMarkers[0]
	if aws.ToString(cat.VersionId) != put.spelt("x-amz-version-id") || aws.ToBool(cat.IsLatest) || !aws.ToBool(marker.IsLatest) || aws.ToString(marker.Key) != "cat" {
		t.Errorf("version %+v, marker %+v", cat, marker)
	}
	// In the document they stand in the order of the listing: newest first.
	raw := s.do("GET", "/photos?versions", "").body
	var order []string
	for _, m := range regexp.MustCompile(`<(Version|DeleteMarker)><Key>(\w+)`).FindAllStringSubmatch(raw, -1) {
		order = append(order, m[1]+" "+m[2])
	}
	if want := []string{"DeleteMarker cat", "Version cat", "Version dog"}; !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
}

func BenchmarkList(b *testing.B) {
	out := object.Listing{}
	for i := range maxList {
		e := listed().Entries[0]
		e.Key = fmt.Sprintf("photos/2026/03/%08d.jpg", i)
		out.Entries = append(out.Entries, e)
	}
	r := httptest.NewRequest("GET", "/photos?list-type=2", nil)
	c := &pipeline.Call{Request: r, Query: r.URL.Query(), Bucket: "photos"}
	b.ReportAllocs()
	for b.Loop() {
		resp, err := encodeListV2(c, out)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(resp.Body)))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/maxList, "ns/entry")
}
