// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cofferstore/coffer/internal/config"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore/rootkey"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// openKeys opens the root key of a data directory and the service keys under it,
// or makes them on first start. Where one of them is missing and the directory has
// data, it makes none: a new one would hide that the data cannot be opened any
// more.
func openKeys(ctx context.Context, cfg *config.Config, used bool, rows meta.Store) (*rootkey.Root, *rootkey.Services, error) {
	made, err := rootkey.HasServiceKeys(ctx, rows)
	if err != nil {
		return nil, nil, err
	}
	root, err := openRootKey(cfg, used || made)
	if err != nil {
		return nil, nil, err
	}
	metadata := filepath.Join(cfg.Data, metaDir)
	if used && !made {
		return nil, nil, fmt.Errorf("%s has lost rows that the first start made: restore it from your backup", metadata)
	}
	services, err := rootkey.ServiceKeys(ctx, rows, root)
	if errors.Is(err, rootkey.BadRecord) {
		return nil, nil, fmt.Errorf("the root key in %s is not the one of the data in %s: restore from your backup what belongs together (%w)",
			filepath.Join(cfg.Data, rootFile), metadata, err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open service keys: %w", err)
	}
	return root, services, nil
}

func openRootKey(cfg *config.Config, hasData bool) (*rootkey.Root, error) {
	path := filepath.Join(cfg.Data, rootFile)
	there, err := exists(path)
	if err != nil {
		return nil, fmt.Errorf("look for the root key: %w", err)
	}
	if there {
		root, err := rootkey.Open(cfg.Data, rootkey.Unlock{Passphrase: cfg.RootKeyPassphrase})
		return root, oneLine("open root key", err)
	}
	if hasData {
		return nil, fmt.Errorf("%s is missing but %s has data: restore root.json and its key file from your backup", path, cfg.Data)
	}
	slot := rootkey.SlotOptions{Type: rootkey.File}
	if cfg.RootKeyPassphrase.Len() > 0 {
		slot = rootkey.SlotOptions{Type: rootkey.Passphrase, Passphrase: cfg.RootKeyPassphrase}
	}
	root, err := rootkey.Create(cfg.Data, slot)
	return root, oneLine("make root key", err)
}

// remedies say what an operator can do. A kind that has none says it itself.
var remedies = map[fault.Kind]string{
	rootkey.Malformed:       "restore it from your backup",
	rootkey.NoKeyFile:       "restore it from your backup",
	rootkey.WrongKey:        "restore it from your backup of this directory",
	rootkey.WrongPassphrase: "set COFFER_ROOT_KEY_PASSPHRASE to the one that the root key was made with",
	rootkey.NotGiven:        "set COFFER_ROOT_KEY_PASSPHRASE if the root key was made with one, and only then",
}

// oneLine gives an operator a fault's message without its kind, and a remedy.
func oneLine(what string, err error) error {
	if err == nil {
		return nil
	}
	f, ok := fault.As(err)
	if !ok || f.Message == "" {
		return fmt.Errorf("%s: %w", what, err)
	}
	if remedy := remedies[f.Kind]; remedy != "" {
		return fmt.Errorf("%s: %s: %s", what, f.Message, remedy)
	}
	return fmt.Errorf("%s: %s", what, f.Message)
}
