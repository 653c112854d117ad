// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package fs

import (
	"errors"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// punchHole is for Linux alone.
func punchHole(vfs.File, int64, int64) error { return errors.ErrUnsupported }
