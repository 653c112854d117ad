// SPDX-License-Identifier: Apache-2.0

// Package sigv4 verifies AWS Signature Version 4 on the server's side: the
// Authorization header, presigned URLs, browser forms, and the payload in all
// its modes, signed chunk by chunk included.
//
// It says who sent a request and hands out the bytes that they signed. It knows
// neither S3's nor KMS's error codes, and it decides nothing about permission.
//
// What a signature covers is bound: every x-amz-* header must be signed, the
// host too, and a body read through [Result.Body] ends in [io.EOF] only after
// its length, hash, chunk signatures and trailer have been verified.
package sigv4

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminal   = "aws4_request"
	timeLayout = "20060102T150405Z"
	dateLayout = "20060102"
)

// MinSecret is the least length of a secret access key. Mode only of the
// FIPS module refuses HMAC keys under 14 bytes, and the key is "AWS4" ‖ secret.
const MinSecret = 16

// Credential is what an access key id stands for.
type Credential struct {
	Secret    secret.Bytes // at least [MinSecret] bytes; read, never kept
	Principal iam.Principal
}

// Credentials looks up access keys. It must be safe for concurrent use.
type Credentials interface {
	// Credential returns the credential of an access key. The session token
	// is "" unless the request carries one; whether the key needs one, and
	// this one, is for the callee to decide. An unknown key is
	// [iam.NoSuchAccessKey]; every other error reaches the caller of Verify.
	Credential(ctx context.Context, accessKeyID, sessionToken string) (Credential, error)
}

// Config is the part of the settings that signatures depend on.
type Config struct {
	Region string        // that scopes must name; "" is us-east-1
	Skew   time.Duration // how far the client's clock may be off; 0 is 15 minutes for S3 and 5 for the others, as on AWS
}

// Verifier verifies requests. It is safe for concurrent use.
type Verifier struct {
	credentials Credentials
	region      string
	skew        time.Duration
	keys        keyCache
	scratches   sync.Pool // of *scratch
}

// New returns a verifier that looks access keys up in c.
func New(c Credentials, cfg Config) *Verifier {
	v := &Verifier{credentials: c, region: cfg.Region, skew: cfg.Skew}
	if v.region == "" {
		v.region = usEast1
	}
	v.scratches.New = func() any { return new(scratch) }
	return v
}

// skewOf returns how far the clock of a service's client may be off.
func (v *Verifier) skewOf(service string) time.Duration {
	switch {
	case v.skew != 0:
		return v.skew
	case service == "s3":
		return 15 * time.Minute
	}
	return 5 * time.Minute
}

// Method is the way in which a request was signed.
type Method uint8

// The methods.
const (
	None   Method = iota // anonymous
	Header               // Authorization header
	Query                // presigned URL
	Form                 // fields of a browser's form
)

// String returns the name of the method in audit records, "" for None.
func (m Method) String() string {
	return [...]string{"", "AuthHeader", "QueryString", "HtmlForm"}[m]
}

// Result says who sent a request and what they signed.
type Result struct {
	Principal       iam.Principal
	Method          Method
	Service, Region string    // of the scope; "" for None
	SignedAt        time.Time // zero for None
	Payload         PayloadMode

	chain   chain // where chunk signatures start
	payload payload
}

// RequireSigned refuses an anonymous request, for services that have no use
// for one.
func (r *Result) RequireSigned() error {
	if r.Method == None {
		return MissingAuthentication
	}
	return nil
}

// Verify authenticates the head of a request whose payload is declared by its
// x-amz-content-sha256 header, as S3's is. It reads no body: the payload is
// verified as [Result.Body] is read. The scope must name one of the services.
// A request without any signature gives a Result of method None.
func (v *Verifier) Verify(r *http.Request, services ...string) (*Result, error) {
	return v.verify(r, nil, services)
}

// Precheck refuses what VerifyWhole would refuse whatever the body is: a request that
// is not signed, too late, for another service or by an unknown access key. Nothing
// is proved by passing it; it is for asking before a stranger's body is read.
func (v *Verifier) Precheck(r *http.Request, services ...string) error {
	c, err := v.claimOf(headOf(r), services)
	if err != nil {
		return err
	}
	if c == nil {
		return MissingAuthentication
	}
	_, _, err = v.lookUp(r.Context(), c)
	return err
}

// VerifyWhole authenticates a request together with its body, for services
// that read bodies whole and sign their hash whatever the headers say: all but
// S3.
func (v *Verifier) VerifyWhole(r *http.Request, body []byte, services ...string) (*Result, error) {
	sum := sha256.Sum256(body)
	return v.verify(r, &sum, services)
}

