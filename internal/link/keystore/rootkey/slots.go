// SPDX-License-Identifier: Apache-2.0

package rootkey

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

// Types of slot.
const (
	File       = "file"       // a file of 32 raw bytes, readable by its owner alone
	Passphrase = "passphrase" // PBKDF2-HMAC-SHA-256
)

// Bounds of a passphrase slot.
const (
	DefaultIterations = 1_000_000
	MinIterations     = 100_000     // fewer are refused, also in a root.json
	maxIterations     = 100_000_000 // some two minutes: more is not a slot but damage
	MinPassphrase     = 14          // bytes: the shortest HMAC key that FIPS 140 approves
	saltSize          = 32
)

// SlotOptions says how a slot shall open the root key.
type SlotOptions struct {
	Type       string
	Name       string       // "" takes the type, made unique by a number
	KeyFile    string       // of File: absolute or in the directory of root.json; "" is root.key
	Passphrase secret.Bytes // of Passphrase
	Iterations int          // of Passphrase; 0 is DefaultIterations
}

func (r *Root) addSlot(d *description, o SlotOptions) error {
	s := slot{Name: o.Name, Type: o.Type}
	if s.Name == "" {
		s.Name = d.freeName(o.Type)
	} else if d.has(s.Name) {
		return fault.New(BadSlot, "there is a slot %q already", s.Name)
	}
	var by secret.Bytes
	var err error
	switch o.Type {
	case File:
		s.Path = o.KeyFile
		if s.Path == "" {
			s.Path = "root.key"
		}
		by, err = makeKeyFile(resolve(r.dir, s.Path))
	case Passphrase:
		if o.Passphrase.Len() < MinPassphrase {
			return fault.New(BadSlot, "a passphrase needs at least %d bytes", MinPassphrase)
		}
		s.Iterations = o.Iterations
		if s.Iterations == 0 {
			s.Iterations = DefaultIterations
		}
		if s.Iterations < MinIterations || s.Iterations > maxIterations {
			return fault.New(BadSlot, "a passphrase slot needs %d to %d iterations", MinIterations, maxIterations)
		}
		s.Salt = make([]byte, saltSize)
		rand.Read(s.Salt)
		by, err = stretch(o.Passphrase, &s)
	default:
		return fault.New(BadSlot, "unknown slot type %q", o.Type)
	}
	if err != nil {
		return err
	}
	defer by.Clear()
	s.Wrapped = r.wrap(by)
	d.Slots = append(d.Slots, s)
	return nil
}

// stretch derives a slot's key from a passphrase.
func stretch(passphrase secret.Bytes, s *slot) (secret.Bytes, error) {
	k, err := pbkdf2.Key(sha256.New, string(passphrase.Reveal()), s.Salt, s.Iterations, secret.Size)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("slot %s: %w", s.Name, err)
	}
	return secret.New(k), nil
}

func (r *Root) openByPassphrase(d *description, passphrase secret.Bytes) error {
	tried := 0
	for i := range d.Slots {
		s := &d.Slots[i]
		if s.Type != Passphrase {
			continue
		}
		tried++
		by, err := stretch(passphrase, s)
		if err != nil {
			return err
		}
		err = r.unwrap(by, s.Wrapped)
		by.Clear()
		if err == nil {
			return nil
		}
	}
	if tried == 0 {
		return fault.New(NotGiven, "a passphrase was given, but the root key has no passphrase slot")
	}
	return fault.New(WrongPassphrase, "the passphrase opens none of the root key's slots")
}

// openByFile tries every file slot. When all fail it reports the first failure,
// which is the one of the slot that the operator set up first.
func (r *Root) openByFile(d *description, instead string) error {
	var first error
	for i := range d.Slots {
		s := &d.Slots[i]
		if s.Type != File {
			continue
		}
		path := resolve(r.dir, s.Path)
		if instead != "" {
			path = instead
		}
		err := r.openSlotFile(path, s)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		return fault.New(NotGiven, "the root key has passphrase slots only, and no passphrase was given")
	}
	return first
}

func (r *Root) openSlotFile(path string, s *slot) error {
	by, err := readKeyFile(path)
	if err != nil {
		return err
	}
	defer by.Clear()
	if r.unwrap(by, s.Wrapped) != nil {
		return fault.New(WrongKey, "%s does not hold the key of installation %s", path, r.installation)
	}
	return nil
}

func resolve(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// makeKeyFile returns the key in path, and makes the file when there is none.
func makeKeyFile(path string) (secret.Bytes, error) {
	by, err := readKeyFile(path)
	if !errors.Is(err, NoKeyFile) {
		return by, err
	}
	by = secret.Random(secret.Size)
	return by, replaceFile(path, by.Reveal())
}

// readKeyFile checks the permissions of the opened file, not of the path, so
// that the file read is the file checked.
func readKeyFile(path string) (secret.Bytes, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return secret.Bytes{}, fault.New(NoKeyFile, "root key file %s is missing", path)
	}
	if err != nil {
		return secret.Bytes{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return secret.Bytes{}, err
	}
	if !info.Mode().IsRegular() {
		return secret.Bytes{}, fault.New(Malformed, "root key file %s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return secret.Bytes{}, fault.New(BadPermissions, "root key file %s has mode %04o: others than its owner could read it, run chmod 600", path, mode)
	}
	if info.Size() != secret.Size {
		return secret.Bytes{}, fault.New(Malformed, "root key file %s holds %d bytes, not %d", path, info.Size(), secret.Size)
	}
	b := make([]byte, secret.Size)
	if _, err := f.ReadAt(b, 0); err != nil {
		return secret.Bytes{}, fmt.Errorf("read root key file: %w", err)
	}
	return secret.New(b), nil
}
