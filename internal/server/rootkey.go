// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cofferstore/coffer/internal/config"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore/rootkey"
)

// openRootKey opens the root key of a data directory, or makes it on first start.
// A directory that has data but no root key is refused: to make a new one there
// would hide that the data cannot be opened any more.
func openRootKey(data string, cfg *config.Config) (*rootkey.Root, error) {
	_, err := os.Stat(filepath.Join(data, rootFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Join(data, blobDir)); err == nil {
			return nil, fmt.Errorf("%s is missing but %s has data: restore root.json and its key file from your backup", filepath.Join(data, rootFile), data)
		}
		slot := rootkey.SlotOptions{Type: rootkey.File}
		if cfg.RootKeyPassphrase.Len() > 0 {
			slot = rootkey.SlotOptions{Type: rootkey.Passphrase, Passphrase: cfg.RootKeyPassphrase}
		}
		root, err := rootkey.Create(data, slot)
		return root, oneLine("make root key", err)
	case err != nil:
		return nil, fmt.Errorf("look for the root key: %w", err)
	}
	root, err := rootkey.Open(data, rootkey.Unlock{Passphrase: cfg.RootKeyPassphrase})
	return root, oneLine("open root key", err)
}

// oneLine gives an operator a fault's message without its kind.
func oneLine(what string, err error) error {
	if err == nil {
		return nil
	}
	if f, ok := fault.As(err); ok && f.Message != "" {
		return fmt.Errorf("%s: %s", what, f.Message)
	}
	return fmt.Errorf("%s: %w", what, err)
}
