// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/sse"
)

// Rows are a magic word and fields of u8 tag ‖ u32 length ‖ bytes.

var errField = errors.New("malformed field")

func appendField(b []byte, tag byte, v []byte) []byte {
	b = append(b, tag)
	b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
	return append(b, v...)
}

func appendUint(b []byte, tag byte, v uint64) []byte {
	b = append(b, tag, 0, 0, 0, 8)
	return binary.BigEndian.AppendUint64(b, v)
}

// fields calls f for each field, in order. The slices are parts of value.
func fields(value []byte, magic string, f func(tag byte, v []byte) error) error {
	if !bytes.HasPrefix(value, []byte(magic)) {
		return errors.New("not " + magic)
	}
	for b := value[len(magic):]; len(b) > 0; {
		if len(b) < 5 {
			return errField
		}
		n := binary.BigEndian.Uint32(b[1:])
		if uint64(n) > uint64(len(b)-5) {
			return errField
		}
		if err := f(b[0], b[5:5+n:5+n]); err != nil {
			return err
		}
		b = b[5+n:]
	}
	return nil
}

func exactly(v, into []byte) error {
	if len(v) != len(into) {
		return errField
	}
	copy(into, v)
	return nil
}

func readInt(v []byte, into *int64) error {
	if len(v) != 8 {
		return errField
	}
	*into = int64(binary.BigEndian.Uint64(v))
	return nil
}

// Strings are u32 length ‖ bytes.

func appendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

func cutString(b []byte) (s string, rest []byte, ok bool) {
	if len(b) < 4 {
		return "", nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return "", nil, false
	}
	return string(b[4 : 4+n]), b[4+n:], true
}

// cutPair reads a name and a value.
func cutPair(b []byte) (k, v string, rest []byte, err error) {
	k, rest, ok := cutString(b)
	if ok {
		v, rest, ok = cutString(rest)
	}
	if !ok {
		return "", "", nil, errField
	}
	return k, v, rest, nil
}

func encodeHeaders(h []Header) []byte { return appendHeaders(nil, h) }

func appendHeaders(b []byte, h []Header) []byte {
	for _, x := range h {
		b = appendString(appendString(b, x.Name), x.Value)
	}
	return b
}

func decodeHeaders(b []byte, into *[]Header) error {
	for len(b) > 0 {
		name, value, rest, err := cutPair(b)
		if err != nil {
			return err
		}
		*into, b = append(*into, Header{name, value}), rest
	}
	return nil
}

func encodeTags(t []bucket.Tag) []byte {
	var b []byte
	for _, x := range t {
		b = appendString(appendString(b, x.Key), x.Value)
	}
	return b
}

func decodeTags(b []byte, into *[]bucket.Tag) error {
	for len(b) > 0 {
		key, value, rest, err := cutPair(b)
		if err != nil {
			return err
		}
		*into, b = append(*into, bucket.Tag{Key: key, Value: value}), rest
	}
	return nil
}

// The part table: u32 part ‖ u64 size ‖ 16 streamID ‖ u32 crc32c ‖ u16 flags ‖ 6 zero.

const partSize = 40

func encodeParts(parts []part) []byte {
	return appendParts(make([]byte, 0, len(parts)*partSize), parts)
}

func appendParts(b []byte, parts []part) []byte {
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, p.Number)
		b = binary.BigEndian.AppendUint64(b, uint64(p.Size))
		b = append(b, p.Stream[:]...)
		b = binary.BigEndian.AppendUint32(b, p.CRC32C)
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	return b
}

func decodeParts(b []byte, into *[]part) error {
	if len(b)%partSize != 0 {
		return errField
	}
	*into = make([]part, 0, len(b)/partSize)
	for ; len(b) > 0; b = b[partSize:] {
		p := part{
			Number: binary.BigEndian.Uint32(b), Size: int64(binary.BigEndian.Uint64(b[4:])),
			CRC32C: binary.BigEndian.Uint32(b[28:]),
		}
		copy(p.Stream[:], b[12:28])
		if p.Size < 0 {
			return errField
		}
		*into = append(*into, p)
	}
	return nil
}

func encodeFormat(f sse.Format) []byte { return []byte{f.Algorithm, f.SegmentLog2, f.Layers} }

func decodeFormat(v []byte, into *sse.Format) error {
	if len(v) != 3 {
		return errField
	}
	*into = sse.Format{Algorithm: v[0], SegmentLog2: v[1], Layers: v[2]}
	return nil
}

func (c Checksum) encode() []byte {
	return c.append(nil)
}

func (c Checksum) append(b []byte) []byte {
	if c.Algorithm == "" {
		return b
	}
	b = appendString(b, string(c.Algorithm))
	b = appendString(b, string(c.Type))
	return append(b, c.Value...)
}

func (c *Checksum) decode(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	alg, typ, value, err := cutPair(b)
	c.Algorithm, c.Type, c.Value = checksum.Algorithm(alg), checksum.Type(typ), value
	return err
}
