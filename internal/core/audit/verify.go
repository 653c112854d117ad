// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// Verification is what a walk along the chain has come to.
type Verification struct {
	Files     int    `json:"files"`            // so far
	Bytes     int64  `json:"bytes"`            // so far
	Total     int64  `json:"total"`            // bytes there are
	Records   int64  `json:"records"`          // with a chain value
	Unchained int64  `json:"unchained"`        // from before there was a chain
	Faults    int64  `json:"faults"`           //
	Notes     int64  `json:"notes"`            // what is explained
	Head      string `json:"head"`             // the last value found
	HeadKnown bool   `json:"headKnown"`        // the metadata store's head was there to compare with
	Begins    string `json:"begins,omitempty"` // the first file, where files before it were dropped
	Done      bool   `json:"done"`
}

// VerifyConfig is what Verify needs besides the directory.
type VerifyConfig struct {
	FS vfs.FS // default: the operating system's
	// Rows is the metadata store, which knows the head of the chain and where it begins.
	// Without it a trail that was cut off at its end is taken as whole.
	Rows meta.Store
}

// maxHeld bounds the findings that wait for what may explain them, and maxReported those
// that are reported one by one: the others are only counted.
const (
	maxHeld     = 10_000
	maxReported = 100_000
)

// Verify goes along the chain of a trail that nobody writes, and calls report for
// everything that is wrong or needs to be explained, and progress now and then. What a crash
// took that nobody had been promised, and what was dropped because it was old, are notes.
// Error: the directory cannot be listed, the rows cannot be read, or ctx has ended.
func Verify(ctx context.Context, dir string, cfg VerifyConfig, progress func(Verification), report func(Finding)) (Verification, error) {
	v := newVerifier(cfg.FS, dir, progress, report)
	end := Position{Segment: "\xff", Offset: math.MaxInt64}
	if cfg.Rows != nil {
		head, cut, err := readAnchors(ctx, cfg.Rows)
		if err != nil && !errors.Is(err, meta.Damaged) {
			return v.Verification, err
		}
		if err != nil {
			v.hold(Finding{Kind: Head, Text: "what the metadata store knows of the trail's head or beginning is damaged"})
		}
		v.cut = cut
		if head != nil {
			v.head = &head.Anchor
		}
	}
	return v.run(ctx, end)
}

// Verify is [Verify] of what is durable of a trail that is being written.
func (t *Trail) Verify(ctx context.Context, progress func(Verification), report func(Finding)) (Verification, error) {
	t.reading.RLock() // files stay
	defer t.reading.RUnlock()
	v := newVerifier(t.fs, t.dir, progress, report)
	t.mu.Lock()
	head := t.anchor()
	v.head, v.cut = &head, t.cut
	end := t.head()
	t.mu.Unlock()
	return v.run(ctx, end)
}

type verifier struct {
	Verification
	walk     *walk
	head     *Anchor
	cut      *Cut
	found    bool // the head
	held     []Finding
	explains map[Position]string
	begins   []Chain // values at which files were dropped
	progress func(Verification)
	told     func(Finding)
	reported int64
	next     int64 // bytes at which progress is due
}

func newVerifier(f vfs.FS, dir string, progress func(Verification), report func(Finding)) *verifier {
	if f == nil {
		f = vfs.Default
	}
	v := &verifier{explains: map[Position]string{}, progress: progress, told: report}
	if v.progress == nil {
		v.progress = func(Verification) {}
	}
	v.walk = newWalk(f, dir, v.hold)
	v.walk.line = v.line
	return v
}

