// SPDX-License-Identifier: Apache-2.0

package object

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// record is one version of an object, or a delete marker: the row c/ or v/. Its
// immutable fields are bound to the wrapped data key by the descriptor; the row as
// a whole is authenticated by the store's row codes. docs/formats.md, "COR1".
type record struct {
	Bucket  bucket.UID
	Key     string
	UID     [16]byte
	Time    int64 // ms; orders the versions of a key, newest first
	Null    bool  // the version whose id is "null"
	Marker  bool  // a delete marker: nothing below but Owner and Replication is set
	Created int64 // ms; Last-Modified
	Owner   string

	Size     int64
	ETag     string
	Checksum Checksum
	Headers  []Header
	Body     sse.Format // descriptor tag 07
	Parts    []part
	Wrap     []byte

	// Multipart only: the upload whose descriptor the wrap is bound to, and the
	// code that binds this descriptor to the data key without unwrapping it.
	Upload *boundUpload

	// Mutable, and outside the descriptor.
	Tags         []bucket.Tag
	StorageClass string
	ACL          acl.List // nil: all for the owner
	Lock         Lock
	Restored     int64 // ms; until when an archived version may be read
	Annotations  annotations
	Replication  replication // of markers, too
}

// boundUpload is what a completed upload leaves in the object's record.
type boundUpload struct {
	ID      [16]byte
	Created int64 // ms
	Binding [32]byte
}

// Checksum is the stored checksum of an object or a part.
type Checksum struct {
	Algorithm checksum.Algorithm // "" when there is none
	Type      checksum.Type
	Value     []byte // the raw digest; for COMPOSITE the digest of the parts' digests
}

// Header is a stored header: one of S3's system headers, or user metadata as
// x-amz-meta-NAME. Names are lower case.
type Header struct{ Name, Value string }

// part is a line of the part table: one stored stream.
type part struct {
	Number   uint32
	Size     int64 // plaintext bytes
	Stream   blob.StreamID
	CRC32C   uint32 // of the stored bytes
	Checksum []byte // of the plaintext, when the object's type is COMPOSITE
}

// Record tags. 01 to 0C are the descriptor's (docs/formats.md, "COD1"); the rest
// are the record's own.
const (
	tagBucket     = 0x01
	tagKey        = 0x02
	tagVersion    = 0x03
	tagSize       = 0x04
	tagETag       = 0x05
	tagChecksum   = 0x06
	tagBody       = 0x07
	tagPartsHash  = 0x08
	tagPartCount  = 0x09
	tagCreated    = 0x0a
	tagHeaderHash = 0x0b
	tagOwner      = 0x0c

	tagTime          = 0x40
	tagFlags         = 0x41
	tagHeaders       = 0x42
	tagParts         = 0x43
	tagPartChecksums = 0x44
	tagWrap          = 0x45
	tagUpload        = 0x46
	tagTags          = 0x47
	tagStorageClass  = 0x48
	tagACL           = 0x49
	tagLock          = 0x4a
	tagRestored      = 0x4b
	tagAnnotations   = 0x4c
	tagReplication   = 0x4d
)

const (
	flagNull   = 1
	flagMarker = 2
)

// descriptor returns D: the digest over every immutable field, which the wrap of
// the data key authenticates.
func (r *record) descriptor() [32]byte {
	var memory, short [512]byte // what has more room than it needs takes no other
	e := newDescriptor(memory[:0])
	e = e.bytes(tagBucket, r.Bucket[:])
	e = e.string(tagKey, r.Key)
	e = e.bytes(tagVersion, r.UID[:])
	e = e.uint64(tagSize, uint64(r.Size))
	e = e.string(tagETag, r.ETag)
	e = e.bytes(tagChecksum, r.Checksum.append(short[:0]))
	e = e.bytes(tagBody, encodeFormat(r.Body))
	e = e.digest(tagPartsHash, appendParts(short[:0], r.Parts))
	e = e.uint64(tagPartCount, uint64(len(r.Parts)))
	e = e.uint64(tagCreated, uint64(r.Created))
	e = e.digest(tagHeaderHash, appendHeaders(short[:0], r.Headers))
	e = e.string(tagOwner, r.Owner)
	return e.sum()
}

// uploadDescriptor returns D of an upload: what is known when the data key is
// made, with the upload's id for the version.
func uploadDescriptor(b bucket.UID, key string, upload [16]byte, f sse.Format, created int64, h []Header, owner string) [32]byte {
	var memory [512]byte
	e := newDescriptor(memory[:0])
	e = e.bytes(tagBucket, b[:])
	e = e.string(tagKey, key)
	e = e.bytes(tagVersion, upload[:])
	e = e.bytes(tagBody, encodeFormat(f))
	e = e.uint64(tagCreated, uint64(created))
	e = e.digest(tagHeaderHash, encodeHeaders(h))
	e = e.string(tagOwner, owner)
	return e.sum()
}

// descriptor collects tagged fields, to digest them at once. It is passed on by value, so
// that its memory can be the caller's.
type descriptor []byte

func newDescriptor(memory []byte) descriptor {
	return append(descriptor(memory), "coffer/1/descriptor\x00"...)
}

func (d descriptor) bytes(tag byte, b []byte) descriptor { return append(d.head(tag, len(b)), b...) }

func (d descriptor) string(tag byte, s string) descriptor { return append(d.head(tag, len(s)), s...) }

func (d descriptor) uint64(tag byte, v uint64) descriptor {
	return binary.BigEndian.AppendUint64(d.head(tag, 8), v)
}

