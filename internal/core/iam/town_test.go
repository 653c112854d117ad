// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

const (
	home   = "111122223333"
	abroad = "444455556666"
)

// town is two accounts with users and roles.
type town struct {
	*Service
	t testing.TB
}

func newTown(t testing.TB) *town {
	t.Helper()
	store := mem.New()
	t.Cleanup(func() { _ = store.Close() })
	sealKey := secret.Random(secret.Size)
	root, _, err := OpenRoot(t.Context(), store, sealKey, RootConfig{Account: home})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), store, sealKey, root, Config{Region: "eu-central-1"})
	if err == nil {
		_, err = s.CreateAccount(t.Context(), abroad, "abroad")
	}
	if err != nil {
		t.Fatal(err)
	}
	return &town{s, t}
}

func (w *town) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) change1(account string, f func(c *change)) {
	w.t.Helper()
	w.must(w.change(w.t.Context(), account, func(c *change) error { f(c); return nil }))
}

func (w *town) entity(account, prefix, name, rights string) entity {
	e := entity{Version: formatOfRows, Account: account, ID: newID(prefix), Name: name, Path: "/", Created: time.Now()}
	if rights != "" {
		e.Inline = []named{{"rights", rights}}
	}
	return e
}

// user makes a user with an access key, and returns who calls with it.
func (w *town) user(account, name, rights string) Caller {
	w.t.Helper()
	u := user{entity: w.entity(account, prefixUser, name, rights)}
	id, key := newAccessKey()
	u.Keys = []string{id}
	w.change1(account, func(c *change) {
		c.create(userRow(account, name), u)
		c.create(idRow(u.ID), identity{account, kindUser, name})
		c.create(accessKeyRow(id), w.newKeyRow(id, key, account, u.ID, time.Now()))
	})
	_, who, err := w.Lookup(w.t.Context(), id)
	w.must(err)
	return Caller{Principal: who, Secure: true, SigV4: true, SourceIP: "192.0.2.1"}
}

// role makes a role and returns its ARN.
func (w *town) role(account, name, trust, rights string) string {
	w.t.Helper()
	r := role{entity: w.entity(account, prefixRole, name, rights), MaxSession: 7200, Trust: trust, Tags: []Tag{{"team", "blue"}}}
	r.Path = "/ops/"
	d, err := policy.Parse(policy.Trust, "", trust)
	w.must(err)
	r.Principals, err = w.Bind(w.t.Context(), d)
	w.must(err)
	w.change1(account, func(c *change) {
		c.create(roleRow(account, name), r)
		c.create(idRow(r.ID), identity{account, kindRole, name})
	})
	return r.arn()
}

func (w *town) drop(account string, rows ...string) {
	w.t.Helper()
	w.change1(account, func(c *change) {
		for _, row := range rows {
			c.delete(row)
		}
	})
}

// enter looks credentials up.
func (w *town) enter(c Credentials) Caller {
	w.t.Helper()
	key, who, err := w.LookupSession(w.t.Context(), c.AccessKeyId, c.SessionToken)
	w.must(err)
	if !key.Equal(c.SecretAccessKey) {
		w.t.Error("the session's secret is another one")
	}
	return Caller{Principal: who, Secure: true, SigV4: true, SourceIP: "192.0.2.1"}
}

func (w *town) assume(by Caller, in AssumeRole) RoleSession {
	w.t.Helper()
	out, err := w.AssumeRole(w.t.Context(), by, in)
	w.must(err)
	return out
}

// may reports whether a caller may do something to a resource of its own account.
func (w *town) may(by Caller, action, resource string) bool {
	w.t.Helper()
	err := w.Authorize(w.t.Context(), by, []policy.Need{{Action: action, Resource: resource}})
	if err != nil && !errors.Is(err, AccessDenied) {
		w.t.Fatal(err)
	}
	return err == nil
}

func allow(what ...string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["` + strings.Join(what, `","`) + `"],"Resource":"*"}]}`
}

func trusting(principal string, actions ...string) string {
	return trustingIf(principal, "{}", actions...)
}

func trustingIf(principal, condition string, actions ...string) string {
	if len(actions) == 0 {
		actions = []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"}
	}
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":["` +
		strings.Join(actions, `","`) + `"],"Condition":` + condition + `}]}`
}
