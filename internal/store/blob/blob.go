// SPDX-License-Identifier: Apache-2.0

// Package blob is the store for streams of sealed bytes too large for a
// metadata row: the interface and its errors. Drivers are in mem and fs; faulty
// wraps one and fails on order; what they promise is the suite blobtest. It
// knows neither S3 nor KMS, and never sees plaintext.
package blob

import (
	"context"
	"encoding/hex"
	"io"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault that every store raises.
const (
	NotFound    fault.Kind = "blob: no such stream"
	Exists      fault.Kind = "blob: stream already exists"
	Damaged     fault.Kind = "blob: damaged stream"
	Full        fault.Kind = "blob: no room left"
	Unavailable fault.Kind = "blob: store unavailable"
)

// StreamID names a stream: 16 random bytes, never reused.
type StreamID [16]byte

// String returns the id as 32 lower-case hex digits.
func (id StreamID) String() string { return hex.EncodeToString(id[:]) }

// Place is where in a store a stream is, as its Writer's Commit returned it. The
// zero value is a place of the stream's own, found by its id. Otherwise it was
// packed together with other streams; then only who has the place finds it.
type Place struct {
	Pack   uint64 // never 0 of a packed stream
	Offset int64  // in the pack, in bytes
	Size   int64  // stored length of a packed stream
}

// Packed says whether the stream is in a pack.
func (p Place) Packed() bool { return p.Pack != 0 }

// Store keeps streams. All methods are safe for concurrent use. A stream is
// there from its Writer's Commit on: until then ReadAt and Stat say NotFound,
// List leaves it out, and Delete and MoveToTrash do nothing; only Create says
// Exists. A method whose ctx is done returns ctx's error and has done nothing.
//
// A stream is named by its id and its place. A place at which another stream is,
// or one of another length than the place says, is Damaged to ReadAt and Stat,
// and left alone by Delete and MoveToTrash.
type Store interface {
	// Create begins a stream; ctx governs this call only. sizeHint is the
	// expected length in bytes, or -1; a store may pack a stream whose expected
	// length is small, and does not pack one of -1. Errors: Exists (that a
	// committed stream is packed under this id, a store need not notice: ids are
	// random), Full, Unavailable.
	Create(ctx context.Context, id StreamID, sizeHint int64) (Writer, error)

	// ReadAt returns a reader of the n bytes from off on; n < 0 means to the
	// end. A range beyond the stored length ends early with
	// io.ErrUnexpectedEOF; a negative off is an error. ctx governs the reader
	// too. Errors: NotFound, Damaged, Unavailable. The caller closes the reader,
	// which serves one goroutine and may outlive Delete and Close.
	ReadAt(ctx context.Context, id StreamID, at Place, off, n int64) (io.ReadCloser, error)

	// Stat returns what List says of the stream. Errors: NotFound, Damaged,
	// Unavailable.
	Stat(ctx context.Context, id StreamID, at Place) (Info, error)

	// Delete removes the stream. A missing stream is success. After a crash the
	// stream may be back.
	Delete(ctx context.Context, id StreamID, at Place) error

	// MoveToTrash takes the stream out of reach of every other method but
	// EmptyTrash; an operator can still bring it back by hand. A missing stream
	// is success. For streams that nothing is known to refer to.
	MoveToTrash(ctx context.Context, id StreamID, at Place) error

	// EmptyTrash deletes what was moved to the trash before the given time and
	// returns how many entries that were, also when it fails on the way.
	EmptyTrash(ctx context.Context, before time.Time) (n int, err error)

	// List returns up to limit streams that come after the given one in the
	// store's own order, which does not change; the zero Info is before the
	// first. limit < 1 means 1000. It also shows streams that a crash left
	// unfinished. Fewer than limit means that there are no more. An error beside
	// streams says that some could not be read; who goes on passes over them.
	List(ctx context.Context, after Info, limit int) ([]Info, error)

	// Free says how much room the device has. total 0 means unknown.
	Free(ctx context.Context) (avail, total int64, err error)

	// Close waits for calls under way, abandons streams not yet committed, and
	// releases the store. Later calls, also of Writers, return Unavailable.
	Close() error
}

// Writer takes the bytes of one stream, in order, from one goroutine. Its
// errors are Full and Unavailable; after one of them, and after Commit or Abort,
// every further Write and Commit is an error.
type Writer interface {
	io.Writer
	// Commit makes the stream durable: after it returns nil the stream
	// survives a crash of the process and of the machine. It returns where the
	// stream is. After an error the stream has been abandoned and must not be
	// referred to.
	Commit(ctx context.Context) (Place, error)
	// Abort abandons the stream. It does nothing after Commit, so it can be
	// deferred.
	Abort()
}

// Info describes a stream.
type Info struct {
	ID       StreamID
	At       Place
	Size     int64
	Modified time.Time
}
