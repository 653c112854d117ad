// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Narrowing is what a request for a session may say to narrow it.
type Narrowing struct {
	Policy     string             `api:"1-2048 document"`
	PolicyArns []PolicyDescriptor `api:"0-10"`
}

// PolicyDescriptor names a managed policy.
type PolicyDescriptor struct {
	Arn string `api:"20-2048"`
}

// AssumeRole asks for a session of a role.
type AssumeRole struct {
	RoleArn         string `api:"required 20-2048"`
	RoleSessionName string `api:"required 2-64 name"`
	Narrowing
	DurationSeconds   *int     `api:"900-43200"`
	Tags              []Tag    `api:"0-50"`
	TransitiveTagKeys []string `api:"0-50 each:1-128 tag"`
	ExternalId        *string  `api:"2-1224 external"`
	SerialNumber      *string  `api:"9-256 mfa"`
	TokenCode         *string  `api:"6-6 code secret"`
	SourceIdentity    string   `api:"2-64 name"`
}

// AssumedRoleUser names a role's session.
type AssumedRoleUser struct{ AssumedRoleId, Arn string }

// RoleSession is a session of a role that was begun.
type RoleSession struct {
	Credentials      Credentials
	AssumedRoleUser  AssumedRoleUser
	PackedPolicySize *int
	SourceIdentity   string
}

// maxChained is how long a session may be that another role's session begins, in
// seconds.
const maxChained = 3600

// noMFA is the answer to a second factor: there are no devices to check one with.
func noMFA(serial, code *string) error {
	switch {
	case serial == nil && code == nil:
		return nil
	case serial == nil || code == nil:
		return fault.New(AccessDenied, "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code.")
	}
	return fault.New(AccessDenied, "MultiFactorAuthentication failed with invalid MFA one time pass code.")
}

