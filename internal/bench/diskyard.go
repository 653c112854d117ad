// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/pebble"
)

// diskYardsticks is what the disk under the server takes, without a server: this
// process does it.
type diskYardsticks struct {
	rows  meta.Store
	files string // directory
}

func openDisk(dir string) (*diskYardsticks, error) {
	d := &diskYardsticks{files: filepath.Join(dir, "files")}
	if err := os.Mkdir(d.files, 0o700); err != nil {
		return nil, err
	}
	rows, err := pebble.Open(filepath.Join(dir, "rows"), pebble.Config{BallastBytes: -1})
	d.rows = rows
	return d, err
}

// commit makes a row durable.
func (d *diskYardsticks) commit(ctx context.Context, n int64, value []byte) error {
	var b meta.Batch
	b.Put(strconv.AppendInt([]byte("bench/"), n, 10), value)
	_, err := d.rows.Commit(ctx, &b)
	return err
}

// write makes a file durable, but not its name.
func (d *diskYardsticks) write(n int64, content []byte) error {
	f, err := os.Create(filepath.Join(d.files, strconv.FormatInt(n, 10)))
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// clear removes the files of a slice.
func (d *diskYardsticks) clear() error {
	return errors.Join(os.RemoveAll(d.files), os.Mkdir(d.files, 0o700))
}
