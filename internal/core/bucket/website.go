// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault of website configurations.
const (
	// NoSuchWebsite: the bucket has none. Detail BucketName.
	NoSuchWebsite fault.Kind = "bucket: no website configuration"
	// InvalidWebsite: a configuration that cannot be. The message says why.
	InvalidWebsite fault.Kind = "bucket: invalid website configuration"
	// InvalidWebsiteArgument: the same; details ArgumentName and ArgumentValue.
	InvalidWebsiteArgument fault.Kind = "bucket: invalid argument in a website configuration"
	// IncompleteWebsite: something is missing that must be there.
	IncompleteWebsite fault.Kind = "bucket: incomplete website configuration"
)

const websiteDocument DocumentKind = "website"

// MaxRoutingRules is how many rules a website may have (S3 User Guide, "Configuring a
// webpage redirect").
const MaxRoutingRules = 50

// Website says how a bucket is served as a website. It has an Index, or RedirectAll and
// nothing else.
type Website struct {
	Index       *string       `json:"index,omitempty"` // what is served of a directory
	Error       *string       `json:"error,omitempty"` // key of what is served instead of an error
	RedirectAll *Redirect     `json:"redirectAll,omitempty"`
	Rules       []RoutingRule `json:"rules,omitempty"`
}

// RoutingRule redirects requests that its condition fits.
type RoutingRule struct {
	Condition *RoutingCondition `json:"condition,omitempty"` // nil: all
	Redirect  Redirect          `json:"redirect"`
}

// RoutingCondition says which requests a rule is for: those that fit all of it.
type RoutingCondition struct {
	Prefix *string `json:"prefix,omitempty"` // of the key
	Status int     `json:"status,omitempty"` // that the request would be answered with; 0: not asked
}

// Redirect says where to. What it leaves open is as in the request.
type Redirect struct {
	Host     string  `json:"host,omitempty"`
	Protocol string  `json:"protocol,omitempty"` // http or https
	Status   int     `json:"status,omitempty"`   // 0: 301
	Prefix   *string `json:"prefix,omitempty"`   // in the place of the condition's
	Key      *string `json:"key,omitempty"`      // in the place of the whole key
}

// check holds a configuration against what one can be. The texts are S3's. Faults:
// InvalidWebsite, InvalidWebsiteArgument, IncompleteWebsite.
func (w *Website) check() error {
	argument := func(name, value, text string) error {
		return fault.New(InvalidWebsiteArgument, "%s", text).With("ArgumentName", name).With("ArgumentValue", value)
	}
	if all := w.RedirectAll; all != nil {
		if w.Index != nil || w.Error != nil || w.Rules != nil {
			return argument("RedirectAllRequestsTo", "not null", "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.")
		}
		if all.Host == "" {
			return fault.New(IncompleteWebsite, "")
		}
		return checkProtocol(all.Protocol)
	}
	switch {
	case w.Index == nil:
		return argument("IndexDocument", "null", "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty")
	case *w.Index == "" || strings.Contains(*w.Index, "/"):
		return argument("IndexDocument", *w.Index, "The IndexDocument Suffix is not well formed")
	case w.Error != nil && *w.Error == "":
		return argument("ErrorDocument", "", "The ErrorDocument Key is not well formed")
	case len(w.Rules) > MaxRoutingRules:
		return fault.New(InvalidWebsite, "%d routing rules provided, the number of routing rules in a website configuration is limited to %d.", len(w.Rules), MaxRoutingRules)
	}
	for i := range w.Rules {
		if err := w.Rules[i].check(); err != nil {
			return err
		}
	}
	return nil
}

func (r *RoutingRule) check() error {
	to := &r.Redirect
	if *to == (Redirect{}) {
		return fault.New(IncompleteWebsite, "")
	}
	if to.Prefix != nil && to.Key != nil {
		return fault.New(InvalidWebsite, "You can only define ReplaceKeyPrefix or ReplaceKey but not both.")
	}
	if err := checkProtocol(to.Protocol); err != nil {
		return err
	}
	if s := to.Status; s != 0 && (s <= 300 || s > 308 || s == 306) {
		return fault.New(InvalidWebsite, "The provided HTTP redirect code (%d) is not valid. Valid codes are 3XX except 300.", s)
	}
	c := r.Condition
	if c == nil {
		return nil
	}
	if *c == (RoutingCondition{}) {
		return fault.New(InvalidWebsite, "Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't be present.")
	}
	if s := c.Status; s != 0 && (s < 400 || s > 417) && (s < 500 || s > 505) {
		return fault.New(InvalidWebsite, "The provided HTTP error code (%d) is not valid. Valid codes are 4XX or 5XX.", s)
	}
	return nil
}

func checkProtocol(p string) error {
	if p != "" && p != "http" && p != "https" {
		return fault.New(InvalidWebsite, "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically.")
	}
	return nil
}

// Route returns the first rule for a request for a key, nil for none. status is what the
// request would be answered with, or 0 before that is known: then the rules that ask for
// one are for no request.
func (w *Website) Route(key string, status int) *RoutingRule {
	for i := range w.Rules {
		r := &w.Rules[i]
		c := r.Condition
		if c == nil || (c.Status == 0 || c.Status == status) && (c.Prefix == nil || strings.HasPrefix(key, *c.Prefix)) {
			return r
		}
	}
	return nil
}

// PutWebsite sets how a bucket is served as a website.
type PutWebsite struct {
	Ref
	Website Website
}

// Needs says what the request must be allowed.
func (in PutWebsite) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:PutBucketWebsite", Resource: aws.BucketARN(in.Bucket)}}
}

// PutWebsite sets how a bucket is served as a website. Faults: NoSuchBucket,
// InvalidWebsite, InvalidWebsiteArgument, IncompleteWebsite.
func (s *Buckets) PutWebsite(ctx context.Context, _ iam.Caller, in PutWebsite) (struct{}, error) {
	if err := in.Website.check(); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.putDocument(ctx, in.Ref, websiteDocument, "", in.Website)
}

// GetWebsite asks how a bucket is served as a website.
type GetWebsite struct{ Ref }

// Needs says what the request must be allowed.
func (in GetWebsite) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:GetBucketWebsite", Resource: aws.BucketARN(in.Bucket)}}
}

// GetWebsite returns how a bucket is served as a website. It must not be changed. Faults:
// NoSuchBucket, NoSuchWebsite.
func (s *Buckets) GetWebsite(ctx context.Context, _ iam.Caller, in GetWebsite) (*Website, error) {
	b, err := s.Find(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	return s.Website(ctx, b)
}

// Website is GetWebsite for whoever serves it. Fault: NoSuchWebsite.
func (s *Buckets) Website(ctx context.Context, b *Bucket) (*Website, error) {
	w, err := document[Website](ctx, s, b, websiteDocument, "")
	if err == nil && w == nil {
		err = fault.New(NoSuchWebsite, "").With("BucketName", b.Name)
	}
	return w, err
}

// DeleteWebsite ends that a bucket is served as a website, if it is.
type DeleteWebsite struct{ Ref }

// Needs says what the request must be allowed.
func (in DeleteWebsite) Needs() []policy.Need {
	return []policy.Need{{Action: "s3:DeleteBucketWebsite", Resource: aws.BucketARN(in.Bucket)}}
}

// DeleteWebsite ends that a bucket is served as a website, if it is. Fault: NoSuchBucket.
func (s *Buckets) DeleteWebsite(ctx context.Context, _ iam.Caller, in DeleteWebsite) (struct{}, error) {
	_, err := s.deleteDocument(ctx, in.Ref, websiteDocument, "")
	return struct{}{}, err
}
