// SPDX-License-Identifier: Apache-2.0

package forward

import "github.com/cofferstore/coffer/internal/core/audit"

// batch is records that were read and not yet taken.
type batch struct {
	records [][]byte         // in text
	after   []audit.Position // behind each of them
	text    []byte
	next    audit.Position // behind all that was read
}

func (b *batch) empty() bool { return len(b.records) == 0 }
func (b *batch) len() int    { return len(b.records) }

// reset makes the batch empty; what it had must not be used any more.
func (b *batch) reset() {
	if b.text == nil { // as large as it gets, so that it stays where it is
		b.text = make([]byte, 0, maxBytes)
	}
	b.records, b.after, b.text = b.records[:0], b.after[:0], b.text[:0]
}

// full reports whether a record of so many bytes does not fit any more.
func (b *batch) full(size int) bool {
	return len(b.records) == maxRecords || len(b.records) > 0 && len(b.text)+size > cap(b.text)
}

// add copies a record.
func (b *batch) add(l audit.Line) {
	begin := len(b.text)
	b.text = append(b.text, l.JSON...)
	b.records = append(b.records, b.text[begin:len(b.text):len(b.text)])
	b.after = append(b.after, l.Next)
}

// drop takes the first n records away and returns the position behind them.
func (b *batch) drop(n int) audit.Position {
	at := b.after[n-1]
	b.records, b.after = b.records[n:], b.after[n:]
	return at
}