func (d descriptor) digest(tag byte, b []byte) descriptor {
	sum := sha256.Sum256(b)
	return d.bytes(tag, sum[:])
}

func (d descriptor) head(tag byte, n int) descriptor {
	return binary.BigEndian.AppendUint32(append(d, tag), uint32(n))
}

func (d descriptor) sum() [32]byte { return sha256.Sum256(d) }

// encode returns the row's value.
func (r *record) encode() []byte {
	b := make([]byte, 0, 512+len(r.Parts)*partSize+len(r.Annotations))
	b = append(b, "COR1"...)
	b = appendField(b, tagBucket, r.Bucket[:])
	b = appendField(b, tagKey, []byte(r.Key))
	b = appendField(b, tagVersion, r.UID[:])
	b = appendUint(b, tagTime, uint64(r.Time))
	var flags byte
	if r.Null {
		flags |= flagNull
	}
	if r.Marker {
		flags |= flagMarker
	}
	b = appendField(b, tagFlags, []byte{flags})
	b = appendUint(b, tagCreated, uint64(r.Created))
	b = appendField(b, tagOwner, []byte(r.Owner))
	if r.Replication.given() {
		b = appendField(b, tagReplication, r.Replication.encode())
	}
	if r.Marker {
		return b
	}
	b = appendUint(b, tagSize, uint64(r.Size))
	b = appendField(b, tagETag, []byte(r.ETag))
	b = appendField(b, tagChecksum, r.Checksum.encode())
	b = appendField(b, tagBody, encodeFormat(r.Body))
	b = appendField(b, tagHeaders, encodeHeaders(r.Headers))
	b = appendField(b, tagParts, encodeParts(r.Parts))
	if len(r.Parts) > 0 && r.Parts[0].Checksum != nil {
		var sums []byte
		for _, p := range r.Parts {
			sums = append(sums, p.Checksum...)
		}
		b = appendField(b, tagPartChecksums, sums)
	}
	b = appendField(b, tagWrap, r.Wrap)
	if u := r.Upload; u != nil {
		v := append(make([]byte, 0, 56), u.ID[:]...)
		v = binary.BigEndian.AppendUint64(v, uint64(u.Created))
		b = appendField(b, tagUpload, append(v, u.Binding[:]...))
	}
	if len(r.Tags) > 0 {
		b = appendField(b, tagTags, encodeTags(r.Tags))
	}
	if r.StorageClass != "" {
		b = appendField(b, tagStorageClass, []byte(r.StorageClass))
	}
	if r.ACL != nil {
		b = appendField(b, tagACL, encodeACL(r.ACL))
	}
	if r.Lock.given() {
		b = appendField(b, tagLock, r.Lock.encode())
	}
	if r.Restored != 0 {
		b = appendUint(b, tagRestored, uint64(r.Restored))
	}
	if len(r.Annotations) > 0 {
		b = appendField(b, tagAnnotations, r.Annotations)
	}
	return b
}

// decodeRecord reads a row's value. A value that is no record is a damaged row.
func decodeRecord(value []byte) (*record, error) {
	r := new(record)
	var sums []byte
	err := fields(value, "COR1", func(tag byte, v []byte) error {
		switch tag {
		case tagBucket:
			return exactly(v, r.Bucket[:])
		case tagKey:
			r.Key = string(v)
		case tagVersion:
			return exactly(v, r.UID[:])
		case tagTime:
			return readInt(v, &r.Time)
		case tagFlags:
			if len(v) != 1 {
				return errField
			}
			r.Null, r.Marker = v[0]&flagNull != 0, v[0]&flagMarker != 0
		case tagCreated:
			return readInt(v, &r.Created)
		case tagOwner:
			r.Owner = string(v)
		case tagSize:
			return readInt(v, &r.Size)
		case tagETag:
			r.ETag = string(v)
		case tagChecksum:
			return r.Checksum.decode(v)
		case tagBody:
			return decodeFormat(v, &r.Body)
		case tagHeaders:
			return decodeHeaders(v, &r.Headers)
		case tagParts:
			return decodeParts(v, &r.Parts)
		case tagPartChecksums:
			sums = v
		case tagWrap:
			r.Wrap = v
		case tagUpload:
			if len(v) != 56 {
				return errField
			}
			r.Upload = &boundUpload{ID: [16]byte(v[:16]), Created: int64(binary.BigEndian.Uint64(v[16:])), Binding: [32]byte(v[24:])}
		case tagTags:
			return decodeTags(v, &r.Tags)
		case tagStorageClass:
			r.StorageClass = string(v)
		case tagACL:
			return decodeACL(v, &r.ACL)
		case tagLock:
			return r.Lock.decode(v)
		case tagRestored:
			return readInt(v, &r.Restored)
		case tagAnnotations:
			r.Annotations = v
			return r.Annotations.check()
		case tagReplication:
			return r.Replication.decode(v)
		default:
			return fmt.Errorf("unknown field %#x", tag)
		}
		return nil
	})
	if err == nil && sums != nil {
		err = splitChecksums(r.Parts, sums)
	}
	if err != nil {
		return nil, fault.New(meta.Damaged, "").Because(fmt.Errorf("object record: %w", err))
	}
	return r, nil
}

func splitChecksums(parts []part, sums []byte) error {
	if len(parts) == 0 || len(sums)%len(parts) != 0 {
		return errField
	}
	n := len(sums) / len(parts)
	for i := range parts {
		parts[i].Checksum = sums[i*n : (i+1)*n]
	}
	return nil
}

// modified returns Last-Modified.
func (r *record) modified() time.Time { return time.UnixMilli(r.Created).UTC() }
