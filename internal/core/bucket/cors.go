// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault of CORS configurations.
const (
	// NoSuchCors: the bucket has none. Detail BucketName.
	NoSuchCors fault.Kind = "bucket: no CORS configuration"
	// InvalidCors: a rule that cannot be. The message says why.
	InvalidCors fault.Kind = "bucket: invalid CORS configuration"
	// IncompleteCors: no rule, or one without what every rule has.
	IncompleteCors fault.Kind = "bucket: incomplete CORS configuration"
)

const corsDocument DocumentKind = "cors"

// Bounds of a CORS configuration (S3 User Guide, "Elements of a CORS configuration").
const (
	MaxCorsRules = 100
	maxCorsID    = 255 // characters
)

// Cors says which pages of other sites may use a bucket from a browser.
type Cors struct {
	Rules []CorsRule `json:"rules"`
}

// CorsRule allows the pages of some origins some requests.
type CorsRule struct {
	ID      string   `json:"id,omitempty"`
	Origins []string `json:"origins"`           // with at most one * each
	Methods []string `json:"methods"`           // see [CorsMethods]
	Headers []string `json:"headers,omitempty"` // that may be sent; with at most one * each
	Expose  []string `json:"expose,omitempty"`  // headers of answers that scripts may see
	MaxAge  *int32   `json:"maxAge,omitempty"`  // seconds that a browser may remember it; nil: not said
}

// CorsMethods are the methods that a rule can allow.
var CorsMethods = [...]string{"GET", "PUT", "HEAD", "POST", "DELETE"}

// IsCorsMethod reports whether a rule can allow the method. Case counts.
func IsCorsMethod(method string) bool { return slices.Contains(CorsMethods[:], method) }

// check holds a configuration against what one can be. The texts are S3's, and so is it
// that a header to expose is called an AllowedHeader. Faults: InvalidCors, IncompleteCors.
func (c *Cors) check() error {
	if len(c.Rules) == 0 {
		return fault.New(IncompleteCors, "")
	}
	if len(c.Rules) > MaxCorsRules {
		return fault.New(InvalidCors, "The number of CORS rules should not exceed allowed limit of %d rules.", MaxCorsRules)
	}
	for i := range c.Rules {
		if err := c.Rules[i].check(); err != nil {
			return err
		}
	}
	return nil
}

func (r *CorsRule) check() error {
	if len(r.Origins) == 0 || len(r.Methods) == 0 || len([]rune(r.ID)) > maxCorsID {
		return fault.New(IncompleteCors, "")
	}
	for _, m := range r.Methods {
		if !IsCorsMethod(m) {
			return fault.New(InvalidCors, "Found unsupported HTTP method in CORS config. Unsupported method is %s", m)
		}
	}
	for _, o := range r.Origins {
		if strings.Count(o, "*") > 1 {
			return fault.New(InvalidCors, "AllowedOrigin \"%s\" can not have more than one wildcard.", o)
		}
	}
	for _, h := range r.Headers {
		if strings.Count(h, "*") > 1 {
			return fault.New(InvalidCors, "AllowedHeader \"%s\" can not have more than one wildcard.", h)
		}
		if !IsHeaderName(h) {
			return invalidHeader(h)
		}
	}
	for _, h := range r.Expose {
		if strings.Contains(h, "*") {
			return fault.New(InvalidCors, "ExposeHeader \"%s\" contains wildcard. We currently do not support wildcard for ExposeHeader.", h)
		}
		if !IsHeaderName(h) {
			return invalidHeader(h)
		}
	}
	return nil
}

func invalidHeader(name string) error {
	return fault.New(InvalidCors, "AllowedHeader \"%s\" contains invalid character.", name)
}

// IsHeaderName reports whether text has only what names of headers have (RFC 9110,
// section 5.6.2). The empty text has.
func IsHeaderName(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
}

// Allowed is what a rule allows a page of an origin.
type Allowed struct {
	Rule *CorsRule // must not be changed
	// Any says that the rule is for whatever origin there is: then no credentials go with
	// the requests.
	Any bool
}

// Allow returns what the first rule allows that lets a page of the origin make requests of
// the method with the headers; its Rule is nil when there is none.
func (c *Cors) Allow(origin, method string, headers []string) Allowed {
	for i := range c.Rules {
		r := &c.Rules[i]
		at := slices.IndexFunc(r.Origins, func(o string) bool { return wildcard(o, origin) })
		if at < 0 || !slices.Contains(r.Methods, method) {
			continue
		}
		refused := slices.ContainsFunc(headers, func(h string) bool {
			return !slices.ContainsFunc(r.Headers, func(allowed string) bool {
				return wildcard(strings.ToLower(allowed), strings.ToLower(h))
			})
		})
		if !refused {
			return Allowed{Rule: r, Any: r.Origins[at] == "*"}
		}
	}
	return Allowed{}
}

// wildcard reports whether text fits a pattern with at most one *, which stands for any
// text.
func wildcard(pattern, text string) bool {
	front, back, found := strings.Cut(pattern, "*")
	if !found {
		return pattern == text
	}
	return len(text) >= len(front)+len(back) && strings.HasPrefix(text, front) && strings.HasSuffix(text, back)
}

// PutCors sets which pages may use a bucket.
type PutCors struct {
	Ref
	Cors Cors
}

// Needs says what the request must be allowed.
func (in PutCors) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutBucketCORS", Resource: aws.BucketARN(in.Bucket)}}
}

// PutCors sets which pages may use a bucket. Faults: NoSuchBucket, InvalidCors,
// IncompleteCors.
func (s *Buckets) PutCors(ctx context.Context, _ iam.Caller, in PutCors) (struct{}, error) {
	if err := in.Cors.check(); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.putDocument(ctx, in.Ref, corsDocument, "", in.Cors)
}

// GetCors asks which pages may use a bucket.
type GetCors struct{ Ref }

// Needs says what the request must be allowed.
func (in GetCors) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetBucketCORS", Resource: aws.BucketARN(in.Bucket)}}
}

// GetCors returns which pages may use a bucket. It must not be changed. Faults:
// NoSuchBucket, NoSuchCors.
func (s *Buckets) GetCors(ctx context.Context, _ iam.Caller, in GetCors) (*Cors, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	c, err := s.Cors(ctx, b)
	if err == nil && c == nil {
		err = fault.New(NoSuchCors, "").With("BucketName", b.Name)
	}
	return c, err
}

// Cors returns which pages may use a bucket, for whoever answers them; nil: none. It must
// not be changed. Of a bucket without a configuration this costs nothing.
func (s *Buckets) Cors(ctx context.Context, b *Bucket) (*Cors, error) {
	return document[Cors](ctx, s, b, corsDocument, "")
}

// DeleteCors removes a CORS configuration, if there is one.
type DeleteCors struct{ Ref }

// Needs says what the request must be allowed.
func (in DeleteCors) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutBucketCORS", Resource: aws.BucketARN(in.Bucket)}}
}

// DeleteCors removes a CORS configuration, if there is one. Fault: NoSuchBucket.
func (s *Buckets) DeleteCors(ctx context.Context, _ iam.Caller, in DeleteCors) (struct{}, error) {
	_, err := s.deleteDocument(ctx, in.Ref, corsDocument, "")
	return struct{}{}, err
}
