// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/blob"
)

// annotations are what a version's record says of its annotations, in the order of their
// names, as it stands in the row: who lists objects or reads one does not pay for them.
// decodeRecord has checked it. docs/formats.md, "COR1", tag 4C.
type annotations []byte

// annotation is one of them. Its payload is a stream, sealed as those of the version's own
// bytes are, under the same data key.
type annotation struct {
	Name     string
	Stream   blob.StreamID
	Size     int64 // plaintext bytes
	Log2     byte  // segment size of the stream
	CRC32C   uint32
	Modified int64 // ms
	ETag     [16]byte
	Checksum Checksum // without a type: it is of the whole
	// Binding binds all of the above to the version's data key.
	Binding [32]byte
}

const (
	annotationName  = 2                           // u16 length
	annotationFixed = 16 + 4 + 1 + 4 + 8 + 16 + 1 // up to the length of the algorithm
	bindingSize     = 32
)

// unbound returns the entry without its binding.
func (a *annotation) unbound() []byte {
	b := make([]byte, 0, annotationName+len(a.Name)+annotationFixed+64+bindingSize)
	b = binary.BigEndian.AppendUint16(b, uint16(len(a.Name)))
	b = append(b, a.Name...)
	b = append(b, a.Stream[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(a.Size))
	b = append(b, a.Log2)
	b = binary.BigEndian.AppendUint32(b, a.CRC32C)
	b = binary.BigEndian.AppendUint64(b, uint64(a.Modified))
	b = append(b, a.ETag[:]...)
	b = append(append(b, byte(len(a.Checksum.Algorithm))), a.Checksum.Algorithm...)
	return append(append(b, byte(len(a.Checksum.Value))), a.Checksum.Value...)
}

// bind sets the entry's binding. key is that of the version's data key.
func (a *annotation) bind(key func(entry []byte) secret.Bytes) {
	k := key(a.unbound())
	defer k.Clear()
	a.Binding = [32]byte(k.Reveal())
}

// bound reports whether the entry is what was put under this data key.
func (a *annotation) bound(o *sse.Opening) bool {
	k := o.AnnotationBind(a.unbound())
	defer k.Clear()
	return k.Equal(secret.New(a.Binding[:]))
}

func (a *annotation) part() part {
	return part{Number: 1, Size: a.Size, Stream: a.Stream, CRC32C: a.CRC32C}
}

// format says how the stream is sealed: as the version, but that the usual size of a
// segment may be another one by now.
func (a *annotation) format(of sse.Format) sse.Format {
	of.SegmentLog2 = a.Log2
	return of
}

// describe returns what is told of it.
func (a *annotation) describe() AnnotationEntry {
	sum := a.Checksum
	sum.Type = checksum.FullObject
	return AnnotationEntry{
		Name: a.Name, Size: a.Size, ETag: hex.EncodeToString(a.ETag[:]), Modified: time.UnixMilli(a.Modified).UTC(), Checksum: sum,
	}
}

// cutEntry returns the first entry, its name, and what follows. ok is false for what is
// none. Nothing is allocated.
func cutEntry(b []byte) (entry, name, rest []byte, ok bool) {
	if len(b) < annotationName {
		return nil, nil, nil, false
	}
	n := annotationName + int(binary.BigEndian.Uint16(b))
	name = b[annotationName:min(n, len(b))]
	if n += annotationFixed; len(b) < n {
		return nil, nil, nil, false
	}
	if n += int(b[n-1]) + 1; len(b) < n {
		return nil, nil, nil, false
	}
	if n += int(b[n-1]) + bindingSize; len(b) < n {
		return nil, nil, nil, false
	}
	return b[:n:n], name, b[n:], true
}

// check refuses what is not annotations in the order of their names, each once.
func (l annotations) check() error {
	var last []byte
	count := 0
	for rest := []byte(l); len(rest) > 0; count++ {
		_, name, next, ok := cutEntry(rest)
		if !ok || len(name) == 0 || len(name) > maxAnnotationName || count > 0 && bytes.Compare(last, name) >= 0 {
			return errField
		}
		last, rest = name, next
	}
	if count == 0 || count > MaxAnnotations {
		return errField
	}
	return nil
}

// decodeAnnotation reads an entry that cutEntry has cut.
func decodeAnnotation(entry, name []byte) (a annotation) {
	a.Name = string(name)
	b := entry[annotationName+len(name):]
	copy(a.Stream[:], b)
	a.Size, a.Log2 = int64(binary.BigEndian.Uint32(b[16:])), b[20]
	a.CRC32C, a.Modified = binary.BigEndian.Uint32(b[21:]), int64(binary.BigEndian.Uint64(b[25:]))
	copy(a.ETag[:], b[33:])
	b = b[annotationFixed:]
	n := int(entry[annotationName+len(name)+annotationFixed-1])
	a.Checksum.Algorithm = checksum.Algorithm(b[:n])
	b = b[n+1:]
	a.Checksum.Value = b[: len(b)-bindingSize : len(b)-bindingSize]
	copy(a.Binding[:], b[len(b)-bindingSize:])
	return a
}

// all yields the annotations whose name is not before from.
func (l annotations) all(from string) iter.Seq[annotation] {
	return func(yield func(annotation) bool) {
		for rest := []byte(l); len(rest) > 0; {
			entry, name, next, ok := cutEntry(rest)
			if !ok || string(name) >= from && !yield(decodeAnnotation(entry, name)) {
				return
			}
			rest = next
		}
	}
}

// find returns the annotation with that name.
func (l annotations) find(name string) (annotation, bool) {
	for a := range l.all(name) {
		return a, a.Name == name
	}
	return annotation{}, false
}

func (l annotations) count() (n int) {
	for rest, ok := []byte(l), true; len(rest) > 0; n++ {
		if _, _, rest, ok = cutEntry(rest); !ok {
			break
		}
	}
	return n
}

// with returns the annotations with one more, or with one in the place of that of its name.
// Fault: TooManyAnnotations.
func (l annotations) with(a annotation) (annotations, error) {
	out := make(annotations, 0, len(l)+annotationName+len(a.Name)+annotationFixed+65+bindingSize)
	before, after := l.split(a.Name)
	if _, replaces := l.find(a.Name); !replaces && l.count() >= MaxAnnotations {
		return nil, fault.New(TooManyAnnotations, "")
	}
	out = append(out, before...)
	out = append(append(out, a.unbound()...), a.Binding[:]...)
	return append(out, after...), nil
}

// without returns the annotations without the one of that name; nil when there is no other.
func (l annotations) without(name string) annotations {
	before, after := l.split(name)
	if len(before)+len(after) == 0 {
		return nil
	}
	return slices.Concat(before, after)
}

// split returns the entries before and behind a name.
func (l annotations) split(name string) (before, after annotations) {
	for at := 0; at < len(l); {
		entry, this, _, ok := cutEntry(l[at:])
		if !ok {
			break
		}
		switch {
		case string(this) == name:
			return l[:at], l[at+len(entry):]
		case string(this) > name:
			return l[:at], l[at:]
		}
		at += len(entry)
	}
	return l, nil
}

// newAnnotation describes a payload that was sealed.
func newAnnotation(name string, st stream, log2 byte, algorithm checksum.Algorithm, plainETag bool) annotation {
	a := annotation{
		Name: name, Stream: st.Stream, Size: st.Size, Log2: log2, CRC32C: st.CRC32C, Modified: time.Now().UnixMilli(),
		Checksum: Checksum{Algorithm: algorithm, Value: st.checksum},
	}
	sum, err := hex.DecodeString(etag(plainETag, st.md5))
	if err != nil || copy(a.ETag[:], sum) != len(a.ETag) {
		panic(fmt.Sprintf("object: ETag of %d bytes", len(sum)))
	}
	return a
}
