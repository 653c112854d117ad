// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/pebble"
)

// prepareData makes the data directory and makes sure that it can be written. It
// reports whether it has been used: the streams' directory is the last thing that
// a first start makes, when everything that the others need is durable.
func prepareData(data string) (used bool, err error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return false, fmt.Errorf("data directory %s cannot be made: %w: choose another by --data", data, reason(err))
	}
	probe, err := os.CreateTemp(data, ".probe-")
	if err != nil {
		return false, fmt.Errorf("data directory %s is not writable: %w: give it to the user that runs the server, or choose another by --data", data, reason(err))
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return false, fmt.Errorf("try data directory: %w", err)
	}
	if used, err = exists(filepath.Join(data, blobDir)); err != nil || !used {
		return used, err
	}
	rows := filepath.Join(data, metaDir)
	there, err := exists(rows)
	if err == nil && !there {
		err = fmt.Errorf("%s is missing but %s has data: restore it from your backup", rows, data)
	}
	return used, err
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// openRows opens the metadata store of a data directory.
func openRows(data string, log *slog.Logger) (*pebble.Store, error) {
	dir := filepath.Join(data, metaDir)
	rows, err := pebble.Open(dir, pebble.Config{Logger: log})
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return nil, fmt.Errorf("another server is using data directory %s: stop it, or choose another directory by --data", data)
	case err != nil:
		return nil, fmt.Errorf("%s: if files in %s are damaged or missing, restore it from your backup", firstLine(err), dir)
	}
	return rows, nil
}

// orRestore says of damaged rows what an operator can do.
func orRestore(err error, data string) error {
	if errors.Is(err, meta.Damaged) {
		return fmt.Errorf("%s: restore %s from your backup", firstLine(err), filepath.Join(data, metaDir))
	}
	return err
}

// firstLine is an error's text without what the engine adds to its own.
func firstLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// reason takes the names of temporary files off an error.
func reason(err error) error {
	var inner *fs.PathError
	if errors.As(err, &inner) {
		return inner.Err
	}
	return err
}
