// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

const (
	providerRows = "i/o/"
	kindProvider = "oidc-provider"
	// Quotas (IAM User Guide, "IAM and AWS STS quotas").
	maxProviders   = 100
	maxClientIDs   = 100
	maxThumbprints = 5
)

// provider is the row of an OpenID Connect identity provider.
type provider struct {
	Version     int       `json:"version"`
	Account     string    `json:"account"`
	Name        string    `json:"name"` // its URL without https://
	Clients     []string  `json:"clientIds,omitempty"`
	Thumbprints []string  `json:"thumbprints,omitempty"` // 40 hexadecimal digits in lower case
	Created     time.Time `json:"created"`
	Tags        []Tag     `json:"tags,omitempty"`
}

func (p *provider) format() int { return p.Version }
func (p *provider) arn() string { return providerARN(p.Account, p.Name) }

func providerRow(account, name string) string { return providerRows + account + "/" + name }

func providerARN(account, name string) string {
	return "arn:aws:iam::" + account + ":" + kindProvider + "/" + name
}

// CreateOpenIDConnectProvider makes an identity provider.
type CreateOpenIDConnectProvider struct {
	Url            string   `api:"required 1-255"`
	ClientIDList   []string `api:"0-100 each:1-255"`
	ThumbprintList []string `api:"0-5 each:40-40 hex"`
	Tags           []Tag    `api:"0-50"`
}

// CreatedProvider is the answer to it.
type CreatedProvider struct {
	OpenIDConnectProviderArn string
	Tags                     []Tag
}

// CreateOpenIDConnectProvider makes an identity provider, whose tokens roles may then
// trust. It is not asked anything yet. Faults: InvalidInput, EntityAlreadyExists,
// LimitExceeded.
func (s *Service) CreateOpenIDConnectProvider(ctx context.Context, by Caller, in CreateOpenIDConnectProvider) (out CreatedProvider, err error) {
	name, err := providerName(in.Url)
	if err != nil {
		return out, err
	}
	p := &provider{
		Version: formatOfRows, Account: by.Account, Name: name, Tags: in.Tags,
		Clients: unique(in.ClientIDList), Thumbprints: lowerHex(in.ThumbprintList),
	}
	err = s.change(ctx, by.Account, func(c *change) error {
		if err := s.may(ctx, by, "CreateOpenIDConnectProvider", p.arn(), tagKeys(nil, in.Tags)); err != nil {
			return err
		}
		if err := checkTags(in.Tags); err != nil {
			return err
		}
		other, err := found[provider](ctx, c, providerRow(c.account, name))
		if err != nil {
			return err
		}
		if other != nil {
			return fault.New(EntityAlreadyExists, "Provider with url https://%s already exists.", name)
		}
		n, err := s.count(ctx, providerRow(c.account, ""))
		if err != nil {
			return err
		}
		if n >= maxProviders {
			return quota("OpenIdConnectProvidersPerAccount", maxProviders)
		}
		p.Created = c.now
		c.put(providerRow(c.account, name), p)
		return nil
	})
	return CreatedProvider{p.arn(), p.Tags}, err
}

// count counts rows under a prefix.
func (s *Service) count(ctx context.Context, prefix string) (n int, err error) {
	err = s.scan(ctx, prefix, "", func(string, []byte) (bool, error) { n++; return true, nil })
	return n, err
}

// providerName checks a provider's URL. Fault: InvalidInput.
func providerName(text string) (string, error) {
	u, err := url.Parse(text)
	name, https := strings.CutPrefix(text, "https://")
	switch {
	case err != nil || !https || u.Host == "" || u.Hostname() == "":
		return "", fault.New(InvalidInput, "Invalid Open ID Connect Provider URL: it begins with https:// and a host's name.")
	case u.User != nil || strings.ContainsAny(text, "?#") || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fault.New(InvalidInput, "Invalid Open ID Connect Provider URL: it has no user, query or fragment, and no spaces.")
	}
	return name, nil
}

func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func lowerHex(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strings.ToLower(s)
	}
	return unique(out)
}

// ProviderName names an identity provider.
type ProviderName struct {
	OpenIDConnectProviderArn string `api:"required 20-2048"`
}

