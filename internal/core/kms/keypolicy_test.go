// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/fault"
)

func statement1(body string) string {
	return `{"Version":"2012-10-17","Statement":[{` + body + `}]}`
}

func TestKeyPolicy(t *testing.T) {
	n := newNode(t)
	var changes []Change
	n.OnChange(func(_ string, c Change) { changes = append(changes, c) })
	k := n.key()
	get := func() string {
		t.Helper()
		return must(n.GetKeyPolicy(t.Context(), owner, GetKeyPolicy{KeyId: k.KeyId}))(t).Policy
	}
	var d struct {
		Statement []struct{ Action, Resource string }
	}
	if err := json.Unmarshal([]byte(get()), &d); err != nil || len(d.Statement) != 1 || d.Statement[0].Action != "kms:*" {
		t.Errorf("default policy %s", get())
	}
	mine := statement1(`"Sid":"a b","Effect":"Allow","Principal":{"AWS":["111122223333"]},"Action":["kms:*"],"Resource":"*"`)
	must(n.PutKeyPolicy(t.Context(), owner, PutKeyPolicy{KeyId: k.KeyId, PolicyName: "default", Policy: mine}))(t)
	if get() != mine {
		t.Errorf("got %s, want the text that was put", get())
	}
	if len(changes) != 1 || changes[0] != PolicyChanged {
		t.Errorf("told of %v", changes)
	}
	_, err := n.GetKeyPolicy(t.Context(), owner, GetKeyPolicy{KeyId: k.KeyId, PolicyName: "other"})
	refused(t, "another name", err, NotFound, "No such policy exists")
	_, err = n.PutKeyPolicy(t.Context(), owner, PutKeyPolicy{KeyId: k.KeyId})
	refused(t, "no policy", err, Validation, "1 validation error detected: Value null at 'policy' failed to satisfy constraint: Member must not be null")
	_, err = n.PutKeyPolicy(t.Context(), owner, PutKeyPolicy{KeyId: k.KeyId, Policy: "{\"Ж\":1}"})
	refused(t, "characters", err, Validation, `1 validation error detected: Value at 'policy' failed to satisfy constraint: Member must satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u00FF]+`)
	_, err = n.PutKeyPolicy(t.Context(), owner, PutKeyPolicy{KeyId: k.KeyId, Policy: strings.Repeat(" ", maxPolicy+1)})
	refused(t, "size", err, LimitExceeded, "")
	names := must(n.ListKeyPolicies(t.Context(), owner, ListKeyPolicies{KeyId: k.KeyId}))(t)
	if len(names.PolicyNames) != 1 || names.PolicyNames[0] != "default" || names.Truncated {
		t.Errorf("policies %+v", names)
	}
	made := must(n.CreateKey(t.Context(), owner, CreateKey{Policy: mine}))(t)
	if got := must(n.GetKeyPolicy(t.Context(), owner, GetKeyPolicy{KeyId: made.KeyId}))(t); got.Policy != mine {
		t.Errorf("the policy given at creation is %s", got.Policy)
	}
}

const allow = `"Effect":"Allow","Principal":"*"`

func TestPolicyGrammar(t *testing.T) {
	for name, text := range map[string]string{
		"not JSON":         `{`,
		"no statement":     `{"Version":"2012-10-17"}`,
		"no principal":     statement1(`"Effect":"Allow","Action":"kms:*","Resource":"*"`),
		"action as word":   statement1(allow + `,"Action":"Decrypt","Resource":"*"`),
		"same Sid twice":   `{"Statement":[{"Sid":"a",` + allow + `},{"Sid":"a",` + allow + `}]}`,
		"unknown operator": statement1(allow + `,"Action":"kms:*","Resource":"*","Condition":{"Same":{"aws:username":"x"}}`),
	} {
		_, err := parsePolicy("", text)
		refused(t, name, err, MalformedPolicy, "")
	}
	_, err := parsePolicy("", statement1(allow+`,"Action":"kms:*","Resource":"*","Condition":{"ForAllValues:StringEquals":{"kms:EncryptionContext:a":"b"}}`))
	if e, ok := fault.As(err); !ok || e.Kind != MalformedPolicy || !strings.HasPrefix(e.Message, "OverlyPermissiveCondition:") {
		t.Errorf("got %v, want OverlyPermissiveCondition", err)
	}
}

const lockout = "The new key policy will not allow you to update the key policy in the future."

