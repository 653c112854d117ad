// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"

	"github.com/cofferstore/coffer/internal/memo"
)

// action is a pattern of Action or NotAction. Actions are compared without regard to
// case.
type action struct {
	service string // in lower case; "" for the single *
	name    pattern
}

// newAction reads "service:Name", whose name may hold wildcards, or "*".
func newAction(text string) (action, flaw) {
	if text == "*" {
		p, _ := prepare("*", true, -1)
		return action{name: p}, fine
	}
	service, name, ok := strings.Cut(strings.ToLower(text), ":")
	if !ok {
		return action{}, actionBare
	}
	if strings.Contains(name, ":") {
		return action{}, actionColons
	}
	if service == "" || strings.IndexFunc(service, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.'
	}) >= 0 {
		return action{}, actionVendor
	}
	if name == "" || strings.IndexFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("*?-_", c)
	}) >= 0 {
		return action{}, actionName
	}
	p, _ := prepare(name, true, -1)
	return action{service, p}, fine
}

// literal returns the action in lower case when it has no wildcards.
func (a *action) literal() (string, bool) {
	if a.service == "" || a.name.wild {
		return "", false
	}
	return a.service + ":" + a.name.text, true
}

// matches compares with an action in lower case, split.
func (a *action) matches(service, name string) bool {
	return a.service == "" || a.service == service && a.name.matches(name, nil)
}

// lowered is an action that is asked for, in lower case.
type lowered struct {
	whole, service, name string
}

// lowerings are of the actions that were asked for lately: each request asks for some.
var lowerings memo.Memo[lowered]

func lower(action string) *lowered {
	if l, ok := lowerings.Get(action); ok {
		return l
	}
	l := lowered{whole: strings.ToLower(strings.Clone(action))} // it may be part of a request's body
	l.service, l.name, _ = strings.Cut(l.whole, ":")
	return lowerings.Put(action, l)
}
