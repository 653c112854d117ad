// SPDX-License-Identifier: Apache-2.0

package observed

import (
	"net/http"
	"testing"
)

func TestOrigins(t *testing.T) {
	s := start(t)
	const document = `<CORSConfiguration><CORSRule><AllowedOrigin>https://app.example.com</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>*</AllowedHeader><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule></CORSConfiguration>`
	preflight := func(r *row, b string, headers ...string) answer {
		req, err := http.NewRequestWithContext(r.Context(), "OPTIONS", r.s.URL+"/"+b+"/k", nil)
		if err != nil {
			r.Fatal(err)
		}
		for i := 0; i+1 < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		return r.send(req)
	}
	asks := []string{"Origin", "https://app.example.com", "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "x-a"}
	s.row("15.16", "a preflight that is refused", func(r *row) {
		b := r.bucket()
		r.err(preflight(r, b), 400, "BadRequest", "")
		r.err(preflight(r, b, asks...), 403, "AccessForbidden", "CORSResponse: CORS is not enabled for this bucket.", "Method=GET", "ResourceType=BUCKET")
		r.ok(200, r.do("PUT", "/"+b+"?cors", document))
		r.err(preflight(r, b, append(asks, "Origin", "https://other.example.com")...), 403, "AccessForbidden", "CORSResponse: This CORS request is not allowed.", "Method=GET", "ResourceType=OBJECT")
		r.told(r.ok(200, preflight(r, b, asks...)), "Access-Control-Allow-Origin", "https://app.example.com", "Access-Control-Allow-Methods", "GET",
			"Access-Control-Allow-Headers", "x-a", "Access-Control-Max-Age", "60")
	})
	s.row("15.17", "requests of pages", func(r *row) {
		b := r.bucket()
		r.put("/"+b+"/k", "x")
		r.ok(200, r.do("PUT", "/"+b+"?cors", document))
		r.told(r.ok(200, r.do("GET", "/"+b+"/k", "", "Origin", "https://other.example.com")), "Access-Control-Allow-Origin", absent)
		r.told(r.ok(200, r.do("GET", "/"+b+"/k", "", "Origin", "https://app.example.com")), "Access-Control-Allow-Origin", "https://app.example.com",
			"Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
	})
}
