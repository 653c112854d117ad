// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/cofferstore/coffer/internal/config"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/link/keystore/rootkey"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/authentic"
)

// VerifyAudit goes along the chain of the audit trail in the data directory of a stopped
// server (audit.Verify). The head of the chain is in the metadata store, for which the root
// key is needed; if that cannot be opened, unknown says why, and the files are verified
// without it.
func VerifyAudit(ctx context.Context, cfg *config.Config, progress func(audit.Verification), report func(audit.Finding)) (v audit.Verification, unknown, err error) {
	dir := AuditDir(cfg.Data)
	if there, err := exists(dir); err != nil || !there {
		return v, nil, fmt.Errorf("%s is no data directory of Coffer: it has no %s", cfg.Data, auditDir)
	}
	rows, release, unknown := openAuthentic(ctx, cfg)
	if unknown == nil {
		defer func() {
			if closeErr := release(); err == nil {
				err = closeErr
			}
		}()
	}
	v, err = audit.Verify(ctx, dir, audit.VerifyConfig{Rows: rows}, progress, report)
	return v, unknown, err
}

// openAuthentic opens the rows of a data directory that has been used.
func openAuthentic(ctx context.Context, cfg *config.Config) (_ meta.Store, release func() error, err error) {
	dir := filepath.Join(cfg.Data, metaDir)
	if there, err := exists(dir); err != nil || !there {
		return nil, nil, fmt.Errorf("%s is missing", dir)
	}
	raw, err := openRows(cfg.Data, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	_, services, err := openKeys(ctx, cfg, true, raw)
	if err != nil {
		_ = raw.Close()
		return nil, nil, err
	}
	mac := services.MetaMAC()
	return authentic.Wrap(raw, authentic.Keys{Current: mac.Current, Key: mac.Keys, Elsewhere: rootkey.IsServiceRow}), raw.Close, nil
}
