// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/aws"
)

func TestBucketNames(t *testing.T) {
	for name, want := range map[string]bool{
		"abc":                     true,
		"photos":                  true,
		"my.bucket-1":             true,
		"123":                     true,
		strings.Repeat("a", 63):   true,
		"1.2.3":                   true,
		"a-.b":                    true,
		"":                        false,
		"ab":                      false,
		strings.Repeat("a", 64):   false,
		"Photos":                  false,
		"photos_1":                false,
		"-photos":                 false,
		"photos-":                 false,
		".photos":                 false,
		"photos.":                 false,
		"my..bucket":              false,
		"192.168.5.4":             false,
		"phötos":                  false,
		"pho tos":                 false,
		"photos\n":                false,
		"photos/cats":             false,
		"xn--photos":              false,
		"sthree-photos":           false,
		"amzn-s3-demo-photos":     false,
		"photos-s3alias":          false,
		"photos--ol-s3":           false,
		"photos.mrap":             false,
		"photos--use1-az4--x-s3":  false,
		"photos--table-s3":        false,
		"xn-photos-x-s3.s3alias1": true,
	} {
		if got := aws.ValidBucketName(name); got != want {
			t.Errorf("ValidBucketName(%q) = %t, want %t", name, got, want)
		}
	}
}

func TestARNs(t *testing.T) {
	for got, want := range map[string]string{
		aws.BucketARN("photos"):                                "arn:aws:s3:::photos",
		aws.ObjectARN("photos", "cats/1.jpg"):                  "arn:aws:s3:::photos/cats/1.jpg",
		aws.KeyARN("us-east-1", "000000000001", "1234-ab"):     "arn:aws:kms:us-east-1:000000000001:key/1234-ab",
		aws.AliasARN("us-east-1", "000000000001", "alias/app"): "arn:aws:kms:us-east-1:000000000001:alias/app",
		aws.RootARN("000000000001"):                            "arn:aws:iam::000000000001:root",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if _, ok := aws.ParseARN(got); !ok {
			t.Errorf("ParseARN(%s) failed", got)
		}
	}
}

func TestParseARN(t *testing.T) {
	got, ok := aws.ParseARN("arn:aws:s3:us-east-1:111122223333:accesspoint/a:b:c")
	want := aws.ARN{Partition: "aws", Service: "s3", Region: "us-east-1", Account: "111122223333", Resource: "accesspoint/a:b:c"}
	if !ok || got != want {
		t.Errorf("ParseARN = %+v, %t; want %+v", got, ok, want)
	}
	for _, s := range []string{"", "arn", "ARN:aws:s3:::photos", "arn:aws:s3::photos", "key/arn:aws:s3:::photos"} {
		if got, ok := aws.ParseARN(s); ok || got != (aws.ARN{}) {
			t.Errorf("ParseARN(%q) = %+v, %t", s, got, ok)
		}
	}
}

func FuzzParseARN(f *testing.F) {
	f.Add("arn:aws:s3:::photos/cat.jpg")
	f.Add("arn:aws:kms:us-east-1:000000000001:key/1234")
	f.Add("arn:::::")
	f.Fuzz(func(t *testing.T, s string) {
		a, ok := aws.ParseARN(s)
		if !ok {
			return
		}
		if again := strings.Join([]string{"arn", a.Partition, a.Service, a.Region, a.Account, a.Resource}, ":"); again != s {
			t.Errorf("ParseARN(%q) comes back as %q", s, again)
		}
	})
}

func TestAccounts(t *testing.T) {
	for account, want := range map[string]bool{
		"000000000001": true, "111122223333": true,
		"": false, "00000000001": false, "0000000000001": false, "00000000000a": false, "-00000000001": false, "٠٠٠٠٠٠": false,
	} {
		if got := aws.ValidAccount(account); got != want {
			t.Errorf("ValidAccount(%q) = %t, want %t", account, got, want)
		}
	}
}

func TestKeyIDs(t *testing.T) {
	const id = "1234abcd-12ab-34cd-56ef-1234567890ab"
	const many = "mrk-1234abcd12ab34cd56ef1234567890ab"
	for _, s := range []string{id, many} {
		if got, multi, ok := aws.ParseKeyID(s); !ok || got.String() != id || multi != (s == many) || aws.KeyID(got, multi) != s {
			t.Errorf("ParseKeyID(%s) = %v, %t, %t", s, got, multi, ok)
		}
	}
	for _, s := range []string{"", "fake-key-id", strings.ToUpper(id), "{" + id + "}", "urn:uuid:" + id, strings.ReplaceAll(id, "-", ""), id + "0", "mrk-" + id, many + "0", "mrk-" + strings.ToUpper(many[4:]), "MRK-" + many[4:], "mrk-"} {
		if _, _, ok := aws.ParseKeyID(s); ok {
			t.Errorf("ParseKeyID(%q) succeeded", s)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	form := regexp.MustCompile(`^[A-Z0-9]{16}$`)
	seen := map[string]bool{}
	for range 1000 {
		id := aws.NewRequestID()
		if !form.MatchString(id) || seen[id] {
			t.Fatalf("request id %q, seen before: %t", id, seen[id])
		}
		seen[id] = true
	}
	raw, err := base64.StdEncoding.DecodeString(aws.NewHostID())
	if err != nil || len(raw) != 48 {
		t.Errorf("host id of %d bytes, %v", len(raw), err)
	}
}

// FuzzNames: what is taken for the name of a bucket or the id of a key has the form
// that AWS describes.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"photos", "a.b-c", "a..b", "192.168.0.1", "xn--a", "ab", strings.Repeat("a", 64), "1234abcd-12ab-34cd-56ef-1234567890ab", "mrk-1234abcd12ab34cd56ef1234567890ab", "{1234}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if aws.ValidBucketName(s) {
			if len(s) < 3 || len(s) > 63 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" || strings.Contains(s, "..") ||
				strings.ContainsAny(s[:1]+s[len(s)-1:], ".-") {
				t.Errorf("%q is taken for a bucket's name", s)
			}
		}
		if id, multi, ok := aws.ParseKeyID(s); ok && (len(s) != 36 || aws.KeyID(id, multi) != s || strings.ToLower(s) != s) {
			t.Errorf("%q is taken for a key's id", s)
		}
	})
}
