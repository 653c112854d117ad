// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

func (n *town) grant(by iam.Caller, in CreateGrant) GrantMade {
	n.t.Helper()
	return must(n.CreateGrant(n.t.Context(), by, in))(n.t)
}

func (n *town) decrypts(by iam.Caller, arn string, blob []byte, ec Context, tokens ...string) error {
	_, err := n.Decrypt(n.t.Context(), by, DecryptCiphertext{KeyId: arn, CiphertextBlob: blob, EncryptionContext: ec, GrantTokens: tokens})
	return err
}

func TestGrantLetsItsGranteeUseTheKey(t *testing.T) {
	n := newTown(t)
	k := n.key()
	roleARN, session := n.role(home, "role", "")
	user, other := n.user(home, "user", ""), n.user(home, "other", "")
	abroad := n.user(elsewhere, "abroad", "")
	rich := n.user(elsewhere, "rich", mayUse("Allow", "*"))
	blob := n.encrypt(k.KeyId, "x", nil)

	for what, c := range map[string]struct {
		to      string
		by      iam.Caller
		allowed bool
	}{
		"a user":                              {user.ARN, user, true},
		"another user":                        {user.ARN, other, false},
		"a role":                              {roleARN, session, true},
		"a session":                           {session.ARN, session, true},
		"another session":                     {strings.Replace(session.ARN, "/s1", "/s2", 1), session, false},
		"a user of another account":           {abroad.ARN, abroad, true},
		"an account's root":                   {stranger.ARN, stranger, true},
		"a user of that account":              {stranger.ARN, rich, true},
		"one whom that account does not help": {stranger.ARN, abroad, false},
	} {
		made := n.grant(owner, CreateGrant{KeyId: k.KeyId, GranteePrincipal: c.to, Operations: []string{"Decrypt"}})
		if err := n.decrypts(c.by, k.Arn, blob, nil); (err == nil) != c.allowed {
			t.Errorf("%s: %v", what, err)
		}
		if err := n.encrypts(c.by, k.Arn, nil); err == nil && c.by.PrincipalID != rich.PrincipalID {
			t.Errorf("%s: allowed another operation", what)
		}
		must(n.RevokeGrant(t.Context(), owner, RevokeGrant{KeyId: k.KeyId, GrantId: made.GrantId}))(t)
		if err := n.decrypts(c.by, k.Arn, blob, nil); !errors.Is(err, AccessDenied) {
			t.Errorf("%s: after the grant was revoked: %v", what, err)
		}
	}
	if got := n.row(k).Grants; got != 0 {
		t.Errorf("the key's row counts %d grants", got)
	}
	n.noGrants()
}

// row reads a key's row.
func (n *town) row(k KeyMetadata) *key {
	n.t.Helper()
	return must(n.freshKey(n.t.Context(), keyRef{home, k.KeyId}))(n.t)
}

// noGrants finds no row of any grant.
func (n *town) noGrants() {
	n.t.Helper()
	for _, prefix := range []string{grantRows, grantIDRows, printRows, retiringRows} {
		page := must(n.store.Scan(n.t.Context(), meta.Range{Start: []byte(prefix), End: meta.PrefixEnd([]byte(prefix))}))(n.t)
		for _, item := range page.Items {
			n.t.Errorf("row %s is left", item.Key)
		}
	}
}

func TestDenyBeatsGrants(t *testing.T) {
	n := newTown(t)
	user := n.user(home, "user", "")
	k := n.keyWith(delegates, names("Deny", user.ARN))
	n.grant(owner, CreateGrant{KeyId: k.KeyId, GranteePrincipal: user.ARN, Operations: []string{"Encrypt"}})
	if err := n.encrypts(user, k.Arn, nil); !errors.Is(err, AccessDenied) || !strings.Contains(err.Error(), "explicit deny in a resource-based policy") {
		t.Errorf("denied by the key's policy: %v", err)
	}
	free := n.keyWith(delegates)
	n.grant(owner, CreateGrant{KeyId: free.KeyId, GranteePrincipal: user.ARN, Operations: []string{"Encrypt"}})
	if err := n.encrypts(user, free.Arn, nil); err != nil {
		t.Fatal(err)
	}
	n.may(home, "user", mayUse("Deny", "*"))
	if err := n.encrypts(user, free.Arn, nil); !errors.Is(err, AccessDenied) {
		t.Errorf("denied by its own policy: %v", err)
	}
}

