// SPDX-License-Identifier: Apache-2.0

package object

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// ledger is all rows of a world, for holding them against one another.
type ledger struct {
	rows  map[string]meta.Item
	named map[blob.StreamID]int  // how many records and parts name a stream
	due   map[blob.StreamID]bool // streams to be removed
	nulls map[string][]versionID // by vn/ row: the null versions that are not current
	blobs map[blob.StreamID]bool
	wrong []string
}

func (l *ledger) complain(format string, args ...any) {
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}

// consistent checks what holds between any two commits: which rows belong
// together, and that every stream is named once or about to be removed. settled
// says that nothing may wait for removal or for the sweep either.
func (w *world) consistent(settled bool) error {
	l := &ledger{
		rows: map[string]meta.Item{}, named: map[blob.StreamID]int{}, due: map[blob.StreamID]bool{},
		nulls: map[string][]versionID{}, blobs: map[blob.StreamID]bool{},
	}
	if err := l.read(w); err != nil {
		return err
	}
	for key, item := range l.rows {
		switch prefix, _, _ := strings.Cut(key, "/"); prefix {
		case "c", "v":
			l.version(key, item)
		case "up":
			l.part(key, item, settled)
		case "x":
			id := blob.StreamID([]byte(key[len("x/")+8:]))
			l.due[id] = true
			if settled {
				l.complain("stream %s still waits for its removal", id)
			}
			if _, ok := l.rows[string(locationKey(id))]; !ok {
				l.complain("stream %s waits for its removal and has no location", id)
			}
		}
	}
	l.pointers()
	l.streams(settled)
	if settled {
		l.gone()
	}
	if len(l.wrong) > 0 {
		return errors.New(strings.Join(l.wrong, "\n"))
	}
	return nil
}

func (l *ledger) read(w *world) error {
	r := meta.Range{Start: []byte{0}}
	for {
		page, err := w.rows.Scan(w.t.Context(), r)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			l.rows[string(item.Key)] = item
		}
		if !page.More {
			break
		}
		r.Start = page.Next
	}
	var after blob.Info
	for {
		infos, err := w.blobs.List(w.t.Context(), after, 0)
		if err != nil {
			return err
		}
		for _, info := range infos {
			l.blobs[info.ID], after = true, info
		}
		if len(infos) == 0 {
			return nil
		}
	}
}

// version checks a row c/ or v/.
func (l *ledger) version(key string, item meta.Item) {
	r, err := decodeRecord(item.Value)
	if err != nil {
		l.complain("%q: %v", key, err)
		return
	}
	for _, p := range r.Parts {
		l.named[p.Stream]++
	}
	for a := range r.Annotations.all("") {
		l.named[a.Stream]++
	}
	if _, ok := l.rows["bu/"+string(r.Bucket[:])]; !ok {
		l.complain("%q is in no bucket", key)
	}
	if strings.HasPrefix(key, "c/") {
		if key != string(currentKey(r.Bucket, r.Key)) {
			l.complain("%q holds %q", key, r.Key)
		}
		return
	}
	if key != string(versionKey(r.Bucket, r.Key, r.id())) {
		l.complain("%q holds version %v of %q", key, r.id(), r.Key)
	}
	pointer := string(nullKey(r.Bucket, r.Key))
	if r.Null {
		l.nulls[pointer] = append(l.nulls[pointer], r.id())
	}
	current, err := decodeRecord(l.rows[string(currentKey(r.Bucket, r.Key))].Value)
	switch {
	case err != nil:
		l.complain("%q has a version and nothing current: %v", r.Key, err)
	case !current.id().newer(r.id()):
		l.complain("the current version of %q is not its newest", r.Key)
	case current.Null && r.Null:
		l.complain("%q has two null versions", r.Key)
	}
}

func (l *ledger) part(key string, item meta.Item, settled bool) {
	p, err := decodeUploadedPart(item.Value)
	if err != nil {
		l.complain("%q: %v", key, err)
		return
	}
	l.named[p.Stream]++
	if _, ok := l.rows[string(p.Upload)]; !ok && settled {
		l.complain("part %d of an upload that is over", p.Number)
	}
}

// pointers checks the rows vn/.
func (l *ledger) pointers() {
	for key, item := range l.rows {
		if !strings.HasPrefix(key, "vn/") {
			continue
		}
		id, ok := versionIDFrom(item.Value)
		if !ok || len(l.nulls[key]) != 1 || l.nulls[key][0] != id {
			l.complain("%q points to %v; null versions: %v", key, id, l.nulls[key])
		}
		delete(l.nulls, key)
	}
	for key, ids := range l.nulls {
		l.complain("%q does not point to the null version %v", key, ids)
	}
}

// streams checks the rows b/ and d/, and the streams themselves.
func (l *ledger) streams(settled bool) {
	for id, n := range l.named {
		switch {
		case n > 1:
			l.complain("stream %s is named %d times", id, n)
		case l.due[id]:
			l.complain("stream %s is named, and to be removed", id)
		case l.rows[string(locationKey(id))].Ver == 0:
			l.complain("stream %s is named and has no location", id)
		}
	}
	for key, item := range l.rows {
		id := blob.StreamID{}
		switch prefix, rest, _ := strings.Cut(key, "/"); prefix {
		case "d":
			if _, ok := l.rows["b/"+rest]; !ok {
				l.complain("an inline stream without a location")
			}
			continue
		case "b":
			copy(id[:], rest)
		default:
			continue
		}
		loc, err := decodeLocation(item.Value)
		switch {
		case err != nil:
			l.complain("%q: %v", key, err)
		case loc.kind == swept && l.named[id] > 0:
			l.complain("stream %s is named, and swept", id)
		case loc.kind == swept:
		case l.named[id] == 0 && !l.due[id]:
			l.complain("stream %s has a location and nothing names it", id)
		case loc.kind == inRow && l.rows[string(inlineKey(id))].Ver == 0:
			l.complain("inline stream %s is missing", id)
		case loc.kind != inRow && !l.blobs[id] && l.named[id] > 0:
			l.complain("stream %s is missing", id)
		}
	}
	for id := range l.blobs {
		if settled && l.named[id] == 0 {
			l.complain("stream %s is stored and nothing names it", id)
		}
	}
}

// gone checks that nothing is kept for buckets that are not there.
func (l *ledger) gone() {
	for key := range l.rows {
		prefix, rest, _ := strings.Cut(key, "/")
		switch prefix {
		case "c", "v", "vn", "u", "g", "gp", "gx", "bg", "bx":
			if _, ok := l.rows["bu/"+rest[:16]]; !ok {
				l.complain("%q is of no bucket", key)
			}
		}
	}
}
