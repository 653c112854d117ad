// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"regexp"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
)

// form says how a statement names a principal. What an allow is worth depends on it.
type form uint8

const (
	direct    form = 1 << iota // itself: a user, a session, the root, a service, a provider
	star                       // everyone
	byRole                     // a session by its role
	byAccount                  // by its account, which delegates to the account's own policies
	elsewhere                  // not by the policy: a grant, an access control list
)

// principals is what Principal or NotPrincipal names.
type principals struct {
	everyone  bool
	aws       []named
	services  []string
	federated []string
	canonical []canonical
}

// named is an account, a user, a role or a session.
type named struct {
	arn     string
	account string // of an account
	bound   bool   // to id
	id      string
}

// canonical is an account by its canonical user id.
type canonical struct{ id, account string }

var (
	roleOrUser    = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:(user|role)/([!-)+->@-~]+/)*[\w+=,.@-]+$`)
	sessionARN    = regexp.MustCompile(`^arn:aws[a-z-]*:sts::[0-9]{12}:(assumed-role/[\w+=,.@-]+/[\w+=,.@-]+|federated-user/[\w+=,.@-]+)$`)
	accountARN    = regexp.MustCompile(`^arn:aws[a-z-]*:iam::([0-9]{12}):root$`)
	serviceName   = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)*\.(amazonaws\.com(\.cn)?|aws\.internal|aws\.com|amazon\.com)$`)
	providerName  = regexp.MustCompile(`^[A-Za-z0-9._:/?=&%~@+-]+$`)
	canonicalUser = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// newPrincipals reads Principal or NotPrincipal. What is wrong is a structure that the
// grammar does not have (syntax) or a principal that there cannot be.
func newPrincipals(kind Kind, n *node) (*principals, *problem) {
	p := &principals{}
	switch {
	case n.kind == '"' && n.text == "*":
		p.everyone = true
		return p, nil
	case n.kind == '"':
		return nil, principalProblem("AWS", n.text)
	case n.kind == '{' && len(n.members) == 0 && kind == Bucket:
		return nil, principalProblem("AWS", "")
	case n.kind != '{' || len(n.members) == 0:
		return nil, &problem{flaw: syntax}
	}
	for _, m := range n.members {
		texts, ok := stringsOf(m.value)
		if !ok && kind == Bucket {
			return nil, principalProblem(m.name, "")
		}
		if !ok {
			return nil, &problem{flaw: syntax}
		}
		for _, t := range texts {
			if !p.add(kind, m.name, t) {
				return nil, principalProblem(m.name, t)
			}
		}
	}
	return p, nil
}

func principalProblem(of, value string) *problem {
	return &problem{flaw: principalInvalid, what: `"` + of + `":"` + value + `"`}
}

func (p *principals) add(kind Kind, of, text string) bool {
	switch of {
	case "AWS":
		if text == "*" {
			p.everyone = true
			return true
		}
		if aws.ValidAccount(text) {
			p.aws = append(p.aws, named{arn: aws.RootARN(text), account: text})
			return true
		}
		if m := accountARN.FindStringSubmatch(text); m != nil {
			p.aws = append(p.aws, named{arn: text, account: m[1]})
			return true
		}
		p.aws = append(p.aws, named{arn: text})
		return len(text) <= 2048 && (roleOrUser.MatchString(text) || sessionARN.MatchString(text))
	case "Service":
		p.services = append(p.services, text)
		return len(text) <= 256 && serviceName.MatchString(text)
	case "Federated":
		p.federated = append(p.federated, text)
		return len(text) <= 2048 && providerName.MatchString(text)
	case "CanonicalUser":
		p.canonical = append(p.canonical, canonical{id: text})
		return kind == Bucket && canonicalUser.MatchString(text)
	}
	return false
}

// forms returns how the principal is named, 0 if it is not.
func (p *principals) forms(who *Principal) form {
	var f form
	if p.everyone && who.Type != WebIdentity {
		f = star
	}
	switch who.Type {
	case Anonymous:
		return f
	case Service:
		if slices.Contains(p.services, who.ARN) {
			f |= direct
		}
		return f
	case WebIdentity:
		if slices.Contains(p.federated, who.ARN) {
			f |= direct
		}
		return f
	}
	for i := range p.aws {
		f |= p.aws[i].form(who)
	}
	for i := range p.canonical {
		if a := p.canonical[i].account; a != "" && a == who.Account {
			f |= ofAccount(who)
		}
	}
	return f
}