func TestGrantConstraints(t *testing.T) {
	n := newTown(t)
	k := n.key()
	equals, subset := n.user(home, "equals", ""), n.user(home, "subset", "")
	pairs := Context{"dept": "x", "tenant": "1"}
	n.grant(owner, CreateGrant{KeyId: k.KeyId, GranteePrincipal: equals.ARN, Operations: []string{"Encrypt", "DescribeKey"}, Constraints: &GrantConstraints{EncryptionContextEquals: pairs}})
	n.grant(owner, CreateGrant{KeyId: k.KeyId, GranteePrincipal: subset.ARN, Operations: []string{"Encrypt", "DescribeKey"}, Constraints: &GrantConstraints{EncryptionContextSubset: pairs}})
	for _, c := range []struct {
		ec             Context
		equals, subset bool
	}{
		{pairs, true, true},
		{Context{"dept": "x", "tenant": "1", "more": "y"}, false, true},
		{Context{"dept": "x"}, false, false},
		{Context{"dept": "X", "tenant": "1"}, false, false},
		{Context{"Dept": "x", "tenant": "1"}, false, false},
		{nil, false, false},
	} {
		if err := n.encrypts(equals, k.Arn, c.ec); (err == nil) != c.equals {
			t.Errorf("equals, with %v: %v", c.ec, err)
		}
		if err := n.encrypts(subset, k.Arn, c.ec); (err == nil) != c.subset {
			t.Errorf("subset, with %v: %v", c.ec, err)
		}
	}
	must(n.DescribeKey(t.Context(), equals, DescribeKey{KeyId: k.Arn}))(t) // which has no context
}

// Many grants to one principal are told apart by their contexts, and found at once.
func TestGrantsOfOnePrincipal(t *testing.T) {
	n := newTown(t)
	k, user := n.key(), n.user(home, "user", "")
	tenant := func(i int) Context { return Context{"tenant": fmt.Sprint(i)} }
	for i := range 100 {
		n.grant(owner, CreateGrant{KeyId: k.KeyId, GranteePrincipal: user.ARN, Operations: []string{"Encrypt"}, Constraints: &GrantConstraints{EncryptionContextSubset: tenant(i)}})
	}
	for i := range 200 {
		if err := n.encrypts(user, k.Arn, tenant(i)); (err == nil) != (i < 100) {
			t.Errorf("tenant %d: %v", i, err)
		}
	}
	set := must(n.grantsOf(t.Context(), n.row(k), "id/"+user.PrincipalID))(t)
	if len(set.bound) != 100 || len(set.others) != 0 || set.size != 100 {
		t.Errorf("the set has %d contexts, %d others, %d grants", len(set.bound), len(set.others), set.size)
	}
	seen := map[string]bool{}
	for marker := ""; ; {
		page := must(n.ListGrants(t.Context(), owner, ListGrants{KeyId: k.KeyId, Limit: ptr(30), Marker: marker}))(t)
		for _, g := range page.Grants {
			seen[g.GrantId] = true
		}
		if marker = page.NextMarker; marker == "" {
			break
		}
	}
	if len(seen) != 100 {
		t.Errorf("%d grants listed", len(seen))
	}
}

// Grants that are made at the same time do not get into each other's way.
func TestManyGrantsAtOnce(t *testing.T) {
	n := newTown(t)
	k, user := n.key(), n.user(home, "user", "")
	var making sync.WaitGroup
	for i := range 64 {
		making.Go(func() {
			in := CreateGrant{KeyId: k.Arn, GranteePrincipal: user.ARN, Operations: []string{"Encrypt"}, Name: fmt.Sprint("g", i/2)}
			if _, err := n.CreateGrant(t.Context(), owner, in); err != nil {
				t.Error(err)
			}
		})
	}
	making.Wait()
	if got := n.row(k).Grants; got != 32 {
		t.Errorf("%d grants, want one of each name: 32", got)
	}
}