func (v *verifier) run(ctx context.Context, end Position) (Verification, error) {
	w := v.walk
	names, err := listSegments(w.fs, w.dir)
	if err != nil {
		return v.Verification, err
	}
	if v.cut != nil {
		w.prev, w.begun = v.cut.Chain, true
		for len(names) > 0 && names[0] <= v.cut.Segment { // about to be removed
			names = names[1:]
		}
		if len(names) > 0 {
			v.Begins = names[0]
		}
	}
	for _, name := range names {
		if info, err := w.fs.Stat(w.fs.PathJoin(w.dir, name)); err == nil {
			v.Total += info.Size()
		}
	}
	v.found = v.head == nil || v.head.Offset == 0 || v.cut != nil && v.head.Segment <= v.cut.Segment
	v.HeadKnown = v.head != nil
	for _, name := range names {
		if name > end.Segment {
			break
		}
		to := int64(math.MaxInt64)
		if name == end.Segment {
			to = end.Offset
		}
		if err := w.file(ctx, Position{Segment: name}, to); err != nil {
			return v.Verification, err
		}
		v.Files++
	}
	if !v.found {
		v.hold(Finding{Kind: Head, File: v.head.Segment, Offset: v.head.Offset,
			Text: "the trail was durable up to here, and that is not in the files: its end was removed, it was written anew, or older files were put in its place"})
	}
	v.release()
	v.count()
	v.Done = true
	v.progress(v.Verification)
	return v.Verification, nil
}

func (v *verifier) count() {
	w := v.walk
	v.Bytes, v.Records, v.Unchained, v.Head = w.bytes, w.records, w.unchained, w.prev.String()
}

// line looks at a record for what it says of the trail itself.
func (v *verifier) line(text []byte, next Position) error {
	if v.head != nil && next == v.head.Position && v.walk.prev == v.head.Chain {
		v.found = true
	}
	if bytes.Contains(text, ownEvent) {
		v.own(text, next)
	}
	if v.walk.bytes >= v.next {
		v.next = v.walk.bytes + 4<<20
		v.count()
		v.progress(v.Verification)
	}
	return nil
}

// own takes what the trail says of itself.
func (v *verifier) own(text []byte, next Position) {
	var r Record
	if json.Unmarshal(text, &r) != nil || r.EventSource != ownSource || r.EventType != TypeServiceEvent {
		return
	}
	at := Position{next.Segment, next.Offset - int64(len(text)) - 1}
	note := func(kind Kind, fault bool, format string, args ...any) {
		v.hold(Finding{Kind: kind, File: at.Segment, Offset: at.Offset, Note: !fault, Text: fmt.Sprintf(format, args...)})
	}
	when := r.EventTime.Format(timeText)
	switch r.EventName {
	case recoverEvent:
		var d recovered
		if json.Unmarshal(r.ServiceEventDetails, &d) != nil {
			return
		}
		for _, g := range d.Gaps {
			v.explains[Position{g.File, g.Offset}] = "lost in the crash before the start of " + when + ", when it was not durable yet"
		}
	case dropEvent:
		var d dropped
		if json.Unmarshal(r.ServiceEventDetails, &d) == nil {
			v.begins = append(v.begins, d.Chain)
		}
	case headEvent:
		note(Head, true, "the start of %s did not find the head of the trail in the files: their end had been removed, they had been written anew, or older files had been put in their place", when)
	case gapEvent:
		var d gap
		if json.Unmarshal(r.ServiceEventDetails, &d) == nil {
			note(Gap, false, "%d calls were served without a record from %s to %s, as audit-required=false has it", d.Calls, d.From.Format(timeText), d.To.Format(timeText))
		}
	}
}

// hold keeps a finding until all is read that may explain it.
func (v *verifier) hold(f Finding) {
	v.held = append(v.held, f)
	if len(v.held) >= maxHeld {
		v.release()
	}
}

func (v *verifier) release() {
	for _, f := range v.held {
		if why, ok := v.explains[Position{f.File, f.Offset}]; ok && f.Kind != Head {
			f.Note, f.Text = true, f.Text+": "+why
		}
		if f.Kind == Beginning && v.begunThere() {
			f.Note, f.Text = true, "the trail begins here since older files were dropped, as an event in it says"
		}
		if f.Note {
			v.Notes++
		} else {
			v.Faults++
		}
		if v.reported++; v.reported <= maxReported {
			v.told(f)
		}
	}
	v.held = nil
}

// begunThere reports whether the first line continues a file that was dropped.
func (v *verifier) begunThere() bool {
	n, value, ok := chainOf(v.walk.first)
	for _, c := range v.begins {
		if ok && v.walk.chainer.next(&c, v.walk.first[:n]) == value {
			return true
		}
	}
	return false
}
