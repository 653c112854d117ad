// SPDX-License-Identifier: Apache-2.0

package iam_test

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/cofferstore/coffer/internal/config"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

const (
	account = "000000000001"
	row     = "i/root"
)

func configured(id, key string) iam.RootConfig {
	return iam.RootConfig{Account: account, AccessKeyID: id, SecretAccessKey: secret.Copy([]byte(key))}
}

func newStore(t *testing.T) meta.Store {
	t.Helper()
	store := mem.New()
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func mustOpenRoot(t *testing.T, store meta.Store, sealKey secret.Bytes, cfg iam.RootConfig, want iam.RootState) *iam.RootKeys {
	t.Helper()
	keys, state, err := iam.OpenRoot(t.Context(), store, sealKey, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if state != want {
		t.Errorf("the root access key was %s, want %s", state, want)
	}
	return keys
}

func secretOf(t *testing.T, keys *iam.RootKeys) string {
	t.Helper()
	key, _, err := keys.Lookup(t.Context(), keys.AccessKeyID())
	if err != nil {
		t.Fatal(err)
	}
	return string(key.Reveal())
}

func TestFirstStartMakesAnAccessKeyAndLaterOnesKeepIt(t *testing.T) {
	store, sealKey := newStore(t), secret.Random(secret.Size)
	first := mustOpenRoot(t, store, sealKey, iam.RootConfig{Account: account}, iam.RootCreated)
	if id := first.AccessKeyID(); !regexp.MustCompile(`^AKIA[A-Z2-7]{16}$`).MatchString(id) {
		t.Errorf("access key id %q", id)
	}
	if got := secretOf(t, first); !regexp.MustCompile(`^[A-Za-z0-9+/]{40}$`).MatchString(got) {
		t.Errorf("a secret of %d characters, want 40 of base64", len(got))
	}
	second := mustOpenRoot(t, store, sealKey, iam.RootConfig{Account: account}, iam.RootKept)
	if second.AccessKeyID() != first.AccessKeyID() || secretOf(t, second) != secretOf(t, first) {
		t.Error("the second start has another access key")
	}
}

func TestConfiguredPairWins(t *testing.T) {
	store, sealKey := newStore(t), secret.Random(secret.Size)
	steps := []struct {
		cfg   iam.RootConfig
		want  iam.RootState
		id    string
		holds string
	}{
		{configured("alice", "a secret of alice"), iam.RootCreated, "alice", "a secret of alice"},
		{configured("alice", "a secret of alice"), iam.RootKept, "alice", "a secret of alice"},
		{configured("alice", "another secret of alice"), iam.RootChanged, "alice", "another secret of alice"},
		{configured("bob", "another secret of alice"), iam.RootChanged, "bob", "another secret of alice"},
		{iam.RootConfig{Account: account}, iam.RootKept, "bob", "another secret of alice"},
	}
	for i, step := range steps {
		keys := mustOpenRoot(t, store, sealKey, step.cfg, step.want)
		if keys.AccessKeyID() != step.id || secretOf(t, keys) != step.holds {
			t.Errorf("step %d: id %q with another secret than wanted", i, keys.AccessKeyID())
		}
	}
}

func TestLookup(t *testing.T) {
	keys := mustOpenRoot(t, newStore(t), secret.Random(secret.Size), configured("alice", "a secret of alice"), iam.RootCreated)
	_, who, err := keys.Lookup(t.Context(), "alice")
	want := iam.Principal{Type: iam.Root, Account: account, ARN: "arn:aws:iam::000000000001:root", PrincipalID: account, AccessKeyID: "alice"}
	if err != nil || who != want {
		t.Errorf("Lookup = %+v, %v; want %+v", who, err, want)
	}
	for _, unknown := range []string{"", "Alice", "alice "} {
		key, who, err := keys.Lookup(t.Context(), unknown)
		if !errors.Is(err, iam.NoSuchAccessKey) || key.Len() != 0 || who != (iam.Principal{}) {
			t.Errorf("Lookup(%q) = %+v, %v; want NoSuchAccessKey", unknown, who, err)
		}
	}
}

func TestCallersSecretMayBeCleared(t *testing.T) {
	cfg := configured("alice", "a secret of alice")
	keys := mustOpenRoot(t, newStore(t), secret.Random(secret.Size), cfg, iam.RootCreated)
	cfg.SecretAccessKey.Clear()
	if got := secretOf(t, keys); got != "a secret of alice" {
		t.Error("clearing the configuration's secret changed the root's")
	}
}

func TestRefusedConfigurations(t *testing.T) {
	tests := []struct {
		cfg  iam.RootConfig
		says string
	}{
		{configured("alice", "fifteen letters"), "15 characters; it needs at least 16"},
		{configured("alice", ""), "without a secret"},
		{configured("", "a secret of nobody"), "without an access key id"},
		{configured("al/ice", "a secret of alice"), `"al/ice"`},
		{configured("al", "a secret of alice"), `"al"`},
		{iam.RootConfig{Account: "12345"}, "twelve digits"},
	}
	for _, test := range tests {
		store := newStore(t)
		_, _, err := iam.OpenRoot(t.Context(), store, secret.Random(secret.Size), test.cfg)
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("error %v, want one that says %q", err, test.says)
		}
		if n := test.cfg.SecretAccessKey.Len(); err != nil && n > 0 && strings.Contains(err.Error(), string(test.cfg.SecretAccessKey.Reveal())) {
			t.Errorf("error %v shows the secret", err)
		}
		if item, err := meta.Get1(t.Context(), store, []byte(row)); err != nil || item.Ver != 0 {
			t.Errorf("a refused configuration left a row: %v", err)
		}
	}
}

func TestConfigurationDemandsTheSameLength(t *testing.T) {
	t.Setenv("COFFER_ROOT_ACCESS_KEY_ID", "alice")
	for n, ok := range map[int]bool{iam.MinSecret - 1: false, iam.MinSecret: true} {
		t.Setenv("COFFER_ROOT_SECRET_ACCESS_KEY", strings.Repeat("x", n))
		if _, err := config.Load(nil); (err == nil) != ok {
			t.Errorf("a root secret access key of %d characters: %v", n, err)
		}
	}
}

func TestStoredSecretIsSealedAndBoundToItsID(t *testing.T) {
	const key = "a secret of alice"
	store, sealKey := newStore(t), secret.Random(secret.Size)
	mustOpenRoot(t, store, sealKey, configured("alice", key), iam.RootCreated)
	item, err := meta.Get1(t.Context(), store, []byte(row))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(item.Value, []byte(key)) {
		t.Error("the row holds the secret in the clear")
	}

	_, _, err = iam.OpenRoot(t.Context(), store, secret.Random(secret.Size), iam.RootConfig{Account: account})
	if !errors.Is(err, meta.Damaged) {
		t.Errorf("opened under another key: %v, want Damaged", err)
	}
	for _, change := range []struct{ name, old, new string }{
		{"another id", `"alice"`, `"mallory"`},
		{"another version", `"version":1`, `"version":2`},
		{"no JSON", `{`, ``},
	} {
		var b meta.Batch
		b.Put([]byte(row), bytes.Replace(item.Value, []byte(change.old), []byte(change.new), 1))
		if _, err := store.Commit(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if _, _, err := iam.OpenRoot(t.Context(), store, sealKey, iam.RootConfig{Account: account}); !errors.Is(err, meta.Damaged) {
			t.Errorf("row with %s: %v, want Damaged", change.name, err)
		}
	}
	keys := mustOpenRoot(t, store, sealKey, configured("alice", key), iam.RootChanged)
	if got := secretOf(t, keys); got != key {
		t.Error("a configured pair did not replace the damaged row")
	}
}

func TestDataOfAnotherAccountIsRefused(t *testing.T) {
	store, sealKey := newStore(t), secret.Random(secret.Size)
	mustOpenRoot(t, store, sealKey, configured("alice", "a secret of alice"), iam.RootCreated)
	cfg := configured("alice", "a secret of alice")
	cfg.Account = "111122223333"
	if _, _, err := iam.OpenRoot(t.Context(), store, sealKey, cfg); err == nil || !strings.Contains(err.Error(), "belongs to account 000000000001") {
		t.Errorf("opened for another account: %v", err)
	}
}

func TestStartsAtOnceAgreeOnOneKey(t *testing.T) {
	store, sealKey := newStore(t), secret.Random(secret.Size)
	ids := make([]string, 8)
	var starts sync.WaitGroup
	for i := range ids {
		starts.Go(func() {
			keys, _, err := iam.OpenRoot(t.Context(), store, sealKey, iam.RootConfig{Account: account})
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = keys.AccessKeyID()
		})
	}
	starts.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("starts at once have different access keys: %q", ids)
		}
	}
}

func TestNoVerbShowsTheSecret(t *testing.T) {
	keys := mustOpenRoot(t, newStore(t), secret.Random(secret.Size), configured("alice", "a secret of alice"), iam.RootCreated)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if shown := fmt.Sprintf(verb, keys); strings.Contains(shown, "a secret") || strings.Contains(shown, "6120736563726574") {
			t.Errorf("%s shows %s", verb, shown)
		}
	}
}

func TestUnknownKeyNamesItself(t *testing.T) {
	keys := mustOpenRoot(t, newStore(t), secret.Random(secret.Size), configured("alice", "a secret of alice"), iam.RootCreated)
	_, _, err := keys.Lookup(t.Context(), "AKIAEXAMPLE")
	f, ok := fault.As(err)
	if !ok || len(f.Details) != 1 || f.Details[0] != (fault.Detail{Name: "AWSAccessKeyId", Value: "AKIAEXAMPLE"}) {
		t.Errorf("fault %v, want the access key id as its detail", err)
	}
}