func TestNamedGrantsAreOne(t *testing.T) {
	n := newTown(t)
	k, user := n.key(), n.user(home, "user", "")
	in := CreateGrant{KeyId: k.KeyId, GranteePrincipal: user.ARN, Operations: []string{"Encrypt", "Decrypt"}, Name: "g"}
	first := n.grant(owner, in)
	in.Operations = []string{"Decrypt", "Encrypt", "Decrypt"}
	if again := n.grant(owner, in); again.GrantId != first.GrantId || again.GrantToken == first.GrantToken {
		t.Errorf("again: %+v, first %+v", again, first)
	}
	in.Operations = []string{"Decrypt"}
	if other := n.grant(owner, in); other.GrantId == first.GrantId {
		t.Error("other operations are the same grant")
	}
	in.Name = ""
	if a, b := n.grant(owner, in), n.grant(owner, in); a.GrantId == b.GrantId {
		t.Error("two grants without a name are one")
	}
	if got := n.row(k).Grants; got != 4 {
		t.Errorf("%d grants, want 4", got)
	}
	must(n.RevokeGrant(t.Context(), owner, RevokeGrant{KeyId: k.KeyId, GrantId: first.GrantId}))(t)
	in.Operations, in.Name = []string{"Encrypt", "Decrypt"}, "g"
	if again := n.grant(owner, in); again.GrantId == first.GrantId {
		t.Error("a revoked grant came back")
	}
}

