// SPDX-License-Identifier: Apache-2.0

package checksum

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/cofferstore/coffer/internal/fault"
)

// Type says what the checksum of a multipart object covers.
type Type string

// The types. An object made by one request always has FullObject.
const (
	Composite  Type = "COMPOSITE"   // the digests of the parts, in order
	FullObject Type = "FULL_OBJECT" // the bytes of the object
)

// DefaultType is the type of an upload that names the algorithm alone.
func (a Algorithm) DefaultType() Type {
	if a.traits().composite {
		return Composite
	}
	return FullObject
}

// Allows reports whether an upload may combine the algorithm with the type.
func (a Algorithm) Allows(t Type) bool {
	switch t {
	case Composite:
		return a.traits().composite
	case FullObject:
		// Only a CRC of the whole follows from those of the parts.
		return a.traits().poly != 0
	}
	return false
}

// InvalidKind is the fault of a type that there is not: an InvalidType.
func InvalidKind() error {
	return fault.New(InvalidType, "Value for x-amz-checksum-type header is invalid.")
}

// ParseUpload reads what a new multipart upload asks for: an algorithm and a
// type, either of which may be empty. Without both, it is [Default] with its
// type.
func ParseUpload(algorithm, kind string) (Algorithm, Type, error) {
	t := Type(strings.ToUpper(kind))
	if kind != "" && t != Composite && t != FullObject {
		return "", "", InvalidKind()
	}
	if algorithm == "" {
		if kind != "" {
			return "", "", fault.New(InvalidType,
				"The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
		}
		return Default, Default.DefaultType(), nil
	}
	a, err := Parse(algorithm)
	if err != nil {
		return "", "", err
	}
	if kind == "" {
		return a, a.DefaultType(), nil
	}
	if !a.Allows(t) {
		return "", "", fault.New(InvalidType, "The %s checksum type cannot be used with the %s checksum algorithm.",
			t, strings.ToLower(string(a)))
	}
	return a, t, nil
}

// Part is the checksum and the length of one part of an object.
type Part struct {
	Sum  []byte
	Size int64
}

// Composite returns the digest of the parts' digests.
func (a Algorithm) Composite(parts []Part) []byte {
	h := a.New()
	for _, p := range parts {
		h.Write(p.Sum)
	}
	return h.Sum(nil)
}

// FormatComposite writes a composite digest over n parts as headers carry it.
func (a Algorithm) FormatComposite(sum []byte, n int) string {
	return a.Encode(sum) + "-" + strconv.Itoa(n)
}

// ParseComposite reads a composite value, with or without its count of parts.
// n is 0 when there is none.
func (a Algorithm) ParseComposite(value string) (sum []byte, n int, err error) {
	digest, count, counted := strings.Cut(value, "-")
	if sum, err = a.Decode(digest); err != nil {
		return nil, 0, err
	}
	if counted {
		n, err = strconv.Atoi(count)
		if err != nil || n < 1 || strconv.Itoa(n) != count {
			return nil, 0, fault.New(InvalidValue, "Value for %s header is invalid.", a.Header())
		}
	}
	return sum, n, nil
}

// FullObject returns the checksum of the parts' bytes in their order, without
// the bytes. It costs some microseconds for each different size of part. The
// algorithm must allow [FullObject]; a digest of the wrong length or a negative
// size is an error, since both come from storage.
func (a Algorithm) FullObject(parts []Part) ([]byte, error) {
	t := a.traits()
	if t.poly == 0 {
		panic("checksum: " + string(a) + " of parts does not make one of the object")
	}
	c := crc{bits: 8 * uint(t.size), poly: t.poly}
	var (
		sum    uint64 // the CRC of no bytes
		size   int64  = -1
		factor uint64
	)
	for i, p := range parts {
		if len(p.Sum) != t.size || p.Size < 0 {
			return nil, fmt.Errorf("checksum: part %d of %d: %s of %d bytes over %d bytes",
				i+1, len(parts), a, len(p.Sum), p.Size)
		}
		if p.Size != size { // all parts but the last are usually alike
			size, factor = p.Size, c.shift(p.Size)
		}
		sum = c.multiply(factor, sum) ^ number(p.Sum)
	}
	return binary.BigEndian.AppendUint64(nil, sum)[8-t.size:], nil
}

func number(sum []byte) (n uint64) {
	for _, b := range sum {
		n = n<<8 | uint64(b)
	}
	return n
}

// crc is the arithmetic of a reflected CRC that starts from and is inverted by
// all ones, as CRC-32, CRC-32C and CRC-64/NVME are. Appending n bytes multiplies
// what stands before them by x^8n modulo the polynomial; with equal start and
// final inversion the two constants cancel, so that
//
//	crc(A ‖ B) = crc(A)·x^(8·len B) ⊕ crc(B).
type crc struct {
	bits uint
	poly uint64 // reversed: bit 0 is the coefficient of x^(bits-1)
}

// multiply returns a·b modulo the polynomial, both in reversed bit order.
func (c crc) multiply(a, b uint64) (product uint64) {
	for m := uint64(1) << (c.bits - 1); m != 0 && a != 0; m >>= 1 {
		if a&m != 0 {
			product ^= b
			a ^= m
		}
		if b&1 != 0 {
			b = b>>1 ^ c.poly
		} else {
			b >>= 1
		}
	}
	return product
}

// shift returns x^(8n) modulo the polynomial, by squaring.
func (c crc) shift(n int64) uint64 {
	result := uint64(1) << (c.bits - 1) // x^0
	square := uint64(1) << (c.bits - 9) // x^8
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			result = c.multiply(result, square)
		}
		square = c.multiply(square, square)
	}
	return result
}
