// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"errors"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/iam/iamtest"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// town is a node with accounts, in which there are users and roles.
type town struct {
	*node
	iam *iam.Service
}

func newTown(t testing.TB) *town {
	t.Helper()
	n := newNode(t)
	accounts := iamtest.New(t, n.store, home, elsewhere)
	n.policies = accounts
	return &town{n, accounts}
}

// user makes a user of an account, with an inline policy unless that is empty.
func (n *town) user(account, name, policy string) iam.Caller {
	n.t.Helper()
	u := must(n.iam.CreateUser(n.t.Context(), rootOf(account), iam.CreateUser{UserName: name}))(n.t).User
	n.may(account, name, policy)
	c := userOf(account, name)
	c.ARN, c.PrincipalID = u.Arn, u.UserId
	return c
}

// may sets the inline policy of a user.
func (n *town) may(account, name, policy string) {
	n.t.Helper()
	if policy == "" {
		return
	}
	must(n.iam.PutUserPolicy(n.t.Context(), rootOf(account), iam.PutUserPolicy{UserName: name, PolicyName: "p", PolicyDocument: policy}))(n.t)
}

// role makes a role and a session of it.
func (n *town) role(account, name, policy string) (arn string, session iam.Caller) {
	n.t.Helper()
	trust := statement1(`"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"sts:AssumeRole"`)
	r := must(n.iam.CreateRole(n.t.Context(), rootOf(account), iam.CreateRole{RoleName: name, AssumeRolePolicyDocument: trust}))(n.t).Role
	if policy != "" {
		must(n.iam.PutRolePolicy(n.t.Context(), rootOf(account), iam.PutRolePolicy{RoleName: name, PolicyName: "p", PolicyDocument: policy}))(n.t)
	}
	c := rootOf(account)
	c.Type, c.ARN = iam.AssumedRole, "arn:aws:sts::"+account+":assumed-role/"+name+"/s1"
	c.PrincipalID, c.RoleID, c.RoleARN = r.RoleId+":s1", r.RoleId, r.Arn
	c.Session = &iam.Session{Name: "s1"}
	return r.Arn, c
}

// keyWith makes a key with a policy of these statements. The first account's root may
// always put another.
func (n *town) keyWith(statements ...string) KeyMetadata {
	n.t.Helper()
	statements = append(statements, `{"Sid":"admin","Effect":"Allow","Principal":{"AWS":"`+owner.ARN+`"},"Action":["kms:PutKeyPolicy","kms:CreateGrant"],"Resource":"*","Condition":{"StringEquals":{"aws:PrincipalArn":"`+owner.ARN+`"}}}`)
	return must(n.CreateKey(n.t.Context(), owner, CreateKey{Policy: documentOf(statements...)}))(n.t)
}

