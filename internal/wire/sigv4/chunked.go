// SPDX-License-Identifier: Apache-2.0

package sigv4

import (
	"bufio"
	"errors"
	"io"

	"github.com/cofferstore/coffer/internal/fault"
)

// minChunk is the least size of every chunk but the last that S3 accepts.
const minChunk = 8 << 10

// chunkReader decodes aws-chunked framing:
//
//	size;chunk-signature=SIGNATURE CRLF data CRLF   any number of times
//	0;chunk-signature=SIGNATURE CRLF                the final chunk
//	name:value CRLF ...                             trailers, in their modes
//	CRLF
//
// Without signatures there is only the size before the first CRLF. A chunk is
// never buffered: its size is bounded by what is left of the decoded length
// alone, since clients without signatures send the whole object in one.
type chunkReader struct {
	src       *bufio.Reader
	chain     *chainState // nil: unsigned
	trailing  bool        // trailers may follow
	announced []string
	trailers  []trailer

	left    int64 // of the decoded length
	chunk   int64 // left of the current chunk
	size    int64 // of the current chunk
	number  int64 // of the current chunk, from 1
	claimed [signatureLength]byte
	err     error // final; io.EOF when all is verified
}

func newChunkReader(src io.Reader, p *payload) *chunkReader {
	return &chunkReader{
		// Large reads bypass the buffer, which serves headers and trailers.
		src:       bufio.NewReaderSize(src, maxLine),
		trailing:  p.mode != SignedChunks,
		announced: p.announced,
		left:      p.length,
	}
}

// Read fills p up to the end of a chunk. The last bytes of a chunk are returned
// only if its signature is right; so a p of the size of a chunk sees no
// unverified byte.
func (c *chunkReader) Read(p []byte) (int, error) {
	if c.err != nil || len(p) == 0 {
		return 0, c.err
	}
	n, err := c.read(p)
	if err != nil {
		c.err = err
		return 0, err
	}
	return n, nil
}

func (c *chunkReader) read(p []byte) (int, error) {
	if c.chunk == 0 {
		if err := c.begin(); err != nil {
			return 0, err
		}
		if c.size == 0 {
			return 0, c.finish()
		}
	}
	p = p[:min(int64(len(p)), c.chunk)]
	if _, err := io.ReadFull(c.src, p); err != nil {
		return 0, incomplete(err)
	}
	if c.chain != nil {
		c.chain.sum.Write(p)
	}
	c.chunk -= int64(len(p))
	c.left -= int64(len(p))
	if c.chunk > 0 {
		return len(p), nil
	}
	if err := c.lineBreak(); err != nil {
		return 0, err
	}
	return len(p), c.verifyChunk()
}

// begin reads a chunk's header.
func (c *chunkReader) begin() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	if len(line) == 0 || line[len(line)-1] != '\r' {
		return incomplete(errors.New("chunk header without CR LF"))
	}
	line = line[:len(line)-1]
	if c.chain != nil {
		const extension = ";chunk-signature="
		cut := len(line) - signatureLength - len(extension)
		if cut < 0 || string(line[cut:cut+len(extension)]) != extension {
			return incomplete(errors.New("chunk header without signature"))
		}
		copy(c.claimed[:], line[cut+len(extension):])
		line = line[:cut]
	}
	size, ok := parseSize(line)
	if !ok {
		return incomplete(errors.New("chunk header without size"))
	}
	c.number++
	// S3 notices a short chunk when another follows, and numbers that one.
	if size > 0 && c.number > 1 && c.size < minChunk {
		return fault.New(InvalidChunkSize, "Only the last chunk is allowed to have a size less than 8192 bytes").
			With("Chunk", decimal(c.number)).With("BadChunkSize", decimal(c.size))
	}
	if size > c.left || size == 0 && c.left > 0 {
		return c.misfit(size)
	}
	c.size, c.chunk = size, size
	return nil
}

// misfit is the fault of a chunk that does not fit the decoded length: whose frame is
// broken, as far as it is looked at, did not say its size at all.
func (c *chunkReader) misfit(size int64) error {
	if size <= maxLine {
		if _, err := c.src.Discard(int(size)); err != nil {
			return incomplete(err)
		}
		if err := c.lineBreak(); err != nil && size > 0 {
			return err
		}
	}
	return fault.New(IncompleteBody, lengthMessage).
		Because(errors.New("chunks do not make the decoded length"))
}

// finish reads what follows the final chunk's header, and returns io.EOF if all
// of it is right.
func (c *chunkReader) finish() error {
	if err := c.verifyChunk(); err != nil {
		return err
	}
	var err error
	if c.trailing {
		err = c.readTrailers()
	} else {
		err = c.lineBreak()
	}
	if err != nil {
		return err
	}
	switch _, err := c.src.ReadByte(); err {
	case io.EOF:
		return io.EOF
	case nil:
		return incomplete(errors.New("data after the final chunk"))
	default:
		return incomplete(err)
	}
}

func (c *chunkReader) verifyChunk() error {
	if c.chain == nil {
		return nil
	}
	return c.chain.verifyChunk(c.claimed[:])
}

// maxLine bounds a line of the framing: a chunk's header has at most 99 bytes,
// a trailer a name and a checksum.
const maxLine = 4 << 10

// line reads to the next line feed, which it drops. The slice is valid until
// the next read.
func (c *chunkReader) line() ([]byte, error) {
	line, err := c.src.ReadSlice('\n')
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, incomplete(err)
	}
	return line[:len(line)-1], nil
}

func (c *chunkReader) lineBreak() error {
	for _, want := range [...]byte{'\r', '\n'} {
		got, err := c.src.ReadByte()
		switch {
		case err == io.EOF:
			return incomplete(io.ErrUnexpectedEOF)
		case err != nil:
			return incomplete(err)
		case got != want:
			return incomplete(errors.New("no line break where one must be"))
		}
	}
	return nil
}

// parseSize reads a chunk's size in hex.
func parseSize(text []byte) (size int64, ok bool) {
	if len(text) == 0 || len(text) > 15 { // more would overflow
		return 0, false
	}
	for _, b := range text {
		digit := unhex(b)
		if digit < 0 {
			return 0, false
		}
		size = size<<4 | int64(digit)
	}
	return size, true
}
