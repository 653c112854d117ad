// SPDX-License-Identifier: Apache-2.0

package mem_test

import (
	"testing"

	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/blob/blobtest"
	"github.com/cofferstore/coffer/internal/store/blob/mem"
)

func TestStore(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return mem.New() })
}

func TestStoreThatPacks(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return mem.NewPacking(512 << 10) })
}
