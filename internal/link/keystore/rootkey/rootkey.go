// SPDX-License-Identifier: Apache-2.0

// Package rootkey is the root of the key hierarchy: one random key per
// installation, under which all key material and all long-lived service keys
// are sealed. Its description root.json and the formats of what it seals are in
// docs/formats.md.
//
// The root key itself never leaves the package and is never used directly: a
// [Root] gives out keys derived from it under one of three labels. On disk it
// exists only wrapped, once per slot; any one slot opens it. Losing root.json,
// or the secrets of all its slots, loses everything that was ever sealed.
//
// The functions that write root.json expect to be the only writer of the
// directory.
package rootkey

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

// Kinds of fault. Each carries a one-line message for the operator.
const (
	// Missing: there is no root.json.
	Missing fault.Kind = "rootkey: no root key description"
	// Exists: there is a root.json already.
	Exists fault.Kind = "rootkey: root key exists"
	// Malformed: root.json is not a description of a root key.
	Malformed fault.Kind = "rootkey: malformed description"
	// UnknownSlot: root.json has a slot of a type that this program cannot open,
	// or no slot of the name that was asked for.
	UnknownSlot fault.Kind = "rootkey: unknown slot"
	// NoKeyFile: the file that a slot names is not there.
	NoKeyFile fault.Kind = "rootkey: key file missing"
	// BadPermissions: the key file can be read by others than its owner.
	BadPermissions fault.Kind = "rootkey: key file permissions"
	// WrongKey: the key file does not hold this installation's key.
	WrongKey fault.Kind = "rootkey: wrong key"
	// WrongPassphrase: the passphrase opens no slot.
	WrongPassphrase fault.Kind = "rootkey: wrong passphrase"
	// NotGiven: what would open the slots was not given.
	NotGiven fault.Kind = "rootkey: secret not given"
	// BadSlot: the options for a slot cannot be used, or it may not be removed.
	BadSlot fault.Kind = "rootkey: unusable slot"
)

// Label is a purpose for which a key may be derived from the root key.
type Label string

// The labels of the root key.
const (
	check       Label = "root-check"
	KMSMaterial Label = "kms-material" // seals KMS key material
	ServiceKey  Label = "service-key"  // seals the service keys
)

// Root is an opened root key. It is safe for concurrent use.
type Root struct {
	dir          string
	key          secret.Bytes
	installation uuid.UUID
	version      uint32

	writing sync.Mutex // held while root.json is read, changed and written
}

// Derive returns n bytes derived from the root key for one of the labels. It
// panics for another label, which is a mistake of the caller.
func (r *Root) Derive(label Label, context []byte, n int) secret.Bytes {
	switch label {
	case check, KMSMaterial, ServiceKey:
		return secret.Derive(r.key, string(label), context, n)
	}
	panic("rootkey: derive for label " + string(label))
}

// InstallationID names the installation. It is part of what every sealed record
// authenticates.
func (r *Root) InstallationID() uuid.UUID { return r.installation }

// Version is the version of the root key, counted from 1.
func (r *Root) Version() uint32 { return r.version }

