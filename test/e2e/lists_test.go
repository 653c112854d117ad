// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

// listed is what a listing shows: keys, and prefixes in parentheses; pages are
// separated by bars.
func listed(pages [][]string) string {
	var text []string
	for _, p := range pages {
		text = append(text, strings.Join(p, " "))
	}
	return strings.Join(text, " | ")
}

func entries(contents []types.Object, prefixes []types.CommonPrefix) (out []string) {
	for _, c := range contents {
		out = append(out, *c.Key)
	}
	for _, p := range prefixes {
		out = append(out, "("+*p.Prefix+")")
	}
	return out
}

func listV1(t testing.TB, s *coffertest.Server, in *s3.ListObjectsInput) string {
	var pages [][]string
	for range 100 {
		out := do(t, s.S3.ListObjects, in)
		pages = append(pages, entries(out.Contents, out.CommonPrefixes))
		if !*out.IsTruncated {
			return listed(pages)
		}
		// Without a delimiter, the last key is the next marker.
		if in.Marker = out.NextMarker; in.Marker == nil {
			in.Marker = out.Contents[len(out.Contents)-1].Key
		}
	}
	return "no end"
}

func listV2(t testing.TB, s *coffertest.Server, in *s3.ListObjectsV2Input) string {
	var pages [][]string
	p := s3.NewListObjectsV2Paginator(s.S3, in, func(o *s3.ListObjectsV2PaginatorOptions) { o.StopOnDuplicateToken = true })
	for p.HasMorePages() {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		page := entries(out.Contents, out.CommonPrefixes)
		if int(*out.KeyCount) != len(page) {
			t.Errorf("KeyCount is %d of %d", *out.KeyCount, len(page))
		}
		pages = append(pages, page)
	}
	return listed(pages)
}

func testListObjects(t *testing.T, s *coffertest.Server) {
	s.Bucket("lists", "", "", false)
	s.Bucket("empty", "", "", false)
	for _, key := range []string{"a", "b/", "b/1", "b/2/x", "b/2/y", "b0", "c//d", "é", "z", "\U0001F600"} {
		s.Put("lists", key, key)
	}
	s.Versioning("lists", types.BucketVersioningStatusEnabled)
	s.Put("lists", "hidden", "x")
	do(t, s.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: aws.String("lists"), Key: aws.String("hidden")})
	all := "a b/ b/1 b/2/x b/2/y b0 c//d z é \U0001F600"
	for _, c := range []struct {
		prefix, delimiter, after string
		max                      int32
		want                     string
	}{
		{"", "", "", 0, all},
		{"", "", "", 3, "a b/ b/1 | b/2/x b/2/y b0 | c//d z é | \U0001F600"},
		{"b", "", "", 0, "b/ b/1 b/2/x b/2/y b0"},
		{"b/2", "", "", 1, "b/2/x | b/2/y"},
		{"", "/", "", 0, "a b0 z é \U0001F600 (b/) (c/)"},
		{"", "/", "", 1, "a | (b/) | b0 | (c/) | z | é | \U0001F600"},
		{"b/", "/", "", 0, "b/ b/1 (b/2/)"},
		{"b/", "/", "", 2, "b/ b/1 | (b/2/)"},
		{"c/", "/", "", 0, "(c//)"},
		{"", "/2/", "", 0, "a b/ b/1 b0 c//d z é \U0001F600 (b/2/)"},
		{"", "", "b/2/x", 0, "b/2/y b0 c//d z é \U0001F600"},
		{"", "", "b/2/", 0, "b/2/x b/2/y b0 c//d z é \U0001F600"},
		{"", "/", "b/2/x", 0, "b0 z é \U0001F600 (c/)"},
		{"", "/", "b/", 0, "b0 z é \U0001F600 (c/)"},
		{"b", "", "zz", 0, ""},
		{"nothing", "", "", 0, ""},
	} {
		v1 := &s3.ListObjectsInput{Bucket: aws.String("lists"), Prefix: &c.prefix, Delimiter: &c.delimiter, Marker: &c.after}
		v2 := &s3.ListObjectsV2Input{Bucket: aws.String("lists"), Prefix: &c.prefix, Delimiter: &c.delimiter, StartAfter: &c.after}
		if c.max > 0 {
			v1.MaxKeys, v2.MaxKeys = &c.max, &c.max
		}
		if got := listV1(t, s, v1); got != c.want {
			t.Errorf("v1 prefix %q, delimiter %q, after %q: %q, want %q", c.prefix, c.delimiter, c.after, got, c.want)
		}
		if c.after == "b/2/x" && c.delimiter != "" { // a start-after is a key, and stands for no common prefix
			c.want = "b0 z é \U0001F600 (b/) (c/)"
		}
		if got := listV2(t, s, v2); got != c.want {
			t.Errorf("v2 prefix %q, delimiter %q, after %q: %q, want %q", c.prefix, c.delimiter, c.after, got, c.want)
		}
	}
	none := do(t, s.S3.ListObjectsV2, &s3.ListObjectsV2Input{Bucket: aws.String("lists"), MaxKeys: aws.Int32(0)})
	if len(none.Contents) != 0 || *none.IsTruncated || *none.KeyCount != 0 || none.NextContinuationToken != nil {
		t.Errorf("none: %+v", none)
	}
	out := do(t, s.S3.ListObjectsV2, &s3.ListObjectsV2Input{Bucket: aws.String("lists"), MaxKeys: aws.Int32(1), FetchOwner: aws.Bool(true)})
	e := out.Contents[0]
	if *e.ETag != etagOf("a") || *e.Size != 1 || e.StorageClass != "STANDARD" || e.ChecksumType != "FULL_OBJECT" || len(e.ChecksumAlgorithm) != 1 || len(aws.ToString(e.Owner.ID)) != 64 || e.Owner.DisplayName != nil {
		t.Errorf("entry %+v of %+v", e, e.Owner)
	}
	if out := do(t, s.S3.ListObjectsV2, &s3.ListObjectsV2Input{Bucket: aws.String("lists"), MaxKeys: aws.Int32(1)}); out.Contents[0].Owner != nil {
		t.Error("an owner that nobody asked for")
	}
	if got := listV2(t, s, &s3.ListObjectsV2Input{Bucket: aws.String("empty")}); got != "" {
		t.Errorf("empty: %q", got)
	}
}

