// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

// Consumers get what can be read, and the log says what cannot, with its place.
func TestConsumersPassOverDamage(t *testing.T) {
	fs, rows, names := chainedTrail(t)
	b := content(t, fs, names[1])
	b = bytes.Replace(b, []byte(`"1-2"`), []byte(`"1-2]`), 1) // no JSON any more
	b = bytes.Replace(b, []byte(`"1-4"`), []byte(`"9-9"`), 1) // another record
	rewrite(t, fs, names[1], b)
	var log strings.Builder
	metrics := prometheus.NewRegistry()
	trail := mustOpen(t, fs, Config{Journal: rows, Log: textLog(&log), Metrics: metrics})
	ids, _ := consumed(t, trail, Position{})
	wantIDs(t, ids, "0-0", "0-1", "0-2", "0-3", "0-4", "1-0", "1-1", "1-3", "9-9", "2-0", "2-1", "2-2", "2-3", "2-4")
	if n := strings.Count(log.String(), "audit record is damaged"); n != 1 || !strings.Contains(log.String(), "file="+names[1]) {
		t.Errorf("log: %s", log.String())
	}
	if n := gathered(t, metrics, "coffer_audit_damaged_")["records_total"]; n != 1 {
		t.Errorf("%v damaged records, want 1", n)
	}

	// Who goes through the lines itself says of which they are.
	ids = nil
	skim := func(l Line) error {
		var r Record
		if json.Unmarshal(l.JSON, &r) != nil {
			return ErrNoRecord
		}
		ids = append(ids, r.RequestID)
		return nil
	}
	if _, err := trail.Skim(t.Context(), Position{}, skim); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, ids, "0-0", "0-1", "0-2", "0-3", "0-4", "1-0", "1-1", "1-3", "9-9", "2-0", "2-1", "2-2", "2-3", "2-4")
	if n := gathered(t, metrics, "coffer_audit_damaged_")["records_total"]; n != 2 {
		t.Errorf("%v damaged records were told of, want 1 more", n)
	}
}

// Of files that the trail has begun itself, who skims them says which lines are no records.
func TestSkimTrustsOwnFiles(t *testing.T) {
	fs, metrics := newDisk(t, vfs.NewMem()), prometheus.NewRegistry()
	trail := mustOpen(t, fs, Config{Metrics: metrics})
	for _, id := range []string{"one", "two", "three"} {
		mustAppend(t, trail, putObject(id), true)
	}
	name := files(t, fs)[0]
	rewrite(t, fs, name, bytes.Replace(content(t, fs, name), []byte(`"two"`), []byte(`"two]`), 1))
	var given []string
	skim := func(l Line) error {
		given = append(given, string(l.JSON))
		if !json.Valid(l.JSON) {
			return ErrNoRecord
		}
		return nil
	}
	if _, err := trail.Skim(t.Context(), Position{}, skim); err != nil {
		t.Fatal(err)
	}
	if n := gathered(t, metrics, "coffer_audit_damaged_")["records_total"]; len(given) != 3 || n != 1 {
		t.Errorf("%d lines were given, and %v told of; want 3 and 1", len(given), n)
	}
}

// blind is a file system that does not give some files.
type blind struct {
	vfs.FS
	cannot string
}

func (b blind) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := b.FS.Open(name, o...)
	if err == nil && strings.HasSuffix(name, b.cannot) {
		f = blindFile{f}
	}
	return f, err
}

type blindFile struct{ vfs.File }

func (blindFile) ReadAt([]byte, int64) (int, error) { return 0, errors.New("input/output error") }

// A file that the disk does not give is reported, and the others are read; a consumer waits
// in front of it, for what it would pass over would be lost.
func TestAFileThatCannotBeRead(t *testing.T) {
	fs, rows, names := chainedTrail(t)
	sick := blind{fs, names[1]}
	skipped := 0
	r := newReader(sick, dir, Filter{Skipped: func(file string, offset int64, err error) {
		if skipped++; file != names[1] || offset != 0 || err == nil {
			t.Errorf("skipped %s, byte %d: %v", file, offset, err)
		}
	}})
	n := 0
	if err := r.all(t.Context(), func(Entry) error { n++; return nil }); err != nil || n != 10 || skipped == 0 {
		t.Errorf("read %d records, %v; %d times skipped", n, err, skipped)
	}
	faults, _ := findings(t, sick, rows)
	if len(faults) != 1 || faults[0] != "unreadable at line 1" {
		t.Errorf("found %q", faults)
	}
	trail := mustOpen(t, sick, Config{Journal: rows})
	n = 0
	at, err := trail.Consume(t.Context(), Position{}, func(Line) error { n++; return nil })
	if err == nil || n != 5 || at.Segment != names[1] || at.Offset != 0 {
		t.Errorf("consumed %d to %v, %v", n, at, err)
	}
	// Once the operator has put the file away, it goes on.
	if err := fs.Remove(fs.PathJoin(dir, names[1])); err != nil {
		t.Fatal(err)
	}
	if ids, _ := consumed(t, trail, at); len(ids) != 5 {
		t.Errorf("then consumed %q", ids)
	}
}

// A relaxed trail whose journal fails has the file.
func TestRelaxedWithoutAJournal(t *testing.T) {
	fs, rows := newDisk(t, vfs.NewMem()), mem.New()
	trail := mustOpen(t, fs, Config{Journal: rows, Relaxed: true})
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, trail, putObject("A"), true)
	ids, _ := requestIDs(t, fs, Filter{})
	wantIDs(t, ids, "A")
	if fs.synced() == 0 {
		t.Error("the file is not durable")
	}
	if s, err := trail.Status(t.Context()); err != nil || s.Missed != 0 {
		t.Errorf("status %+v, %v", s, err)
	}
}