// AssumeRole begins a session of a role that trusts the caller. Whether there is such a
// role, a caller that it does not trust does not learn. Faults: AccessDenied,
// ValidationError, policy.Malformed, PackedPolicyTooLarge.
func (s *Service) AssumeRole(ctx context.Context, by Caller, in AssumeRole) (RoleSession, error) {
	if by.Type == Root {
		return RoleSession{}, fault.New(AccessDenied, "Roles may not be assumed by root accounts.")
	}
	if err := noMFA(in.SerialNumber, in.TokenCode); err != nil {
		return RoleSession{}, err
	}
	r, err := roleByARN(ctx, s, in.RoleArn)
	if err != nil {
		return RoleSession{}, err
	}
	d := &tokenDocument{
		Type: AssumedRole, Issued: time.Now().UTC().Truncate(time.Second), Name: in.RoleSessionName,
		Source: in.SourceIdentity, Chained: by.Type == AssumedRole,
	}
	if by.Session != nil {
		d.MFA = by.Session.MFA
	}
	keys := policy.Values{"sts:rolesessionname": {in.RoleSessionName}}
	if in.ExternalId != nil {
		keys["sts:externalid"] = []string{*in.ExternalId}
	}
	var own error // what is wrong with the request itself; told to those whom the role trusts
	actions := []string{"sts:AssumeRole"}
	if own = d.inherit(by, in.Tags, in.TransitiveTagKeys); own == nil {
		actions = append(actions, d.tagActions(keys)...)
	}
	if d.Source != "" {
		keys["sts:sourceidentity"] = []string{d.Source}
		actions = append(actions, "sts:SetSourceIdentity")
	}
	for _, action := range actions {
		if err := s.trusted(ctx, by, r, in.RoleArn, action, keys); err != nil {
			return RoleSession{}, err
		}
	}
	if own != nil {
		return RoleSession{}, own
	}
	seconds, ends := duration(d.Issued, in.DurationSeconds, 3600)
	switch {
	case d.Chained && seconds > maxChained:
		return RoleSession{}, fault.New(ValidationError, "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	case seconds > r.MaxSession:
		return RoleSession{}, fault.New(ValidationError, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	d.Account, d.ID, d.Expires = r.Account, r.ID, ends
	return s.beginRole(ctx, r, d, in.Narrowing)
}

// beginRole gives out credentials for a role's session.
func (s *Service) beginRole(ctx context.Context, r *role, d *tokenDocument, n Narrowing) (RoleSession, error) {
	if err := s.narrow(ctx, d, n); err != nil {
		return RoleSession{}, err
	}
	credentials, packed, err := s.begin(d)
	if err != nil {
		return RoleSession{}, err
	}
	return RoleSession{
		credentials, AssumedRoleUser{r.ID + ":" + d.Name, sessionARN(r.Account, r.Name, d.Name)}, packed, d.Source,
	}, nil
}

// narrow adds the policies of a request to its session. Faults: policy.Malformed,
// ValidationError.
func (s *Service) narrow(ctx context.Context, d *tokenDocument, n Narrowing) error {
	if n.Policy != "" {
		if _, err := policy.Parse(policy.Session, "", n.Policy); err != nil {
			return err
		}
		d.Policies, d.Narrowed = []string{n.Policy}, true
	}
	for _, p := range n.PolicyArns {
		found, err := policyByARN(ctx, s, d.Account, p.Arn)
		if err != nil {
			return err
		}
		if found == nil {
			return fault.New(ValidationError, "Policy ARN %s does not exist in account %s.", p.Arn, d.Account)
		}
		d.ARNs, d.Narrowed = append(d.ARNs, p.Arn), true
	}
	return nil
}

// inherit sets the session's tags and source identity from the request and from the
// session that begins it: what is transitive there cannot be set again. Fault:
// ValidationError.
func (d *tokenDocument) inherit(by Caller, tags []Tag, transitive []string) error {
	byKey, err := lowered(tags)
	if err != nil {
		return err
	}
	through := map[string]bool{}
	for _, key := range transitive {
		if _, ok := byKey[strings.ToLower(key)]; !ok {
			return fault.New(ValidationError, "The transitive tag key %s is not among the request's tags.", key)
		}
		through[strings.ToLower(key)] = true
	}
	d.Tags = slices.Clone(tags)
	if by.Session != nil && d.Chained {
		for _, key := range by.Session.Transitive {
			if _, again := byKey[strings.ToLower(key)]; again {
				return fault.New(ValidationError, "The tag %s is inherited from the session that assumes the role, and cannot be set.", key)
			}
			d.Tags = append(d.Tags, Tag{key, by.Session.Tags[key]})
			through[strings.ToLower(key)] = true
		}
		switch was := by.Session.SourceIdentity; {
		case was == "":
		case d.Source != "" && d.Source != was:
			return fault.New(ValidationError, "The source identity is that of the session that assumes the role, and cannot be changed.")
		default:
			d.Source = was
		}
	}
	if len(d.Tags) > 50 {
		return fault.New(ValidationError, "A session has at most 50 tags.")
	}
	slices.SortFunc(d.Tags, func(a, b Tag) int { return strings.Compare(strings.ToLower(a.Key), strings.ToLower(b.Key)) })
	for _, t := range d.Tags {
		if through[strings.ToLower(t.Key)] {
			d.Through = append(d.Through, t.Key)
		}
	}
	return nil
}

// tagActions adds the condition keys of the session's tags, and returns what having any
// needs to be allowed.
func (d *tokenDocument) tagActions(keys policy.Values) []string {
	if len(d.Tags) == 0 {
		return nil
	}
	names := make([]string, len(d.Tags))
	for i, t := range d.Tags {
		names[i] = t.Key
		keys["aws:requesttag/"+strings.ToLower(t.Key)] = []string{t.Value}
	}
	keys["aws:tagkeys"] = names
	if len(d.Through) > 0 {
		keys["sts:transitivetagkeys"] = d.Through
	}
	return []string{"sts:TagSession"}
}

// trusted decides whether a role's trust policy, with what the caller's account says,
// allows an action. r is nil when there is no such role. Fault: AccessDenied.
func (s *Service) trusted(ctx context.Context, by Caller, r *role, arn, action string, keys policy.Values) error {
	denied := fault.New(AccessDenied, "User: %s is not authorized to perform: %s on resource: %s", by.ARN, action, arn)
	if r == nil {
		return denied
	}
	d, err := s.document(policy.Trust, r.Trust)
	if err != nil {
		return err
	}
	for _, t := range r.Tags {
		keys["aws:resourcetag/"+strings.ToLower(t.Key)] = []string{t.Value}
		keys["iam:resourcetag/"+strings.ToLower(t.Key)] = []string{t.Value}
	}
	decision, err := s.Decide(ctx, by, &policy.Question{
		Action: action, Resource: arn, Owner: r.Account, Context: keys, Policy: d.Bind(r.Principals), Decides: true,
	})
	if err == nil && !decision.Allowed {
		err = denied
	}
	return err
}

// durationKey is the condition key of a session's duration.
func durationKey(keys policy.Values, seconds int) {
	keys["sts:durationseconds"] = []string{strconv.Itoa(seconds)}
}