// testListsOfStrangeKeys: what XML cannot say, a listing encodes as in a URL.
func testListsOfStrangeKeys(t *testing.T, s *coffertest.Server) {
	s.Bucket("strange", "", "", false)
	strange := []string{"a b", "a&<>\"'", "a+b", "a%2Fb", "line\nbreak", "ctrl\x01", "ünï/ö", "tail/", " lead", "\u2028"}
	slices.Sort(strange)
	for _, key := range strange {
		s.Put("strange", key, "x")
	}
	decode := func(text string) string {
		t.Helper()
		key, err := url.QueryUnescape(text)
		if err != nil || strings.ContainsAny(text, " \n\x01&<>") {
			t.Errorf("%q is not encoded", text)
		}
		return key
	}
	var v1, v2, versioned []string
	for _, c := range do(t, s.S3.ListObjects, &s3.ListObjectsInput{Bucket: aws.String("strange"), EncodingType: types.EncodingTypeUrl}).Contents {
		v1 = append(v1, decode(*c.Key))
	}
	token := (*string)(nil)
	for range 20 {
		out := do(t, s.S3.ListObjectsV2, &s3.ListObjectsV2Input{Bucket: aws.String("strange"), EncodingType: types.EncodingTypeUrl, MaxKeys: aws.Int32(3), ContinuationToken: token})
		for _, c := range out.Contents {
			v2 = append(v2, decode(*c.Key))
		}
		if token = out.NextContinuationToken; token == nil {
			break
		}
	}
	for _, v := range do(t, s.S3.ListObjectVersions, &s3.ListObjectVersionsInput{Bucket: aws.String("strange"), EncodingType: types.EncodingTypeUrl}).Versions {
		versioned = append(versioned, decode(*v.Key))
	}
	for what, got := range map[string][]string{"v1": v1, "v2": v2, "versions": versioned} {
		if !slices.Equal(got, strange) {
			t.Errorf("%s: %q, want %q", what, got, strange)
		}
	}
	out := do(t, s.S3.ListObjectsV2, &s3.ListObjectsV2Input{
		Bucket: aws.String("strange"), EncodingType: types.EncodingTypeUrl, Prefix: aws.String("ünï"), Delimiter: aws.String("/"), StartAfter: aws.String("a b"),
	})
	if *out.Prefix != "%C3%BCn%C3%AF" || *out.CommonPrefixes[0].Prefix != "%C3%BCn%C3%AF/" || *out.StartAfter != "a+b" || *out.Delimiter != "/" {
		t.Errorf("echo %q %q %q %q", *out.Prefix, *out.CommonPrefixes[0].Prefix, *out.StartAfter, *out.Delimiter)
	}
	for _, key := range strange {
		if got, _ := s.Get("strange", key); got != "x" {
			t.Errorf("%q reads %q", key, got)
		}
	}
}

