// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

func TestAccountsOfOperators(t *testing.T) {
	w := newTown(t)
	ctx := t.Context()
	made := ok[NewAccount](t)(w.CreateAccount(ctx, "", "Blue team"))
	if len(made.ID) != 12 || made.Name != "Blue team" || made.First || made.Secret.Len() != 40 {
		t.Errorf("made %+v", made.Account)
	}
	key, who, err := w.Lookup(ctx, made.RootKeys[0])
	if err != nil || !key.Equal(made.Secret) || who.Type != Root || who.Account != made.ID || who.ARN != "arn:aws:iam::"+made.ID+":root" || who.PrincipalID != made.ID {
		t.Errorf("their root is %+v, %v", who, err)
	}
	canonical := w.CanonicalID(made.ID)
	if account := ok[string](t)(w.AccountOf(ctx, canonical)); account != made.ID {
		t.Errorf("%s is of account %q", canonical, account)
	}
	for id, want := range map[string]bool{made.ID: true, home: true, abroad: true, "999999999999": false, "": false} {
		if got := ok[bool](t)(w.Exists(ctx, id)); got != want {
			t.Errorf("account %q exists: %t", id, got)
		}
	}
	all := ok[[]Account](t)(w.Accounts(ctx))
	first := slices.IndexFunc(all, func(a Account) bool { return a.ID == home }) // what was made has any number
	if len(all) != 3 || first < 0 || !all[first].First || all[first].RootKeys[0] != w.Service.root.accessKeyID {
		t.Errorf("accounts %+v", all)
	}
	refused(t, "an account twice", second(w.CreateAccount(ctx, made.ID, "x")), AccountExists, made.ID)
	refused(t, "no id", second(w.CreateAccount(ctx, "12", "x")), InvalidAccount, "twelve digits")
	for _, name := range []string{"", " x", strings.Repeat("x", 51), "a\nb"} {
		refused(t, "name "+name, second(w.CreateAccount(ctx, "", name)), InvalidAccount, "1 to 50")
	}
	refused(t, "the first account deleted", w.DeleteAccount(ctx, home), InvalidAccount, "cannot be deleted")
	refused(t, "no account deleted", w.DeleteAccount(ctx, "999999999999"), NoSuchAccount, "")
}

// Of a deleted account nothing stays, and the others lose nothing.
func TestDeletedAccountLeavesNothing(t *testing.T) {
	w := newTown(t)
	ctx, them := t.Context(), w.rootOf(abroad)
	rows := func() map[string]bool {
		all := map[string]bool{}
		w.must(w.scan(ctx, "i/", "", func(row string, _ []byte) (bool, error) { all[row] = true; return true, nil }))
		return all
	}
	w.user(home, "ann", readsAll)
	before := rows()
	made := ok[NewAccount](t)(w.CreateAccount(ctx, "", "short-lived"))
	by := w.rootOf(made.ID)
	p := ok[PolicyResult](t)(w.CreatePolicy(ctx, by, CreatePolicy{PolicyName: "p", PolicyDocument: readsAll})).Policy
	ok[CallResult](t)(w.everything(by, p.Arn))
	_, bobs, err := w.Lookup(ctx, ok[AccessKeyResult](t)(w.CreateAccessKey(ctx, by, CreateAccessKey{"bob"})).AccessKey.AccessKeyId)
	w.must(err)
	bob := Caller{Principal: bobs}
	w.may(bob, "s3:GetObject", "*")
	w.must(w.Flush(ctx))

	owned := "bucket photos"
	w.cfg.Owns = func(context.Context, string) (string, error) {
		if w.may(by, "s3:CreateBucket", "*") || w.may(bob, "s3:GetObject", "*") {
			t.Error("somebody may still do something while the account is being deleted")
		}
		return owned, nil
	}
	refused(t, "an account with a bucket", w.DeleteAccount(ctx, made.ID), AccountInUse, "owns bucket photos")
	if !w.may(bob, "s3:GetObject", "*") {
		t.Error("an account that was not deleted stayed closed")
	}
	owned = ""
	w.must(w.DeleteAccount(ctx, made.ID))
	for row := range rows() {
		if row == canonicalRows+canonicalID(made.ID) {
			continue
		}
		if !before[row] {
			t.Errorf("row %s is left", row)
		}
		delete(before, row)
	}
	for row := range before {
		t.Errorf("row %s is gone", row)
	}
	if _, _, err := w.Lookup(ctx, bob.AccessKeyID); !errors.Is(err, NoSuchAccessKey) {
		t.Errorf("a key of a deleted account: %v", err)
	}
	refused(t, "its id again", second(w.CreateAccount(ctx, made.ID, "again")), AccountExists, "not given twice")
	if account := ok[string](t)(w.AccountOf(ctx, canonicalID(made.ID))); account != "" {
		t.Errorf("the canonical id is still of %s", account)
	}
	refused(t, "a change of a deleted account", second(w.CreateUser(ctx, by, CreateUser{UserName: "x"})), NoSuchAccount, "")
	ok[Users](t)(w.ListUsers(ctx, them, ListUsers{}))
}

