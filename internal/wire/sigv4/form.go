// SPDX-License-Identifier: Apache-2.0

package sigv4

import (
	"context"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
)

// FormFields: a field of a browser's form that authenticates it is missing or
// malformed. Details ArgumentName and ArgumentValue; the cause is [WrongRegion]
// or [WrongService] when it is one of these.
const FormFields fault.Kind = "sigv4: malformed form authentication"

// PostForm holds the fields of a browser's form that authenticate it, as they
// came; "" for a field that did not.
type PostForm struct {
	Policy, Algorithm, Credential, Date, Signature, SecurityToken string

	V2 bool // it has the signature of version 2
}

func formFault(field, problem string) *fault.Error {
	return fault.New(FormFields, "%s", problem).With("ArgumentName", field)
}

// VerifyForm authenticates a form. What is signed is its policy, in base64 as
// sent; to obey the policy, its expiry included, is for the caller. A form
// without any of the fields, or with a policy that nobody signs, gives a Result of
// method None. The file in the form is not signed.
func (v *Verifier) VerifyForm(ctx context.Context, f PostForm, services ...string) (*Result, error) {
	if f == (PostForm{Policy: f.Policy, SecurityToken: f.SecurityToken}) {
		return anonymous(payload{}), nil
	}
	if f.V2 {
		return nil, unsupportedSignature()
	}
	for _, field := range [...]struct{ name, value string }{
		{"policy", f.Policy}, {"X-Amz-Algorithm", f.Algorithm}, {"X-Amz-Credential", f.Credential},
		{"X-Amz-Date", f.Date}, {"X-Amz-Signature", f.Signature},
	} {
		if field.value == "" {
			return nil, formFault(field.name, "Bucket POST must contain a field named '"+field.name+
				"'.  If it is specified, please check the order of the fields.").With("ArgumentValue", "")
		}
	}
	if f.Algorithm != algorithm {
		return nil, formFault("X-Amz-Algorithm", "Only AWS4-HMAC-SHA256 is supported").With("ArgumentValue", f.Algorithm)
	}
	c := &claim{method: Form, signature: f.Signature, token: f.SecurityToken}
	if err := v.readCredential(c, f.Credential, services); err != nil {
		return nil, err
	}
	at, err := time.Parse(timeLayout, f.Date)
	if err != nil {
		return nil, formFault("X-Amz-Date", "X-Amz-Date must be formated via ISO8601 Long format").With("ArgumentValue", f.Date)
	}
	if !c.setTime(at) {
		return nil, formFault("X-Amz-Date", "X-Amz-Date is not the date of the credential.").With("ArgumentValue", f.Date)
	}
	cred, key, err := v.lookUp(ctx, c)
	if err != nil {
		return nil, err
	}
	if !isHex(key.sign(nil, []byte(f.Policy)), f.Signature) {
		return nil, signatureMismatch(c.accessKey, []byte(f.Policy), f.Signature)
	}
	return c.result(cred.Principal, payload{}, key), nil
}
