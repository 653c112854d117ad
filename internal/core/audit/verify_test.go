// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
)

// wantWhole fails if anything is wrong with a trail, and returns what was found.
func wantWhole(t testing.TB, trail *Trail) Verification {
	t.Helper()
	v, err := trail.Verify(context.Background(), nil, func(f Finding) {
		if !f.Note {
			t.Errorf("%+v", f)
		}
	})
	if err != nil || v.Faults != 0 || !v.Done {
		t.Errorf("verify: %+v, %v", v, err)
	}
	return v
}

// findings verifies the files of a trail that nobody writes.
func findings(t testing.TB, fs vfs.FS, rows meta.Store) (faults, notes []string) {
	t.Helper()
	_, err := Verify(context.Background(), dir, VerifyConfig{FS: fs, Rows: rows}, nil, func(f Finding) {
		text := fmt.Sprintf("%s at line %d", f.Kind, f.Line)
		if f.Note {
			notes = append(notes, text)
		} else {
			faults = append(faults, text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return faults, notes
}

func content(t testing.TB, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(fs.PathJoin(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func rewrite(t testing.TB, fs vfs.FS, name string, b []byte) {
	t.Helper()
	f, err := fs.Create(fs.PathJoin(dir, name), vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(bytes.Clone(b)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// chainedTrail makes a closed trail of three files with five records each.
func chainedTrail(t *testing.T) (fs vfs.FS, rows *mem.Store, names []string) {
	fs, rows = newDisk(t, vfs.NewMem()), mem.New()
	for file := range 3 {
		trail := mustOpen(t, fs, Config{Journal: rows})
		for i := range 5 {
			mustAppend(t, trail, putObject(fmt.Sprint(file, "-", i)), i%2 == 0)
		}
		if err := trail.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return fs, rows, files(t, fs)
}

// What is done to the files is found, at its place; the rest stays readable.
func TestVerifyFindsWhatWasDone(t *testing.T) {
	lines := func(b []byte) [][]byte { return bytes.SplitAfter(bytes.TrimSuffix(b, []byte("\n")), []byte("\n")) }
	ended := func(l [][]byte) []byte { // the last line has lost its newline above
		for i := range l {
			l[i] = append(bytes.TrimSuffix(l[i], []byte("\n")), '\n')
		}
		return bytes.Join(l, nil)
	}
	edit := func(change func(l [][]byte) [][]byte) func(t *testing.T, fs vfs.FS, names []string) {
		return func(t *testing.T, fs vfs.FS, names []string) {
			rewrite(t, fs, names[1], ended(change(lines(content(t, fs, names[1])))))
		}
	}
	tests := []struct {
		name   string
		do     func(t *testing.T, fs vfs.FS, names []string)
		faults string
		notes  string
		read   int // records
	}{
		{"nothing", func(*testing.T, vfs.FS, []string) {}, "", "", 15},
		{"a value changed", edit(func(l [][]byte) [][]byte {
			l[2] = bytes.Replace(l[2], []byte("203.0.113.9"), []byte("203.0.113.8"), 1)
			return l
		}), "changed at line 3", "", 15},
		{"a brace changed", edit(func(l [][]byte) [][]byte { l[2][0] = '['; return l }), "changed at line 3", "", 14},
		{"the end of a line changed", edit(func(l [][]byte) [][]byte {
			l[2][len(l[2])-3] = 'x'
			return l
		}), "not-record at line 3", "", 14},
		{"a chain value changed", edit(func(l [][]byte) [][]byte {
			digit := &l[2][len(l[2])-10]
			if *digit++; !bytes.ContainsRune([]byte("BCDEFGHIJKLMNOPQRSTUVWXYZbcdefghijklmnopqrstuvwxyz123456789"), rune(*digit)) {
				*digit = 'A'
			}
			return l
		}), "changed at line 3", "", 15},
		{"a chain value removed", edit(func(l [][]byte) [][]byte {
			l[2] = append(unchained(bytes.TrimSpace(l[2])), '\n')
			return l
		}), "unchained at line 3", "", 15},
		{"a line removed", edit(func(l [][]byte) [][]byte { return append(l[:2], l[3:]...) }), "changed at line 3", "", 14},
		{"a line added", edit(func(l [][]byte) [][]byte {
			return append(l[:2], append([][]byte{[]byte(`{"eventName":"x"}`)}, l[2:]...)...)
		}), "unchained at line 3", "", 16},
		{"two lines exchanged", edit(func(l [][]byte) [][]byte { l[1], l[2] = l[2], l[1]; return l }),
			"changed at line 2, moved at line 3, moved at line 4", "", 15},
		{"a line twice", edit(func(l [][]byte) [][]byte {
			return append(l[:2], append([][]byte{bytes.Clone(l[1])}, l[2:]...)...)
		}), "moved at line 3", "", 16},
		{"not JSON", edit(func(l [][]byte) [][]byte { l[2] = []byte("\x00\x00\x00"); return l }), "not-record at line 3", "", 14},
		{"far too long", edit(func(l [][]byte) [][]byte {
			l[2] = bytes.Repeat([]byte("x"), 3*maxLine)
			return l
		}), "not-record at line 3", "", 14},
		{"the end of a file in the middle", func(t *testing.T, fs vfs.FS, names []string) {
			b := content(t, fs, names[1])
			rewrite(t, fs, names[1], b[:len(b)-10])
		}, "missing at line 1", "torn at line 5", 14},
		{"a file in the middle", func(t *testing.T, fs vfs.FS, names []string) {
			if err := fs.Remove(fs.PathJoin(dir, names[1])); err != nil {
				t.Fatal(err)
			}
		}, "missing at line 1", "", 10},
		{"the first file", func(t *testing.T, fs vfs.FS, names []string) {
			if err := fs.Remove(fs.PathJoin(dir, names[0])); err != nil {
				t.Fatal(err)
			}
		}, "beginning at line 1", "", 10},
		{"the last file", func(t *testing.T, fs vfs.FS, names []string) {
			if err := fs.Remove(fs.PathJoin(dir, names[2])); err != nil {
				t.Fatal(err)
			}
		}, "head at line 0", "", 10},
		{"the last line", func(t *testing.T, fs vfs.FS, names []string) {
			l := lines(content(t, fs, names[2]))
			rewrite(t, fs, names[2], ended(l[:len(l)-1]))
		}, "head at line 0", "", 14},
		{"all of it", func(t *testing.T, fs vfs.FS, names []string) {
			for _, name := range names {
				if err := fs.Remove(fs.PathJoin(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}, "head at line 0", "", 0},
		{"written anew without the last line's address", func(t *testing.T, fs vfs.FS, names []string) {
			l := lines(content(t, fs, names[2]))
			c := newChainer()
			_, prev, _ := chainOf(bytes.TrimSpace(l[3]))
			forged := append(unchained(bytes.Replace(bytes.TrimSpace(l[4]), []byte("203.0.113.9"), []byte("203.0.113.8"), 1)), '\n')
			l[4] = appendChained(nil, forged)
			c.link(&prev, l[4])
			rewrite(t, fs, names[2], ended(l))
		}, "head at line 0", "", 15},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fs, rows, names := chainedTrail(t)
			test.do(t, fs, names)
			faults, notes := findings(t, fs, rows)
			if got := strings.Join(faults, ", "); got != test.faults {
				t.Errorf("faults: %s; want %s", got, test.faults)
			}
			if got := strings.Join(notes, ", "); got != test.notes {
				t.Errorf("notes: %s; want %s", got, test.notes)
			}
			if ids, _ := requestIDs(t, fs, Filter{}); len(ids) != test.read {
				t.Errorf("%d records can be read, want %d", len(ids), test.read)
			}
		})
	}
}

// A start holds the head that it knows against the files, says what it finds, and goes on.
func TestStartNoticesThatTheEndIsGone(t *testing.T) {
	fs, rows, names := chainedTrail(t)
	if err := fs.Remove(fs.PathJoin(dir, names[2])); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	metrics := prometheus.NewRegistry()
	trail := mustOpen(t, fs, Config{Journal: rows, Log: textLog(&log), Metrics: metrics})
	mustAppend(t, trail, putObject("after"), true)
	if !strings.Contains(log.String(), "do not have its head") {
		t.Errorf("log: %s", log.String())
	}
	if err := testutil.GatherAndCompare(metrics, strings.NewReader(`
# HELP coffer_audit_head_lost_total Starts that did not find the head of the audit trail in its files.
# TYPE coffer_audit_head_lost_total counter
coffer_audit_head_lost_total 1
`), "coffer_audit_head_lost_total"); err != nil {
		t.Error(err)
	}
	if err := trail.Close(); err != nil {
		t.Error(err)
	}
	// The trail says so from then on, and no more than that is wrong.
	for range 2 {
		if faults, notes := findings(t, fs, rows); fmt.Sprint(faults, notes) != "[head at line 0] []" {
			t.Errorf("found %q and %q", faults, notes)
		}
		if err := mustOpen(t, fs, Config{Journal: rows}).Close(); err != nil {
			t.Error(err)
		}
	}
	ids, _ := requestIDs(t, fs, Filter{})
	wantIDs(t, ids[len(ids)-1:], "after")
}

// The head is noted with the commits that clear the journal, and every ten seconds while
// there are only reads.
func TestHeadIsNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs, rows := newDisk(t, vfs.NewMem()), mem.New()
		trail := mustOpen(t, fs, Config{Journal: rows})
		noted := func() int64 {
			t.Helper()
			head, _, err := readAnchors(t.Context(), rows)
			if err != nil || head == nil || head.Clean {
				t.Fatalf("%+v, %v", head, err)
			}
			return head.Records
		}
		mustAppend(t, trail, putObject("A"), true)
		mustAppend(t, trail, putObject("B"), false)
		if n := noted(); n != 0 {
			t.Errorf("head after %d records, want 0: no more is durable", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := noted(); n != 2 {
			t.Errorf("head after %d records, want 2", n)
		}
		mustAppend(t, trail, putObject("C"), false)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := noted(); n != 2 {
			t.Errorf("head after %d records, want 2: a read has no commit", n)
		}
		time.Sleep(anchorEvery)
		mustAppend(t, trail, putObject("D"), false)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := noted(); n != 4 {
			t.Errorf("head after %d records, want 4", n)
		}
		if v := wantWhole(t, trail); v.Records != 4 || !v.HeadKnown {
			t.Errorf("%+v", v)
		}
		if err := trail.Close(); err != nil {
			t.Error(err)
		}
		if head, _, err := readAnchors(t.Context(), rows); err != nil || !head.Clean || head.Records != 4 {
			t.Errorf("closed: %+v, %v", head, err)
		}
	})
}

// Files from before there was a chain stay as they are.
func TestChainBeginsBehindOlderFiles(t *testing.T) {
	fs, rows := newDisk(t, vfs.NewMem()), mem.New()
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	old := putObject("old")
	line, err := encode(&old)
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, fs, segmentName(time.Unix(1, 0)), bytes.Repeat(line, 3))
	trail := mustOpen(t, fs, Config{Journal: rows})
	mustAppend(t, trail, putObject("new"), true)
	ids, _ := requestIDs(t, fs, Filter{})
	wantIDs(t, ids, "old", "old", "old", "new")
	if err := trail.Close(); err != nil {
		t.Error(err)
	}
	v, err := Verify(t.Context(), dir, VerifyConfig{FS: fs, Rows: rows}, nil, func(f Finding) { t.Errorf("%+v", f) })
	if err != nil || v.Unchained != 3 || v.Records != 1 {
		t.Errorf("%+v, %v", v, err)
	}
}

// What is read and consumed is without the chain; in the file it is the last member.
func TestRecordsAreReadWithoutTheChain(t *testing.T) {
	fs := newDisk(t, vfs.NewMem())
	trail := mustOpen(t, fs, Config{})
	mustAppend(t, trail, putObject("A"), true)
	in := content(t, fs, files(t, fs)[0])
	if !bytes.Contains(in, []byte(`,"cofferChain":"`)) || !bytes.HasSuffix(in, []byte("\"}\n")) || !json.Valid(in) {
		t.Errorf("in the file: %s", in)
	}
	err := newReader(fs, dir, Filter{}).all(t.Context(), func(e Entry) error {
		if bytes.Contains(e.JSON, []byte("cofferChain")) || !json.Valid(e.JSON) {
			t.Errorf("read: %s", e.JSON)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = trail.Consume(t.Context(), Position{}, func(l Line) error {
		if bytes.Contains(l.JSON, []byte("cofferChain")) || !json.Valid(l.JSON) || l.Next.Offset != int64(len(in)) {
			t.Errorf("consumed: %s, to %d", l.JSON, l.Next.Offset)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A chain of two lines, computed here another way.
func TestChainVector(t *testing.T) {
	c := newChainer()
	var prev Chain
	var got []string
	for _, text := range []string{`{"a":1}`, `{"b":2}`} {
		line := appendChained(nil, []byte(text+"\n"))
		prev = c.link(&prev, line)
		got = append(got, string(line))
	}
	want := []string{
		`{"a":1,"cofferChain":"sGoikHB0EpJRLodg9HDdekxGzP3yU994HYjavljBzLE"}` + "\n",
		`{"b":2,"cofferChain":"CyOV40979ak_hJuiS_1OD5O1c-Rox1SJStOKCCIrD4I"}` + "\n",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q", got)
	}
}

// Rows that were damaged do not keep a trail from being opened, nor from being verified.
func TestDamagedRowsOfTheChain(t *testing.T) {
	for _, row := range [][]byte{headRow, cutRow} {
		fs, rows, _ := chainedTrail(t)
		var b meta.Batch
		b.Put(row, []byte(`{"version":2}`))
		if _, err := rows.Commit(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if faults, _ := findings(t, fs, rows); fmt.Sprint(faults) != "[head at line 0]" {
			t.Errorf("%s: found %q", row, faults)
		}
		var log strings.Builder
		closed(t, mustOpen(t, fs, Config{Journal: rows, Log: textLog(&log)}))
		if !strings.Contains(log.String(), "is damaged") {
			t.Errorf("%s: log %s", row, log.String())
		}
	}
}

// FuzzAnchors: a row is read as it is written, or is damaged.
func FuzzAnchors(f *testing.F) {
	f.Add([]byte(`{"version":1,"segment":"audit-20260304T050607.000000000Z.jsonl","offset":7,"chain":"` + chainZeros + `","records":3,"clean":true}`))
	f.Add([]byte(`{"version":1,"segment":"x","offset":-7,"chain":"","records":3}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		rows := mem.New()
		var b meta.Batch
		b.Put(headRow, value)
		b.Put(cutRow, value)
		if _, err := rows.Commit(t.Context(), &b); err != nil {
			t.Skip(err)
		}
		head, cut, err := readAnchors(t.Context(), rows)
		if err != nil && !errors.Is(err, meta.Damaged) {
			t.Fatal(err)
		}
		if head == nil {
			return
		}
		if cut == nil || cut.Segment != head.Segment || cut.Chain != head.Chain {
			t.Errorf("%+v and %+v", head, cut)
		}
		var again meta.Batch
		if err := putAnchor(&again, head.Anchor, head.Clean); err != nil {
			t.Fatal(err)
		}
		if _, err := rows.Commit(t.Context(), &again); err != nil {
			t.Fatal(err)
		}
		if back, _, err := readAnchors(t.Context(), rows); err != nil || *back != *head {
			t.Errorf("%+v was read as %+v, %v", head, back, err)
		}
	})
}

// FuzzChain: the member is found where encoding/json finds it.
func FuzzChain(f *testing.F) {
	f.Add([]byte(`{"a":1}`))
	f.Add([]byte(`{"a":"","cofferChain":"` + chainZeros + `"}`))
	f.Add([]byte(`{"a":{"b":1,"cofferChain":"` + chainZeros + `"}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if len(line) < 3 || !isRecord(line) || !json.Valid(line) || bytes.IndexByte(line, '\n') >= 0 {
			t.Skip()
		}
		c := newChainer()
		chained := appendChained(nil, append(bytes.Clone(line), '\n'))
		value := c.link(&Chain{1}, chained)
		text := bytes.TrimSuffix(chained, []byte("\n"))
		var read map[string]any
		if json.Unmarshal(text, &read) == nil && read["cofferChain"] != value.String() {
			t.Errorf("%s has %s, read %v", text, value, read["cofferChain"])
		}
		if _, got, ok := chainOf(text); !ok || got != value {
			t.Errorf("%s has %s, found %s %t", text, value, got, ok)
		}
		if got := unchained(text); !bytes.Equal(got, line) {
			t.Errorf("%s without its chain is %s", line, got)
		}
	})
}

// FuzzVerify: a file may hold anything. Each line is a record or is reported.
func FuzzVerify(f *testing.F) {
	line := appendChained(nil, []byte(`{"a":1}`+"\n"))
	c := newChainer()
	c.link(&Chain{}, line)
	f.Add(line)
	f.Add(append(bytes.Clone(line), line...))
	f.Add([]byte("\n{}\n{\"a\":2}\nnull\n" + string(line[:30])))
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := vfs.NewMem()
		if err := fs.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		rewrite(t, fs, segmentName(time.Unix(0, 0)), b)
		n := int64(0)
		v, err := Verify(t.Context(), dir, VerifyConfig{FS: fs}, nil, func(f Finding) {
			n++
			if f.Offset < 0 || f.Offset >= int64(len(b)) || f.Line < 1 || f.Text == "" {
				t.Errorf("%+v of %d bytes", f, len(b))
			}
		})
		if err != nil || v.Faults+v.Notes != n || v.Bytes != int64(len(b)) {
			t.Errorf("%+v, %v, %d findings of %d bytes", v, err, n, len(b))
		}
		lines := int64(bytes.Count(b, []byte("\n")))
		if len(b) > 0 && b[len(b)-1] != '\n' {
			lines++
		}
		if v.Records+v.Unchained+n < lines {
			t.Errorf("%d lines, of which %d records, %d unchained, %d findings", lines, v.Records, v.Unchained, n)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	where := b.TempDir()
	trail, err := Open(b.Context(), where, Config{})
	if err != nil {
		b.Fatal(err)
	}
	r := putObject("3XQ7EXAMPLE0001A")
	r.RequestParameters = map[string]any{"bucketName": "photos", "key": "cats/1.jpg", "Host": "localhost:9000"}
	for range 50_000 {
		mustAppend(b, trail, r, false)
	}
	if err := trail.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		v, err := Verify(b.Context(), where, VerifyConfig{}, nil, func(f Finding) { b.Errorf("%+v", f) })
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(v.Bytes)
	}
}
