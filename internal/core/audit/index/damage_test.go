// SPDX-License-Identifier: Apache-2.0

package index

import (
	"errors"
	"io"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/cofferstore/coffer/internal/core/audit"
)

// read returns what a file has.
func (w *world) read(name string) []byte {
	w.Helper()
	f, err := w.fs.Open(name)
	if err != nil {
		w.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		w.Fatal(err)
	}
	return b
}

func (w *world) write(name string, b []byte) {
	w.Helper()
	f, err := w.fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		w.Fatal(err)
	}
	if _, err := f.Write(b); err != nil {
		w.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		w.Fatal(err)
	}
}

// few are some of the queries.
func few(w *world) map[string]Query {
	all := queries(w)
	return map[string]Query{"both": all["both"], "its reads": all["its reads"], "since": all["since"], "writes": all["writes"]}
}

func (w *world) indexFiles() (names []string) {
	w.Helper()
	names, err := w.fs.List("audit/" + Dir)
	if err != nil {
		w.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// Whatever happens to an index file, searches find the same, before and after a restart,
// and the file is made again.
func TestDamagedIndexFile(t *testing.T) {
	dice := rand.New(rand.NewPCG(3, 4))
	for name, damage := range map[string]func(b []byte) []byte{
		"empty":           func([]byte) []byte { return nil },
		"cut":             func(b []byte) []byte { return b[:len(b)/2] },
		"cut at a page":   func(b []byte) []byte { return b[:pageSize] },
		"longer":          func(b []byte) []byte { return append(b, 0) },
		"a page longer":   func(b []byte) []byte { return append(b, make([]byte, pageSize)...) },
		"another version": func(b []byte) []byte { return changed(b, func(d []byte) { d[len(magic)]++ }) },
		"another segment": func(b []byte) []byte { return changed(b, func(d []byte) { d[headSize+10]++ }) },
		"another size":    func(b []byte) []byte { return changed(b, func(d []byte) { d[len(magic)+8]++ }) },
		"of a longer one": func(b []byte) []byte { return changed(b, func(d []byte) { d[len(magic)+1+8+7]++ }) },
		"two pages swapped": func(b []byte) []byte {
			return slices.Concat(b[pageSize:min(2*pageSize, len(b))], b[:pageSize], b[min(2*pageSize, len(b)):])
		},
		"a byte in its head": func(b []byte) []byte {
			b[dice.IntN(headSize)] ^= 4
			return b
		},
		"a byte in its terms": func(b []byte) []byte {
			b[headSize+200+dice.IntN(2000)] ^= 4
			return b
		},
		"a byte in each page": func(b []byte) []byte {
			for at := 500; at < len(b); at += pageSize {
				b[at] ^= 4
			}
			return b
		},
	} {
		for _, restart := range []bool{false, true} {
			w := newWorld(t, 100<<10)
			w.some(220)
			w.step()
			file := "audit/" + Dir + "/" + w.indexFiles()[0]
			good := w.read(file)
			w.write(file, damage(slices.Clone(good)))
			if restart {
				w.reopen()
			}
			check := func(when string) {
				t.Helper()
				for what, q := range few(w) {
					if got, want := w.found(q), w.expected(q); !slices.Equal(got, want) {
						t.Errorf("%s, restart %v, %s, %s: %d events, want %d", name, restart, when, what, len(got), len(want))
					}
				}
			}
			check("damaged")
			w.step()
			if restart || strings.HasPrefix(name, "a byte in each") {
				if !slices.Equal(w.read(file), good) {
					t.Errorf("%s, restart %v: the file was not made again", name, restart)
				}
			}
			check("made again")
		}
	}
}

// changed changes data, and has its pages fit it.
func changed(b []byte, change func(data []byte)) []byte {
	var data []byte
	for ; len(b) > 0; b = b[min(len(b), pageSize):] {
		data = append(data, b[:min(len(b), pageSize)-4]...)
	}
	change(data)
	return inPages(data)
}

func inPages(data []byte) []byte {
	var out writer
	p := &paged{to: &out}
	if _, err := p.Write(data); err != nil {
		panic(err)
	}
	if err := p.flush(); err != nil {
		panic(err)
	}
	return out
}

type writer []byte

func (w *writer) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}

// The index is stopped between any two of its steps, by an error or by a crash that
// forgets what was not synced. Searches then find all, and the index can be completed.
func TestIndexStopsAnywhere(t *testing.T) {
	for _, crash := range []bool{false, true} {
		for steps := 0; ; steps++ {
			disk := vfs.NewCrashableMem()
			w := &world{T: t, fs: disk, size: 20 << 10, dice: rand.New(rand.NewPCG(uint64(steps), 2))}
			w.open()
			w.some(70)
			left := steps
			failed := false
			failing := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() == errorfs.OpIsRead || !strings.Contains(op.Path, Dir) {
					return nil
				}
				if left--; left < 0 {
					failed = true
					return errors.New("the end")
				}
				return nil
			}))
			var err error
			if w.index, err = Open(w.trail, "audit", Config{FS: failing}); err == nil {
				_, err = w.index.Step(t.Context())
			}
			if failed && err == nil {
				t.Errorf("after %d steps: no error", steps)
			}
			if crash {
				w.close()
				w.fs = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: w.dice.IntN(101), RNG: w.dice})
				w.open()
			} else if w.index, err = Open(w.trail, "audit", Config{FS: w.fs}); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				for what, q := range few(w) {
					if got, want := w.found(q), w.expected(q); !slices.Equal(got, want) {
						t.Errorf("crash %v after %d steps, %s: %d events, want %d", crash, steps, what, len(got), len(want))
					}
				}
				w.step()
			}
			for _, name := range w.indexFiles() {
				if path.Ext(name) != fileSuffix {
					t.Errorf("after %d steps %s is left", steps, name)
				}
			}
			w.close()
			if !failed {
				break
			}
		}
	}
}

// What cannot be written is tried again, and does no harm to what is found.
func TestIndexWithoutRoom(t *testing.T) {
	w := newWorld(t, 30<<10)
	full := true
	failing := errorfs.Wrap(w.fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full && op.Kind == errorfs.OpCreate {
			return errors.New("no room")
		}
		return nil
	}))
	var err error
	if w.index, err = Open(w.trail, "audit", Config{FS: failing}); err != nil {
		t.Fatal(err)
	}
	w.some(100)
	var at audit.Position
	for range 3 {
		if at, err = w.index.Step(t.Context()); err == nil {
			t.Fatal("no error")
		}
		if held := w.trail.Holds()[Consumer]; held.Segment != at.Segment {
			t.Errorf("held at %v, come to %v", held, at)
		}
	}
	q := queries(w)["both"]
	if got, want := w.found(q), w.expected(q); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	full = false
	w.step()
	if got, want := w.found(q), w.expected(q); !slices.Equal(got, want) || len(w.indexFiles()) < 2 {
		t.Errorf("%q, want %q", got, want)
	}
	if at, head := w.trail.Holds()[Consumer], w.trail.Head(); at != head {
		t.Errorf("held at %v, want %v", at, head)
	}
}