func documentOf(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

const delegates = `{"Effect":"Allow","Principal":{"AWS":"` + home + `"},"Action":"kms:*","Resource":"*"}`

// names is a statement that allows a principal to use the key.
func names(effect, arn string) string {
	return `{"Effect":"` + effect + `","Principal":{"AWS":"` + arn + `"},"Action":["kms:Encrypt","kms:Decrypt","kms:GenerateDataKey","kms:DescribeKey"],"Resource":"*"}`
}

// mayUse is an identity policy.
func mayUse(effect, resource string) string {
	return statement1(`"Effect":"` + effect + `","Action":["kms:Encrypt","kms:Decrypt"],"Resource":"` + resource + `"`)
}

func (n *town) encrypts(by iam.Caller, arn string, ec Context) error {
	_, err := n.Encrypt(n.t.Context(), by, Encrypt{KeyId: arn, Plaintext: secret.New([]byte("x")), EncryptionContext: ec})
	return err
}

// TestWhoMayUseAKey is the table of how a key's policy, the account's policies and
// grants go together.
func TestWhoMayUseAKey(t *testing.T) {
	n := newTown(t)
	plain := n.user(home, "plain", "")
	allowed := n.user(home, "allowed", mayUse("Allow", "*"))
	refusedByOwn := n.user(home, "refused", mayUse("Deny", "*"))
	roleARN, session := n.role(home, "role", "")
	abroad := n.user(elsewhere, "abroad", mayUse("Allow", "*"))
	poor := n.user(elsewhere, "poor", "")

	for what, c := range map[string]struct {
		statements []string
		by         iam.Caller
		because    string // "" is allowed
	}{
		"named by the key's policy":         {[]string{names("Allow", plain.ARN)}, plain, ""},
		"delegated, and allowed":            {[]string{delegates}, allowed, ""},
		"delegated, and not allowed":        {[]string{delegates}, plain, "because no identity-based policy allows the kms:Encrypt action"},
		"not delegated, and allowed":        {nil, allowed, "because no resource-based policy allows the kms:Encrypt action"},
		"named, and denied by its own":      {[]string{names("Allow", refusedByOwn.ARN)}, refusedByOwn, "with an explicit deny in an identity-based policy"},
		"delegated, and denied by the key":  {[]string{delegates, names("Deny", allowed.ARN)}, allowed, "with an explicit deny in a resource-based policy"},
		"delegated within a condition":      {[]string{strings.Replace(delegates, `"Resource"`, `"Condition":{"StringEquals":{"aws:username":"plain"}},"Resource"`, 1)}, allowed, "because no resource-based policy allows the kms:Encrypt action"},
		"a role's session":                  {[]string{names("Allow", roleARN)}, session, ""},
		"everybody of an account":           {[]string{strings.Replace(names("Allow", "*"), `"Resource"`, `"Condition":{"StringEquals":{"kms:CallerAccount":"`+home+`"}},"Resource"`, 1)}, plain, ""},
		"the root, without a statement":     {nil, owner, "because no resource-based policy allows the kms:Encrypt action"},
		"the root, as any other":            {[]string{delegates}, owner, ""},
		"abroad, by both":                   {[]string{names("Allow", abroad.ARN)}, abroad, ""},
		"abroad, through the account":       {[]string{names("Allow", "arn:aws:iam::"+elsewhere+":root")}, abroad, ""},
		"abroad, without its account":       {[]string{names("Allow", poor.ARN)}, poor, "on this resource"},
		"abroad, without the key":           {[]string{delegates}, abroad, "on this resource"},
		"abroad, by an alias as resource":   {[]string{delegates}, poor, "on this resource"},
		"another account, by everybody":     {[]string{strings.Replace(names("Allow", "*"), `"Resource"`, `"Condition":{"StringEquals":{"kms:CallerAccount":"`+home+`"}},"Resource"`, 1)}, abroad, "on this resource"},
		"nobody":                            {[]string{names("Allow", "*")}, anonymous, "on this resource"},
		"Resource of another key":           {[]string{strings.Replace(delegates, `"Resource":"*"`, `"Resource":"arn:aws:kms:`+region+`:`+home+`:key/00000000-0000-0000-0000-000000000000"`, 1)}, allowed, "because no resource-based policy allows the kms:Encrypt action"},
		"a statement that names no actions": {[]string{`{"Effect":"Allow","Principal":"*","Resource":"*"}`}, plain, "because no resource-based policy allows the kms:Encrypt action"},
	} {
		k := n.keyWith(c.statements...)
		err := n.encrypts(c.by, k.Arn, nil)
		if c.because == "" {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		if !errors.Is(err, AccessDenied) || !strings.Contains(err.Error(), c.because) {
			t.Errorf("%s: %v, want AccessDenied %s", what, err, c.because)
		}
	}
}

// Another account's key and one that is not there are told apart by nothing.
func TestStrangersLearnNothing(t *testing.T) {
	n := newTown(t)
	k := n.keyWith(delegates)
	must(n.CreateAlias(t.Context(), owner, CreateAlias{"alias/x", k.KeyId}))(t)
	blob := n.encrypt(k.KeyId, "x", nil)
	missing := strings.Replace(k.Arn, k.KeyId, "00000000-0000-0000-0000-000000000001", 1)
	rich := n.user(elsewhere, "rich", statement1(`"Effect":"Allow","Action":"kms:*","Resource":"*"`))
	denier := n.user(elsewhere, "denier", statement1(`"Effect":"Deny","Action":"kms:*","Resource":"*"`))
	for _, by := range []iam.Caller{stranger, rich, denier, anonymous} {
		same := func(what string, there, absent error) {
			t.Helper()
			if !errors.Is(there, AccessDenied) || there.Error() != absent.Error() {
				t.Errorf("%s %s:\n%v\n%v", by.ARN, what, there, absent)
			}
		}
		describe := func(name string) error {
			_, err := n.DescribeKey(t.Context(), by, DescribeKey{KeyId: name})
			return err
		}
		disable := func(name string) error { _, err := n.DisableKey(t.Context(), by, KeyOnly{name}); return err }
		grants := func(name string) error {
			_, err := n.RevokeGrant(t.Context(), by, RevokeGrant{KeyId: name, GrantId: strings.Repeat("0", 64)})
			return err
		}
		retires := func(name string) error {
			_, err := n.RetireGrant(t.Context(), by, RetireGrant{KeyId: name, GrantId: strings.Repeat("0", 64)})
			return err
		}
		same("DescribeKey", describe(k.Arn), describe(missing))
		same("DescribeKey by alias", describe(aliasARNs+"alias/x"), describe(aliasARNs+"alias/y"))
		same("DisableKey", disable(k.Arn), disable(missing))
		same("RevokeGrant", grants(k.Arn), grants(missing))
		same("RetireGrant", retires(k.Arn), retires(missing))
		same("use through S3", n.ViaS3().Check(t.Context(), by, Generate, k.Arn, bucket), n.ViaS3().Check(t.Context(), by, Generate, missing, bucket))
		_, err := n.Decrypt(t.Context(), by, DecryptCiphertext{CiphertextBlob: blob})
		same("Decrypt", err, foreign())
	}
	refused(t, "a bare id", n.encrypts(stranger, k.KeyId, nil), NotFound, "")
}

func TestActionsOnOneAccountOnly(t *testing.T) {
	n := newTown(t)
	k := n.keyWith(strings.Replace(delegates, home, elsewhere, 1), delegates)
	if err := n.encrypts(stranger, k.Arn, nil); err != nil {
		t.Fatalf("the other account is allowed everything that it can be: %v", err)
	}
	for name, call := range map[string]func() error{
		"DisableKey":   func() error { _, err := n.DisableKey(t.Context(), stranger, KeyOnly{k.Arn}); return err },
		"GetKeyPolicy": func() error { _, err := n.GetKeyPolicy(t.Context(), stranger, GetKeyPolicy{KeyId: k.Arn}); return err },
		"ListResourceTags": func() error {
			_, err := n.ListResourceTags(t.Context(), stranger, ListResourceTags{KeyId: k.Arn})
			return err
		},
		"GetKeyLastUsage": func() error { _, err := n.GetKeyLastUsage(t.Context(), stranger, KeyOnly{k.Arn}); return err },
		"CreateAlias": func() error {
			_, err := n.CreateAlias(t.Context(), stranger, CreateAlias{"alias/x", k.Arn})
			return err
		},
	} {
		refused(t, name, call(), AccessDenied, "")
	}
	must(n.GetKeyRotationStatus(t.Context(), stranger, KeyOnly{k.Arn}))(t)
	must(n.ListGrants(t.Context(), stranger, ListGrants{KeyId: k.Arn}))(t)
}

// TestConditionKeys tries each condition key of KMS in a key's policy, with the value
// that it should have and with another.
func TestConditionKeys(t *testing.T) {
	n := newTown(t)
	user := n.user(home, "user", "")
	for _, c := range []struct {
		key, operator, value string
		do                   func(k KeyMetadata) error
	}{
		{"kms:CallerAccount", "StringEquals", home, nil},
		{"kms:KeySpec", "StringEquals", "SYMMETRIC_DEFAULT", nil},
		{"kms:KeyUsage", "StringEquals", "ENCRYPT_DECRYPT", nil},
		{"kms:KeyOrigin", "StringEquals", "AWS_KMS", nil},
		{"kms:MultiRegion", "Bool", "false", nil},
		{"kms:EncryptionAlgorithm", "StringEquals", "SYMMETRIC_DEFAULT", nil},
		{"kms:EncryptionContext:dept", "StringEquals", "x", nil},
		{"KMS:encryptioncontext:DEPT", "StringLike", "?", nil},
		{"kms:EncryptionContextKeys", "ForAnyValue:StringEquals", "Dept", nil},
		{"kms:ResourceAliases", "ForAnyValue:StringEquals", "alias/named", nil},
		{"aws:ResourceTag/Team", "StringEquals", "blue", nil},
		{"aws:ViaAWSService", "Bool", "false", nil},
		{"kms:RequestAlias", "StringEquals", "alias/named", func(KeyMetadata) error { return n.encrypts(user, "alias/named", nil) }},
		{"kms:ViaService", "StringEquals", "s3." + region + ".amazonaws.com", func(k KeyMetadata) error {
			return n.ViaS3().Check(t.Context(), user, Generate, k.Arn, bucket)
		}},
		{"kms:EncryptionContext:aws:s3:arn", "ArnLike", "arn:aws:s3:::example-*", func(k KeyMetadata) error {
			return n.ViaS3().Check(t.Context(), user, Decrypt, k.Arn, bucket)
		}},
		{"aws:SourceIp", "IpAddress", "203.0.113.0/24", func(k KeyMetadata) error {
			return n.ViaS3().Check(t.Context(), user, Decrypt, k.Arn, bucket)
		}},
		{"kms:ReEncryptOnSameKey", "Bool", "true", func(k KeyMetadata) error {
			blob := must(n.Encrypt(t.Context(), user, Encrypt{KeyId: k.Arn, Plaintext: secret.New([]byte("x"))}))(t).CiphertextBlob
			_, err := n.ReEncrypt(t.Context(), user, ReEncrypt{CiphertextBlob: blob, DestinationKeyId: k.Arn})
			return err
		}},
		{"kms:RotationPeriodInDays", "NumericLessThanEquals", "100", func(k KeyMetadata) error {
			_, err := n.EnableKeyRotation(t.Context(), user, EnableKeyRotation{KeyId: k.Arn, RotationPeriodInDays: ptr(100)})
			return err
		}},
		{"kms:ScheduleKeyDeletionPendingWindowInDays", "NumericGreaterThan", "9", func(k KeyMetadata) error {
			_, err := n.ScheduleKeyDeletion(t.Context(), user, ScheduleKeyDeletion{KeyId: k.Arn, PendingWindowInDays: ptr(10)})
			return err
		}},
		{"kms:BypassPolicyLockoutSafetyCheck", "Bool", "true", func(k KeyMetadata) error {
			_, err := n.PutKeyPolicy(t.Context(), user, PutKeyPolicy{KeyId: k.Arn, Policy: documentOf(delegates), BypassPolicyLockoutSafetyCheck: true})
			return err
		}},
		{"aws:RequestTag/Team", "StringEquals", "red", func(k KeyMetadata) error {
			_, err := n.TagResource(t.Context(), user, TagResource{k.Arn, []Tag{{"Team", "red"}}})
			return err
		}},
		{"aws:TagKeys", "ForAnyValue:StringEquals", "Team", func(k KeyMetadata) error {
			_, err := n.UntagResource(t.Context(), user, UntagResource{k.Arn, []string{"Team"}})
			return err
		}},
		{"kms:GrantOperations", "ForAnyValue:StringEquals", "Decrypt", grantBy(n, user)},
		{"kms:GranteePrincipal", "StringEquals", user.ARN, grantBy(n, user)},
		{"kms:RetiringPrincipal", "ArnEquals", owner.ARN, grantBy(n, user)},
		{"kms:GrantConstraintType", "StringEquals", "EncryptionContextSubset", grantBy(n, user)},
		{"kms:GrantIsForAWSResource", "Bool", "false", grantBy(n, user)},
		{"kms:EncryptionContext:Dept", "StringEquals", "x", grantBy(n, user)},
	} {
		for _, value := range []string{c.value, "none"} {
			if value == "none" && strings.HasPrefix(c.operator, "Bool") {
				value = map[string]string{"true": "false", "false": "true"}[c.value]
			} else if value == "none" && strings.HasPrefix(c.operator, "Numeric") {
				value = map[string]string{"100": "99", "9": "10"}[c.value]
			} else if value == "none" && c.operator == "IpAddress" {
				value = "198.51.100.0/24"
			}
			rest := ""
			if c.key == "kms:ReEncryptOnSameKey" {
				rest = names("Allow", user.ARN)
			}
			statements := []string{`{"Effect":"Allow","Principal":{"AWS":"` + user.ARN + `"},"Action":"kms:*","Resource":"*","Condition":{"` + c.operator + `":{"` + c.key + `":"` + value + `"}}}`, delegates}
			if rest != "" {
				statements = append(statements, rest)
			}
			k := must(n.CreateKey(t.Context(), owner, CreateKey{Policy: documentOf(statements...), Tags: []Tag{{"Team", "blue"}}}))(t)
			must(n.CreateAlias(t.Context(), owner, CreateAlias{"alias/named", k.KeyId}))(t)
			do := c.do
			if do == nil {
				do = func(k KeyMetadata) error { return n.encrypts(user, k.Arn, Context{"Dept": "x", "other": "y"}) }
			}
			if err := do(k); (err == nil) != (value == c.value) || err != nil && !errors.Is(err, AccessDenied) {
				t.Errorf("%s %s %s: %v", c.key, c.operator, value, err)
			}
			must(n.DeleteAlias(t.Context(), owner, DeleteAlias{"alias/named"}))(t)
		}
	}
}

func grantBy(n *town, by iam.Caller) func(KeyMetadata) error {
	return func(k KeyMetadata) error {
		_, err := n.CreateGrant(n.t.Context(), by, CreateGrant{
			KeyId: k.Arn, GranteePrincipal: by.ARN, RetiringPrincipal: owner.ARN, Operations: []string{"Decrypt"},
			Constraints: &GrantConstraints{EncryptionContextSubset: Context{"Dept": "x"}},
		})
		return err
	}
}

// Aliases need the action on themselves by the account's policies, and on each key.
func TestAliasesNeedBothSides(t *testing.T) {
	n := newTown(t)
	k := n.keyWith(delegates)
	aliasOnly := n.user(home, "aliasonly", statement1(`"Effect":"Allow","Action":"kms:*Alias","Resource":"`+aliasARNs+`alias/*"`))
	keyOnly := n.user(home, "keyonly", statement1(`"Effect":"Allow","Action":"kms:*Alias","Resource":"`+k.Arn+`"`))
	both := n.user(home, "both", statement1(`"Effect":"Allow","Action":"kms:*Alias","Resource":["`+k.Arn+`","`+aliasARNs+`alias/*"]`))
	for _, by := range []iam.Caller{aliasOnly, keyOnly} {
		_, err := n.CreateAlias(t.Context(), by, CreateAlias{"alias/x", k.KeyId})
		refused(t, by.UserName, err, AccessDenied, "")
	}
	must(n.CreateAlias(t.Context(), both, CreateAlias{"alias/x", k.KeyId}))(t)
	for _, by := range []iam.Caller{aliasOnly, keyOnly} {
		_, err := n.DeleteAlias(t.Context(), by, DeleteAlias{"alias/x"})
		refused(t, by.UserName, err, AccessDenied, "")
	}
	must(n.DeleteAlias(t.Context(), both, DeleteAlias{"alias/x"}))(t)
	// An alias as a resource lets nobody use the key behind it.
	user := n.user(home, "user", mayUse("Allow", aliasARNs+"alias/y"))
	must(n.CreateAlias(t.Context(), both, CreateAlias{"alias/y", k.KeyId}))(t)
	refused(t, "use by the alias's ARN", n.encrypts(user, "alias/y", nil), AccessDenied, "")
}

// What uses no key, the account's policies decide alone.
func TestActionsWithoutAKey(t *testing.T) {
	n := newTown(t)
	// A key's policy that allows everybody everything is no help.
	n.keyWith(`{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}`)
	plain := n.user(home, "plain", "")
	user := n.user(home, "user", statement1(`"Effect":"Allow","Action":["kms:CreateKey","kms:ListKeys","kms:ListAliases","kms:GenerateRandom","kms:ListRetirableGrants"],"Resource":"*"`))
	for name, call := range map[string]func(by iam.Caller) error{
		"CreateKey":   func(by iam.Caller) error { _, err := n.CreateKey(t.Context(), by, CreateKey{}); return err },
		"ListKeys":    func(by iam.Caller) error { _, err := n.ListKeys(t.Context(), by, ListKeys{}); return err },
		"ListAliases": func(by iam.Caller) error { _, err := n.ListAliases(t.Context(), by, ListAliases{}); return err },
		"GenerateRandom": func(by iam.Caller) error {
			_, err := n.GenerateRandom(t.Context(), by, GenerateRandom{NumberOfBytes: ptr(8)})
			return err
		},
		"ListRetirableGrants": func(by iam.Caller) error {
			_, err := n.ListRetirableGrants(t.Context(), by, ListRetirableGrants{RetiringPrincipal: owner.ARN})
			return err
		},
	} {
		if err := call(user); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		refused(t, name, call(plain), AccessDenied, "User: "+plain.ARN+" is not authorized to perform: kms:"+name+" on resource: * because no identity-based policy allows the kms:"+name+" action")
	}
	_, err := n.CreateKey(t.Context(), user, CreateKey{Tags: []Tag{{"a", "b"}}})
	refused(t, "tags", err, AccessDenied, "")
}

// What a key's policy denies is not known when it does not parse, so that grants do not
// allow anything either.
func TestGrantsOfAKeyWhosePolicyDoesNotParse(t *testing.T) {
	n := newTown(t)
	k, user := n.key(), n.user(home, "user", "")
	made := n.grant(owner, CreateGrant{KeyId: k.KeyId, GranteePrincipal: user.ARN, Operations: []string{"Encrypt", "RetireGrant"}})
	must(n.change(t.Context(), keyRef{home, k.KeyId}, func(k *key, _ *meta.Batch) error {
		k.Policy = documentOf(names("Deny", user.ARN)) + "}"
		return nil
	}))(t)
	refused(t, "by the grant", n.encrypts(user, k.Arn, nil), AccessDenied, "")
	_, err := n.RetireGrant(t.Context(), user, RetireGrant{KeyId: k.Arn, GrantId: made.GrantId})
	refused(t, "retiring the grant", err, AccessDenied, "")
}

// A letter of Unicode that folds to one of ASCII makes no second value of a pair that
// S3 gives.
func TestFoldedLettersNameNoOtherPair(t *testing.T) {
	n := newTown(t)
	user := n.user(home, "user", "")
	k := n.keyWith(strings.Replace(names("Allow", user.ARN), `"Resource"`, `"Condition":{"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::hers"}},"Resource"`, 1))
	for _, c := range []struct {
		ec      Context
		allowed bool
	}{
		{Context{"aws:s3:arn": "arn:aws:s3:::hers"}, true},
		{Context{"aws:s3:arn": "arn:aws:s3:::his"}, false},
		{Context{"aws:s3:arn": "arn:aws:s3:::his", "aw\u017f:s3:arn": "arn:aws:s3:::hers"}, false},
	} {
		if err := n.ViaS3().Check(t.Context(), user, Generate, k.Arn, c.ec); (err == nil) != c.allowed {
			t.Errorf("%v: %v", c.ec, err)
		}
	}
	tagged := facts{Key: &key{Tags: []Tag{{"\u017ftage", "open"}, {"Stage", "closed"}}}}
	if got, _ := tagged.Values("aws:resourcetag/stage"); len(got) != 1 || got[0] != "closed" {
		t.Errorf("the tag Stage is %q", got)
	}
}

// A request of another account is answered the same whether what it names is there or
// not, also when it brings a grant token.
func TestGrantTokensDoNotTellWhatExists(t *testing.T) {
	n := newTown(t)
	k := n.key()
	must(n.CreateAlias(t.Context(), owner, CreateAlias{AliasName: "alias/there", TargetKeyId: k.KeyId}))(t)
	base := strings.TrimSuffix(k.Arn, "key/"+k.KeyId)
	blob := n.encrypt(k.KeyId, "x", nil)
	for _, tokens := range [][]string{nil, {"x"}, {grantToken(keyRef{home, k.KeyId}, strings.Repeat("0", 64))}} {
		kind := AccessDenied
		if tokens != nil {
			kind = InvalidGrantToken
		}
		for _, name := range []string{"key/" + k.KeyId, "key/00000000-0000-0000-0000-000000000001", "alias/there", "alias/missing"} {
			_, err := n.DescribeKey(t.Context(), stranger, DescribeKey{KeyId: base + name, GrantTokens: tokens})
			refused(t, "describe "+name, err, kind, "")
			_, err = n.Encrypt(t.Context(), stranger, Encrypt{KeyId: base + name, Plaintext: secret.New([]byte("x")), GrantTokens: tokens})
			refused(t, "encrypt with "+name, err, kind, "")
			if strings.HasPrefix(name, "key/") {
				_, err = n.CreateGrant(t.Context(), stranger, CreateGrant{KeyId: base + name, GranteePrincipal: stranger.ARN, Operations: []string{"Decrypt"}, GrantTokens: tokens})
				refused(t, "a grant of "+name, err, kind, "")
			}
		}
		refused(t, "decrypt", n.decrypts(stranger, "", blob, nil, tokens...), kind, "")
	}
	must(n.ScheduleKeyDeletion(t.Context(), owner, ScheduleKeyDeletion{KeyId: k.KeyId}))(t)
	must(n.change(t.Context(), keyRef{home, k.KeyId}, func(k *key, _ *meta.Batch) error { k.Deletion.Date = now(); return nil }))(t)
	if err := n.deleteKey(t.Context(), must(n.rawKey(k))(t)); err != nil {
		t.Fatal(err)
	}
	refused(t, "decrypt under a key that is gone", n.decrypts(stranger, "", blob, nil, "x"), InvalidGrantToken, "")
}
