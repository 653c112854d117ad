// SPDX-License-Identifier: Apache-2.0

package rootkey

import (
	"encoding/hex"
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
