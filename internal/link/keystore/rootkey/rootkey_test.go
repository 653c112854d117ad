// SPDX-License-Identifier: Apache-2.0

package rootkey

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

var phrase = secret.New([]byte("correct horse battery"))

func byFile() SlotOptions { return SlotOptions{Type: File} }

func byPhrase() SlotOptions {
	return SlotOptions{Type: Passphrase, Passphrase: phrase, Iterations: MinIterations}
}

func mustCreate(t *testing.T, dir string, slots ...SlotOptions) *Root {
	t.Helper()
	r, err := Create(dir, slots...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func same(a, b *Root) bool {
	return a.InstallationID() == b.InstallationID() && a.Version() == b.Version() &&
		a.Derive(KMSMaterial, []byte("x"), 32).Equal(b.Derive(KMSMaterial, []byte("x"), 32))
}

func TestEverySlotOpensTheSameRoot(t *testing.T) {
	dir := t.TempDir()
	made := mustCreate(t, dir, byFile(), byPhrase())
	for name, with := range map[string]Unlock{"file": {}, "passphrase": {Passphrase: phrase}} {
		opened, err := Open(dir, with)
		if err != nil {
			t.Errorf("by %s: %v", name, err)
		} else if !same(made, opened) {
			t.Errorf("by %s: another root key", name)
		}
	}
	for _, file := range []string{"root.key", describedIn} {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v; want 0600", file, info.Mode(), err)
		}
	}
	left, _ := os.ReadDir(dir)
	if len(left) != 2 {
		t.Errorf("%d files in the directory, want root.key and root.json alone", len(left))
	}
}

func TestOpenRefuses(t *testing.T) {
	edit := func(f func(d *description)) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			d, err := read(dir)
			if err != nil {
				t.Fatal(err)
			}
			f(d)
			b, _ := json.Marshal(d)
			write(t, filepath.Join(dir, describedIn), b, 0o600)
		}
	}
	keyFile := func(content []byte, mode os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, dir string) { write(t, filepath.Join(dir, "root.key"), content, mode) }
	}
	other := secret.Random(32).Reveal()
	for name, c := range map[string]struct {
		spoil func(*testing.T, string)
		with  Unlock
		want  fault.Kind
	}{
		"no root.json":         {func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, describedIn)) }, Unlock{}, Missing},
		"no key file":          {func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "root.key")) }, Unlock{}, NoKeyFile},
		"another key file":     {keyFile(other, 0o600), Unlock{}, WrongKey},
		"short key file":       {keyFile(other[:31], 0o600), Unlock{}, Malformed},
		"group may read":       {keyFile(other, 0o640), Unlock{}, BadPermissions},
		"world may read":       {keyFile(other, 0o604), Unlock{}, BadPermissions},
		"wrong passphrase":     {nil, Unlock{Passphrase: secret.New([]byte("incorrect horse battery"))}, WrongPassphrase},
		"not JSON":             {func(t *testing.T, dir string) { write(t, filepath.Join(dir, describedIn), []byte("{"), 0o600) }, Unlock{}, Malformed},
		"unknown slot type":    {edit(func(d *description) { d.Slots[0].Type = "pkcs11" }), Unlock{}, UnknownSlot},
		"no slots":             {edit(func(d *description) { d.Slots = nil }), Unlock{}, Malformed},
		"few iterations":       {edit(func(d *description) { d.Slots[1].Iterations = MinIterations - 1 }), Unlock{}, Malformed},
		"other check value":    {edit(func(d *description) { d.Check[0] ^= 1 }), Unlock{}, WrongKey},
		"other installation":   {edit(func(d *description) { d.InstallationID[0] ^= 1 }), Unlock{}, WrongKey},
		"other root version":   {edit(func(d *description) { d.RootVersion++ }), Unlock{}, WrongKey},
		"file slots alone":     {edit(func(d *description) { d.Slots = d.Slots[:1] }), Unlock{Passphrase: phrase}, NotGiven},
		"passphrase not given": {edit(func(d *description) { d.Slots = d.Slots[1:] }), Unlock{}, NotGiven},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mustCreate(t, dir, byFile(), byPhrase())
			if c.spoil != nil {
				c.spoil(t, dir)
			}
			_, err := Open(dir, c.with)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %s", err, c.want)
			}
			if e, _ := fault.As(err); e.Message == "" || strings.Contains(e.Message, "\n") {
				t.Errorf("message %q is not one line for the operator", e.Message)
			}
		})
	}
}