func (v *Verifier) verify(r *http.Request, whole *[sha256.Size]byte, services []string) (*Result, error) {
	h := headOf(r)
	c, err := v.claimOf(h, services)
	if err != nil {
		return nil, err
	}
	p, err := payloadOf(h, c, whole)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return anonymous(p), nil
	}
	cred, key, err := v.lookUp(r.Context(), c)
	if err != nil {
		return nil, err
	}
	if err := checkHeadersSigned(r.Header, c); err != nil {
		return nil, err
	}
	h.signed, h.payload, h.presigned = c.signedHeaders, p.text, c.method == Query
	h.reencode = c.service != "s3"
	if err := v.checkSignature(h, c, key); err != nil {
		return nil, err
	}
	return c.result(cred.Principal, p, key), nil
}

func anonymous(p payload) *Result {
	return &Result{Principal: iam.Principal{Type: iam.Anonymous}, Payload: p.mode, payload: p}
}

// result is what a claim has proved.
func (c *claim) result(who iam.Principal, p payload, key *signingKey) *Result {
	return &Result{
		Principal: who, Method: c.method, Service: c.service, Region: c.region, SignedAt: c.at,
		Payload: p.mode, payload: p,
		chain: chain{key: key.key, accessKey: c.accessKey, timestamp: c.timestamp, scope: c.scope, seed: c.signature},
	}
}

// lookUp finds the claim's credential and the signing key that follows from it.
func (v *Verifier) lookUp(ctx context.Context, c *claim) (Credential, *signingKey, error) {
	cred, err := v.credentials.Credential(ctx, c.accessKey, c.token)
	switch {
	case errors.Is(err, iam.NoSuchAccessKey):
		return Credential{}, nil,
			fault.New(UnknownAccessKey, "").With("AWSAccessKeyId", c.accessKey).Because(err)
	case err != nil:
		return Credential{}, nil, fmt.Errorf("look up access key: %w", err)
	case cred.Secret.Len() < MinSecret:
		return Credential{}, nil,
			fmt.Errorf("the secret of access key %q has fewer than %d characters", c.accessKey, MinSecret)
	}
	return cred, v.keys.get(cred.Secret, c.date, c.region, c.service), nil
}

// checkSignature compares the signature of a head with the claimed one.
func (v *Verifier) checkSignature(h *head, c *claim, key *signingKey) error {
	s := v.scratches.Get().(*scratch)
	defer func() {
		if s.clear() {
			v.scratches.Put(s)
		}
	}()
	s.canonical(h)
	if s.matches(c, key) {
		return nil
	}
	// Some clients sign the canonical escapes of a path and send others. The
	// signature then still binds the decoded path, which is all that S3 acts on.
	if !h.reencode {
		h.recode = true
		s.canonical(h)
		if s.matches(c, key) {
			return nil
		}
		h.recode = false
	}
	s.canonical(h)
	s.stringToSign(c)
	mismatch := signatureMismatch(c.accessKey, s.toSign, c.signature)
	h.hide = true
	s.canonical(h)
	// A client that reads this compares it with its own; past the size of any
	// honest request it would only multiply the answer.
	if len(s.text) <= 16<<10 {
		mismatch = mismatch.With("CanonicalRequest", string(s.text)).With("CanonicalRequestBytes", hexBytes(s.text))
	}
	return mismatch
}

func signatureMismatch(accessKey string, toSign []byte, provided string) *fault.Error {
	return fault.New(SignatureMismatch, "").
		With("AWSAccessKeyId", accessKey).
		WithPrivate("StringToSign", string(toSign)).
		WithPrivate("SignatureProvided", provided[:min(len(provided), 2*signatureLength)]).
		WithPrivate("StringToSignBytes", hexBytes(toSign))
}

// hexBytes writes b as S3 does: pairs of digits between spaces.
func hexBytes(b []byte) string {
	var out strings.Builder
	out.Grow(3 * len(b))
	for i := range b {
		if i > 0 {
			out.WriteByte(' ')
		}
		out.WriteString(hex.EncodeToString(b[i : i+1]))
	}
	return out.String()
}

// headerSafe are headers whose values an Authorization header's signature
// covers without listing them: they are in the string that is signed.
var headerSafe = [...]string{"x-amz-content-sha256", "x-amz-date"}

// checkHeadersSigned refuses headers that somebody else may have added on the
// way: all of x-amz-* and the host must be signed. A hash of the payload that a presigned
// URL does not sign goes, as if it had not been sent: S3 takes no notice of it.
func checkHeadersSigned(headers http.Header, c *claim) error {
	var unsigned []string
	if !lists(c.signedHeaders, "host") {
		unsigned = append(unsigned, "host")
	}
	for name := range headers {
		const prefix = "x-amz-"
		if len(name) < len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) || lists(c.signedHeaders, name) {
			continue
		}
		if c.method == Header && (strings.EqualFold(name, headerSafe[0]) || strings.EqualFold(name, headerSafe[1])) {
			continue
		}
		if c.method == Query && strings.EqualFold(name, headerSafe[0]) {
			delete(headers, name)
			continue
		}
		unsigned = append(unsigned, strings.ToLower(name))
	}
	if len(unsigned) == 0 {
		return nil
	}
	return fault.New(HeadersNotSigned, "There were headers present in the request which were not signed").
		With("HeadersNotSigned", sortedList(unsigned))
}
