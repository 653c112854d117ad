// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func restoreFor(days string) string {
	return `<RestoreRequest><Days>` + days + `</Days></RestoreRequest>`
}

const inactive = "The operation is not valid for the object's storage class"

// What is in an archive is read once it is restored, until the restore ends.
func TestArchivedObjects(t *testing.T) {
	for _, class := range []string{"GLACIER", "DEEP_ARCHIVE"} {
		t.Run(class, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testArchived(t, class) })
		})
	}
}

func testArchived(t *testing.T, class string) {
	s := photos(t)
	as := "X-Amz-Storage-Class: " + class
	s.do("PUT", "/photos/cat.jpg", "meow", as).want(200)
	s.do("GET", "/photos/cat.jpg", "").wantCode(403, "InvalidObjectState", inactive, "<StorageClass>"+class+"</StorageClass>")
	s.do("GET", "/photos/missing", "").wantCode(404, "NoSuchKey")
	s.do("HEAD", "/photos/cat.jpg", "").want(200).wantHeader("x-amz-storage-class", class).wantHeader("x-amz-restore", "")
	s.do("GET", "/photos/cat.jpg?tagging", "").want(200)
	s.do("PUT", "/photos/copy", "", "X-Amz-Copy-Source: /photos/cat.jpg").wantCode(403, "InvalidObjectState", "Operation is not valid for the source object's storage class")
	s.do("GET", "/photos?list-type=2", "", "X-Amz-Optional-Object-Attributes: RestoreStatus").want(200, "<StorageClass>"+class+"</StorageClass></Contents>")

	s.do("POST", "/photos/cat.jpg?restore", restoreFor("1")).want(202)
	until := time.Now().UTC().AddDate(0, 0, 2).Truncate(24 * time.Hour)
	if time.Now().UTC().Equal(time.Now().UTC().Truncate(24 * time.Hour)) { // a fake clock begins at midnight
		until = until.AddDate(0, 0, -1)
	}
	status := `ongoing-request="false", expiry-date="` + until.Format("Mon, 02 Jan 2006 15:04:05 GMT") + `"`
	s.do("HEAD", "/photos/cat.jpg", "").want(200).wantHeader("x-amz-restore", status).wantHeader("x-amz-storage-class", class)
	s.do("GET", "/photos/cat.jpg", "").want(200, "meow").wantHeader("x-amz-restore", status)
	s.do("PUT", "/photos/copy", "", "X-Amz-Copy-Source: /photos/cat.jpg").want(200)
	s.do("HEAD", "/photos/copy", "").want(200).wantHeader("x-amz-restore", "").wantHeader("x-amz-storage-class", "")
	entry := "<StorageClass>" + class + "</StorageClass><RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress><RestoreExpiryDate>" + until.Format("2006-01-02T15:04:05.000Z") + "</RestoreExpiryDate></RestoreStatus>"
	for _, list := range []string{"", "?list-type=2", "?versions"} {
		s.do("GET", "/photos"+list, "", "X-Amz-Optional-Object-Attributes: RestoreStatus").want(200, entry)
		if a := s.do("GET", "/photos"+list, "").want(200); strings.Contains(a.body, "RestoreStatus") {
			t.Errorf("told without being asked: %s", a.body)
		}
	}
	s.do("POST", "/photos/cat.jpg?restore", restoreFor("3")).want(200)
	time.Sleep(25 * time.Hour)
	s.do("GET", "/photos/cat.jpg", "").want(200, "meow")
	time.Sleep(4 * 24 * time.Hour)
	s.do("GET", "/photos/cat.jpg", "").wantCode(403, "InvalidObjectState", inactive)
	s.do("HEAD", "/photos/cat.jpg", "").want(200).wantHeader("x-amz-restore", "")
	s.do("DELETE", "/photos/cat.jpg", "").want(204)
}