func write(t *testing.T, path string, content []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestCreateOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	made := mustCreate(t, dir, byFile())
	if _, err := Create(dir, byFile()); !errors.Is(err, Exists) {
		t.Errorf("create over an installation: got %v, want Exists", err)
	}
	// root.json is lost, and found again after a first start made another.
	path := filepath.Join(dir, describedIn)
	lost, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(path)
	if again := mustCreate(t, dir, byFile()); same(made, again) {
		t.Error("two installations have one root key")
	}
	write(t, path, lost, 0o600)
	if found, err := Open(dir, Unlock{}); err != nil || !same(made, found) {
		t.Errorf("the restored root.json does not open with the key file that was there: %v", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	for name, o := range map[string]SlotOptions{
		"unknown type":      {Type: "vault"},
		"short passphrase":  {Type: Passphrase, Passphrase: secret.New([]byte("thirteen byte"))},
		"too few rounds":    {Type: Passphrase, Passphrase: phrase, Iterations: MinIterations - 1},
		"no directory":      {Type: File, KeyFile: "missing/root.key"},
		"nothing to be had": {},
	} {
		dir := t.TempDir()
		if _, err := Create(dir, o); err == nil {
			t.Errorf("%s: created", name)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("%s: left %v behind", name, left)
		}
	}
	if _, err := Create(t.TempDir()); !errors.Is(err, BadSlot) {
		t.Errorf("no slot: got %v, want BadSlot", err)
	}
}

func TestSlotsComeAndGo(t *testing.T) {
	dir := t.TempDir()
	made := mustCreate(t, dir, byFile())
	name, err := made.AddSlot(byPhrase())
	if err != nil {
		t.Fatal(err)
	}
	second, err := made.AddSlot(SlotOptions{Type: File, KeyFile: filepath.Join(t.TempDir(), "spare")})
	if err != nil || second != "file-2" {
		t.Fatalf("second file slot: %q, %v", second, err)
	}
	if err := made.RemoveSlot("file"); err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(dir, "root.key"))
	for how, with := range map[string]Unlock{"spare file": {}, "passphrase": {Passphrase: phrase}} {
		if r, err := Open(dir, with); err != nil || !same(made, r) {
			t.Errorf("by %s: %v", how, err)
		}
	}
	if err := made.RemoveSlot("file"); !errors.Is(err, UnknownSlot) {
		t.Errorf("remove a slot twice: got %v, want UnknownSlot", err)
	}
	if err := made.RemoveSlot(name); err != nil {
		t.Fatal(err)
	}
	if err := made.RemoveSlot(second); !errors.Is(err, BadSlot) {
		t.Errorf("remove the last slot: got %v, want BadSlot", err)
	}
	if slots, err := made.Slots(); err != nil || len(slots) != 1 || slots[0] != (Slot{second, File}) {
		t.Errorf("slots: %v, %v", slots, err)
	}
}

func TestDeriveKnowsItsLabels(t *testing.T) {
	r := mustCreate(t, t.TempDir(), byFile())
	if r.Derive(KMSMaterial, nil, 32).Equal(r.Derive(ServiceKey, nil, 32)) {
		t.Error("two labels give one key")
	}
	defer func() {
		if recover() == nil {
			t.Error("derived for an unknown label")
		}
	}()
	r.Derive("object-data", nil, 32)
}

func FuzzDescription(f *testing.F) {
	d := &description{Format: format, InstallationID: [16]byte{1}, RootVersion: 1, Check: make([]byte, checkSize),
		Slots: []slot{{Name: "file", Type: File, Path: "root.key", Wrapped: make([]byte, 60)}}}
	b, _ := json.Marshal(d)
	f.Add(b)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parse(b)
		if err == nil && (len(d.Slots) == 0 || d.RootVersion == 0) {
			t.Errorf("accepted %q", b)
		}
	})
}