// providerFor finds a provider that the caller may do something to. Faults:
// AccessDenied, NoSuchEntity, InvalidInput.
func (s *Service) providerFor(ctx context.Context, r reader, by Caller, action string, of ProviderName, keys policy.Values) (*provider, error) {
	arn := of.OpenIDConnectProviderArn
	a, ok := aws.ParseARN(arn)
	name, isProvider := strings.CutPrefix(a.Resource, kindProvider+"/")
	if !ok || a.Service != "iam" || !isProvider || name == "" {
		return nil, fault.New(InvalidInput, "Invalid ARN: %s", arn)
	}
	var p *provider
	if a.Account == by.Account {
		var err error
		if p, err = found[provider](ctx, r, providerRow(by.Account, name)); err != nil {
			return nil, err
		}
		if p != nil && p.arn() != arn { // as policies have it, or it is none
			p = nil
		}
	}
	if p != nil {
		keys = resourceTags(keys, p.Tags)
	}
	if err := s.may(ctx, by, action, arn, keys); err != nil {
		return nil, err
	}
	if p == nil {
		return nil, fault.New(NoSuchEntity, "OpenIDConnect Provider not found for arn %s", arn)
	}
	return p, nil
}

// editProvider changes a provider. f may run more than once.
func (s *Service) editProvider(ctx context.Context, by Caller, action string, of ProviderName, keys policy.Values, f func(p *provider) error) (None, error) {
	return None{}, s.change(ctx, by.Account, func(c *change) error {
		p, err := s.providerFor(ctx, c, by, action, of, keys)
		if err != nil {
			return err
		}
		if err := f(p); err != nil {
			return err
		}
		c.put(providerRow(p.Account, p.Name), p)
		return nil
	})
}

// ShownProvider is an identity provider as the API shows it.
type ShownProvider struct {
	Url            string // without https://, as IAM shows it
	ClientIDList   []string
	ThumbprintList []string
	CreateDate     time.Time
	Tags           []Tag
}

// GetOpenIDConnectProvider returns an identity provider. Fault: NoSuchEntity.
func (s *Service) GetOpenIDConnectProvider(ctx context.Context, by Caller, in ProviderName) (ShownProvider, error) {
	p, err := s.providerFor(ctx, s, by, "GetOpenIDConnectProvider", in, nil)
	if err != nil {
		return ShownProvider{}, err
	}
	return ShownProvider{p.Name, p.Clients, p.Thumbprints, p.Created, p.Tags}, nil
}

// ProviderList is the identity providers of an account.
type ProviderList struct{ OpenIDConnectProviderList []ProviderEntry }

// ProviderEntry names one.
type ProviderEntry struct{ Arn string }

// ListOpenIDConnectProviders returns the account's identity providers, all at once: the
// API has no pages for them.
func (s *Service) ListOpenIDConnectProviders(ctx context.Context, by Caller, _ None) (ProviderList, error) {
	out := ProviderList{[]ProviderEntry{}}
	if err := s.may(ctx, by, "ListOpenIDConnectProviders", "*", nil); err != nil {
		return out, err
	}
	err := s.scan(ctx, providerRow(by.Account, ""), "", func(row string, value []byte) (bool, error) {
		var p provider
		err := decodeRow(row, value, &p)
		out.OpenIDConnectProviderList = append(out.OpenIDConnectProviderList, ProviderEntry{p.arn()})
		return true, err
	})
	return out, err
}

// DeleteOpenIDConnectProvider deletes an identity provider. Sessions that were begun
// with its tokens go on. That there is none is no fault: IAM says so.
func (s *Service) DeleteOpenIDConnectProvider(ctx context.Context, by Caller, in ProviderName) (None, error) {
	return None{}, s.change(ctx, by.Account, func(c *change) error {
		p, err := s.providerFor(ctx, c, by, "DeleteOpenIDConnectProvider", in, nil)
		if err == nil {
			c.delete(providerRow(p.Account, p.Name))
		}
		if isKind(err, NoSuchEntity) {
			return nil
		}
		return err
	})
}

// UpdateOpenIDConnectProviderThumbprint replaces a provider's thumbprints.
type UpdateOpenIDConnectProviderThumbprint struct {
	ProviderName
	ThumbprintList []string `api:"required 0-5 each:40-40 hex"`
}

// UpdateOpenIDConnectProviderThumbprint replaces a provider's thumbprints. Fault:
// NoSuchEntity.
func (s *Service) UpdateOpenIDConnectProviderThumbprint(ctx context.Context, by Caller, in UpdateOpenIDConnectProviderThumbprint) (None, error) {
	return s.editProvider(ctx, by, "UpdateOpenIDConnectProviderThumbprint", in.ProviderName, nil, func(p *provider) error {
		p.Thumbprints = lowerHex(in.ThumbprintList)
		return nil
	})
}

