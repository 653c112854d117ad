// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/oidc"
	"github.com/cofferstore/coffer/internal/link/oidc/oidctest"
	"github.com/cofferstore/coffer/internal/link/oidc/remote"
)

// federation is a town whose first account has an identity provider.
type federation struct {
	*town
	idp      *oidctest.Provider
	provider string // its ARN
	root     Caller
}

func newFederation(t *testing.T) *federation {
	t.Helper()
	f := &federation{town: newTown(t), idp: oidctest.New(t)}
	f.cfg.Identities = remote.New()
	f.root = Caller{Principal: f.town.root.Principal()}
	out, err := f.CreateOpenIDConnectProvider(t.Context(), f.root, CreateOpenIDConnectProvider{
		Url: f.idp.URL, ClientIDList: []string{"app", "desk"}, ThumbprintList: []string{strings.ToUpper(f.idp.Thumbprint)},
	})
	f.must(err)
	f.provider = out.OpenIDConnectProviderArn
	return f
}

// trust is a trust policy for the provider under a condition.
func (f *federation) trust(condition string, actions ...string) string {
	actions = append(actions, "sts:AssumeRoleWithWebIdentity")
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":%q},"Action":["%s"],"Condition":%s}]}`,
		f.provider, strings.Join(actions, `","`), strings.ReplaceAll(condition, "IDP", f.idp.Name()))
}

