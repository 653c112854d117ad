// SPDX-License-Identifier: Apache-2.0

package rootkey

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/secret"
)

// BadRecord: a sealed record is not one of this installation, or is damaged.
const BadRecord fault.Kind = "rootkey: sealed record refused"

// Record is what a CKM1 record says of the key that it seals. The ID is derived
// from the key and survives a new root key.
type Record struct {
	Key      uuid.UUID // the KMS key, or the padded name of a service key
	Version  uint32
	Spec     keystore.Spec // "" is Symmetric when it is sealed
	Imported bool          // made elsewhere
	ID       [32]byte
	Created  time.Time // whole milliseconds
}

// Layout of CKM1, see docs/formats.md.
const (
	recordMagic  = "CKM1"
	recordHeader = 96

	algAES256GCM   = 1
	originKMS      = 1
	originExternal = 2
)

// recordSpecs are the specs by their numbers in records.
var recordSpecs = [...]keystore.Spec{
	1: keystore.Symmetric, 2: keystore.HMAC224, 3: keystore.HMAC256, 4: keystore.HMAC384, 5: keystore.HMAC512,
	6: keystore.RSA2048, 7: keystore.RSA3072, 8: keystore.RSA4096,
	9: keystore.P256, 10: keystore.P384, 11: keystore.P521, 12: keystore.Ed25519,
}

func specNumber(spec keystore.Spec) byte {
	for n, s := range recordSpecs {
		if s == spec && n > 0 {
			return byte(n)
		}
	}
	panic(fmt.Sprintf("rootkey: records hold no keys of spec %q", spec))
}

// SealRecord seals key material as a CKM1 record under a label of the root key.
// It sets the record's ID from the material, which is as long as its spec wants
// it, or the caller's mistake and panics.
func (r *Root) SealRecord(label Label, rec Record, material secret.Bytes) (Record, []byte) {
	if rec.Spec == "" {
		rec.Spec = keystore.Symmetric
	}
	if !fitsSize(rec.Spec, material.Len()) {
		panic(fmt.Sprintf("rootkey: material of %d bytes for a key of %s", material.Len(), rec.Spec))
	}
	rec.ID = MaterialID(rec.Spec, material, rec.Key)
	rec.Created = rec.Created.Truncate(time.Millisecond).UTC()
	b := make([]byte, recordHeader, recordHeader+material.Len()+secret.Overhead)
	copy(b, recordMagic)
	b[4], b[5], b[6] = algAES256GCM, specNumber(rec.Spec), originKMS
	if rec.Imported {
		b[6] = originExternal
	}
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
	if len(b) < recordHeader+secret.Overhead || string(b[:4]) != recordMagic {
		return refuse("not a CKM1 record")
	}
	if b[4] != algAES256GCM || b[5] == 0 || int(b[5]) >= len(recordSpecs) || b[6] != originKMS && b[6] != originExternal ||
		b[7] != 0 || binary.BigEndian.Uint64(b[72:]) != 0 {
		return refuse("unknown kind of CKM1 record")
	}
	spec := recordSpecs[b[5]]
	if !fitsSize(spec, len(b)-recordHeader-secret.Overhead) {
		return refuse("CKM1 record is not as long as its spec wants it")
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
		Key:      uuid.UUID(b[12:28]),
		Version:  binary.BigEndian.Uint32(b[28:]),
		Spec:     spec,
		Imported: b[6] == originExternal,
		ID:       [32]byte(b[32:64]),
		Created:  time.UnixMilli(int64(binary.BigEndian.Uint64(b[64:]))).UTC(),
	}
	if id := MaterialID(spec, material, rec.Key); !secret.New(id[:]).Equal(secret.New(rec.ID[:])) {
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

// MaterialID returns the id of key material: the same for the same material of
// the same key, whatever the root key is.
func MaterialID(spec keystore.Spec, material secret.Bytes, key uuid.UUID) [32]byte {
	if spec != keystore.Symmetric {
		material = secret.Extract(key[:], material)
		defer material.Clear()
	}
	return [32]byte(secret.Derive(material, "material-id", key[:], 32).Reveal())
}

// fitsSize reports whether the material of a spec can have n bytes. A private
// key is bounded only: whether it is one, its reader finds.
func fitsSize(spec keystore.Spec, n int) bool {
	if size := spec.Size(); size > 0 {
		return n == size
	}
	return n > 0 && n <= keystore.MaxMaterial
}