// Create makes a new installation's root key, with one slot per option, and
// writes root.json into dir. At least one slot is needed. A key file that exists
// is used and never overwritten, since it may open a root.json that was lost and
// can be restored. Errors: Exists, BadSlot, BadPermissions, Malformed (a key
// file of another length), or the operating system's.
func Create(dir string, slots ...SlotOptions) (*Root, error) {
	if len(slots) == 0 {
		return nil, fault.New(BadSlot, "the root key needs at least one slot")
	}
	path := filepath.Join(dir, describedIn)
	if _, err := os.Lstat(path); err == nil {
		return nil, fault.New(Exists, "%s exists", path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	r := &Root{dir: dir, key: secret.Random(secret.Size), installation: uuid.New(), version: 1}
	d := r.describe()
	for _, o := range slots {
		if err := r.addSlot(d, o); err != nil {
			return nil, err
		}
	}
	if err := d.write(dir); err != nil {
		return nil, err
	}
	return r, nil
}

// Unlock is what an operator gives to open the root key.
type Unlock struct {
	KeyFile    string       // instead of the path in root.json; "" keeps that
	Passphrase secret.Bytes // for passphrase slots; empty when there is none
}

// Open opens the root key described in dir: by a passphrase slot when a
// passphrase is given, else by a file slot. Errors: Missing, Malformed,
// UnknownSlot, NoKeyFile, BadPermissions, WrongKey, WrongPassphrase, NotGiven.
func Open(dir string, with Unlock) (*Root, error) {
	d, err := read(dir)
	if err != nil {
		return nil, err
	}
	r := &Root{dir: dir, installation: d.InstallationID, version: d.RootVersion}
	if with.Passphrase.Len() > 0 {
		err = r.openByPassphrase(d, with.Passphrase)
	} else {
		err = r.openByFile(d, with.KeyFile)
	}
	if err != nil {
		return nil, err
	}
	if got := r.checkValue(); !got.Equal(secret.New(d.Check)) {
		return nil, fault.New(WrongKey, "%s: the key does not match the check value", filepath.Join(dir, describedIn))
	}
	return r, nil
}

// AddSlot adds a way to open the root key and returns the new slot's name.
// Errors: BadSlot, BadPermissions, Malformed, Missing.
func (r *Root) AddSlot(o SlotOptions) (name string, err error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	d, err := r.reread()
	if err != nil {
		return "", err
	}
	if err := r.addSlot(d, o); err != nil {
		return "", err
	}
	return d.Slots[len(d.Slots)-1].Name, d.write(r.dir)
}

// RemoveSlot removes a slot; a key file stays where it is. Errors: UnknownSlot,
// and BadSlot for the last one.
func (r *Root) RemoveSlot(name string) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	d, err := r.reread()
	if err != nil {
		return err
	}
	for i := range d.Slots {
		if d.Slots[i].Name != name {
			continue
		}
		if len(d.Slots) == 1 {
			return fault.New(BadSlot, "slot %s is the last one: nothing could open the root key without it", name)
		}
		d.Slots = append(d.Slots[:i], d.Slots[i+1:]...)
		return d.write(r.dir)
	}
	return fault.New(UnknownSlot, "there is no slot %q", name)
}

// Slot is a slot as an operator sees it.
type Slot struct{ Name, Type string }

// Slots lists the ways to open the root key.
func (r *Root) Slots() ([]Slot, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	d, err := r.reread()
	if err != nil {
		return nil, err
	}
	var out []Slot
	for _, s := range d.Slots {
		out = append(out, Slot{s.Name, s.Type})
	}
	return out, nil
}

// reread reads root.json again, and refuses it when it is another root key's.
func (r *Root) reread() (*description, error) {
	d, err := read(r.dir)
	if err != nil {
		return nil, err
	}
	if d.InstallationID != r.installation || d.RootVersion != r.version || !r.checkValue().Equal(secret.New(d.Check)) {
		return nil, fault.New(WrongKey, "%s describes another root key than the one that is open", filepath.Join(r.dir, describedIn))
	}
	return d, nil
}

func (r *Root) checkValue() secret.Bytes {
	return r.Derive(check, r.installation[:], checkSize)
}

func (r *Root) describe() *description {
	return &description{Format: format, InstallationID: r.installation, RootVersion: r.version, Check: r.checkValue().Reveal()}
}

// bound is what a wrapped root key authenticates.
func (r *Root) bound() []byte {
	return binary.BigEndian.AppendUint32(append([]byte(nil), r.installation[:]...), r.version)
}

func (r *Root) wrap(by secret.Bytes) []byte {
	k := secret.Derive(by, wrapLabel, nil, secret.Size)
	defer k.Clear()
	return secret.NewAEAD(k).Seal(nil, r.key.Reveal(), r.bound())
}

func (r *Root) unwrap(by secret.Bytes, wrapped []byte) error {
	k := secret.Derive(by, wrapLabel, nil, secret.Size)
	defer k.Clear()
	key, err := secret.NewAEAD(k).Open(nil, wrapped, r.bound())
	if err != nil {
		return fmt.Errorf("unwrap root key: %w", err)
	}
	r.key = secret.New(key)
	return nil
}

const (
	wrapLabel = "root-slot"
	checkSize = 16
)
