// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"crypto/tls"
	"net/http"
	"strings"

	"github.com/cofferstore/coffer/internal/core/accesslog"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// logNotes is what a call keeps for its lines in the logs of the buckets that it is on.
type logNotes struct {
	// As they were when the call came, which may be the one that changes them: of the bucket
	// that the call names, and of that of a copy's source. nil: it is not logged.
	to, from *bucket.Logged
	source   object.VersionRef

	size    int64 // of the object; -1: none, or not known
	byList  bool
	site    bool // it is on the bucket's website
	deleted []deletedItem
}

// deletedItem is an object that a request for several deleted, or failed to.
type deletedItem struct {
	key, version string
	code         pipeline.Code // zero: deleted
}

// watch makes a call's notes if it is on a bucket that is logged.
func (a *API) watch(c *pipeline.Call) {
	if a.Logs == nil || c.Bucket == "" {
		return
	}
	to := a.Buckets.Logged(c.Bucket)
	var from *bucket.Logged
	var source object.VersionRef
	if copies(c) {
		if ref, err := parseCopySource(value(c, copySourceHeader)); err == nil {
			source, from = ref, a.Buckets.Logged(ref.Bucket)
		}
	}
	if to != nil || from != nil {
		c.Notes = &logNotes{to: to, from: from, source: source, size: -1}
	}
}

// notes returns the call's notes, nil when it is on no bucket that is logged.
func notes(c *pipeline.Call) *logNotes {
	n, _ := c.Notes.(*logNotes)
	return n
}

// noteSize notes how large the object is that the call is about.
func noteSize(c *pipeline.Call, size int64) {
	if n := notes(c); n != nil {
		n.size = size
	}
}

// answered writes the lines of a call.
func (a *API) answered(c *pipeline.Call, done pipeline.Answer) {
	n := notes(c)
	if n == nil {
		return
	}
	e := entry(c, done)
	if n.to != nil {
		own := e
		own.Size, own.ACLRequired = n.size, n.byList
		a.Logs.Append(n.to, &own)
		if done.Status == http.StatusOK {
			for i := range n.deleted {
				a.Logs.Append(n.to, batched(e, &n.deleted[i]))
			}
		}
	}
	if n.from != nil {
		p := part(e, e.Operation+"_GET")
		p.Key, p.VersionID = n.source.Key, n.source.VersionID
		if c.Op != nil && c.Op.Name == "CopyObject" {
			p.Size = n.size // a part may be of a range
		}
		a.Logs.Append(n.from, p)
	}
}

// entry describes a call.
func entry(c *pipeline.Call, done pipeline.Answer) accesslog.Entry {
	e := accesslog.Entry{
		Time: done.Began, RemoteIP: c.Caller.SourceIP, Requester: requesterID(c), RequestID: c.ID,
		Operation: logOperation(c), Key: c.Key, URI: requestLine(c),
		Status: done.Status, Code: done.Code, Sent: done.Sent, Size: -1, Total: done.Total, Turnaround: done.Turnaround,
		Referer: redactedURL(c.Request.Referer()), UserAgent: c.Request.UserAgent(),
		VersionID: c.Query.Get("versionId"), HostID: c.HostID, Host: c.Request.Host,
	}
	if done.Status < http.StatusBadRequest {
		e.Code = "" // what is not modified is no error
	}
	e.Signature, e.Auth = signatureOf(c)
	if t := c.Request.TLS; t != nil {
		e.Cipher, e.TLS = cipherSuite(t.CipherSuite), "TLSv"+tlsVersion(t.Version)
	}
	return e
}

// part describes what is a part of another request, and has no request line of its own.
func part(whole accesslog.Entry, operation string) *accesslog.Entry {
	e := whole
	e.Part, e.Operation = true, operation
	e.URI, e.Referer, e.UserAgent, e.VersionID = "", "", "", ""
	e.Sent, e.Size, e.Total, e.Turnaround = 0, -1, -1, -1
	return &e
}