func TestRestoresThatAreRefused(t *testing.T) {
	s := photos(t)
	s.do("PUT", "/photos/cat.jpg", "meow").want(200)
	s.do("PUT", "/photos/near", "meow", "X-Amz-Storage-Class: GLACIER_IR").want(200)
	s.do("PUT", "/photos/cold", "meow", "X-Amz-Storage-Class: GLACIER").want(200)
	s.do("PUT", "/photos/deep", "meow", "X-Amz-Storage-Class: DEEP_ARCHIVE").want(200)
	const notArchived = "Restore is not allowed for the object's current storage class"
	s.do("POST", "/photos/cat.jpg?restore", restoreFor("1")).wantCode(403, "InvalidObjectState", notArchived, "<StorageClass>STANDARD</StorageClass>")
	s.do("POST", "/photos/near?restore", restoreFor("1")).wantCode(403, "InvalidObjectState", notArchived)
	s.do("POST", "/photos/missing?restore", restoreFor("1")).wantCode(404, "NoSuchKey")
	s.do("POST", "/missing/k?restore", restoreFor("1")).wantCode(404, "NoSuchBucket")
	tier := func(name string) string {
		return `<RestoreRequest><Days>1</Days><GlacierJobParameters><Tier>` + name + `</Tier></GlacierJobParameters></RestoreRequest>`
	}
	for _, bad := range []string{
		"", "<Other/>", "<RestoreRequest/>", restoreFor(""), restoreFor("x"), tier("Slow"), tier(""),
		`<RestoreRequest><Days>1</Days><Days>1</Days></RestoreRequest>`, `<RestoreRequest><Days>1</Days><Other/></RestoreRequest>`,
		`<RestoreRequest><Days>1</Days><Type>COPY</Type></RestoreRequest>`, `<RestoreRequest><Days>1</Days><OutputLocation/></RestoreRequest>`,
	} {
		s.do("POST", "/photos/cold?restore", bad).wantCode(400, "MalformedXML")
	}
	s.do("POST", "/photos/cold?restore", restoreFor("0")).wantCode(400, "InvalidArgument", "<ArgumentName>Days</ArgumentName>")
	s.do("POST", "/photos/cold?restore", restoreFor("2900001")).wantCode(400, "InvalidArgument")
	s.do("POST", "/photos/cold?restore", `<RestoreRequest><Type>SELECT</Type></RestoreRequest>`).wantCode(405, "MethodNotAllowed")
	s.do("POST", "/photos/deep?restore", tier("Expedited")).wantCode(400, "InvalidArgument", "Retrieval option is not supported by this storage class")
	s.do("GET", "/photos/cold", "").wantCode(403, "InvalidObjectState")
	for _, name := range []string{"Expedited", "Bulk", "Standard"} {
		s.do("POST", "/photos/cold?restore", tier(name)).want(map[string]int{"Expedited": 202}[name] | map[string]int{"Bulk": 200, "Standard": 200}[name])
	}
	if p := s.trail.last(t, "RestoreObject").RequestParameters["RestoreRequest"]; p == nil {
		t.Error("the record does not say for how long")
	}
}

// Classes that only others than general purpose buckets have are refused, whoever writes.
func TestStorageClasses(t *testing.T) {
	s := photos(t)
	const header = "X-Amz-Storage-Class: "
	for _, class := range []string{"OUTPOSTS", "SNOW", "EXPRESS_ONEZONE", "FSX_OPENZFS", "FSX_ONTAP", "AWS_BACKUP_WARM", "standard", "FakeClass"} {
		s.do("PUT", "/photos/k", "x", header+class).wantCode(400, "InvalidStorageClass", "The storage class you specified is not valid", "<StorageClassRequested>"+class+"</StorageClassRequested>")
		s.do("POST", "/photos/k?uploads", "", header+class).wantCode(400, "InvalidStorageClass")
		s.do("PUT", "/photos/k2", "", header+class, "X-Amz-Copy-Source: /photos/cat.jpg").wantCode(400, "InvalidStorageClass")
	}
	for _, class := range []string{"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"} {
		shown := class
		if class == "STANDARD" {
			shown = ""
		}
		s.do("PUT", "/photos/k", "x", header+class).want(200)
		s.do("HEAD", "/photos/k", "").want(200).wantHeader("x-amz-storage-class", shown)
		s.do("GET", "/photos?prefix=k", "").want(200, "<StorageClass>"+class+"</StorageClass>")
		s.do("GET", "/photos/k?attributes", "", "X-Amz-Object-Attributes: StorageClass").want(200, "<StorageClass>"+class+"</StorageClass>")
		s.do("PUT", "/photos/source", "x").want(200)
		s.do("PUT", "/photos/copied", "", header+class, "X-Amz-Copy-Source: /photos/source").want(200)
		s.do("HEAD", "/photos/copied", "").want(200).wantHeader("x-amz-storage-class", shown)
		s.do("POST", "/photos/up?uploads", "", header+class).want(200)
		s.do("GET", "/photos?uploads", "").want(200, "<StorageClass>"+class+"</StorageClass>")
	}
}

// FuzzRestore: a request that is taken has days, and a tier that there is.
func FuzzRestore(f *testing.F) {
	f.Add(restoreFor("1"))
	f.Add(`<RestoreRequest><Days>2</Days><GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters><Description>d</Description></RestoreRequest>`)
	f.Add(`<RestoreRequest><Type>SELECT</Type><Tier>Standard</Tier></RestoreRequest>`)
	f.Fuzz(func(t *testing.T, document string) {
		days, tier, n, err := parseRestore([]byte(document))
		if err != nil {
			if kind, _ := faultOf(err); kind != MalformedXML && kind != MethodNotAllowed {
				t.Errorf("%v", err)
			}
			return
		}
		if n == nil || tier != "" && tier != "Standard" && tier != "Bulk" && tier != "Expedited" {
			t.Errorf("%q is for %d days, %q", document, days, tier)
		}
	})
}
