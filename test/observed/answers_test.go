// SPDX-License-Identifier: Apache-2.0

package observed

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/test/coffertest"
)

func TestAnswers(t *testing.T) {
	s := start(t)
	create := func(r *row, name, location string, headers ...string) answer {
		body := ""
		if location != "" {
			body = "<CreateBucketConfiguration><LocationConstraint>" + location + "</LocationConstraint></CreateBucketConfiguration>"
		}
		return r.do("PUT", "/"+name, body, headers...)
	}
	s.row("15.1", "a deleted key, and its marker", func(r *row) {
		b := r.versioned()
		r.put("/"+b+"/k", "x")
		marker := r.ok(204, r.do("DELETE", "/"+b+"/k", "")).header.Get("x-amz-version-id")
		a := r.do("GET", "/"+b+"/k", "")
		r.err(a, 404, "NoSuchKey", "", "Key=k")
		r.told(a, "x-amz-delete-marker", "true", "x-amz-version-id", marker)
		r.err(r.do("GET", "/"+b+"/k?versionId="+marker, ""), 405, "MethodNotAllowed", "", "Method=GET", "ResourceType=DeleteMarker")
		r.ok(405, r.do("HEAD", "/"+b+"/k?versionId="+marker, ""))
	})
	s.row("15.2", "a version that there is not", func(r *row) {
		b := r.versioned()
		v := r.put("/"+b+"/k", "x").header.Get("x-amz-version-id")
		r.ok(204, r.do("DELETE", "/"+b+"/k?versionId="+v, ""))
		r.err(r.do("GET", "/"+b+"/k?versionId="+v, ""), 404, "NoSuchVersion", "", "VersionId="+v, "Key=k")
		r.err(r.do("GET", "/"+b+"/k?versionId=nonsense", ""), 400, "InvalidArgument", "Invalid version id specified", "ArgumentName=versionId")
	})
	s.row("15.3", "ids of versions", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "x")
		r.is("first", r.do("GET", "/"+b+"?versions", "").xml("Version/VersionId"), "null")
		v := r.put("/"+r.versioned()+"/k", "x").header.Get("x-amz-version-id")
		if !regexp.MustCompile(`^[A-Za-z0-9._]{32}$`).MatchString(v) {
			r.Errorf("version %q", v)
		}
	})
	s.row("15.4", "deleting a bucket that is not empty", func(r *row) {
		b, v := r.bucket(), r.versioned()
		r.put("/"+b+"/k", "x")
		r.err(r.do("DELETE", "/"+b, ""), 409, "BucketNotEmpty", "The bucket you tried to delete is not empty", "BucketName="+b)
		r.put("/"+v+"/k", "x")
		r.ok(204, r.do("DELETE", "/"+v+"/k", ""))
		r.err(r.do("DELETE", "/"+v, ""), 409, "BucketNotEmpty", "You must delete all versions in the bucket.", "BucketName="+v)
	})
	const tags = "<CreateBucketConfiguration><Tags><Tag><Key>a</Key><Value>1</Value></Tag></Tags></CreateBucketConfiguration>"
	s.row("15.5", "making one's own bucket again, in us-east-1", func(r *row) {
		b := r.bucket()
		r.ok(204, r.do("PUT", "/"+b+"?tagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"))
		r.ok(200, create(r, b, ""))
		r.is("tag", r.do("GET", "/"+b+"?tagging", "").xml("TagSet/Tag/Value"), "1")
		r.err(r.do("PUT", "/"+b, tags), 409, "BucketAlreadyOwnedByYou", "", "BucketName="+b)
	})
	s.row("15.6", "locations", func(r *row) {
		r.err(create(r, "row-15-6", coffertest.Region), 400, "InvalidLocationConstraint", "")
		a := r.ok(200, r.do("GET", "/"+r.bucket()+"?location", ""))
		if !strings.HasSuffix(strings.TrimSpace(a.body), `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>`) && a.document() != "" {
			r.Errorf("location: %s", a.body)
		}
	})
	s.row("15.7", "headers of buckets", func(r *row) {
		a := r.ok(200, create(r, "row-15-7", ""))
		r.told(a, "x-amz-bucket-arn", "arn:aws:s3:::row-15-7", "Location", "/row-15-7")
		r.told(r.ok(200, r.do("HEAD", "/row-15-7", "")), "x-amz-bucket-arn", "arn:aws:s3:::row-15-7", "x-amz-bucket-region", coffertest.Region, "x-amz-access-point-alias", "false")
	})
	s.row("15.8", "states of versioning", func(r *row) {
		b := r.bucket()
		for _, v := range []string{"enabled", "Disabled"} {
			r.err(r.do("PUT", "/"+b+"?versioning", versioning(v)), 400, "MalformedXML", "")
		}
		r.err(r.do("PUT", "/"+b+"?versioning", "<VersioningConfiguration/>"), 400, "IllegalVersioningConfigurationException", "")
	})
	s.row("15.9", "deleting what there is not", func(r *row) {
		b := r.versioned()
		v := r.put("/"+b+"/k", "x").header.Get("x-amz-version-id")
		r.ok(204, r.do("DELETE", "/"+b+"/k?versionId="+v, ""))
		a := r.ok(200, r.do("POST", "/"+b+"?delete", "<Delete><Object><Key>k</Key><VersionId>"+v+"</VersionId></Object></Delete>"))
		r.is("error", a.xml("Error/Code"), "NoSuchVersion")
		a = r.ok(200, r.do("POST", "/"+r.bucket()+"?delete", "<Delete><Object><Key>nothing</Key></Object></Delete>"))
		r.is("deleted", a.xml("Deleted/Key"), "nothing")
	})
	s.row("15.10", "bypassing a lock that there is not", func(r *row) {
		r.err(r.do("DELETE", "/"+r.bucket()+"/k", "", "x-amz-bypass-governance-retention", "true"), 400, "InvalidArgument", "", "ArgumentName=x-amz-bypass-governance-retention")
	})
	s.row("15.13", "no tags", func(r *row) {
		b := r.bucket()
		r.err(r.do("GET", "/"+b+"?tagging", ""), 404, "NoSuchTagSet", "", "BucketName="+b)
		r.put("/"+b+"/k", "x")
		a := r.ok(200, r.do("GET", "/"+b+"/k?tagging", ""))
		if _, there := a.find("TagSet"); !there || a.xml("TagSet/Tag/Key") != "" {
			r.Errorf("tags: %s", a.body)
		}
		r.told(r.do("HEAD", "/"+b+"/k", ""), "x-amz-tagging-count", absent)
		r.put("/"+b+"/k", "x", "x-amz-tagging", "a=1&b=2")
		r.told(r.do("HEAD", "/"+b+"/k", ""), "x-amz-tagging-count", "2")
	})
	s.row("15.14", "tags that are refused", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "x")
		put := func(tags string) answer {
			return r.do("PUT", "/"+b+"/k?tagging", "<Tagging><TagSet>"+tags+"</TagSet></Tagging>")
		}
		one := func(k, v string) string { return "<Tag><Key>" + k + "</Key><Value>" + v + "</Value></Tag>" }
		r.err(put(one("a", "1")+one("a", "2")), 400, "InvalidTag", "Cannot provide multiple Tags with the same key", "TagKey=a")
		r.err(put(one("a!", "1")), 400, "InvalidTag", "The TagKey you have provided is invalid", "TagKey=a!")
		r.err(put(one("a", "1!")), 400, "InvalidTag", "The TagValue you have provided is invalid")
		r.err(put("<Tag><Key>a</Key></Tag>"), 400, "MalformedXML", "")
		r.err(put("<Tag><Value>a</Value></Tag>"), 400, "MalformedXML", "")
		for _, v := range []string{"a=1&a=2", "a=%ff"} {
			r.err(r.do("PUT", "/"+b+"/k", "x", "x-amz-tagging", v), 400, "InvalidArgument", "shall be encoded as UTF-8", "ArgumentName=x-amz-tagging")
		}
	})
	s.row("15.18", "encodings of keys", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/a%20b%2Bc", "x")
		r.err(r.do("GET", "/"+b+"?encoding-type=base64", ""), 400, "InvalidArgument", "Invalid Encoding Method specified in Request")
		r.err(r.do("GET", "/"+b+"?encoding-type=", ""), 400, "InvalidArgument", "Invalid Encoding Method specified in Request")
		r.is("plain", r.ok(200, r.do("GET", "/"+b, "")).xml("Contents/Key"), "a b+c")
		r.is("url", r.ok(200, r.do("GET", "/"+b+"?encoding-type=url", "")).xml("Contents/Key"), "a+b%2Bc")
	})
	s.row("15.19", "a version to begin with, of no key", func(r *row) {
		r.err(r.do("GET", "/"+r.versioned()+"?versions&version-id-marker=x", ""), 400, "InvalidArgument", "A version-id marker cannot be specified without a key marker.")
	})
	s.row("15.20", "entries of lists", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "x")
		for query, c := range map[string]struct {
			entry string
			owner bool
		}{"": {"Contents", true}, "?list-type=2": {"Contents", false}, "?list-type=2&fetch-owner=true": {"Contents", true}, "?versions": {"Version", true}} {
			a := r.ok(200, r.do("GET", "/"+b+query, ""))
			for _, name := range []string{"ChecksumAlgorithm", "ChecksumType", "ETag", "LastModified", "Size", "StorageClass"} {
				if _, ok := a.find(c.entry + "/" + name); !ok {
					r.Errorf("%s has no %s: %s", query, name, a.body)
				}
			}
			if _, ok := a.find(c.entry + "/Owner/ID"); ok != c.owner {
				r.Errorf("%s: owner %t", query, ok)
			}
			if _, ok := a.find(c.entry + "/Owner/DisplayName"); ok {
				r.Errorf("%s names the owner", query)
			}
		}
	})
	s.row("15.22", "the type of what has none", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "x")
		r.told(r.do("GET", "/"+b+"/k", ""), "Content-Type", "binary/octet-stream")
	})
}

