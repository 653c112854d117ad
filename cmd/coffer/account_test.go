// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/iam/iamtest"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
)

func TestAccount(t *testing.T) {
	operated(t, &opsapi.API{Accounts: iamtest.New(t, mem.New(), "111122223333")})
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	all := file("all.json", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	long := file("long.json", strings.Repeat(" ", maxControlFile+1))
	const id = "444455556666"

	var made opsapi.NewAccount
	exit, stdout, stderr := command(t, "account", "create", "Blue team", "--id", id, "--json")
	if err := json.Unmarshal([]byte(stdout), &made); exit != 0 || err != nil || made.ID != id || made.Name != "Blue team" || len(made.SecretAccessKey) != 40 || made.AccessKeyID != made.AccessKeyIDs[0] {
		t.Errorf("%d %s %s", exit, stdout, stderr)
	}
	for _, c := range []struct {
		args           string // between bars
		exit           int
		stdout, stderr string // pieces
	}{
		{"create|Red", 0, "(Red)\nexport AWS_ACCESS_KEY_ID=AKIA", ""},
		{"create|Red|--id|" + id, 1, "", "AccountExists: There is, or was, an account " + id + " already"},
		{"create|Red|--id|12", 1, "", "twelve digits"},
		{"create", 1, "", "it takes NAME"},
		{"list", 0, id + "  Blue team  ", ""},
		{"list", 0, "the server's own account", ""},
		{"scp|" + id + "|" + all, 0, "account " + id + " has 1 service control policy\n", ""},
		{"list|--json", 0, "\"serviceControlPolicies\": [\n      \"all\"\n    ]", ""},
		{"scp|" + id + "|--clear", 0, "has no service control policies", ""},
		{"scp|" + id, 1, "", "--clear"},
		{"scp|" + id + "|" + all + "|--clear", 1, "", "--clear"},
		{"scp|" + id + "|" + long, 1, "", "is longer than"},
		{"scp|" + id + "|" + filepath.Join(dir, "none"), 1, "", "no such file"},
		{"scp|" + id + "|" + file("bad.json", "{"), 1, "", "MalformedPolicyDocument"},
		{"scp|111122223333|" + all, 1, "", "cannot limit it"},
		{"rekey|" + id, 0, "export AWS_SECRET_ACCESS_KEY=", ""},
		{"rekey|111122223333", 1, "", "where the server is configured"},
		{"delete|111122223333", 1, "", "cannot be deleted"},
		{"delete|" + id, 0, "account " + id + " is deleted\n", ""},
		{"delete|" + id, 1, "", "NoSuchAccount"},
	} {
		args := append([]string{"account"}, strings.Split(c.args, "|")...)
		if exit, stdout, stderr := command(t, args...); exit != c.exit || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
			t.Errorf("%s: %d %q %q", c.args, exit, stdout, stderr)
		}
	}
}
