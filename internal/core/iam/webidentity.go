// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/oidc"
)

// AssumeRoleWithWebIdentity asks for a session of a role for the holder of a token of
// an OpenID Connect provider. Nobody signs it.
type AssumeRoleWithWebIdentity struct {
	RoleArn          string `api:"required 20-2048"`
	RoleSessionName  string `api:"required 2-64 name"`
	WebIdentityToken string `api:"required 4-20000 secret"`
	ProviderId       string `api:"4-2048"`
	Narrowing
	DurationSeconds *int `api:"900-43200"`
}

// WebIdentitySession is a session that was begun with a token.
type WebIdentitySession struct {
	RoleSession
	SubjectFromWebIdentityToken string
	Audience                    string
	Provider                    string

	who Principal
}

// Proved returns who the token is of, for the record of the call.
func (w WebIdentitySession) Proved() Principal { return w.who }

// AssumeRoleWithWebIdentity begins a session of a role that trusts the token's provider
// and holder. The provider must be one of the role's account, and the token for one of
// its client ids. Faults: AccessDenied, ValidationError, policy.Malformed,
// PackedPolicyTooLarge, and those of [oidc.Verifier].
func (s *Service) AssumeRoleWithWebIdentity(ctx context.Context, _ Caller, in AssumeRoleWithWebIdentity) (out WebIdentitySession, err error) {
	if in.ProviderId != "" { // of OAuth 2.0 access tokens, whose providers cannot be asked
		return out, fault.New(ValidationError, "ProviderId is for OAuth 2.0 access tokens, which are not taken.")
	}
	issuer, err := oidc.Issuer(in.WebIdentityToken)
	if err != nil {
		return out, err
	}
	role, _ := aws.ParseARN(in.RoleArn)
	name, _ := strings.CutPrefix(issuer, "https://")
	var p *provider
	if aws.ValidAccount(role.Account) && len(name) <= 255 {
		if p, err = found[provider](ctx, s, providerRow(role.Account, name)); err != nil {
			return out, err
		}
	}
	if p == nil || s.cfg.Identities == nil {
		return out, fault.New(oidc.Invalid, "No OpenIDConnect provider found in your account for %.300s", issuer)
	}
	claims, err := s.cfg.Identities.Verify(ctx, oidc.Provider{URL: "https://" + p.Name, Thumbprints: p.Thumbprints}, in.WebIdentityToken)
	if err != nil {
		return out, err
	}
	audience, err := p.audience(claims)
	if err != nil {
		return out, err
	}
	out.Audience, out.Provider, out.SubjectFromWebIdentityToken = audience, p.arn(), claims.Subject
	out.who = Principal{
		Type: WebIdentityUser, Account: p.Account, ARN: p.arn(),
		PrincipalID: p.arn() + ":" + audience + ":" + claims.Subject, UserName: claims.Subject,
	}
	out.RoleSession, err = s.assumeWith(ctx, in, p, claims, out.who, audience)
	return out, err
}

// audience returns which of the provider's client ids a token is for. Fault:
// oidc.Invalid.
func (p *provider) audience(c oidc.Claims) (string, error) {
	candidates := c.Audience
	if c.Party != "" {
		candidates = []string{c.Party}
	}
	for _, id := range candidates {
		if slices.Contains(p.Clients, id) {
			return id, nil
		}
	}
	return "", fault.New(oidc.Invalid, "Incorrect token audience")
}

// What a token wants a session to have must be what a request could ask for.
var (
	tagText        = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
	sourceIdentity = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
)

// assumeWith begins the session, if the role trusts the token's holder.
func (s *Service) assumeWith(ctx context.Context, in AssumeRoleWithWebIdentity, p *provider, claims oidc.Claims, who Principal, audience string) (RoleSession, error) {
	r, err := roleByARN(ctx, s, in.RoleArn)
	if err != nil {
		return RoleSession{}, err
	}
	d := &tokenDocument{
		Type: AssumedRole, Account: p.Account, Issued: time.Now().UTC().Truncate(time.Second), Name: in.RoleSessionName,
		Source: claims.SourceIdentity, Provider: p.arn(),
	}
	keys := p.facts(claims, audience)
	keys["sts:rolesessionname"] = []string{in.RoleSessionName}
	by := Caller{Principal: who}
	tags := make([]Tag, 0, len(claims.Tags))
	for key, value := range claims.Tags {
		if !tagText.MatchString(key) || !tagText.MatchString(value) || key == "" || utf8.RuneCountInString(key) > 128 || utf8.RuneCountInString(value) > 256 {
			return RoleSession{}, fault.New(oidc.Rejected, "The identity token has a tag that a session cannot have.")
		}
		tags = append(tags, Tag{key, value})
	}
	if claims.SourceIdentity != "" && !sourceIdentity.MatchString(claims.SourceIdentity) {
		return RoleSession{}, fault.New(oidc.Rejected, "The identity token has a source identity that a session cannot have.")
	}
	if err := d.inherit(by, tags, claims.Transitive); err != nil {
		return RoleSession{}, err
	}
	actions := append([]string{"sts:AssumeRoleWithWebIdentity"}, d.tagActions(keys)...)
	if d.Source != "" {
		keys["sts:sourceidentity"] = []string{d.Source}
		actions = append(actions, "sts:SetSourceIdentity")
	}
	for _, action := range actions {
		if err := s.trusted(ctx, by, r, in.RoleArn, action, keys); err != nil {
			if isKind(err, AccessDenied) { // the holder of a token has no ARN to tell
				err = fault.New(AccessDenied, "Not authorized to perform %s", action)
			}
			return RoleSession{}, err
		}
	}
	seconds, ends := duration(d.Issued, in.DurationSeconds, 3600)
	if seconds > r.MaxSession {
		return RoleSession{}, fault.New(ValidationError, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	d.ID, d.Expires = r.ID, ends
	return s.beginRole(ctx, r, d, in.Narrowing)
}

// facts are the condition keys of a token (IAM User Guide, "Available keys for AWS OIDC
// federation").
func (p *provider) facts(c oidc.Claims, audience string) policy.Values {
	prefix := strings.ToLower(p.Name) + ":"
	keys := policy.Values{
		prefix + "aud":          {audience},
		prefix + "sub":          {c.Subject},
		"aws:federatedprovider": {p.arn()},
	}
	if c.Party != "" {
		keys[prefix+"oaud"] = c.Audience
	}
	if len(c.Methods) > 0 {
		keys[prefix+"amr"] = c.Methods
	}
	if c.Email != "" {
		keys[prefix+"email"] = []string{c.Email}
	}
	return keys
}
