// SPDX-License-Identifier: Apache-2.0

package opsapi

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/iam/iamtest"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

func TestAccounts(t *testing.T) {
	s := newStation(t, func(a *API) { a.Accounts = iamtest.New(t, mem.New(), account) })
	ctx := t.Context()
	made, err := s.CreateAccount(ctx, "", "Blue team")
	if err != nil || len(made.ID) != 12 || len(made.SecretAccessKey) != 40 {
		t.Fatalf("%+v, %v", made.Account, err)
	}
	renewed, err := s.RenewRootKey(ctx, made.ID)
	if err != nil || renewed.AccessKeyID == made.AccessKeyID {
		t.Errorf("renewed: %+v, %v", renewed.Account, err)
	}
	controls := []Control{{"all", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`}}
	if err := s.SetControls(ctx, made.ID, controls); err != nil {
		t.Error(err)
	}
	list, err := s.Accounts(ctx)
	if err != nil || len(list) != 2 || list[0].ID == list[1].ID || list[0].Operator == list[1].Operator {
		t.Errorf("accounts %+v, %v", list, err)
	}
	says(t, "no account", s.SetControls(ctx, "999999999999", controls), "NoSuchAccount")
	says(t, "no policy", s.SetControls(ctx, made.ID, []Control{{"x", "{"}}), "MalformedPolicyDocument")
	_, err = s.send(ctx, "POST", "accounts/controls", nil, []byte("{"))
	says(t, "no list", err, "InvalidParameter")
	eve := s.as("AKIAUSER", password)
	_, err = eve.CreateAccount(ctx, "", "x")
	says(t, "a user makes one", err, "AccessDenied", "coffer:CreateAccount")
	_, err = eve.RenewRootKey(ctx, made.ID)
	says(t, "a user takes one over", err, "AccessDenied", "coffer:RenewRootAccessKey")
	_, err = eve.Accounts(ctx)
	says(t, "a user lists", err, "AccessDenied", "coffer:ListAccounts")
	says(t, "a user limits", eve.SetControls(ctx, made.ID, nil), "AccessDenied", "coffer:SetServiceControlPolicies")
	says(t, "a user deletes", eve.DeleteAccount(ctx, made.ID), "AccessDenied", "coffer:DeleteAccount")
	if err := s.DeleteAccount(ctx, made.ID); err != nil {
		t.Error(err)
	}

	// The trail knows who was made, and no secret.
	files, err := filepath.Glob(filepath.Join(s.api.AuditDir, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no trail: %v", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{made.SecretAccessKey, renewed.SecretAccessKey} {
			if strings.Contains(string(text), secret) {
				t.Error("the trail has a secret")
			}
		}
		if !strings.Contains(string(text), made.AccessKeyID) {
			t.Errorf("the trail does not say which access key was made: %s", text)
		}
	}
}