func TestPolicyMustNotLockItsAuthorOut(t *testing.T) {
	n := newTown(t)
	admin := n.user(home, "admin", statement1(`"Effect":"Allow","Action":["kms:CreateKey","kms:PutKeyPolicy"],"Resource":"*"`))
	k := n.key()
	for what, c := range map[string]struct {
		policy string
		out    bool
	}{
		"names the caller":             {documentOf(`{"Effect":"Allow","Principal":{"AWS":"` + admin.ARN + `"},"Action":"kms:PutKeyPolicy","Resource":"*"}`), false},
		"leaves it to the account":     {documentOf(delegates), false},
		"names somebody else":          {documentOf(names("Allow", admin.ARN)), true},
		"denies the caller":            {documentOf(delegates, `{"Effect":"Deny","Principal":{"AWS":"`+admin.ARN+`"},"Action":"kms:Put*","Resource":"*"}`), true},
		"delegates under a condition":  {documentOf(strings.Replace(delegates, `"Resource"`, `"Condition":{"StringEquals":{"aws:username":"nobody"}},"Resource"`, 1)), true},
		"of a resource that is not it": {documentOf(strings.Replace(delegates, `"Resource":"*"`, `"Resource":"arn:aws:s3:::x"`, 1)), true},
	} {
		_, err := n.PutKeyPolicy(t.Context(), admin, PutKeyPolicy{KeyId: n.key().KeyId, Policy: c.policy})
		_, created := n.CreateKey(t.Context(), admin, CreateKey{Policy: c.policy})
		if !c.out {
			if err != nil || created != nil {
				t.Errorf("%s: %v, %v", what, err, created)
			}
			continue
		}
		refused(t, what, err, MalformedPolicy, lockout)
		refused(t, what+", at creation", created, MalformedPolicy, lockout)
		must(n.CreateKey(t.Context(), admin, CreateKey{Policy: c.policy, BypassPolicyLockoutSafetyCheck: true}))(t)
	}
	// Waived, it locks out: nobody else is let in by it, not even the root.
	alone := documentOf(names("Allow", admin.ARN))
	must(n.PutKeyPolicy(t.Context(), admin, PutKeyPolicy{KeyId: k.KeyId, Policy: alone, BypassPolicyLockoutSafetyCheck: true}))(t)
	_, err := n.PutKeyPolicy(t.Context(), owner, PutKeyPolicy{KeyId: k.KeyId, Policy: documentOf(delegates)})
	refused(t, "the root", err, AccessDenied, "")
	if err := n.encrypts(admin, k.Arn, nil); err != nil {
		t.Error(err)
	}
}

func TestPolicyNamesWhoThereIs(t *testing.T) {
	n := newTown(t)
	k := n.key()
	for _, arn := range []string{
		"arn:aws:iam::" + home + ":user/nobody", "arn:aws:iam::" + home + ":role/none", "arn:aws:iam::999999999999:user/x",
		"arn:aws:iam::" + home + ":group/g", "999999999999", "arn:aws:iam::999999999999:root", "arn:aws:sts::999999999999:assumed-role/r/s", "arn:aws:iam::" + home + ":user/*",
	} {
		_, err := n.PutKeyPolicy(t.Context(), owner, PutKeyPolicy{KeyId: k.KeyId, Policy: documentOf(delegates, names("Allow", arn))})
		refused(t, arn, err, MalformedPolicy, "Policy contains a statement with one or more invalid principals.")
	}
	if got := must(n.GetKeyPolicy(t.Context(), owner, GetKeyPolicy{KeyId: k.KeyId}))(t).Policy; got != defaultPolicy(home) {
		t.Errorf("the policy is %s", got)
	}
}

// A new policy acts on the next request, also where the old one was in memory.
func TestNewPolicyActsAtOnce(t *testing.T) {
	n := newTown(t)
	user := n.user(home, "user", "")
	k := n.keyWith(delegates, names("Allow", user.ARN))
	check := func() error { return n.ViaS3().Check(t.Context(), user, Decrypt, k.Arn, bucket) }
	for range 20 {
		if err := check(); err != nil {
			t.Fatal(err)
		}
		must(n.PutKeyPolicy(t.Context(), owner, PutKeyPolicy{KeyId: k.KeyId, Policy: documentOf(delegates)}))(t)
		refused(t, "without the statement", check(), AccessDenied, "")
		must(n.PutKeyPolicy(t.Context(), owner, PutKeyPolicy{KeyId: k.KeyId, Policy: documentOf(delegates, names("Allow", user.ARN))}))(t)
	}
	// So does what the account's own policies say.
	n.may(home, "user", mayUse("Deny", k.Arn))
	refused(t, "denied by its own policy", check(), AccessDenied, "")
}