func TestWebIdentity(t *testing.T) {
	f := newFederation(t)
	if f.provider != "arn:aws:iam::"+home+":oidc-provider/"+f.idp.Name() {
		t.Errorf("the provider's ARN is %s", f.provider)
	}
	anyone := f.role(home, "anyone", f.trust("{}"), allow("s3:GetObject"))
	ann := f.role(home, "ann", f.trust(`{"StringEquals":{"IDP:sub":"ann","IDP:aud":"app"}}`), "")
	tagged := f.role(home, "tagged", f.trust(`{"StringEquals":{"aws:RequestTag/team":"red"}}`, "sts:TagSession", "sts:SetSourceIdentity"), "")
	theirs := f.role(abroad, "theirs", trusting("*"), "")
	tags := map[string]any{"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{"team": []string{"red"}}, "transitive_tag_keys": []string{"team"}}}
	for _, test := range []struct {
		name   string
		role   string
		claims map[string]any
		want   fault.Kind
		says   string
	}{
		{"anyone", anyone, nil, "", ""},
		{"ann", ann, nil, "", ""},
		{"not ann", ann, map[string]any{"sub": "bob"}, AccessDenied, "Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		{"another client", ann, map[string]any{"aud": "desk"}, AccessDenied, "Not authorized"},
		{"no client", ann, map[string]any{"aud": "elsewhere"}, oidc.Invalid, "Incorrect token audience"},
		{"a party that is none", ann, map[string]any{"azp": "elsewhere"}, oidc.Invalid, "Incorrect token audience"},
		{"one of two", ann, map[string]any{"aud": []string{"elsewhere", "app"}}, "", ""},
		{"expired", ann, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}, oidc.Expired, "Token expired: current date/time"},
		{"another issuer", ann, map[string]any{"iss": "https://idp.example.com"}, oidc.Invalid, "No OpenIDConnect provider found in your account for https://idp.example.com"},
		{"no such role", anyone + "x", nil, AccessDenied, "Not authorized to perform sts:AssumeRoleWithWebIdentity"},
		{"another account's", theirs, nil, oidc.Invalid, "No OpenIDConnect provider found in your account for"},
		{"tags", tagged, tags, "", ""},
		{"tags that it does not trust with", anyone, tags, AccessDenied, "Not authorized to perform sts:TagSession"},
		{"no tags", tagged, nil, AccessDenied, "Not authorized"},
		{"a tag that none can be", tagged, map[string]any{"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{"team": []string{"red"}, "x": []string{"*"}}}}, oidc.Rejected, "a tag that"},
		{"a source identity that none can be", tagged, map[string]any{"https://aws.amazon.com/source_identity": "ann\nbob"}, oidc.Rejected, "a source identity that"},
	} {
		out, err := f.AssumeRoleWithWebIdentity(t.Context(), Caller{}, AssumeRoleWithWebIdentity{
			RoleArn: test.role, RoleSessionName: "monday", WebIdentityToken: f.idp.Token(test.claims),
		})
		if test.want != "" {
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: %v, want %s %s", test.name, err, test.want, test.says)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		by := f.enter(out.Credentials)
		if out.SubjectFromWebIdentityToken != "ann" || out.Audience != "app" || out.Provider != f.provider || by.Session.Provider != f.provider || by.RoleARN != test.role {
			t.Errorf("%s: %+v", test.name, out)
		}
		if p := out.Proved(); p.Type != WebIdentityUser || p.UserName != "ann" || p.Account != home {
			t.Errorf("%s: recorded as %+v", test.name, p)
		}
	}
	_, err := f.AssumeRoleWithWebIdentity(t.Context(), Caller{}, AssumeRoleWithWebIdentity{RoleArn: ann, RoleSessionName: "monday", WebIdentityToken: "opaque"})
	if !errors.Is(err, oidc.Invalid) {
		t.Errorf("no token: %v", err)
	}
	f.idp.Down.Store(true)
	f.cfg.Identities = remote.New()
	_, err = f.AssumeRoleWithWebIdentity(t.Context(), Caller{}, AssumeRoleWithWebIdentity{RoleArn: ann, RoleSessionName: "monday", WebIdentityToken: f.idp.Token(nil)})
	if !errors.Is(err, oidc.Unreachable) {
		t.Errorf("the provider is down: %v", err)
	}
	_, err = f.DeleteOpenIDConnectProvider(t.Context(), f.root, ProviderName{f.provider})
	f.must(err)
	_, err = f.AssumeRoleWithWebIdentity(t.Context(), Caller{}, AssumeRoleWithWebIdentity{RoleArn: ann, RoleSessionName: "monday", WebIdentityToken: f.idp.Token(nil)})
	if !errors.Is(err, oidc.Invalid) {
		t.Errorf("the provider is deleted: %v", err)
	}
}

func TestProviders(t *testing.T) {
	f := newFederation(t)
	ctx, of := t.Context(), ProviderName{f.provider}
	get := func() ShownProvider {
		t.Helper()
		out, err := f.GetOpenIDConnectProvider(ctx, f.root, of)
		f.must(err)
		return out
	}
	if p := get(); p.Url != f.idp.Name() || fmt.Sprint(p.ClientIDList) != "[app desk]" || fmt.Sprint(p.ThumbprintList) != "["+f.idp.Thumbprint+"]" || p.CreateDate.IsZero() {
		t.Errorf("provider %+v", p)
	}
	do := func(_ None, err error) { t.Helper(); f.must(err) }
	do(f.AddClientIDToOpenIDConnectProvider(ctx, f.root, ProviderClient{of, "shop"}))
	do(f.AddClientIDToOpenIDConnectProvider(ctx, f.root, ProviderClient{of, "shop"}))
	do(f.RemoveClientIDFromOpenIDConnectProvider(ctx, f.root, ProviderClient{of, "desk"}))
	do(f.RemoveClientIDFromOpenIDConnectProvider(ctx, f.root, ProviderClient{of, "nobody"}))
	do(f.UpdateOpenIDConnectProviderThumbprint(ctx, f.root, UpdateOpenIDConnectProviderThumbprint{of, []string{strings.Repeat("AB", 20)}}))
	do(f.TagOpenIDConnectProvider(ctx, f.root, TagProvider{of, []Tag{{"b", "1"}, {"a", "1"}}}))
	do(f.TagOpenIDConnectProvider(ctx, f.root, TagProvider{of, []Tag{{"A", "2"}, {"c", "3"}}}))
	do(f.UntagOpenIDConnectProvider(ctx, f.root, UntagProvider{of, []string{"c", "d"}}))
	if p := get(); fmt.Sprint(p.ClientIDList, p.ThumbprintList, p.Tags) != "[app shop] ["+strings.Repeat("ab", 20)+"] [{b 1} {A 2}]" {
		t.Errorf("provider %+v", p)
	}
	one := 1
	tags, err := f.ListOpenIDConnectProviderTags(ctx, f.root, ListProviderTags{of, Paged{MaxItems: &one}})
	f.must(err)
	rest, err := f.ListOpenIDConnectProviderTags(ctx, f.root, ListProviderTags{of, Paged{Marker: tags.Marker}})
	if err != nil || !tags.IsTruncated || fmt.Sprint(tags.Tags, rest.Tags, rest.IsTruncated) != "[{A 2}] [{b 1}] false" {
		t.Errorf("tags %+v, %+v, %v", tags, rest, err)
	}
	list, err := f.ListOpenIDConnectProviders(ctx, f.root, None{})
	if err != nil || len(list.OpenIDConnectProviderList) != 1 || list.OpenIDConnectProviderList[0].Arn != f.provider {
		t.Errorf("providers %+v, %v", list, err)
	}
	do(f.DeleteOpenIDConnectProvider(ctx, f.root, of))
	do(f.DeleteOpenIDConnectProvider(ctx, f.root, of))
}

func TestProvidersRefused(t *testing.T) {
	f := newFederation(t)
	ctx := t.Context()
	ann := f.user(home, "ann", "")
	create := func(by Caller, url string, tags ...Tag) error {
		_, err := f.CreateOpenIDConnectProvider(ctx, by, CreateOpenIDConnectProvider{Url: url, Tags: tags})
		return err
	}
	get := func(by Caller, arn string) error {
		_, err := f.GetOpenIDConnectProvider(ctx, by, ProviderName{arn})
		return err
	}
	dora := f.user(abroad, "dora", allow("*"))
	for name, test := range map[string]struct {
		err  error
		kind fault.Kind
	}{
		"again":             {create(f.root, f.idp.URL), EntityAlreadyExists},
		"http":              {create(f.root, "http://a.example.com"), InvalidInput},
		"no host":           {create(f.root, "https:///x"), InvalidInput},
		"a query":           {create(f.root, "https://a.example.com/?x"), InvalidInput},
		"a user":            {create(f.root, "https://me@a.example.com"), InvalidInput},
		"a space":           {create(f.root, "https://a.example.com/a b"), InvalidInput},
		"one tag twice":     {create(f.root, "https://a.example.com", Tag{"a", ""}, Tag{"A", ""}), InvalidInput},
		"no rights":         {create(ann, "https://a.example.com"), AccessDenied},
		"none":              {get(f.root, providerARN(home, "a.example.com")), NoSuchEntity},
		"no ARN":            {get(f.root, strings.Repeat("x", 20)), InvalidInput},
		"no provider's ARN": {get(f.root, ann.ARN), InvalidInput},
		"no rights to see":  {get(ann, f.provider), AccessDenied},
		"another account's": {get(dora, f.provider), AccessDenied},
	} {
		if !errors.Is(test.err, test.kind) {
			t.Errorf("%s: %v, want %s", name, test.err, test.kind)
		}
	}
	for i := range maxProviders - 1 {
		f.must(create(f.root, fmt.Sprintf("https://a%d.example.com", i)))
	}
	if err := create(f.root, "https://more.example.com"); !errors.Is(err, LimitExceeded) {
		t.Errorf("one more than there may be: %v", err)
	}
	f.must(create(dora, f.idp.URL)) // each account has its own
	f.must(f.DeleteAccount(ctx, abroad))
	if n, err := f.count(ctx, providerRows+abroad); n != 0 || err != nil {
		t.Errorf("the deleted account left %d providers, %v", n, err)
	}
}
