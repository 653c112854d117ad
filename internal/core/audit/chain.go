// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"hash"
)

// Every line of the files has a last member that chains it to the line before it:
//
//	"cofferChain": SHA-256(value of the line before ‖ the line without this member and newline)
//
// Before the first line the value is 32 zero bytes. The chain goes on from file to file and
// over restarts; what a write error or a crash tore is not part of it. It is not in the
// journal's rows, and not in what readers and consumers are given.

// Chain is a value of the chain.
type Chain [sha256.Size]byte

// String returns the value as it is in the files: 43 characters of base64url.
func (c Chain) String() string { return chainText.EncodeToString(c[:]) }

// MarshalText is String, for JSON.
func (c Chain) MarshalText() ([]byte, error) { return chainText.AppendEncode(nil, c[:]), nil }

// UnmarshalText is the reverse of MarshalText.
func (c *Chain) UnmarshalText(text []byte) error {
	if len(text) != chainDigits {
		return base64.CorruptInputError(len(text))
	}
	_, err := chainText.Decode(c[:], text)
	return err
}

var chainText = base64.RawURLEncoding.Strict()

const (
	chainName   = `,"cofferChain":"`
	chainDigits = 43
	chainZeros  = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	chainEnd    = `"}`
	chainSize   = len(chainName) + chainDigits + len(chainEnd) - 1 // of the member, with its comma
)

// appendChained appends a line, {…} and a newline, with a member whose value is still to
// be filled in by chainer.link.
func appendChained(b, line []byte) []byte {
	b = append(b, line[:len(line)-len("}\n")]...)
	b = append(b, chainName...)
	b = append(b, chainZeros...)
	return append(b, chainEnd+"\n"...)
}

// chainOf finds the member of a line without its newline: the line without it is
// line[:n] and a brace. ok is false where there is none.
func chainOf(line []byte) (n int, value Chain, ok bool) {
	n = len(line) - chainSize - 1
	if n < 1 || !bytes.HasSuffix(line, []byte(chainEnd)) || !bytes.HasPrefix(line[n:], []byte(chainName)) {
		return 0, value, false
	}
	digits := line[n+len(chainName):][:chainDigits]
	return n, value, value.UnmarshalText(digits) == nil
}

// unchained returns a line without its member, if it has one, in the same memory.
func unchained(line []byte) []byte {
	n, _, ok := chainOf(line)
	if !ok {
		return line
	}
	line[n] = '}'
	return line[:n+1]
}

// chainer computes values. It is not safe for concurrent use.
type chainer struct {
	hash hash.Hash
	sum  []byte
	prev Chain // what is hashed escapes
}

func newChainer() chainer { return chainer{hash: sha256.New(), sum: make([]byte, 0, sha256.Size)} }

var closingBrace = []byte("}")

// next returns the value after prev of a line {… that lacks its last brace.
func (c *chainer) next(prev *Chain, open []byte) (value Chain) {
	c.hash.Reset()
	c.prev = *prev
	c.hash.Write(c.prev[:])
	c.hash.Write(open)
	c.hash.Write(closingBrace)
	c.sum = c.hash.Sum(c.sum[:0])
	copy(value[:], c.sum)
	return value
}

// link fills in the member of a line that appendChained made, and returns its value.
func (c *chainer) link(prev *Chain, line []byte) Chain {
	n := len(line) - len("\n") - chainSize - 1
	value := c.next(prev, line[:n])
	chainText.Encode(line[n+len(chainName):], value[:])
	return value
}