func batched(whole accesslog.Entry, d *deletedItem) *accesslog.Entry {
	e := part(whole, "BATCH.DELETE.OBJECT")
	e.Key, e.VersionID, e.Status, e.Code = d.key, d.version, http.StatusNoContent, ""
	if d.code.Code != "" {
		e.Status, e.Code = d.code.Status, d.code.Code
	}
	return e
}

// requesterID is how a line names who calls: users, roles and sessions by their ARN, an
// account's root by its canonical user id. It is "" for who did not sign, or not rightly.
func requesterID(c *pipeline.Call) string {
	switch {
	case c.Auth == nil || c.Caller.IsAnonymous():
		return ""
	case c.Caller.Type == iam.Root:
		return canonicalID(c.Caller.Account)
	}
	return c.Caller.ARN
}

// signatureOf says how a call is signed, or, when the signature was refused, how it claims
// to be.
func signatureOf(c *pipeline.Call) (version, auth string) {
	if c.Auth != nil {
		if c.Auth.Method == sigv4.None {
			return "", ""
		}
		return "SigV4", c.Auth.Method.String()
	}
	header := c.Header("Authorization")
	switch {
	case strings.HasPrefix(header, "AWS4-"):
		return "SigV4", sigv4.Header.String()
	case strings.HasPrefix(header, "AWS "):
		return "SigV2", sigv4.Header.String()
	case c.Query.Has("X-Amz-Algorithm"):
		return "SigV4", sigv4.Query.String()
	case c.Query.Has("Signature"):
		return "SigV2", sigv4.Query.String()
	}
	return "", ""
}

// requestLine is the first line of a request, with the bucket in its path wherever the
// request has it, and without secrets.
func requestLine(c *pipeline.Call) string {
	r := c.Request
	path := r.URL.EscapedPath()
	if n := notes(c); !bucketInPath(c) && (n == nil || !n.site) {
		rest := strings.TrimPrefix(path, "/")
		if path = "/" + c.Bucket; rest != "" {
			path += "/" + rest
		}
	}
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		path += "?" + redactedQuery(r.URL.RawQuery)
	}
	return r.Method + " " + path + " " + r.Proto
}

// bucketInPath reports whether the path begins with the bucket, and not the host name.
func bucketInPath(c *pipeline.Call) bool {
	path := c.Request.URL.Path
	if path != "/"+c.Bucket && !strings.HasPrefix(path, "/"+c.Bucket+"/") {
		return false
	}
	return c.Form != nil || c.Key != path[1:] // a key may begin as its bucket is called
}

// redacted stands for the value of a parameter that is a secret, or proves one.
const redacted = "REDACTED"

// redactedURL returns a URL as it was sent, but for secrets in its query: who comes from a
// presigned page brings its URL along.
func redactedURL(raw string) string {
	path, query, ok := strings.Cut(raw, "?")
	if !ok {
		return raw
	}
	return path + "?" + redactedQuery(query)
}

// redactedQuery returns a query as it was sent, but for secrets.
func redactedQuery(raw string) string {
	var b strings.Builder
	for i, p := range strings.Split(raw, "&") {
		if i > 0 {
			b.WriteByte('&')
		}
		name, _, has := strings.Cut(p, "=")
		if has && secretEncoded(name) {
			p = name + "=" + redacted
		}
		b.WriteString(p)
	}
	return b.String()
}

// cipherSuite names a suite as OpenSSL does, and with it S3's logs.
func cipherSuite(id uint16) string {
	name := tls.CipherSuiteName(id)
	exchange, cipher, ok := strings.Cut(name, "_WITH_")
	if !ok {
		return name // TLS 1.3: one name for all
	}
	exchange = strings.TrimPrefix(strings.TrimPrefix(exchange, "TLS_"), "RSA")
	cipher = strings.NewReplacer("AES_128", "AES128", "AES_256", "AES256", "CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305").Replace(cipher)
	cipher = strings.Replace(cipher, "_CBC_", "_", 1)
	return strings.ReplaceAll(strings.TrimPrefix(exchange+"_"+cipher, "_"), "_", "-")
}
