// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"fmt"
	"io"
	"runtime/debug"
	"sync"
)

const (
	// aheadFrom is the length of a body from which on it is read ahead: while one piece
	// goes out, the next ones are read from the disk and opened.
	aheadFrom  = 512 << 10
	pieceSize  = 256 << 10
	piecesHeld = 3
)

// piece is what was read of a body at a time, and the error that ended it.
type piece struct {
	room []byte
	n    int // of it that are to go out
	most int // of it that were ever filled
	err  error
}

var pieces = sync.Pool{New: func() any { return &piece{room: make([]byte, pieceSize)} }}

// ahead is an io.WriterTo that reads a body in a goroutine of its own. It reads it to
// its end or its error, or until close.
type ahead struct {
	src  io.Reader
	full chan *piece
	free chan *piece
	stop chan struct{}
}

func readAhead(src io.Reader) *ahead {
	a := &ahead{src: src, full: make(chan *piece, piecesHeld), free: make(chan *piece, piecesHeld), stop: make(chan struct{})}
	for range piecesHeld {
		a.free <- pieces.Get().(*piece)
	}
	go a.run()
	return a
}

func (a *ahead) run() {
	defer close(a.full)
	// The first byte should not wait for many others.
	limit := pieceSize / 4
	for {
		var p *piece
		select {
		case <-a.stop:
			return
		case p = <-a.free:
		}
		p.n, p.err = a.read(p.room[:limit])
		p.most = max(p.most, p.n)
		limit = pieceSize
		a.full <- p // has room for all pieces
		if p.err != nil {
			return
		}
	}
}

// read fills a piece as far as the body goes. A panic ends the body, and not the
// process.
func (a *ahead) read(room []byte) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	for n < len(room) && err == nil {
		var m int
		m, err = a.src.Read(room[n:])
		n += m
	}
	return n, err
}

// each calls write with what was read, in order. It returns write's error, or the
// body's; nil at its end.
func (a *ahead) each(write func([]byte) error) error {
	for p := range a.full {
		err := p.err
		if p.n > 0 {
			if werr := write(p.room[:p.n]); werr != nil {
				err = werr
			}
		}
		a.free <- p // has room for all pieces
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
	return io.ErrUnexpectedEOF
}

// close waits until nobody reads the body any more.
func (a *ahead) close() {
	close(a.stop)
	for p := range a.full { // closed when run has ended
		p.release()
	}
	close(a.free)
	for p := range a.free {
		p.release()
	}
}

// release gives a piece back without the plaintext that it held.
func (p *piece) release() {
	clear(p.room[:p.most])
	p.most = 0
	pieces.Put(p)
}
