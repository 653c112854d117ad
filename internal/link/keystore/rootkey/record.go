// SPDX-License-Identifier: Apache-2.0

package rootkey

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

// BadRecord: a sealed record is not one of this installation, or is damaged.
const BadRecord fault.Kind = "rootkey: sealed record refused"

// Record is what a CKM1 record says of the key that it seals. The ID is derived
// from the key and survives a new root key.
type Record struct {
	Key     uuid.UUID // the KMS key, or the padded name of a service key
	Version uint32
	ID      [32]byte
	Created time.Time // whole milliseconds
}

// Layout of CKM1, see docs/formats.md.
const (
	recordMagic  = "CKM1"
	recordHeader = 96
	recordSize   = recordHeader + secret.Size + secret.Overhead

	algAES256GCM = 1
	specAES256   = 1
	originKMS    = 1
)

// SealRecord seals 32 bytes of key material as a CKM1 record under a label of
// the root key. It sets the record's ID from the material.
func (r *Root) SealRecord(label Label, rec Record, material secret.Bytes) (Record, []byte) {
	rec.ID = materialID(material, rec.Key)
	rec.Created = rec.Created.Truncate(time.Millisecond).UTC()
	b := make([]byte, recordHeader, recordSize)
	copy(b, recordMagic)
	b[4], b[5], b[6] = algAES256GCM, specAES256, originKMS
	binary.BigEndian.PutUint32(b[8:], r.version)
	copy(b[12:], rec.Key[:])
	binary.BigEndian.PutUint32(b[28:], rec.Version)
	copy(b[32:], rec.ID[:])
	binary.BigEndian.PutUint64(b[64:], uint64(rec.Created.UnixMilli()))
	rand.Read(b[80:96])
	k := r.Derive(label, b[:recordHeader], secret.Size)
	defer k.Clear()
	return rec, secret.NewAEAD(k).Seal(b, material.Reveal(), r.recordBound(b))
}

// OpenRecord opens a CKM1 record that SealRecord made under the same label.
// Error: BadRecord.
func (r *Root) OpenRecord(label Label, b []byte) (Record, secret.Bytes, error) {
	refuse := func(why string) (Record, secret.Bytes, error) {
		return Record{}, secret.Bytes{}, fault.New(BadRecord, "%s", why)
	}
	if len(b) != recordSize || string(b[:4]) != recordMagic {
		return refuse("not a CKM1 record")
	}
	if b[4] != algAES256GCM || b[5] != specAES256 || b[6] != originKMS || b[7] != 0 || binary.BigEndian.Uint64(b[72:]) != 0 {
		return refuse("unknown kind of CKM1 record")
	}
	if v := binary.BigEndian.Uint32(b[8:]); v != r.version {
		return Record{}, secret.Bytes{}, fault.New(BadRecord, "sealed under root key version %d, open is %d", v, r.version)
	}
	k := r.Derive(label, b[:recordHeader], secret.Size)
	defer k.Clear()
	plain, err := secret.NewAEAD(k).Open(nil, b[recordHeader:], r.recordBound(b))
	if err != nil {
		return Record{}, secret.Bytes{}, fault.New(BadRecord, "CKM1 record does not open").Because(err)
	}
	material := secret.New(plain)
	rec := Record{
		Key:     uuid.UUID(b[12:28]),
		Version: binary.BigEndian.Uint32(b[28:]),
		ID:      [32]byte(b[32:64]),
		Created: time.UnixMilli(int64(binary.BigEndian.Uint64(b[64:]))).UTC(),
	}
	if id := materialID(material, rec.Key); !secret.New(id[:]).Equal(secret.New(rec.ID[:])) {
		material.Clear()
		return refuse("CKM1 record names another key than it holds")
	}
	return rec, material, nil
}

// recordBound is the additional data of a record: its header and the
// installation.
func (r *Root) recordBound(b []byte) []byte {
	return append(append(make([]byte, 0, recordHeader+16), b[:recordHeader]...), r.installation[:]...)
}

func materialID(material secret.Bytes, key uuid.UUID) [32]byte {
	return [32]byte(secret.Derive(material, "material-id", key[:], 32).Reveal())
}