// CallResult is nothing.
type CallResult struct{}

// everything makes one of each in an account.
func (w *town) everything(by Caller, policyARN string) (CallResult, error) {
	ctx := w.t.Context()
	_, e1 := w.CreateUser(ctx, by, CreateUser{UserName: "bob", PermissionsBoundary: policyARN})
	_, e2 := w.CreateGroup(ctx, by, CreateGroup{GroupName: "staff"})
	_, e3 := w.CreateRole(ctx, by, CreateRole{RoleName: "ops", AssumeRolePolicyDocument: trusts, PermissionsBoundary: policyARN})
	_, e4 := w.AddUserToGroup(ctx, by, AddUserToGroup{"staff", "bob"})
	_, e5 := w.AttachGroupPolicy(ctx, by, AttachGroupPolicy{"staff", policyARN})
	_, e6 := w.AttachRolePolicy(ctx, by, AttachRolePolicy{"ops", policyARN})
	_, e7 := w.CreateAccountAlias(ctx, by, CreateAccountAlias{"short-lived"})
	return CallResult{}, errors.Join(e1, e2, e3, e4, e5, e6, e7)
}

// Secrets are stored sealed and bound to their access key; what cannot be opened
// is an error.
func TestAccessKeysAreSealed(t *testing.T) {
	store := mem.New()
	defer store.Close()
	sealKey, ctx := secret.Random(secret.Size), t.Context()
	root, _, err := OpenRoot(ctx, store, sealKey, RootConfig{Account: home})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(ctx, store, sealKey, root, Config{})
	if err != nil {
		t.Fatal(err)
	}
	one, two := ok[NewAccount](t)(s.CreateAccount(ctx, "", "one")), ok[NewAccount](t)(s.CreateAccount(ctx, "", "two"))
	items, err := store.Get(ctx, []byte(accessKeyRow(one.RootKeys[0])), []byte(accessKeyRow(two.RootKeys[0])))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(items[0].Value, one.Secret.Reveal()) {
		t.Error("the row holds the secret in the clear")
	}
	var moved accessKey
	if err := decodeRow("", items[1].Value, &moved); err != nil {
		t.Fatal(err)
	}
	moved.ID = one.RootKeys[0]
	var b meta.Batch
	b.Put([]byte(accessKeyRow(moved.ID)), encodeRow(moved))
	if _, err := store.Commit(ctx, &b); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Lookup(ctx, moved.ID); !errors.Is(err, meta.Damaged) {
		t.Errorf("a secret of another key: %v", err)
	}
	again, err := Open(ctx, store, sealKey, root, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if key, _, err := again.Lookup(ctx, two.RootKeys[0]); err != nil || !key.Equal(two.Secret) {
		t.Errorf("after a restart: %v", err)
	}
	for _, id := range []string{"", "AKIA", "AKIANONESUCH00000000", "a/b", strings.Repeat("A", 200)} {
		if _, _, err := s.Lookup(ctx, id); !errors.Is(err, NoSuchAccessKey) {
			t.Errorf("key %q: %v", id, err)
		}
	}
}

// Changes at once are all made, one after the other.
func TestChangesAtOnce(t *testing.T) {
	w := newTown(t)
	by := w.rootOf(home)
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			name := "u" + string(rune('a'+i%16))
			_, err := w.CreateUser(t.Context(), by, CreateUser{UserName: name})
			if err != nil && !errors.Is(err, EntityAlreadyExists) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got := ok[AccountSummary](t)(w.GetAccountSummary(t.Context(), by, GetAccountSummary{})).SummaryMap["Users"]
	if listed := len(ok[Users](t)(w.ListUsers(t.Context(), by, ListUsers{})).Users); got != 16 || listed != 16 {
		t.Errorf("%d users counted, %d listed, want 16", got, listed)
	}
}

// FuzzRows: what decodes as a row is one of this version, and encodes to itself.
func FuzzRows(f *testing.F) {
	e := entity{Version: formatOfRows, Account: home, ID: "AIDA", Name: "ann", Path: "/"}
	for _, v := range []any{
		user{entity: e, Keys: []string{"AKIA"}}, group{e}, role{entity: e, Trust: "{}"}, account{Version: 1, ID: home},
		managed{Version: 1, Versions: []policyVersion{{Number: 1, Text: "{}"}}}, accessKey{Version: 1, Sealed: []byte("x")}, epoch{Version: 1, Users: 3},
	} {
		f.Add(encodeRow(v))
	}
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		for _, into := range []interface{ format() int }{&user{}, &group{}, &role{}, &account{}, &managed{}, &accessKey{}, &epoch{}} {
			if err := decodeRow("row", value, into); err != nil {
				if !errors.Is(err, meta.Damaged) {
					t.Errorf("%q: %v", value, err)
				}
				continue
			}
			if into.format() != formatOfRows {
				t.Errorf("%q decodes as version %d", value, into.format())
			}
			once := encodeRow(into)
			if err := decodeRow("row", once, into); err != nil || !bytes.Equal(encodeRow(into), once) {
				t.Errorf("%q is %s and then %s, %v", value, once, encodeRow(into), err)
			}
		}
	})
}
