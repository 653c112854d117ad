// SPDX-License-Identifier: Apache-2.0

package notification

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/store/meta"
)

// Rows of this package:
//
//	nq/<target>/<sequence>   an event that waits for a target
//	nc/<target>              the last sequence when something was taken from its queue
//
// A sequence is eight bytes, big-endian.
const (
	queueRows = "nq/"
	clockRows = "nc/"
)

func queuePrefix(target string) []byte { return []byte(queueRows + target + "/") }

func queueKey(target string, sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(queuePrefix(target), sequence)
}

// splitQueueKey returns of which target and in which place a row is.
func splitQueueKey(key []byte) (target string, sequence uint64, ok bool) {
	rest, ok := strings.CutPrefix(string(key), queueRows)
	if !ok || len(rest) < 9 || rest[len(rest)-9] != '/' {
		return "", 0, false
	}
	return rest[:len(rest)-9], binary.BigEndian.Uint64(key[len(key)-8:]), true
}

func clockKey(target string) []byte { return []byte(clockRows + target) }

// waiting is an event that waits, the value of its row.
type waiting struct {
	Version int    `json:"version"`
	Bucket  string `json:"bucket"`
	Account string `json:"account"`       // of the bucket
	Key     string `json:"key,omitempty"` // of the object
	// Queued is when it was queued, in ms since 1970: the sequence goes on from its last
	// where the clock was set back, and does not tell.
	Queued int64 `json:"queued,omitempty"`
	// Test says that the record is a document of its own, and not one of Records.
	Test   bool            `json:"test,omitempty"`
	Record json.RawMessage `json:"record"`
}

const waitingVersion = 1

func (w waiting) encode() ([]byte, error) {
	w.Version = waitingVersion
	return json.Marshal(w)
}

// since returns when an event was queued, whose place is sequence.
func (w *waiting) since(sequence uint64) time.Time {
	if w.Queued == 0 {
		return at(sequence)
	}
	return time.UnixMilli(w.Queued)
}

func decodeWaiting(row []byte) (w waiting, err error) {
	if err := json.Unmarshal(row, &w); err != nil {
		return w, err
	}
	if w.Version != waitingVersion {
		return w, errors.New("unknown version")
	}
	if len(w.Record) == 0 || w.Bucket == "" {
		return w, errors.New("no record")
	}
	return w, nil
}

// at returns when a place was given.
func at(sequence uint64) time.Time { return time.Unix(0, int64(sequence)) }

// each calls f for the rows under a prefix, in their order.
func each(ctx context.Context, rows meta.Store, prefix []byte, keysOnly bool, f func(meta.Item) error) error {
	for start := prefix; ; {
		page, err := rows.Scan(ctx, meta.Range{Start: start, End: meta.PrefixEnd(prefix), KeysOnly: keysOnly})
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			if err := f(item); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
		start = page.Next
	}
}

// recover counts what waits, and sets the clock behind everything that ever waited.
func (s *Service) recover(ctx context.Context) error {
	gone := map[string]int{}
	err := each(ctx, s.rows, []byte(queueRows), true, func(item meta.Item) error {
		name, sequence, ok := splitQueueKey(item.Key)
		if !ok {
			return fmt.Errorf("row %q is none of a queue", item.Key)
		}
		s.clock.AtLeast(sequence)
		if p := s.pumps[name]; p == nil {
			gone[name]++
		} else {
			p.waits.Add(1)
			p.oldest.CompareAndSwap(0, min(int64(sequence), time.Now().UnixNano()))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for name, n := range gone {
		s.log.Warn("notification target is not in the configuration any more: its events wait until they are too old", "target", name, "waiting", n, "max_age", s.cfg.MaxAge)
	}
	return each(ctx, s.rows, []byte(clockRows), true, func(item meta.Item) error {
		item, err := meta.Get1(ctx, s.rows, item.Key)
		switch {
		case errors.Is(err, meta.Damaged) || err == nil && len(item.Value) != 8:
			// Without it the order goes on by the system's clock.
			s.log.Error("the row that keeps the order of events is damaged", "row", string(item.Key), "error", err)
		case err != nil:
			return err
		default:
			s.clock.AtLeast(binary.BigEndian.Uint64(item.Value))
		}
		return nil
	})
}

const boundsEvery = 10 * time.Minute

// keepBounds drops what waits for targets that are gone, once it is too old or too much.
func (s *Service) keepBounds(ctx context.Context) {
	tick := time.NewTicker(boundsEvery)
	defer tick.Stop()
	for {
		if err := s.dropOld(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("old events could not be dropped", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Service) dropOld(ctx context.Context) error {
	dropped := map[string]int{}
	var batch meta.Batch
	flush := func() error {
		if len(batch.Deletes) == 0 {
			return nil
		}
		_, err := s.rows.Commit(ctx, &batch)
		batch = meta.Batch{}
		return err
	}
	err := each(ctx, s.rows, []byte(queueRows), true, func(item meta.Item) error {
		name, sequence, ok := splitQueueKey(item.Key)
		if !ok || s.pumps[name] != nil {
			return nil
		}
		age := time.Since(at(sequence))
		if age < 0 { // the clock was set back: the row says when
			row, err := meta.Get1(ctx, s.rows, item.Key)
			if err != nil {
				return err
			}
			if w, err := decodeWaiting(row.Value); err == nil {
				age = time.Since(w.since(sequence))
			}
		}
		if age < s.cfg.MaxAge {
			return nil
		}
		dropped[name]++
		batch.Delete(item.Key)
		if len(batch.Deletes) < maxRows {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	for name, n := range dropped {
		s.log.Warn("events for a notification target that is not in the configuration are dropped: they are too old", "target", name, "events", n)
	}
	return err
}
