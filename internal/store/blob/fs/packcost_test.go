// SPDX-License-Identifier: Apache-2.0

package fs

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/store/blob"
)

// inMemory is a store with small packs; its holes are zeros.
func inMemory(t *testing.T, fsys vfs.FS, metrics prometheus.Registerer) *Store {
	t.Helper()
	zeros := func(f vfs.File, off, n int64) error {
		info, err := f.Stat()
		if err == nil && info.Size() > off {
			_, err = f.WriteAt(make([]byte, min(n, info.Size()-off)), off)
		}
		return err
	}
	s, err := Open("/blobs", Config{FS: fsys, PackLimit: 64 << 10, PackSize: 64 << 10, Punch: zeros, Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func packOne(t *testing.T, s *Store, n int) blob.Info {
	t.Helper()
	id := blob.StreamID{byte(n >> 8), byte(n), 1}
	w, err := s.Create(t.Context(), id, 5000)
	if err == nil {
		_, err = w.Write(make([]byte, 5000))
	}
	if err != nil {
		t.Fatal(err)
	}
	at, err := w.Commit(t.Context())
	if err != nil || !at.Packed() {
		t.Fatalf("commit: %+v, %v", at, err)
	}
	return blob.Info{ID: id, At: at}
}

// Of streams that nobody touches nothing is kept in memory, and a start looks into no
// pack.
func TestPackedStreamsCostNothingAtRest(t *testing.T) {
	mem := vfs.NewMem()
	s := inMemory(t, mem, nil)
	for n := range 200 {
		in := packOne(t, s, n)
		if n%3 == 0 {
			continue
		}
		r, err := s.ReadAt(t.Context(), in.ID, in.At, 0, -1)
		if err == nil {
			_, err = io.Copy(io.Discard, r)
			err = errors.Join(err, r.Close())
		}
		if err == nil && n%3 == 2 {
			err = s.Delete(t.Context(), in.ID, in.At)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(s.packs.all) < 20 {
		t.Fatalf("only %d packs", len(s.packs.all))
	}
	for _, p := range s.packs.all {
		if len(p.frames) != 0 {
			t.Errorf("pack %016x remembers %d frames", p.id, len(p.frames))
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range s.packs.all {
		if p.file != nil {
			t.Errorf("pack %016x is open after Close", p.id)
		}
	}
	var looked []string
	s = inMemory(t, errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if strings.HasPrefix(op.Path, "/blobs/packs/") {
			looked = append(looked, fmt.Sprint(op.Kind, " of ", op.Path))
		}
		return nil
	})), nil)
	defer func() { _ = s.Close() }()
	if len(looked) > 0 {
		t.Errorf("a start looks at packs: %q", looked)
	}
	if got, err := s.List(t.Context(), blob.Info{}, 0); err != nil || len(got) != 134 {
		t.Errorf("List shows %d streams, %v, want 134", len(got), err)
	}
}

// No more packs stay open than the bound, whatever is read.
func TestOpenPacksAreBounded(t *testing.T) {
	s := inMemory(t, vfs.NewMem(), nil)
	defer func() { _ = s.Close() }()
	s.packs.packSize = pageSize + 2*pageSize // a pack for each stream
	var all []blob.Info
	for n := range maxOpen + 20 {
		all = append(all, packOne(t, s, n))
	}
	for range 2 {
		for _, in := range all {
			if _, err := s.Stat(t.Context(), in.ID, in.At); err != nil {
				t.Fatal(err)
			}
		}
	}
	open := 0
	for _, p := range s.packs.all {
		if p.file != nil {
			open++
		}
	}
	if open > maxOpen || int64(open) != s.packs.open.Load() || len(s.packs.all) != len(all) {
		t.Errorf("%d of %d packs are open, counted as %d, want %d at most", open, len(s.packs.all), s.packs.open.Load(), maxOpen)
	}
}

func TestPackMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	mem := vfs.NewMem()
	s := inMemory(t, mem, registry)
	var all []blob.Info
	for n := range 10 { // each takes two pages; seven fit in a pack
		all = append(all, packOne(t, s, n))
	}
	for _, in := range all[:2] {
		if err := s.Delete(t.Context(), in.ID, in.At); err != nil {
			t.Fatal(err)
		}
	}
	const frame = 2 * pageSize
	want := map[string]float64{
		"coffer_packs": 2, "coffer_packs_uncounted": 0, "coffer_pack_bytes live": 8 * frame, "coffer_pack_bytes gone": 2 * frame,
		"coffer_pack_streams_written_total": 10, "coffer_pack_erased_bytes_total": 2 * frame, "coffer_pack_punched_bytes_total": 2 * frame,
		"coffer_pack_sync_seconds": 10,
	}
	wantMetrics(t, registry, want)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	registry = prometheus.NewRegistry()
	s = inMemory(t, mem, registry)
	defer func() { _ = s.Close() }()
	wantMetrics(t, registry, map[string]float64{"coffer_packs": 2, "coffer_packs_uncounted": 2, "coffer_pack_bytes live": 0})
	if _, err := s.List(t.Context(), blob.Info{}, 0); err != nil {
		t.Fatal(err)
	}
	wantMetrics(t, registry, map[string]float64{
		"coffer_packs": 2, "coffer_packs_uncounted": 0, "coffer_pack_bytes live": 8 * frame, "coffer_pack_bytes gone": 2 * frame,
	})
}

func wantMetrics(t *testing.T, from prometheus.Gatherer, want map[string]float64) {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%s is %v, %t, want %v", name, v, ok, value)
		}
	}
}
