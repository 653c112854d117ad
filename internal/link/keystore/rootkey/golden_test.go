// SPDX-License-Identifier: Apache-2.0

package rootkey

import (
	"encoding/hex"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/link/keystore"
	"github.com/cofferstore/coffer/internal/secret"
)

func sequence(from byte) []byte {
	b := make([]byte, 32)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

// A record that was sealed once opens for ever.
func TestGoldenRecord(t *testing.T) {
	root := &Root{key: secret.New(sequence(0)), installation: uuid.UUID(sequence(0x80)[:16]), version: 2}
	want := Record{Key: uuid.UUID(sequence(0x60)[:16]), Version: 3, Spec: keystore.Symmetric, Created: time.UnixMilli(1767225600123).UTC()}
	material := secret.New(sequence(0x20))
	text, err := os.ReadFile("testdata/ckm1.hex")
	if err != nil {
		t.Fatal(err)
	}
	const recordSize = recordHeader + secret.Size + secret.Overhead
	sealed := make([]byte, recordSize)
	if _, err := hex.Decode(sealed, text[:2*recordSize]); err != nil {
		t.Fatal(err)
	}
	want.ID = MaterialID(keystore.Symmetric, material, want.Key)
	got, opened, err := root.OpenRecord(KMSMaterial, sealed)
	if err != nil || got != want || !opened.Equal(material) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

// So does one of another spec, and of material that was made elsewhere.
func TestGoldenRecordOfHMACKey(t *testing.T) {
	root := &Root{key: secret.New(sequence(0)), installation: uuid.UUID(sequence(0x80)[:16]), version: 2}
	want := Record{Key: uuid.UUID(sequence(0x60)[:16]), Version: 3, Spec: keystore.HMAC224, Imported: true, Created: time.UnixMilli(1767225600123).UTC()}
	material := secret.New(sequence(0x20)[:28])
	text, err := os.ReadFile("testdata/ckm1-hmac.hex")
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := hex.DecodeString(string(text[:len(text)-1]))
	if err != nil {
		t.Fatal(err)
	}
	want.ID = MaterialID(want.Spec, material, want.Key)
	got, opened, err := root.OpenRecord(KMSMaterial, sealed)
	if err != nil || got != want || !opened.Equal(material) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

// A record of a spec that there is not, or of another length than its spec's, is
// refused before anything is opened.
func TestRecordsOfOtherKindsAreRefused(t *testing.T) {
	root := &Root{key: secret.New(sequence(0)), installation: uuid.UUID(sequence(0x80)[:16]), version: 2}
	_, sealed := root.SealRecord(KMSMaterial, Record{Version: 1, Spec: keystore.HMAC384}, secret.Random(48))
	for name, change := range map[string]func(b []byte) []byte{
		"spec 0":         func(b []byte) []byte { b[5] = 0; return b },
		"spec 13":        func(b []byte) []byte { b[5] = 13; return b },
		"another spec":   func(b []byte) []byte { b[5] = specNumber(keystore.HMAC512); return b },
		"origin 3":       func(b []byte) []byte { b[6] = 3; return b },
		"origin changed": func(b []byte) []byte { b[6] = originExternal; return b },
		"shorter":        func(b []byte) []byte { return b[:len(b)-1] },
		"longer":         func(b []byte) []byte { return append(b, 0) },
		"a header alone": func(b []byte) []byte { return b[:recordHeader] },
	} {
		if _, _, err := root.OpenRecord(KMSMaterial, change(append([]byte{}, sealed...))); !errors.Is(err, BadRecord) {
			t.Errorf("%s: got %v, want BadRecord", name, err)
		}
	}
	if _, _, err := root.OpenRecord(KMSMaterial, sealed); err != nil {
		t.Errorf("unchanged: %v", err)
	}
}
