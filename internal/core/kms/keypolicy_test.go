// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"encoding/json"
	"slices"
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
	if err := json.Unmarshal([]byte(get()), &d); err != nil || len(d.Statement) != 1 || d.Statement[0].Action != "kms:*" || checkPolicy(get()) != nil {
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
		"one statement, not in a list": `{"Statement":{` + allow + `,"Action":"kms:*","Resource":"*"}}`,
		"no action":                    statement1(allow + `,"Resource":"*"`),
		"no resource":                  statement1(allow + `,"Action":"kms:Decrypt"`),
		"condition":                    statement1(allow + `,"Action":"kms:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":true},"StringLike":{"kms:ViaService":["s3.*"]}}`),
		"not principal":                statement1(`"Effect":"Deny","NotPrincipal":{"AWS":"1"},"NotAction":"kms:*","Resource":"arn:aws:kms:x:1:key/1"`),
		"service":                      statement1(`"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"*","Resource":"*"`),
	} {
		if err := checkPolicy(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"not JSON":            `{`,
		"two values":          `{} {}`,
		"a list":              `[]`,
		"null":                `null`,
		"unknown version":     `{"Version":"2020-01-01","Statement":[{` + allow + `}]}`,
		"no statement":        `{"Version":"2012-10-17"}`,
		"empty statements":    `{"Statement":[]}`,
		"null statement":      `{"Statement":[null]}`,
		"unknown element":     statement1(allow + `,"Foo":1`),
		"no effect":           statement1(`"Principal":"*","Action":"kms:*","Resource":"*"`),
		"other effect":        statement1(`"Effect":"allow","Principal":"*"`),
		"no principal":        statement1(`"Effect":"Allow","Action":"kms:*","Resource":"*"`),
		"two principals":      statement1(allow + `,"NotPrincipal":"*"`),
		"group":               statement1(`"Effect":"Allow","Principal":{"Group":"x"}`),
		"principal as number": statement1(`"Effect":"Allow","Principal":1`),
		"action as number":    statement1(allow + `,"Action":1`),
		"action as word":      statement1(allow + `,"Action":"Decrypt"`),
		"no actions":          statement1(allow + `,"Action":[]`),
		"both actions":        statement1(allow + `,"Action":"kms:*","NotAction":"kms:*"`),
		"resource as word":    statement1(allow + `,"Resource":"key"`),
		"condition as list":   statement1(allow + `,"Condition":["x"]`),
		"condition nested":    statement1(allow + `,"Condition":{"Bool":{"a":{}}}`),
		"same Sid twice":      `{"Statement":[{"Sid":"a",` + allow + `},{"Sid":"a",` + allow + `}]}`,
	} {
		refused(t, name, checkPolicy(text), MalformedPolicy, "")
	}
	err := checkPolicy(statement1(allow + `,"Condition":{"ForAllValues:StringEquals":{"kms:EncryptionContext:a":"b"}}`))
	if e, ok := fault.As(err); !ok || !strings.HasPrefix(e.Message, "OverlyPermissiveCondition:") {
		t.Errorf("got %v, want OverlyPermissiveCondition", err)
	}
}

// FuzzCheckPolicy: of a policy that is taken another reader, too, finds that each
// statement says what it does and to whom.
func FuzzCheckPolicy(f *testing.F) {
	f.Add(defaultPolicy(home))
	f.Add(managedPolicy(region, home))
	f.Add(statement1(allow))
	f.Add(`{"Statement":{"effect":"Allow","NOTPRINCIPAL":"*"}}`)
	f.Add(`{"Statement":[{"Effect":"Allow","Principal":{"AWS":[]}},null]}`)
	f.Add(`{"Statement":[{"Effect":"Allow","Action":"kms:*"}]}`)
	f.Add(`{"Statement":[{"Effect":"Refuse","Principal":"*"}]}`)
	f.Add(`{"Statement":[]}`)
	f.Fuzz(func(t *testing.T, text string) {
		if checkPolicy(text) != nil {
			return
		}
		var document map[string]any
		if err := json.Unmarshal([]byte(text), &document); err != nil || len(text) > maxPolicy {
			t.Fatalf("%q is no policy, and was taken: %v", text, err)
		}
		var statements []any
		for _, v := range under(document, "Statement") {
			if many, ok := v.([]any); ok {
				statements = append(statements, many...)
			} else {
				statements = append(statements, v)
			}
		}
		if len(statements) == 0 {
			t.Errorf("%q without a statement was taken", text)
		}
		for _, s := range statements {
			members, _ := s.(map[string]any)
			effect := under(members, "Effect")
			if !slices.Contains(effect, any("Allow")) && !slices.Contains(effect, any("Deny")) {
				t.Errorf("%q: the effect %q was taken", text, effect)
			}
			if len(under(members, "Principal"))+len(under(members, "NotPrincipal")) == 0 {
				t.Errorf("%q: a statement about nobody was taken", text)
			}
		}
	})
}

// under returns the members of that name, in whatever case it is written.
func under(members map[string]any, name string) (found []any) {
	for k, v := range members {
		if strings.EqualFold(k, name) {
			found = append(found, v)
		}
	}
	return found
}