func TestChildGrants(t *testing.T) {
	n := newTown(t)
	user, child := n.user(home, "user", ""), n.user(home, "child", "")
	pairs := Context{"dept": "x"}
	wider := Context{"dept": "x", "more": "y"}
	subset, equals := &GrantConstraints{EncryptionContextSubset: pairs}, &GrantConstraints{EncryptionContextEquals: pairs}
	for what, c := range map[string]struct {
		parent, child *GrantConstraints
		operations    []string
		allowed       bool
	}{
		"some operations":             {nil, nil, []string{"Decrypt"}, true},
		"with constraints":            {nil, subset, []string{"Decrypt", "CreateGrant"}, true},
		"an operation more":           {nil, nil, []string{"Decrypt", "Encrypt"}, false},
		"the same subset":             {subset, subset, []string{"Decrypt"}, true},
		"a stricter subset":           {subset, &GrantConstraints{EncryptionContextSubset: wider}, []string{"Decrypt"}, true},
		"from a subset to equals":     {subset, &GrantConstraints{EncryptionContextEquals: wider}, []string{"Decrypt"}, true},
		"without the constraint":      {subset, nil, []string{"Decrypt"}, false},
		"another context":             {subset, &GrantConstraints{EncryptionContextSubset: Context{"dept": "y"}}, []string{"Decrypt"}, false},
		"the same equals":             {equals, equals, []string{"Decrypt"}, true},
		"from equals to a subset":     {equals, subset, []string{"Decrypt"}, false},
		"other equals":                {equals, &GrantConstraints{EncryptionContextEquals: wider}, []string{"Decrypt"}, false},
		"not allowed to make grants…": {nil, nil, []string{"Decrypt"}, false},
	} {
		k := n.key()
		operations := []string{"Decrypt", "CreateGrant"}
		if strings.HasSuffix(what, "…") {
			operations = operations[:1]
		}
		n.grant(owner, CreateGrant{KeyId: k.KeyId, GranteePrincipal: user.ARN, Operations: operations, Constraints: c.parent})
		_, err := n.CreateGrant(t.Context(), user, CreateGrant{KeyId: k.Arn, GranteePrincipal: child.ARN, Operations: c.operations, Constraints: c.child})
		if (err == nil) != c.allowed || err != nil && !errors.Is(err, AccessDenied) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestWhoMayRetireAGrant(t *testing.T) {
	n := newTown(t)
	grantee, retiring := n.user(home, "grantee", ""), n.user(elsewhere, "retiring", "")
	helper := n.user(home, "helper", statement1(`"Effect":"Allow","Action":"kms:RetireGrant","Resource":"*"`))
	byPolicy, denied := n.user(home, "bypolicy", ""), n.user(elsewhere, "denied", statement1(`"Effect":"Deny","Action":"kms:RetireGrant","Resource":"*"`))
	k := n.keyWith(delegates, `{"Effect":"Allow","Principal":{"AWS":"`+byPolicy.ARN+`"},"Action":"kms:RetireGrant","Resource":"*"}`)
	for what, c := range map[string]struct {
		by         iam.Caller
		retiring   string
		operations []string
		allowed    bool
	}{
		"the retiring principal":        {retiring, retiring.ARN, []string{"Decrypt"}, true},
		"who is denied it":              {denied, denied.ARN, []string{"Decrypt"}, false},
		"the grantee":                   {grantee, "", []string{"Decrypt", "RetireGrant"}, true},
		"the grantee, unless said":      {grantee, "", []string{"Decrypt"}, false},
		"the account that made it":      {owner, "", []string{"Decrypt"}, true},
		"whom that account allows":      {helper, "", []string{"Decrypt"}, true},
		"whom the key's policy allows":  {byPolicy, "", []string{"Decrypt"}, false},
		"the root of another account":   {stranger, retiring.ARN, []string{"Decrypt"}, false},
		"nobody":                        {anonymous, "", []string{"Decrypt"}, false},
		"another of the grantee's kind": {retiring, grantee.ARN, []string{"Decrypt"}, false},
	} {
		for _, byToken := range []bool{true, false} {
			made := n.grant(owner, CreateGrant{KeyId: k.KeyId, GranteePrincipal: grantee.ARN, RetiringPrincipal: c.retiring, Operations: c.operations})
			in := RetireGrant{KeyId: k.Arn, GrantId: made.GrantId}
			if byToken {
				in = RetireGrant{GrantToken: made.GrantToken}
			}
			in.DryRun = true
			_, err := n.RetireGrant(t.Context(), c.by, in)
			if c.allowed {
				refused(t, what+", on trial", err, DryRun, "")
			}
			in.DryRun = false
			if _, err := n.RetireGrant(t.Context(), c.by, in); (err == nil) != c.allowed || err != nil && !errors.Is(err, AccessDenied) {
				t.Errorf("%s: %v", what, err)
			}
			_, err = n.RevokeGrant(t.Context(), owner, RevokeGrant{KeyId: k.KeyId, GrantId: made.GrantId})
			if (err == nil) == c.allowed {
				t.Errorf("%s: revoked after: %v", what, err)
			}
		}
	}
	n.noGrants()
}

func TestListRetirableGrants(t *testing.T) {
	n := newTown(t)
	user, retiring := n.user(home, "user", ""), n.user(elsewhere, "retiring", "")
	for range 3 {
		k := n.key()
		n.grant(owner, CreateGrant{KeyId: k.KeyId, GranteePrincipal: user.ARN, RetiringPrincipal: retiring.ARN, Operations: []string{"Decrypt"}})
		n.grant(owner, CreateGrant{KeyId: k.KeyId, GranteePrincipal: user.ARN, Operations: []string{"Decrypt"}})
	}
	first := must(n.ListRetirableGrants(t.Context(), stranger, ListRetirableGrants{RetiringPrincipal: retiring.ARN, Limit: ptr(2)}))(t)
	rest := must(n.ListRetirableGrants(t.Context(), stranger, ListRetirableGrants{RetiringPrincipal: retiring.ARN, Marker: first.NextMarker}))(t)
	if len(first.Grants) != 2 || len(rest.Grants) != 1 || rest.Truncated || first.Grants[0].RetiringPrincipal != retiring.ARN {
		t.Errorf("pages %+v and %+v", first, rest)
	}
	_, err := n.ListRetirableGrants(t.Context(), owner, ListRetirableGrants{RetiringPrincipal: retiring.ARN})
	refused(t, "a principal of another account", err, InvalidArn, "")
	_, err = n.ListRetirableGrants(t.Context(), retiring, ListRetirableGrants{RetiringPrincipal: retiring.ARN})
	refused(t, "without permission", err, AccessDenied, "")
}

func TestGrantTokens(t *testing.T) {
	n := newTown(t)
	k, user := n.key(), n.user(home, "user", "")
	blob := n.encrypt(k.KeyId, "x", nil)
	made := n.grant(owner, CreateGrant{KeyId: k.KeyId, GranteePrincipal: user.ARN, Operations: []string{"Decrypt"}})
	if err := n.decrypts(user, k.Arn, blob, nil, made.GrantToken); err != nil {
		t.Error(err)
	}
	refused(t, "a token lets nobody else", n.decrypts(n.user(home, "other", ""), k.Arn, blob, nil, made.GrantToken), AccessDenied, "")
	mangled := []byte(made.GrantToken)
	mangled[20]++
	for what, token := range map[string]string{"mangled": string(mangled), "words": "x", "not base64": "ä"} {
		refused(t, what, n.decrypts(owner, k.Arn, blob, nil, token), InvalidGrantToken, "")
		_, err := n.RetireGrant(t.Context(), owner, RetireGrant{GrantToken: token})
		refused(t, what, err, InvalidGrantToken, "")
	}
	must(n.RetireGrant(t.Context(), owner, RetireGrant{GrantToken: made.GrantToken}))(t)
	refused(t, "a token of a grant that is gone", n.decrypts(owner, k.Arn, blob, nil, made.GrantToken), InvalidGrantToken, "")

	// On another node the grant acts at once with its token, and soon without.
	far := nodeOver(t, n.store, nil)
	far.policies, far.materials = n.iam, n.materials
	if _, err := far.DescribeKey(t.Context(), owner, DescribeKey{KeyId: k.KeyId}); err != nil {
		t.Fatal(err)
	}
	if err := far.ViaS3().Check(t.Context(), user, Decrypt, k.Arn, bucket); !errors.Is(err, AccessDenied) {
		t.Fatal(err)
	}
	made = n.grant(owner, CreateGrant{KeyId: k.KeyId, GranteePrincipal: user.ARN, Operations: []string{"Decrypt"}})
	if _, err := far.Decrypt(t.Context(), user, DecryptCiphertext{KeyId: k.Arn, CiphertextBlob: blob, GrantTokens: []string{made.GrantToken}}); err != nil {
		t.Errorf("on another node, with the token: %v", err)
	}
}

func TestRefusedGrants(t *testing.T) {
	n := newTown(t)
	user, k := n.user(home, "user", ""), n.key()
	good := func() CreateGrant {
		return CreateGrant{KeyId: k.KeyId, GranteePrincipal: user.ARN, Operations: []string{"Decrypt"}}
	}
	many := Context{}
	for i := range 9 {
		many[fmt.Sprint(i)] = "x"
	}
	for what, c := range map[string]struct {
		change func(in *CreateGrant)
		kind   fault.Kind
	}{
		"no grantee":           {func(in *CreateGrant) { in.GranteePrincipal = "" }, Validation},
		"no operations":        {func(in *CreateGrant) { in.Operations = nil }, Validation},
		"an unknown operation": {func(in *CreateGrant) { in.Operations = []string{"DisableKey"} }, Validation},
		"of another usage":     {func(in *CreateGrant) { in.Operations = []string{"Sign"} }, Validation},
		"an unknown user":      {func(in *CreateGrant) { in.GranteePrincipal += "x" }, InvalidArn},
		"an unknown account":   {func(in *CreateGrant) { in.GranteePrincipal = "arn:aws:iam::999999999999:user/x" }, InvalidArn},
		"an unknown root":      {func(in *CreateGrant) { in.GranteePrincipal = "arn:aws:iam::999999999999:root" }, InvalidArn},
		"a group":              {func(in *CreateGrant) { in.GranteePrincipal = "arn:aws:iam::" + home + ":group/x" }, InvalidArn},
		"everybody":            {func(in *CreateGrant) { in.GranteePrincipal = "*" }, Validation},
		"an unknown retirer":   {func(in *CreateGrant) { in.RetiringPrincipal = user.ARN + "x" }, InvalidArn},
		"a name with a space":  {func(in *CreateGrant) { in.Name = "a b" }, Validation},
		"both constraints":     {func(in *CreateGrant) { in.Constraints = &GrantConstraints{Context{"a": "b"}, Context{"a": "b"}} }, Validation},
		"nine pairs":           {func(in *CreateGrant) { in.Constraints = &GrantConstraints{EncryptionContextSubset: many} }, Validation},
		"a long value": {func(in *CreateGrant) {
			in.Constraints = &GrantConstraints{EncryptionContextSubset: Context{"a": strings.Repeat("x", 385)}}
		}, Validation},
		"an alias for the key":  {func(in *CreateGrant) { in.KeyId = "alias/x" }, NotFound},
		"a key that is missing": {func(in *CreateGrant) { in.KeyId = "00000000-0000-0000-0000-000000000001" }, NotFound},
		"a trial":               {func(in *CreateGrant) { in.DryRun = true }, DryRun},
		"a wrong token":         {func(in *CreateGrant) { in.GrantTokens = []string{"x"} }, InvalidGrantToken},
	} {
		in := good()
		c.change(&in)
		_, err := n.CreateGrant(t.Context(), owner, in)
		refused(t, what, err, c.kind, "")
	}
	n.noGrants()
	must(n.DisableKey(t.Context(), owner, KeyOnly{k.KeyId}))(t)
	_, err := n.CreateGrant(t.Context(), owner, good())
	refused(t, "a disabled key", err, Disabled, "")

	full := n.key()
	must(n.change(t.Context(), keyRef{home, full.KeyId}, func(k *key, _ *meta.Batch) error { k.Grants = maxGrants; return nil }))(t)
	in := good()
	in.KeyId = full.KeyId
	_, err = n.CreateGrant(t.Context(), owner, in)
	refused(t, "one too many", err, LimitExceeded, "")
	arn, _, err := n.s3KeyOf(owner)
	if err != nil {
		t.Fatal(err)
	}
	in.KeyId = arn
	_, err = n.CreateGrant(t.Context(), owner, in)
	refused(t, "the managed key", err, AccessDenied, "")
}

func (n *town) s3KeyOf(by iam.Caller) (string, keyRef, error) {
	arn, err := n.ViaS3().Resolve(n.t.Context(), by, "")
	return arn, keyRef{}, err
}

// A user who is made again under the old name is another one.
func TestGrantsAndPoliciesAreOfTheUserNotTheName(t *testing.T) {
	n := newTown(t)
	user := n.user(home, "user", "")
	k := n.keyWith(delegates, names("Allow", user.ARN))
	granted := n.key()
	n.grant(owner, CreateGrant{KeyId: granted.KeyId, GranteePrincipal: user.ARN, Operations: []string{"Encrypt"}})
	if err := errors.Join(n.encrypts(user, k.Arn, nil), n.encrypts(user, granted.Arn, nil)); err != nil {
		t.Fatal(err)
	}
	must(n.iam.DeleteUser(t.Context(), owner, iam.DeleteUser{UserName: "user"}))(t)
	again := n.user(home, "user", "")
	if again.ARN != user.ARN || again.PrincipalID == user.PrincipalID {
		t.Fatalf("made again: %+v", again.Principal)
	}
	for _, by := range []iam.Caller{user, again} {
		refused(t, "by the policy", n.encrypts(by, k.Arn, nil), AccessDenied, "")
		refused(t, "by the grant", n.encrypts(by, granted.Arn, nil), AccessDenied, "")
	}
	if text := must(n.GetKeyPolicy(t.Context(), rootOf(home), GetKeyPolicy{KeyId: k.KeyId}))(t).Policy; !strings.Contains(text, `"`+user.PrincipalID+`"`) || strings.Contains(text, user.ARN) {
		t.Errorf("the policy reads %s", text)
	}
	if g := must(n.ListGrants(t.Context(), owner, ListGrants{KeyId: granted.KeyId}))(t).Grants[0]; g.GranteePrincipal != user.PrincipalID {
		t.Errorf("the grant is to %s", g.GranteePrincipal)
	}
}

// A session of a role that is made again under the old name is another one, as for
// policies.
func TestGrantsToSessionsAreOfTheRoleNotTheName(t *testing.T) {
	n := newTown(t)
	_, session := n.role(home, "role", "")
	k := n.key()
	n.grant(owner, CreateGrant{KeyId: k.KeyId, GranteePrincipal: session.ARN, RetiringPrincipal: session.ARN, Operations: []string{"Encrypt"}})
	if err := n.encrypts(session, k.Arn, nil); err != nil {
		t.Fatal(err)
	}
	list := func() GrantListEntry {
		return must(n.ListGrants(t.Context(), owner, ListGrants{KeyId: k.KeyId}))(t).Grants[0]
	}
	if g := list(); g.GranteePrincipal != session.ARN {
		t.Errorf("the grant is to %s", g.GranteePrincipal)
	}
	must(n.iam.DeleteRole(t.Context(), owner, iam.DeleteRole{RoleName: "role"}))(t)
	_, again := n.role(home, "role", "")
	if again.ARN != session.ARN || again.RoleID == session.RoleID {
		t.Fatalf("made again: %+v", again.Principal)
	}
	refused(t, "by the grant", n.encrypts(again, k.Arn, nil), AccessDenied, "")
	g := list()
	if g.GranteePrincipal != session.PrincipalID || g.RetiringPrincipal != session.PrincipalID {
		t.Errorf("the grant is to %s, and %s retires it", g.GranteePrincipal, g.RetiringPrincipal)
	}
	_, err := n.RetireGrant(t.Context(), again, RetireGrant{KeyId: k.Arn, GrantId: g.GrantId})
	refused(t, "retiring the grant", err, AccessDenied, "")
}

// A grant to a role is for its sessions as far as their session policies go, as the
// key's policy that names the role is; one to the session itself is not limited.
func TestGrantsToARoleAreLimitedBySessionPolicies(t *testing.T) {
	n := newTown(t)
	for what, account := range map[string]string{"at home": home, "abroad": elsewhere} {
		roleARN, session := n.role(account, "role", "")
		k := n.key()
		toRole := n.grant(owner, CreateGrant{KeyId: k.KeyId, GranteePrincipal: roleARN, Operations: []string{"Encrypt", "RetireGrant"}})
		narrowed := func(policy string) iam.Caller {
			by := session
			by.Session = &iam.Session{Name: "s1", Narrowed: true, Policies: []string{policy}}
			by.Scope = sha256.Sum256([]byte(policy))
			return by
		}
		within := narrowed(statement1(`"Effect":"Allow","Action":"kms:*","Resource":"*"`))
		without := narrowed(statement1(`"Effect":"Allow","Action":"s3:GetObject","Resource":"*"`))
		for _, by := range []iam.Caller{session, within} {
			if err := n.encrypts(by, k.Arn, nil); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		refused(t, what, n.encrypts(without, k.Arn, nil), AccessDenied, "")
		_, err := n.Encrypt(t.Context(), without, Encrypt{KeyId: k.Arn, Plaintext: secret.New([]byte("x")), GrantTokens: []string{toRole.GrantToken}})
		refused(t, what+", with the token", err, AccessDenied, "")
		_, err = n.RetireGrant(t.Context(), without, RetireGrant{GrantToken: toRole.GrantToken})
		refused(t, what+", retiring it", err, AccessDenied, "")
		n.grant(owner, CreateGrant{KeyId: k.KeyId, GranteePrincipal: session.ARN, Operations: []string{"Encrypt"}})
		if err := n.encrypts(without, k.Arn, nil); err != nil {
			t.Errorf("%s, to the session itself: %v", what, err)
		}
		must(n.RetireGrant(t.Context(), within, RetireGrant{GrantToken: toRole.GrantToken}))(t)
	}
}

// Who may make no grants learns nothing of the principals of others.
func TestRefusedGrantsDoNotTellWhoExists(t *testing.T) {
	n := newTown(t)
	k, user, abroad := n.key(), n.user(home, "user", ""), n.user(elsewhere, "abroad", "")
	for _, arn := range []string{abroad.ARN, abroad.ARN + "x"} {
		for _, in := range []CreateGrant{{GranteePrincipal: arn}, {GranteePrincipal: user.ARN, RetiringPrincipal: arn}} {
			in.KeyId, in.Operations = k.KeyId, []string{"Decrypt"}
			_, err := n.CreateGrant(t.Context(), user, in)
			refused(t, "a grant to "+arn, err, AccessDenied, "")
		}
	}
}

func TestGrantsGoWithTheKey(t *testing.T) {
	n := newTown(t)
	k, user := n.key(), n.user(home, "user", "")
	for i := range 5 {
		n.grant(owner, CreateGrant{KeyId: k.KeyId, GranteePrincipal: user.ARN, RetiringPrincipal: user.ARN, Operations: []string{"Decrypt"}, Name: fmt.Sprint(i)})
	}
	must(n.ScheduleKeyDeletion(t.Context(), owner, ScheduleKeyDeletion{KeyId: k.KeyId}))(t)
	must(n.change(t.Context(), keyRef{home, k.KeyId}, func(k *key, _ *meta.Batch) error { k.Deletion.Date = now(); return nil }))(t)
	if err := n.deleteKey(t.Context(), must(n.rawKey(k))(t)); err != nil {
		t.Fatal(err)
	}
	n.noGrants()
}

func (n *town) rawKey(k KeyMetadata) (*key, error) {
	item, err := meta.Get1(n.t.Context(), n.store, []byte(keyRef{home, k.KeyId}.row()))
	if err != nil {
		return nil, err
	}
	return decodeKey(item.Value, item.Ver)
}

// Revoking acts on the next request, whatever others do with the key meanwhile.
func TestRevokedGrantIsRefusedUnderLoad(t *testing.T) {
	n := newTown(t)
	k, user := n.key(), n.user(home, "user", "")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var others sync.WaitGroup
	for range 4 {
		others.Go(func() {
			for ctx.Err() == nil {
				_ = n.ViaS3().Check(ctx, user, Generate, k.Arn, bucket)
			}
		})
	}
	for range 50 {
		made := n.grant(owner, CreateGrant{KeyId: k.KeyId, GranteePrincipal: user.ARN, Operations: []string{"GenerateDataKey"}, Constraints: &GrantConstraints{EncryptionContextSubset: bucket}})
		if err := n.ViaS3().Check(t.Context(), user, Generate, k.Arn, bucket); err != nil {
			t.Fatalf("a grant does not act: %v", err)
		}
		must(n.RevokeGrant(t.Context(), owner, RevokeGrant{KeyId: k.KeyId, GrantId: made.GrantId}))(t)
		if err := n.ViaS3().Check(t.Context(), user, Generate, k.Arn, bucket); !errors.Is(err, AccessDenied) {
			t.Fatalf("a revoked grant acts: %v", err)
		}
	}
	stop()
	others.Wait()
}

// Memory for grants has a bound.
func TestGrantsInMemoryAreBounded(t *testing.T) {
	v := newView(nil, 1)
	grants := make([]*grant, maxHeld/4)
	for i := range grants {
		grants[i] = &grant{Operations: []string{"Decrypt"}}
	}
	for i := range 20 {
		v.keepGrants(fmt.Sprint("k/k/", i%7), fmt.Sprint("id/", i), newGrantSet(grants), 0)
		held := 0
		for _, sets := range v.held {
			for _, s := range sets {
				held += 1 + s.size
			}
		}
		if held != v.grown || held > maxHeld {
			t.Fatalf("%d held, counted as %d", held, v.grown)
		}
	}
}

func FuzzGrantToken(f *testing.F) {
	f.Add(grantToken(keyRef{home, "00000000-0000-0000-0000-000000000001"}, strings.Repeat("0", 64)))
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		ref, id, err := parseGrantToken(token)
		if err != nil {
			return
		}
		again, sameID, err := parseGrantToken(grantToken(ref, id))
		if err != nil || again != ref || sameID != id {
			t.Errorf("%q is of %v %s, and written again of %v %s: %v", token, ref, id, again, sameID, err)
		}
	})
}
