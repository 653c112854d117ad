// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"strconv"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/core/policy"
)

// facts are the condition keys of a call: the asking service's own, then those that
// every call has (IAM User Guide, "AWS global condition context keys"). They are made
// when a policy asks for them.
type facts struct {
	own    policy.Context
	by     Caller
	tags   map[string]string
	region string
	owner  string
	at     time.Time // of the decision; zero until somebody asks
}

const principalTag = "aws:principaltag/"

// Values is policy.Context's.
func (f *facts) Values(key string) ([]string, bool) {
	if f.own != nil {
		if values, ok := f.own.Values(key); ok {
			return values, true
		}
	}
	if !strings.HasPrefix(key, "aws:") {
		return nil, false
	}
	value, ok := f.global(key)
	if !ok {
		return nil, false
	}
	return []string{value}, true
}

func (f *facts) global(key string) (string, bool) {
	by := &f.by
	switch key {
	case "aws:principalarn":
		if by.Type == AssumedRole {
			return by.RoleARN, true
		}
		return by.ARN, by.ARN != "" && by.Type != AWSService && by.Type != WebIdentityUser
	case "aws:principalaccount":
		if by.IsAnonymous() {
			return "anonymous", true
		}
		return by.Account, by.Account != ""
	case "aws:principaltype":
		return string(policyType(&by.Principal)), true
	case "aws:userid":
		if by.IsAnonymous() {
			return "anonymous", true
		}
		return by.PrincipalID, by.PrincipalID != ""
	case "aws:username":
		return by.UserName, by.Type == IAMUser
	case "aws:principalisawsservice":
		return strconv.FormatBool(by.Type == AWSService), true
	case "aws:principalservicename":
		return by.ARN, by.Type == AWSService
	case "aws:sourcearn":
		return by.SourceARN, by.SourceARN != ""
	case "aws:sourceaccount":
		return by.SourceAccount, by.SourceAccount != ""
	case "aws:viaawsservice":
		return "false", true
	case "aws:sourceip":
		return by.SourceIP, by.SourceIP != ""
	case "aws:securetransport":
		return strconv.FormatBool(by.Secure), true
	case "aws:useragent":
		return by.UserAgent, by.UserAgent != ""
	case "aws:requestedregion":
		return f.region, f.region != ""
	case "aws:resourceaccount":
		return f.owner, f.owner != ""
	case "aws:currenttime":
		return f.now().UTC().Format(time.RFC3339), true
	case "aws:epochtime":
		return strconv.FormatInt(f.now().Unix(), 10), true
	}
	if name, ok := strings.CutPrefix(key, principalTag); ok {
		return f.principalTag(name)
	}
	if by.Session == nil {
		return "", false
	}
	return f.ofSession(key, by.Session)
}

func (f *facts) ofSession(key string, s *Session) (string, bool) {
	switch key {
	case "aws:tokenissuetime":
		return s.Issued.UTC().Format(time.RFC3339), true
	case "aws:multifactorauthpresent":
		return strconv.FormatBool(s.MFA), true
	case "aws:multifactorauthage":
		return strconv.FormatInt(int64(f.now().Sub(s.Issued)/time.Second), 10), s.MFA
	case "aws:sourceidentity":
		return s.SourceIdentity, s.SourceIdentity != ""
	case "aws:federatedprovider":
		return s.Provider, s.Provider != ""
	}
	return "", false
}

// principalTag finds a tag of the session, or else of the user or role. name is in
// lower case.
func (f *facts) principalTag(name string) (string, bool) {
	if f.by.Session != nil {
		for key, value := range f.by.Session.Tags {
			if len(key) == len(name) && strings.EqualFold(key, name) {
				return value, true
			}
		}
	}
	value, ok := f.tags[name]
	return value, ok
}

// now is the same for all conditions of a decision.
func (f *facts) now() time.Time {
	if f.at.IsZero() {
		f.at = time.Now()
	}
	return f.at
}
