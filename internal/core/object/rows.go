// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/blob"
)

// Rows of this package:
//
//	c/<bucket>/<key>                      the current version of a key
//	v/<bucket>/<key> 00 00 <~time><uid>   its other versions, newest first
//	vn/<bucket>/<key>                     which of them is the version "null"
//	u/<bucket>/<key> 00 00 <time><uid>    an upload under way
//	up/<upload>/<part>                    a part of it
//	b/<stream>                            where a stream is stored
//	d/<stream>                            a stream stored inline
//	x/<due><stream>                       a stream to be removed
//
// A byte 00 in a key is written 00 FF, so that keys sort as S3 lists them and 00
// 00 ends one.

func bucketPrefix(kind string, b bucket.UID) []byte {
	k := make([]byte, 0, len(kind)+17+64)
	return append(append(append(k, kind...), b[:]...), '/')
}

func appendKey(k []byte, key string) []byte {
	for i := range len(key) {
		k = append(k, key[i])
		if key[i] == 0 {
			k = append(k, 0xff)
		}
	}
	return k
}

// rowObjectKey turns the escaped part of a row key back into an object key.
func rowObjectKey(b []byte) string {
	if bytes.IndexByte(b, 0) < 0 {
		return string(b)
	}
	return string(bytes.ReplaceAll(b, []byte{0, 0xff}, []byte{0}))
}

func currentKey(b bucket.UID, key string) []byte { return appendKey(bucketPrefix("c/", b), key) }
func nullKey(b bucket.UID, key string) []byte    { return appendKey(bucketPrefix("vn/", b), key) }

// versionsPrefix is what the rows of a key's other versions begin with.
func versionsPrefix(b bucket.UID, key string) []byte {
	return append(appendKey(bucketPrefix("v/", b), key), 0, 0)
}

// versionSuffix is 00 00 ~time uid: what a v/ row has behind its key.
const versionSuffix = 2 + 8 + 16

func versionKey(b bucket.UID, key string, v versionID) []byte {
	k := binary.BigEndian.AppendUint64(versionsPrefix(b, key), math.MaxUint64-uint64(v.time))
	return append(k, v.uid[:]...)
}

func uploadKey(b bucket.UID, key string, id versionID) []byte {
	k := append(appendKey(bucketPrefix("u/", b), key), 0, 0)
	k = binary.BigEndian.AppendUint64(k, uint64(id.time))
	return append(k, id.uid[:]...)
}

func partsPrefix(upload [16]byte) []byte {
	return append(append([]byte("up/"), upload[:]...), '/')
}

func partKey(upload [16]byte, number uint32) []byte {
	return binary.BigEndian.AppendUint32(partsPrefix(upload), number)
}

func locationKey(id blob.StreamID) []byte { return append([]byte("b/"), id[:]...) }
func inlineKey(id blob.StreamID) []byte   { return append([]byte("d/"), id[:]...) }

func removalKey(dueMillis int64, id blob.StreamID) []byte {
	k := binary.BigEndian.AppendUint64([]byte("x/"), uint64(dueMillis))
	return append(k, id[:]...)
}

// versionID names a version, or an upload: its place in the order of time and a
// unique id. On the wire it is 32 characters.
type versionID struct {
	time int64
	uid  [16]byte
}

// wireID has only characters that need no escaping in a URL. 24 bytes fill 32
// of them exactly.
var wireID = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._").WithPadding(base64.NoPadding)

func (v versionID) bytes() []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 24), uint64(v.time)), v.uid[:]...)
}

func (v versionID) String() string { return wireID.EncodeToString(v.bytes()) }

func versionIDFrom(b []byte) (v versionID, ok bool) {
	if len(b) != 24 {
		return v, false
	}
	v.time = int64(binary.BigEndian.Uint64(b))
	copy(v.uid[:], b[8:])
	return v, v.time >= 0
}

// newer reports whether v comes before w where the versions of a key are listed: of two of
// one moment, which replication may bring together, that whose row comes first.
func (v versionID) newer(w versionID) bool {
	return v.time > w.time || v.time == w.time && bytes.Compare(v.uid[:], w.uid[:]) < 0
}

func parseID(s string) (v versionID, ok bool) {
	if len(s) != 32 {
		return v, false
	}
	b, err := wireID.DecodeString(s)
	if err != nil {
		return v, false
	}
	return versionIDFrom(b)
}

// Null is the id of the version that a bucket without versioning, or with
// versioning suspended, writes.
const Null = "null"

func parseVersionID(argument, s string) (versionID, error) {
	v, ok := parseID(s)
	if !ok {
		return v, invalidVersionID(argument, s)
	}
	return v, nil
}

func invalidVersionID(argument, s string) error {
	return fault.New(InvalidVersionID, "").With("ArgumentName", argument).With("ArgumentValue", s)
}

// id returns the record's place.
func (r *record) id() versionID { return versionID{r.Time, r.UID} }

// wireVersion returns the id that clients see.
func (r *record) wireVersion() string {
	if r.Null {
		return Null
	}
	return r.id().String()
}
