// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"testing"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
)

func TestDecodeListParts(t *testing.T) {
	for _, c := range []struct {
		query      string
		after, max int
		want       fault.Kind
	}{
		{"uploadId=u", 0, 1000, ""},
		{"uploadId=u&max-parts=&part-number-marker=", 0, 1000, ""},
		{"uploadId=u&max-parts=2&part-number-marker=7", 7, 2, ""},
		{"uploadId=u&max-parts=0", 0, 0, ""},
		{"uploadId=u&max-parts=5000", 0, 1000, ""},
		{"uploadId=u&max-parts=two", 0, 0, InvalidArgument},
		{"uploadId=u&max-parts=-1", 0, 0, InvalidArgument},
		{"uploadId=u&part-number-marker=99999999999", 0, 0, InvalidArgument},
	} {
		in, err := decodeListParts(cat(t, "GET", c.query))
		if kind, _ := faultOf(err); kind != c.want || err == nil && (in.After != c.after || in.Max != c.max || in.UploadID != "u") {
			t.Errorf("?%s: %+v, %v", c.query, in, err)
		}
	}
}

func TestListPartsAnswers(t *testing.T) {
	out := partListing{
		object.PartListing{
			Owner: "111122223333", Initiator: "arn:aws:iam::111122223333:user/alice", Truncated: true, Next: 2,
			Checksum: object.Checksum{Algorithm: checksum.CRC32, Type: checksum.Composite},
			Parts: []object.StoredPart{{
				Number: 2, ETag: "e2", Size: 5, Modified: taken, Checksum: object.Checksum{Algorithm: checksum.CRC32, Value: []byte{1, 2, 3, 4}},
			}},
		},
		object.ListParts{UploadRef: object.UploadRef{UploadID: "u"}, After: 1, Max: 1},
	}
	r, err := encodeListParts(cat(t, "GET", "uploadId=u"), out)
	want := xmlHeader + `<ListPartsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>photos</Bucket><Key>cat.jpg</Key><UploadId>u</UploadId>` +
		`<Initiator><ID>arn:aws:iam::111122223333:user/alice</ID><DisplayName>alice</DisplayName></Initiator><Owner><ID>` + canonicalID("111122223333") + `</ID></Owner>` +
		`<StorageClass>STANDARD</StorageClass><PartNumberMarker>1</PartNumberMarker><NextPartNumberMarker>2</NextPartNumberMarker>` +
		`<MaxParts>1</MaxParts><IsTruncated>true</IsTruncated><ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType>` +
		`<Part><PartNumber>2</PartNumber><LastModified>2026-03-04T05:06:07.000Z</LastModified><ETag>&quot;e2&quot;</ETag><Size>5</Size>` +
		`<ChecksumCRC32>AQIDBA==</ChecksumCRC32></Part></ListPartsResult>`
	if err != nil || string(r.Body) != want {
		t.Errorf("got  %s, %v\nwant %s", r.Body, err, want)
	}
}

func TestDecodeListUploads(t *testing.T) {
	in, err := decodeListUploads(cat(t, "GET", "uploads&prefix=a%2F&delimiter=%2F&key-marker=a%2Fb&upload-id-marker=u&max-uploads=3&encoding-type=url"))
	if err != nil || in.Bucket != "photos" || in.Prefix != "a/" || in.Delimiter != "/" || in.KeyMarker != "a/b" || in.UploadMarker != "u" || in.Max != 3 {
		t.Errorf("%+v, %v", in, err)
	}
	if in, err := decodeListUploads(cat(t, "GET", "uploads&upload-id-marker=u&max-uploads=9999")); err != nil || in.UploadMarker != "" || in.Max != 1000 {
		t.Errorf("an upload id marker alone: %+v, %v", in, err)
	}
	for _, query := range []string{"uploads&encoding-type=xml", "uploads&max-uploads=x"} {
		_, err := decodeListUploads(cat(t, "GET", query))
		if kind, _ := faultOf(err); kind != InvalidArgument {
			t.Errorf("?%s: %v", query, err)
		}
	}
}

func TestListUploadsAnswers(t *testing.T) {
	out := uploadListing{
		object.UploadListing{
			Uploads:  []object.Upload{{Key: "a/b c", UploadID: "u1", Owner: "111122223333", Initiator: "arn:aws:iam::111122223333:root", Created: taken}},
			Prefixes: []string{"a/d é/"}, NextKey: "a/d é/",
		},
		object.ListUploads{Prefix: "a/", Delimiter: "/", Max: 1000},
	}
	r, err := encodeListUploads(cat(t, "GET", "uploads&encoding-type=url"), out)
	account := canonicalID("111122223333")
	want := xmlHeader + `<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>photos</Bucket><KeyMarker></KeyMarker>` +
		`<UploadIdMarker></UploadIdMarker><NextKeyMarker></NextKeyMarker><NextUploadIdMarker></NextUploadIdMarker><Prefix>a/</Prefix>` +
		`<Delimiter>/</Delimiter><EncodingType>url</EncodingType><MaxUploads>1000</MaxUploads><IsTruncated>false</IsTruncated>` +
		`<Upload><Key>a/b+c</Key><UploadId>u1</UploadId><Initiator><ID>` + account + `</ID><DisplayName>111122223333</DisplayName></Initiator><Owner><ID>` + account + `</ID></Owner>` +
		`<StorageClass>STANDARD</StorageClass><Initiated>2026-03-04T05:06:07.000Z</Initiated></Upload>` +
		`<CommonPrefixes><Prefix>a/d+%C3%A9/</Prefix></CommonPrefixes></ListMultipartUploadsResult>`
	if err != nil || string(r.Body) != want {
		t.Errorf("got  %s, %v\nwant %s", r.Body, err, want)
	}
}