func ofAccount(who *Principal) form {
	if who.Type == Account {
		return direct
	}
	return byAccount
}

func (n *named) form(who *Principal) form {
	switch {
	case n.account != "":
		if n.account == who.Account {
			return ofAccount(who)
		}
	case n.bound:
		switch {
		case n.id == "" || n.id != who.ID:
		case who.Type == User:
			return direct
		case who.Type == AssumedRole && strings.Contains(n.arn, ":role/"):
			return byRole
		case who.Type == AssumedRole && who.ARN == n.arn: // its id is its role's
			return direct
		}
	case who.ARN == n.arn && who.Type != Account:
		return direct
	case who.Type == AssumedRole && who.RoleARN == n.arn:
		return byRole
	}
	return 0
}

// spares reports whether NotPrincipal names all that a principal is: a user and its
// account; a session, its role and its account (IAM User Guide, "NotPrincipal").
func (p *principals) spares(who *Principal) bool {
	f := p.forms(who)
	switch {
	case f&star != 0:
		return true
	case who.Type == AssumedRole:
		return f&(direct|byRole|byAccount) == direct|byRole|byAccount
	case who.Type == User || who.Type == FederatedUser:
		return f&(direct|byAccount) == direct|byAccount
	}
	return f&direct != 0
}

// bind returns the principals with their ids. What is not in ids stays.
func (p *principals) bind(ids map[string]string) *principals {
	b := *p
	b.aws = slices.Clone(p.aws)
	for i := range b.aws {
		if n := &b.aws[i]; n.account == "" {
			if id, ok := ids[n.arn]; ok {
				n.bound, n.id = true, id
			}
		}
	}
	b.canonical = slices.Clone(p.canonical)
	for i := range b.canonical {
		b.canonical[i].account = ids[b.canonical[i].id]
	}
	return &b
}

// Named returns the ARNs of the users, roles and sessions that Principal and NotPrincipal
// name, each once. A resource's policy is bound to their unique ids when it is put; a
// role's session has its role's.
func (d *Document) Named() []string {
	return d.collect(func(p *principals, add func(string)) {
		for _, n := range p.aws {
			if n.account == "" {
				add(n.arn)
			}
		}
	})
}

// Accounts returns the accounts that Principal and NotPrincipal name by themselves, each
// once. There must be such accounts.
func (d *Document) Accounts() []string {
	return d.collect(func(p *principals, add func(string)) {
		for _, n := range p.aws {
			if n.account != "" {
				add(n.account)
			}
		}
	})
}

// CanonicalUsers returns the canonical user ids that Principal and NotPrincipal of a
// bucket's policy name, each once. Bind takes their accounts as it takes unique ids:
// canonical user id → account. One that is not bound matches nobody.
func (d *Document) CanonicalUsers() []string {
	return d.collect(func(p *principals, add func(string)) {
		for _, c := range p.canonical {
			add(c.id)
		}
	})
}

// Providers returns the identity providers that Principal and NotPrincipal name, each
// once.
func (d *Document) Providers() []string {
	return d.collect(func(p *principals, add func(string)) {
		for _, f := range p.federated {
			add(f)
		}
	})
}

func (d *Document) collect(each func(p *principals, add func(string))) []string {
	var all []string
	seen := map[string]bool{}
	for i := range d.statements {
		if p := d.statements[i].principals; p != nil {
			each(p, func(s string) {
				if !seen[s] {
					seen[s] = true
					all = append(all, s)
				}
			})
		}
	}
	return all
}

// Bind returns the document with the unique ids of principals: an ARN in ids matches
// only the principal with that id, a role's session only if it is of the role with that
// id. An ARN that maps to "" matches nobody.
func (d *Document) Bind(ids map[string]string) *Document {
	if len(ids) == 0 {
		return d
	}
	b := *d
	b.statements = slices.Clone(d.statements)
	for i := range b.statements {
		if p := b.statements[i].principals; p != nil {
			b.statements[i].principals = p.bind(ids)
		}
	}
	b.build()
	return &b
}
