// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FuzzRead reads a file of the trail that may hold anything: each line is a record
// that is handed on as it stands, or is reported.
func FuzzRead(f *testing.F) {
	record, err := json.Marshal(putObject("id"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(record, '\n'), 0)
	f.Add(append(append(record, '\n'), record[:20]...), 1)
	f.Add(appendChained(nil, append(bytes.Clone(record), '\n')), 0)
	f.Add([]byte("\n{}\nnull\n[]\n\x00\n"), 2)
	f.Add([]byte(`{"eventTime":"2026-03-04T05:06:07Z","eventSource":1}`+"\n"), 0)
	f.Fuzz(func(t *testing.T, content []byte, limit int) {
		fs := vfs.NewMem()
		name := namePrefix + time.Unix(0, 0).UTC().Format(nameTime) + nameSuffix
		file, err := fs.Create("/"+name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(bytes.Clone(content)); err != nil { // it may overwrite what it is given
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		var records, skipped int
		limit &= 3
		filter := Filter{Limit: limit, Skipped: func(_ string, offset int64, err error) {
			skipped++
			if offset < 0 || offset >= int64(len(content)) || err == nil {
				t.Errorf("skipped at %d of %d: %v", offset, len(content), err)
			}
		}}
		err = newReader(fs, "/", filter).all(t.Context(), func(e Entry) error {
			records++
			chained := append(bytes.Clone(e.JSON[:len(e.JSON)-1]), chainName...)
			if !bytes.Contains(content, append(bytes.Clone(e.JSON), '\n')) && !bytes.Contains(content, chained) {
				t.Errorf("%q is no line", e.JSON)
			}
			var again Record
			if err := json.Unmarshal(e.JSON, &again); err != nil {
				t.Errorf("%q is no record: %v", e.JSON, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.Count(content, []byte("\n"))
		if len(content) > 0 && content[len(content)-1] != '\n' {
			lines++
		}
		if limit == 0 && records+skipped != lines || limit > 0 && records > limit || records+skipped > lines {
			t.Errorf("%d records and %d skipped of %d lines, limit %d", records, skipped, lines, limit)
		}
	})
}

// FuzzNames: a name that is taken for that of a file of the trail is how one is
// written.
func FuzzNames(f *testing.F) {
	f.Add(namePrefix + time.Unix(0, 0).UTC().Format(nameTime) + nameSuffix)
	f.Add(namePrefix + nameSuffix)
	f.Add(namePrefix + "20260304T050607,000000000Z" + nameSuffix) // a comma
	f.Fuzz(func(t *testing.T, name string) {
		if begun, ok := parseName(name); ok && namePrefix+begun.Format(nameTime)+nameSuffix != name {
			t.Errorf("%q is taken as of %v", name, begun)
		}
	})
}