// document returns the text of the root.
func (a answer) document() string {
	_, rest, _ := strings.Cut(a.body, "<LocationConstraint")
	_, rest, _ = strings.Cut(rest, ">")
	text, _, _ := strings.Cut(rest, "<")
	return text
}

// TestElsewhere is in another region than us-east-1.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	s := &subject{t, coffertest.Start(t, coffertest.Flags("--region", "eu-west-1"))}
	s.row("15.5", "making one's own bucket again", func(r *row) {
		put := func() answer { return r.send(r.inRegion("eu-west-1", "PUT", "/row-15-5-elsewhere", "")) }
		r.ok(200, put())
		r.err(put(), 409, "BucketAlreadyOwnedByYou", "", "BucketName=row-15-5-elsewhere")
	})
	s.row("15.6", "locations", func(r *row) {
		const name = "row-15-6-elsewhere"
		create := func(location string) answer {
			return r.send(r.inRegion("eu-west-1", "PUT", "/"+name, "<CreateBucketConfiguration><LocationConstraint>"+location+"</LocationConstraint></CreateBucketConfiguration>"))
		}
		r.err(create("eu-west-2"), 400, "IllegalLocationConstraintException", "")
		r.ok(200, create("eu-west-1"))
		r.is("location", r.ok(200, r.send(r.inRegion("eu-west-1", "GET", "/"+name+"?location", ""))).document(), "eu-west-1")
		// S3 refuses a bucket without location here; tools that were written for us-east-1 send none.
		r.ok(200, r.send(r.inRegion("eu-west-1", "PUT", "/"+name+"-none", "")))
	})
}

// inRegion makes a request that is signed for another region.
func (r *row) inRegion(region, method, target, body string) *http.Request {
	r.Helper()
	return r.signedIn(region, root, "s3", method, target, body)
}
