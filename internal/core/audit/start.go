// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// continueChain finds out how the chain goes on, and holds what the metadata store knows of
// its head against the files. What it says of that is recorded by sayStarted, once records
// can be. t is not shared yet.
func (t *Trail) continueChain(ctx context.Context, names []string) error {
	last, err := lastChain(t.fs, t.dir, names)
	if err != nil {
		return err
	}
	chained := last.Segment != ""
	t.chain = last.Chain
	if t.journal == nil {
		return nil
	}
	head, cut, err := readAnchors(ctx, t.journal)
	if err != nil && !errors.Is(err, meta.Damaged) {
		return err
	}
	if err != nil {
		t.log.Error("what the metadata store knows of the audit trail is damaged", "error", err)
	}
	if t.cut = cut; cut != nil && !chained {
		t.chain = cut.Chain
	}
	if head == nil {
		if !chained {
			return nil
		}
		return t.headLost(Anchor{}, last, "the metadata store does not know the head of the audit trail")
	}
	t.records = head.Records
	there := cut != nil && head.Segment <= cut.Segment
	if !there {
		if there, err = findAnchor(t.fs, t.dir, head.Anchor); err != nil {
			return err
		}
	}
	if !there {
		return t.headLost(head.Anchor, last, "the audit trail's files do not have its head: their end was removed, they were written anew, or older files were put in their place")
	}
	return t.behind(ctx, names, head)
}

// headLost goes on from the last line there is.
func (t *Trail) headLost(a, last Anchor, text string) error {
	if last.Segment != "" {
		last.Records = t.records
		t.settledAt = last
		if err := syncFrom(t.fs, t.dir, last.Segment); err != nil {
			return err
		}
	}
	t.metrics.lost.Inc()
	t.log.Error(text, "file", a.Segment, "offset", a.Offset, "records", a.Records)
	r, err := t.own(headEvent, a)
	t.toSay = append(t.toSay, r)
	return err
}

// behind looks at what is behind the head that is known: what a crash took there nobody
// had been promised.
func (t *Trail) behind(ctx context.Context, names []string, head *anchorRow) error {
	t.settledAt = head.Anchor
	var d recovered
	w := newWalk(t.fs, t.dir, func(f Finding) {
		switch {
		case f.Note:
		case len(d.Gaps) < maxPlaces:
			d.Gaps = append(d.Gaps, place{f.File, f.Offset, f.Kind})
		default:
			d.More++
		}
	})
	w.prev, w.begun = head.Chain, head.Chain != Chain{}
	if t.cut != nil && head.Segment <= t.cut.Segment {
		w.prev, w.begun = t.cut.Chain, true
	}
	for _, name := range names {
		if name < head.Segment || t.cut != nil && name <= t.cut.Segment {
			continue
		}
		from := Position{Segment: name}
		if name == head.Segment {
			from = head.Position
		}
		if err := w.file(ctx, from, math.MaxInt64); err != nil {
			return err
		}
	}
	if w.records > 0 {
		// They may be in the system's memory alone: consumers take them as durable.
		if err := syncFrom(t.fs, t.dir, head.Segment); err != nil {
			return err
		}
		t.records += w.records
		t.settledAt = Anchor{w.last, w.prev, t.records}
	}
	if n := len(d.Gaps) + d.More; n > 0 {
		t.log.Warn("audit files have gaps since the trail was last known to be durable", "gaps", n, "file", d.Gaps[0].File, "offset", d.Gaps[0].Offset, "closed", head.Clean)
		r, err := t.own(recoverEvent, d)
		t.toSay = append(t.toSay, r)
		return err
	}
	return nil
}

// sayStarted records what the start found, and makes known that the trail is in use.
func (t *Trail) sayStarted(ctx context.Context) {
	for _, r := range t.toSay {
		// In the file, and not in the journal alone: who verifies the trail reads files.
		line, err := encode(&r)
		if err == nil {
			err = t.append(line, true)
		}
		if err != nil {
			t.log.Error("audit trail: not recorded what the start found", "event", r.EventName, "error", err)
		}
	}
	t.toSay = nil
	if t.journal == nil {
		return
	}
	if err := t.noteHead(ctx, new(meta.Batch), t.Anchor(), false); err != nil {
		t.log.Error("audit trail: its head is not noted; it is tried again", "error", err)
	}
}

// noteHead commits a batch with the row of the head.
func (t *Trail) noteHead(ctx context.Context, b *meta.Batch, a Anchor, clean bool) error {
	if err := putAnchor(b, a, clean); err != nil {
		return err
	}
	if _, err := t.journal.Commit(ctx, b); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	t.noted, t.notedAt = a, time.Now()
	return nil
}

// noteClosed says that the trail ends here.
func (t *Trail) noteClosed() {
	if t.journal == nil {
		return
	}
	if err := t.noteHead(context.Background(), new(meta.Batch), t.Anchor(), true); err != nil {
		t.log.Error("audit trail: its end is not noted", "error", err)
	}
}
