// SPDX-License-Identifier: Apache-2.0

package sigv4_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

var exampleDay = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)

// TestDocumentedRequests verifies the examples of the S3 API reference.
func TestDocumentedRequests(t *testing.T) {
	const scope = "AWS4-HMAC-SHA256 Credential=" + accessKey + "/20130524/us-east-1/s3/aws4_request,"
	for name, r := range map[string]*http.Request{
		"get a range": request(t, "GET", "http://examplebucket.s3.amazonaws.com/test.txt", "Range: bytes=0-9",
			"X-Amz-Content-Sha256: "+emptyHash, "X-Amz-Date: "+timestamp, "Authorization: "+scope+
				"SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"+
				"Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
		"put an object": request(t, "PUT", "http://examplebucket.s3.amazonaws.com/test%24file.text",
			"Date: Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Date: "+timestamp, "X-Amz-Storage-Class: REDUCED_REDUNDANCY",
			"X-Amz-Content-Sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072", "Authorization: "+scope+
				"SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,"+
				"Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
		"put it with an unescaped path": request(t, "PUT", "http://examplebucket.s3.amazonaws.com/test$file.text",
			"Date: Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Date: "+timestamp, "X-Amz-Storage-Class: REDUCED_REDUNDANCY",
			"X-Amz-Content-Sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072", "Authorization: "+scope+
				"SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,"+
				"Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
		"get a sub-resource": request(t, "GET", "http://examplebucket.s3.amazonaws.com/?lifecycle",
			"X-Amz-Content-Sha256: "+emptyHash, "X-Amz-Date: "+timestamp, "Authorization: "+scope+
				"SignedHeaders=host;x-amz-content-sha256;x-amz-date,"+
				"Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
		"list objects": request(t, "GET", "http://examplebucket.s3.amazonaws.com/?prefix=J&max-keys=2",
			"X-Amz-Content-Sha256: "+emptyHash, "X-Amz-Date: "+timestamp, "Authorization: "+scope+
				"SignedHeaders=host;x-amz-content-sha256;x-amz-date,"+
				"Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
	} {
		t.Run(name, func(t *testing.T) {
			atTime(t, exampleDay, func(t *testing.T) {
				res, err := verifier().Verify(received(t, r), "s3")
				if err != nil {
					t.Fatal(err)
				}
				if res.Method != sigv4.Header || res.Principal.UserName != "alice" || res.Payload != sigv4.Signed ||
					res.Service != "s3" || res.Region != region || !res.SignedAt.Equal(exampleDay) {
					t.Errorf("result %+v", res)
				}
			})
		})
	}
}

func TestDocumentedPresignedURL(t *testing.T) {
	const url = "http://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256" +
		"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z" +
		"&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
		"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
	for _, c := range []struct {
		at    time.Duration // after signing
		fails bool
	}{{-15 * time.Minute, false}, {0, false}, {24*time.Hour - time.Second, false}, {24 * time.Hour, true}, {-16 * time.Minute, true}} {
		atTime(t, exampleDay.Add(c.at), func(t *testing.T) {
			res, err := verifier().Verify(received(t, request(t, "GET", url)), "s3")
			switch {
			case !c.fails && err != nil:
				t.Errorf("%v after signing: %v", c.at, err)
			case !c.fails && (res.Method != sigv4.Query || res.Payload != sigv4.Unsigned):
				t.Errorf("result %+v", res)
			case c.fails && c.at < 0:
				wantFault(t, err, sigv4.NotYetValid, "X-Amz-Expires=86400", "Expires=2013-05-25T00:00:00Z", "ServerTime=2013-05-23T23:44:00Z")
			case c.fails:
				wantFault(t, err, sigv4.Expired, "X-Amz-Expires=86400", "Expires=2013-05-25T00:00:00Z", "ServerTime=2013-05-25T00:00:00Z")
			}
		})
	}
}

// TestDocumentedChunkedUpload verifies the two examples of chunked uploads, the
// head and each chunk, against the published signatures.
func TestDocumentedChunkedUpload(t *testing.T) {
	const scope = "AWS4-HMAC-SHA256 Credential=" + accessKey + "/20130524/us-east-1/s3/aws4_request,"
	large, small := strings.Repeat("a", 64<<10), strings.Repeat("a", 1<<10)
	for _, c := range []struct {
		name, mode, signedHeaders string
		seed                      string
		signatures                [3]string
		headers                   []string
		end                       string
		trailer                   string
	}{
		{
			name: "without trailer", mode: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
			signedHeaders: "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
			seed:          "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
			signatures: [3]string{
				"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
				"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
				"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
			},
			headers: []string{"Content-Length: 66824"},
			end:     "\r\n",
		},
		{
			name: "with trailer", mode: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
			signedHeaders: "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
			seed:          "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
			signatures: [3]string{
				"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
				"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
				"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
			},
			headers: []string{"X-Amz-Trailer: x-amz-checksum-crc32c"},
			end: "x-amz-checksum-crc32c:sOO8/Q==\r\n" +
				"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
			trailer: "sOO8/Q==",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			atTime(t, exampleDay, func(t *testing.T) {
				r := request(t, "PUT", "http://s3.amazonaws.com/examplebucket/chunkObject.txt", append(c.headers,
					"X-Amz-Date: "+timestamp, "X-Amz-Storage-Class: REDUCED_REDUNDANCY", "Content-Encoding: aws-chunked",
					"X-Amz-Decoded-Content-Length: 66560", "X-Amz-Content-Sha256: "+c.mode,
					"Authorization: "+scope+"SignedHeaders="+c.signedHeaders+",Signature="+c.seed)...)
				res, err := verifier().Verify(r, "s3")
				if err != nil {
					t.Fatal(err)
				}
				wire := fmt.Sprintf("10000;chunk-signature=%s\r\n%s\r\n400;chunk-signature=%s\r\n%s\r\n0;chunk-signature=%s\r\n%s",
					c.signatures[0], large, c.signatures[1], small, c.signatures[2], c.end)
				body, err := res.Body(strings.NewReader(wire), int64(len(wire)))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(body)
				if err != nil || string(got) != large+small {
					t.Errorf("read %d bytes, %v", len(got), err)
				}
				if body.DecodedLength() != 66560 {
					t.Errorf("DecodedLength() = %d", body.DecodedLength())
				}
				if got, _ := body.Trailer("x-amz-checksum-crc32c"); got != c.trailer {
					t.Errorf("trailer %q, want %q", got, c.trailer)
				}
			})
		})
	}
}
