// SPDX-License-Identifier: Apache-2.0

package s3api

import "testing"

func TestAcceleration(t *testing.T) {
	s := photos(t)
	state := func(inner string) string {
		return `<AccelerateConfiguration>` + inner + `</AccelerateConfiguration>`
	}
	s.do("GET", "/photos?accelerate", "").wantDocument(200, state(""))
	for _, status := range []string{"Enabled", "Suspended"} {
		document := state("<Status>" + status + "</Status>")
		s.do("PUT", "/photos?accelerate", document, "no digest").want(200)
		s.do("GET", "/photos?accelerate", "").wantDocument(200, document)
	}
	for _, inner := range []string{"", "<Status>enabled</Status>", "<Status>random</Status>", "<Status>Enabled</Status><Colour/>"} {
		s.do("PUT", "/photos?accelerate", state(inner)).wantCode(400, "MalformedXML")
	}
	s.do("PUT", "/my.photos", "").want(200)
	s.do("PUT", "/my.photos?accelerate", state("<Status>Enabled</Status>")).
		wantCode(400, "InvalidRequest", "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names")
	s.do("GET", "/photos?accelerate", "", "by another account").wantCode(403, "AccessDenied")
}

const openToAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"]}]}`

// Where requesters pay, others must say that they do, and nobody cannot.
func TestRequestPayment(t *testing.T) {
	s := photos(t)
	payer := func(who string) string {
		return `<RequestPaymentConfiguration><Payer>` + who + `</Payer></RequestPaymentConfiguration>`
	}
	s.do("DELETE", "/photos?publicAccessBlock", "").want(204)
	s.do("PUT", "/photos?policy", openToAll).want(204)
	s.do("PUT", "/photos/cat.jpg", "cat").want(200)
	s.do("GET", "/photos?requestPayment", "").wantDocument(200, payer("BucketOwner"))
	const pays, charged = "x-amz-request-payer: requester", "x-amz-request-charged"
	s.do("GET", "/photos/cat.jpg", "", "by nobody").want(200)
	s.do("GET", "/photos/cat.jpg", "", "by another account", pays).want(200).wantHeader(charged, "")

	s.do("PUT", "/photos?requestPayment", payer("Requester")).want(200)
	s.do("GET", "/photos?requestPayment", "").wantDocument(200, payer("Requester"))
	s.do("GET", "/photos/cat.jpg", "").want(200).wantHeader(charged, "")
	s.do("GET", "/photos/cat.jpg", "", pays).want(200).wantHeader(charged, "")
	s.do("GET", "/photos/cat.jpg", "", "by nobody").wantCode(403, "AccessDenied")
	s.do("GET", "/photos/cat.jpg", "", "by nobody", pays).wantCode(403, "AccessDenied")
	for method, body := range map[string]string{"GET": "", "HEAD": "", "PUT": "cat"} {
		s.do(method, "/photos/cat.jpg", body, "by another account").want(403).wantHeader(charged, "")
		s.do(method, "/photos/cat.jpg", body, "by another account", "x-amz-request-payer: owner").want(403)
		s.do(method, "/photos/cat.jpg", body, "by another account", pays).want(200).wantHeader(charged, "requester")
	}
	s.do("GET", "/photos", "", "by another account").wantCode(403, "AccessDenied")
	s.do("GET", "/photos", "", "by another account", pays).want(200).wantHeader(charged, "requester")
	s.do("GET", "/photos/none", "", "by another account", pays).wantCode(404, "NoSuchKey").wantHeader(charged, "")
	s.do("DELETE", "/photos/none", "", "by another account", pays).want(204).wantHeader(charged, "requester")
	s.do("PUT", "/mine", "", "by another account").want(200)
	s.do("PUT", "/mine/copy", "", "Content-Length: 0", "by another account", "x-amz-copy-source: photos/cat.jpg").wantCode(403, "AccessDenied")
	s.do("PUT", "/mine/copy", "", "Content-Length: 0", "by another account", "x-amz-copy-source: photos/cat.jpg", pays).want(200)

	for _, doc := range []string{payer("Everybody"), payer(""), `<RequestPaymentConfiguration/>`, `<Payer>Requester</Payer>`} {
		s.do("PUT", "/photos?requestPayment", doc).wantCode(400, "MalformedXML")
	}
	s.do("PUT", "/photos?requestPayment", payer("BucketOwner")).want(200)
	s.do("GET", "/photos/cat.jpg", "", "by nobody").want(200)
	s.do("GET", "/photos?requestPayment", "").wantDocument(200, payer("BucketOwner"))
}