func testListVersionsInPages(t *testing.T, s *coffertest.Server) {
	s.Bucket("pages", "", "", false)
	s.Put("pages", "a", "null")
	s.Versioning("pages", types.BucketVersioningStatusEnabled)
	for _, key := range []string{"a", "a", "b/1", "b/1", "b/2", "c"} {
		s.Put("pages", key, "x")
	}
	for _, key := range []string{"a", "c"} {
		do(t, s.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: aws.String("pages"), Key: &key})
	}
	for _, c := range []struct {
		prefix, delimiter string
		max               int32
		want              string
	}{
		{"", "", 1000, "a a a b/1 b/1 b/2 c -a* -c*"},
		{"", "", 1, "-a* | a | a | a | b/1* | b/1 | b/2* | -c* | c"},
		{"", "", 2, "a -a* | a a | b/1* b/1 | b/2* -c* | c"},
		{"", "/", 1000, "a a a c -a* -c* (b/)"},
		{"", "/", 1, "-a* | a | a | a | (b/) | -c* | c"},
		{"b/", "", 2, "b/1* b/1 | b/2*"},
		{"c", "", 1, "-c* | c"},
	} {
		var pages [][]string
		seen := map[string]bool{}
		p := s3.NewListObjectVersionsPaginator(s.S3, &s3.ListObjectVersionsInput{Bucket: aws.String("pages"), Prefix: &c.prefix, Delimiter: &c.delimiter, MaxKeys: &c.max})
		for p.HasMorePages() {
			out, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var page []string
			note := func(mark, key, id string, latest bool) {
				if seen[key+id] {
					t.Errorf("%s %s comes twice", key, id)
				}
				seen[key+id] = true
				if latest && (mark != "" || c.max < 1000) {
					key += "*"
				}
				page = append(page, mark+key)
			}
			for _, v := range out.Versions {
				note("", *v.Key, *v.VersionId, *v.IsLatest)
			}
			for _, m := range out.DeleteMarkers {
				note("-", *m.Key, *m.VersionId, *m.IsLatest)
			}
			for _, g := range out.CommonPrefixes {
				page = append(page, "("+*g.Prefix+")")
			}
			pages = append(pages, page)
		}
		if got := listed(pages); got != c.want {
			t.Errorf("prefix %q, delimiter %q by %d: %q, want %q", c.prefix, c.delimiter, c.max, got, c.want)
		}
	}
}

func testListParametersThatAreRefused(t *testing.T, s *coffertest.Server) {
	s.Bucket("bad-lists", "", "", false)
	get := func(target string) request { return request{method: "GET", target: target} }
	argument := func(query, name, value, text string) refusal {
		return refusal{query, get("/bad-lists?" + query), 400, "InvalidArgument", text, []string{"ArgumentName=" + name, "ArgumentValue=" + value}}
	}
	refuse(t, s, []refusal{
		argument("list-type=2&max-keys=x", "max-keys", "x", "Provided max-keys not an integer or within integer range"),
		argument("max-keys=-1", "max-keys", "-1", "Argument max-keys must be an integer between 0 and 2147483647"),
		argument("max-keys=99999999999", "max-keys", "99999999999", "not an integer or within integer range"),
		argument("versions&max-keys=1e3", "max-keys", "1e3", "not an integer"),
		argument("list-type=3", "list-type", "3", "Invalid List Type specified in Request"),
		argument("list-type=2&encoding-type=xml", "encoding-type", "xml", "Invalid Encoding Method specified in Request"),
		argument("encoding-type=URL", "encoding-type", "URL", "Invalid Encoding Method specified in Request"),
		{"a token that is none", get("/bad-lists?list-type=2&continuation-token=nonsense"), 400, "InvalidArgument", "The continuation token provided is incorrect", []string{"ArgumentName=continuation-token"}},
		{"an empty token", get("/bad-lists?list-type=2&continuation-token="), 400, "InvalidArgument", "The continuation token provided is incorrect", []string{"ArgumentName=continuation-token"}},
		argument("encoding-type=", "encoding-type", "", "Invalid Encoding Method specified in Request"),
		argument("versions&version-id-marker=x", "version-id-marker", "x", "A version-id marker cannot be specified without a key marker."),
		argument("versions&key-marker=k&version-id-marker=x", "version-id-marker", "x", "Invalid version id specified"),
		{"max-buckets=0", get("/?max-buckets=0"), 400, "InvalidArgument", "between 1 and 10000", []string{"ArgumentName=max-buckets", "ArgumentValue=0"}},
		{"another bucket token", get("/?continuation-token=x"), 400, "InvalidArgument", "continuation token", []string{"ArgumentName=continuation-token"}},
		{"no bucket", get("/nobody?list-type=2"), 404, "NoSuchBucket", "The specified bucket does not exist", []string{"BucketName=nobody"}},
		{"no bucket for versions", get("/nobody?versions"), 404, "NoSuchBucket", "The specified bucket does not exist", []string{"BucketName=nobody"}},
		{"a prefix that is no text", get("/bad-lists?prefix=%ff"), 400, "InvalidURI", "", []string{"URI=/bad-lists"}},
	})
	if a := get("/bad-lists?max-keys=5000").do(s); a.status != 200 || a.get("MaxKeys") != "1000" {
		t.Errorf("5000 keys: %d, MaxKeys %s", a.status, a.get("MaxKeys"))
	}
}