// ProviderClient is a client id of a provider: an audience of its tokens.
type ProviderClient struct {
	ProviderName
	ClientID string `api:"required 1-255"`
}

// AddClientIDToOpenIDConnectProvider adds a client id, if the provider has it not.
// Faults: NoSuchEntity, LimitExceeded.
func (s *Service) AddClientIDToOpenIDConnectProvider(ctx context.Context, by Caller, in ProviderClient) (None, error) {
	return s.editProvider(ctx, by, "AddClientIDToOpenIDConnectProvider", in.ProviderName, nil, func(p *provider) error {
		if slices.Contains(p.Clients, in.ClientID) {
			return nil
		}
		if len(p.Clients) >= maxClientIDs {
			return quota("ClientIdsPerOpenIdConnectProvider", maxClientIDs)
		}
		p.Clients = append(p.Clients, in.ClientID)
		return nil
	})
}

// RemoveClientIDFromOpenIDConnectProvider removes a client id, if the provider has it.
// Fault: NoSuchEntity.
func (s *Service) RemoveClientIDFromOpenIDConnectProvider(ctx context.Context, by Caller, in ProviderClient) (None, error) {
	return s.editProvider(ctx, by, "RemoveClientIDFromOpenIDConnectProvider", in.ProviderName, nil, func(p *provider) error {
		p.Clients = slices.DeleteFunc(p.Clients, func(id string) bool { return id == in.ClientID })
		return nil
	})
}

// TagProvider sets tags of a provider.
type TagProvider struct {
	ProviderName
	Tags []Tag `api:"required 0-50"`
}

// TagOpenIDConnectProvider sets tags of a provider. Faults: NoSuchEntity, InvalidInput,
// LimitExceeded.
func (s *Service) TagOpenIDConnectProvider(ctx context.Context, by Caller, in TagProvider) (None, error) {
	if err := checkTags(in.Tags); err != nil {
		return None{}, err
	}
	return s.editProvider(ctx, by, "TagOpenIDConnectProvider", in.ProviderName, tagKeys(nil, in.Tags), func(p *provider) error {
		for _, t := range in.Tags {
			p.Tags = append(slices.DeleteFunc(p.Tags, sameKey(t.Key)), t)
		}
		if len(p.Tags) > maxTags {
			return quota("TagsPerOpenIDConnectProvider", maxTags)
		}
		return nil
	})
}

// sameKey tells keys apart as policies do: by their lower case, which is not
// [strings.EqualFold]'s, for which a long s is an s.
func sameKey(key string) func(Tag) bool {
	lower := strings.ToLower(key)
	return func(t Tag) bool { return strings.ToLower(t.Key) == lower }
}

// UntagProvider removes tags of a provider.
type UntagProvider struct {
	ProviderName
	TagKeys []string `api:"required 0-50 each:1-128 tag"`
}

// UntagOpenIDConnectProvider removes tags of a provider. Fault: NoSuchEntity.
func (s *Service) UntagOpenIDConnectProvider(ctx context.Context, by Caller, in UntagProvider) (None, error) {
	keys := policy.Values{"aws:tagkeys": in.TagKeys}
	return s.editProvider(ctx, by, "UntagOpenIDConnectProvider", in.ProviderName, keys, func(p *provider) error {
		for _, key := range in.TagKeys {
			p.Tags = slices.DeleteFunc(p.Tags, sameKey(key))
		}
		return nil
	})
}

// ListProviderTags asks for the tags of a provider.
type ListProviderTags struct {
	ProviderName
	Paged
}

// ProviderTags are the tags of a provider.
type ProviderTags struct {
	Page
	Tags []Tag
}

// ListOpenIDConnectProviderTags returns the tags of a provider. Fault: NoSuchEntity.
func (s *Service) ListOpenIDConnectProviderTags(ctx context.Context, by Caller, in ListProviderTags) (ProviderTags, error) {
	p, err := s.providerFor(ctx, s, by, "ListOpenIDConnectProviderTags", in.ProviderName, nil)
	if err != nil {
		return ProviderTags{}, err
	}
	slices.SortFunc(p.Tags, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	tags, page, err := pageOf(in.Paged, p.arn(), p.Tags, func(t Tag) string { return t.Key })
	return ProviderTags{page, tags}, err
}
