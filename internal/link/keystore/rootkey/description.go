// SPDX-License-Identifier: Apache-2.0

package rootkey

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

const (
	describedIn = "root.json"
	format      = "coffer-root/1"
)

// description is root.json. Byte strings are base64.
type description struct {
	Format         string    `json:"format"`
	InstallationID uuid.UUID `json:"installationId"`
	RootVersion    uint32    `json:"rootVersion"`
	Check          []byte    `json:"check"`
	Slots          []slot    `json:"slots"`
}

type slot struct {
	Name       string `json:"name"`
	Type       string `json:"type"`
	Path       string `json:"path,omitempty"`
	Salt       []byte `json:"salt,omitempty"`
	Iterations int    `json:"iterations,omitempty"`
	Wrapped    []byte `json:"wrapped"`
}

func (d *description) has(name string) bool {
	for _, s := range d.Slots {
		if s.Name == name {
			return true
		}
	}
	return false
}

func (d *description) freeName(kind string) string {
	name := kind
	for n := 2; d.has(name); n++ {
		name = fmt.Sprintf("%s-%d", kind, n)
	}
	return name
}

func read(dir string) (*description, error) {
	path := filepath.Join(dir, describedIn)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(Missing, "%s is missing", path)
	}
	if err != nil {
		return nil, err
	}
	d, err := parse(b)
	if e, ok := fault.As(err); ok {
		return nil, fault.New(e.Kind, "%s: %s", path, e.Message)
	}
	return d, err
}

func parse(b []byte) (*description, error) {
	bad := func(format string, args ...any) (*description, error) {
		return nil, fault.New(Malformed, format, args...)
	}
	var d description
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return bad("not a root key description: %v", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return bad("more than one JSON value")
	}
	if d.Format != format {
		return bad("format %q is not %s", d.Format, format)
	}
	if d.InstallationID == uuid.Nil || d.RootVersion == 0 || len(d.Check) != checkSize || len(d.Slots) == 0 {
		return bad("installation id, root version, check value or slots are missing")
	}
	for i := range d.Slots {
		s := &d.Slots[i]
		if s.Type != File && s.Type != Passphrase {
			return nil, fault.New(UnknownSlot, "slot %q has unknown type %q", s.Name, s.Type)
		}
		if s.Name == "" || len(s.Wrapped) != secret.Size+secret.Overhead {
			return bad("slot %q: name or wrapped key is missing", s.Name)
		}
		if s.Type == File && s.Path == "" {
			return bad("slot %q: path is missing", s.Name)
		}
		if s.Type == Passphrase && (len(s.Salt) != saltSize || s.Iterations < MinIterations || s.Iterations > maxIterations) {
			return bad("slot %q: needs a salt of %d bytes and %d to %d iterations", s.Name, saltSize, MinIterations, maxIterations)
		}
	}
	return &d, nil
}

func (d *description) write(dir string) error {
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("encode root key description: %w", err)
	}
	return replaceFile(filepath.Join(dir, describedIn), append(b, '\n'))
}

// replaceFile writes a file of mode 0600 so that after a crash path holds the
// old content or the new, whole and durable.
func replaceFile(path string, content []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
