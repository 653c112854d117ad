// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cofferstore/coffer/internal/secret"
)

// twice are the data keys of the vector of two layers, the inner one first.
func twice() dataKeys { return dataKeys{vectorKey(), secret.New(count(0x20, 32))} }

func TestTwoLayersVector(t *testing.T) {
	sealed := vector(t, "cfb1-twice.hex")
	open := func(keys dataKeys) (string, error) {
		b, err := readRange(newReader(keys, vectorStream, 5, stored(sealed), newBuffers(segmentLog2)), 0, 5)
		return string(b), err
	}
	if got, err := open(twice()); err != nil || got != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	for what, keys := range map[string]dataKeys{
		"the inner key alone": {vectorKey()}, "the outer key alone": {secret.New(count(0x20, 32))},
		"the keys exchanged": {secret.New(count(0x20, 32)), vectorKey()},
	} {
		if got, err := open(keys); !errors.Is(err, Damaged) {
			t.Errorf("%s opens %q, %v", what, got, err)
		}
	}
	var again bytes.Buffer
	w := newWriter(&again, twice(), vectorStream, newBuffers(segmentLog2))
	if _, err := w.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	head := headSize(2)
	if !bytes.Equal(again.Bytes()[:head], sealed[:head]) || again.Len() != len(sealed) {
		t.Errorf("the header is now %x", again.Bytes()[:head])
	}
	if formatOf(2).StoredSize(5) != int64(len(sealed)) {
		t.Errorf("StoredSize(5) is %d, want %d", formatOf(2).StoredSize(5), len(sealed))
	}
}

func TestLegacyWrapVector(t *testing.T) {
	layers, err := parseWraps(vector(t, "cdw1-legacy.hex"))
	if err != nil {
		t.Fatal(err)
	}
	w := layers.at[0]
	if w.source != fromLegacy || w.bind != BindDescriptor || !bytes.Equal(w.ref[:], count(0x40, 16)) {
		t.Errorf("got %+v", w)
	}
	if dek, err := w.openDEK(wrapAEAD(secret.New(count(0x20, 32)), w.ref).Open, digest); err != nil || !dek.Equal(vectorKey()) {
		t.Errorf("the vector's data key does not open: %v", err)
	}
}

func TestCustomersWrapVector(t *testing.T) {
	layers, err := parseWraps(vector(t, "cdw1-customer.hex"))
	if err != nil {
		t.Fatal(err)
	}
	w := layers.at[0]
	if w.source != fromCustomer || !bytes.Equal(w.ref[:], count(0x40, 16)) || !bytes.Equal(w.vary[:32], count(0x80, 32)) {
		t.Errorf("got %+v", w)
	}
	aead, err := customerAEAD(w, customerKey(count(0x60, 32)))
	if err != nil {
		t.Fatal(err)
	}
	if dek, err := w.openDEK(aead.Open, digest); err != nil || !dek.Equal(vectorKey()) {
		t.Errorf("the vector's data key does not open: %v", err)
	}
	if _, err := customerAEAD(w, keyA); !errors.Is(err, CustomerWrong) {
		t.Errorf("another key: %v", err)
	}
}
