// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

const aliasARNs = "arn:aws:kms:" + region + ":" + home + ":"

func TestAliasMovesToAnotherKey(t *testing.T) {
	n := newNode(t)
	first, second := n.key(), n.key()
	done := must(n.CreateAlias(t.Context(), owner, CreateAlias{"alias/photos", first.Arn}))(t)
	if !slices.Equal(done.Touches(), []string{first.Arn, aliasARNs + "alias/photos"}) {
		t.Errorf("touches %v", done.Touches())
	}
	old := n.encrypt("alias/photos", "old", nil)
	must(n.UpdateAlias(t.Context(), owner, UpdateAlias{"alias/photos", second.KeyId}))(t)
	made := must(n.Encrypt(t.Context(), owner, Encrypt{KeyId: "alias/photos", Plaintext: secret.New([]byte("new"))}))(t)
	if made.KeyId != second.Arn {
		t.Errorf("after the move %s encrypts, want %s", made.KeyId, second.Arn)
	}
	if got := must(n.Decrypt(t.Context(), owner, DecryptCiphertext{CiphertextBlob: old}))(t); got.KeyId != first.Arn {
		t.Errorf("the old ciphertext was opened with %s", got.KeyId)
	}
	_, err := n.Decrypt(t.Context(), owner, DecryptCiphertext{CiphertextBlob: old, KeyId: "alias/photos"})
	refused(t, "old ciphertext by the moved alias", err, IncorrectKey, wrongKey)
	for _, c := range []struct {
		key  KeyMetadata
		want []string
	}{{first, nil}, {second, []string{"alias/photos"}}} {
		var got []string
		for _, a := range must(n.ListAliases(t.Context(), owner, ListAliases{KeyId: c.key.Arn}))(t).Aliases {
			got = append(got, a.AliasName)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("aliases of %s: %v, want %v", c.key.KeyId, got, c.want)
		}
	}
	must(n.UpdateAlias(t.Context(), owner, UpdateAlias{"alias/photos", second.KeyId}))(t) // to where it is
	must(n.DeleteAlias(t.Context(), owner, DeleteAlias{"alias/photos"}))(t)
	_, err = n.DescribeKey(t.Context(), owner, DescribeKey{KeyId: "alias/photos"})
	refused(t, "deleted alias", err, NotFound, "Alias "+aliasARNs+"alias/photos is not found.")
	n.describe(second.KeyId)
}

func TestAliasRules(t *testing.T) {
	n := newNode(t)
	k, dying := n.key(), n.key()
	must(n.CreateAlias(t.Context(), owner, CreateAlias{"alias/taken", k.KeyId}))(t)
	must(n.CreateAlias(t.Context(), stranger, CreateAlias{"alias/theirs", must(n.CreateKey(t.Context(), stranger, CreateKey{}))(t).KeyId}))(t)
	must(n.CreateAlias(t.Context(), owner, CreateAlias{"alias/dying", dying.KeyId}))(t)
	must(n.ScheduleKeyDeletion(t.Context(), owner, ScheduleKeyDeletion{KeyId: dying.KeyId}))(t)
	for name, c := range map[string]struct {
		alias, target string
		kind          fault.Kind
		message       string
	}{
		"no prefix":             {"photos", k.KeyId, Validation, `Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html`},
		"bad character":         {"alias/a b", k.KeyId, Validation, "1 validation error detected: Value 'alias/a b' at 'aliasName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9:/_-]+"},
		"too long":              {"alias/" + strings.Repeat("a", 251), k.KeyId, Validation, ""},
		"absent":                {"", k.KeyId, Validation, "1 validation error detected: Value null at 'aliasName' failed to satisfy constraint: Member must not be null"},
		"reserved":              {"alias/aws/x", k.KeyId, InvalidAliasName, ""},
		"ends in a slash":       {"alias/x/", k.KeyId, InvalidAliasName, ""},
		"taken":                 {"alias/taken", k.KeyId, AlreadyExists, "An alias with the name " + aliasARNs + "alias/taken already exists"},
		"missing key":           {"alias/x", "11111111-2222-3333-4444-555555555555", NotFound, ""},
		"alias as target":       {"alias/x", "alias/taken", NotFound, "Invalid keyId 'alias/taken'"},
		"key pending deletion":  {"alias/x", dying.KeyId, InvalidState, dying.Arn + " is pending deletion."},
		"another account's key": {"alias/x", strings.Replace(k.Arn, home, elsewhere, 1), AccessDenied, ""},
	} {
		_, err := n.CreateAlias(t.Context(), owner, CreateAlias{c.alias, c.target})
		refused(t, "create, "+name, err, c.kind, c.message)
	}
	_, err := n.UpdateAlias(t.Context(), owner, UpdateAlias{"alias/none", k.KeyId})
	refused(t, "update a missing alias", err, NotFound, "Alias "+aliasARNs+"alias/none is not found.")
	_, err = n.UpdateAlias(t.Context(), owner, UpdateAlias{"alias/taken", dying.KeyId})
	refused(t, "move to a key pending deletion", err, InvalidState, dying.Arn+" is pending deletion.")
	must(n.UpdateAlias(t.Context(), owner, UpdateAlias{"alias/dying", k.KeyId}))(t) // away from one is allowed
	_, err = n.DeleteAlias(t.Context(), owner, DeleteAlias{"alias/theirs"})
	refused(t, "delete another account's alias", err, NotFound, "")
	_, err = n.DeleteAlias(t.Context(), alice, DeleteAlias{"alias/taken"})
	refused(t, "delete without permission", err, AccessDenied, "")
}

func TestFiftyAliases(t *testing.T) {
	n := newNode(t)
	k, other := n.key(), n.key()
	for i := range 50 {
		must(n.CreateAlias(t.Context(), owner, CreateAlias{fmt.Sprintf("alias/a%02d", i), k.KeyId}))(t)
	}
	_, err := n.CreateAlias(t.Context(), owner, CreateAlias{"alias/more", k.KeyId})
	refused(t, "the 51st alias", err, LimitExceeded, "")
	must(n.CreateAlias(t.Context(), owner, CreateAlias{"alias/more", other.KeyId}))(t)
	_, err = n.UpdateAlias(t.Context(), owner, UpdateAlias{"alias/more", k.KeyId})
	refused(t, "moving a 51st alias", err, LimitExceeded, "")
	for what, key := range map[string]string{"of the account": "", "of the key": k.Arn} {
		seen, marker := map[string]bool{}, ""
		for {
			list := must(n.ListAliases(t.Context(), owner, ListAliases{KeyId: key, Limit: ptr(20), Marker: marker}))(t)
			for _, a := range list.Aliases {
				seen[a.AliasName] = true
				if a.AliasArn != aliasARNs+a.AliasName || a.CreationDate.IsZero() {
					t.Errorf("entry %+v", a)
				}
			}
			if marker = list.NextMarker; marker == "" {
				break
			}
		}
		want := 51
		if key != "" {
			want = 50
		}
		if len(seen) != want {
			t.Errorf("%d aliases %s, want %d", len(seen), what, want)
		}
	}
}
