// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

// Generations returns the bucket key generations that a wrapped data key names: at
// most one, that of SSE-S3 or of a bucket key, also as the outer layer of two.
// Fault: Damaged.
func Generations(wrapped []byte) ([]uuid.UUID, error) {
	if len(wrapped) == 0 { // a delete marker has none
		return nil, nil
	}
	layers, err := parseWraps(wrapped)
	if err != nil {
		return nil, err
	}
	var out []uuid.UUID
	for _, w := range layers.all() {
		if w.source.inGeneration() {
			out = append(out, w.ref)
		}
	}
	return out, nil
}

// Move is the keys by which a data key goes from one bucket key generation to
// another. Proof opens what To sealed, to verify it.
type Move struct {
	From, Proof *bucketkey.Opener
	To          *bucketkey.Sealer
}

// Bound says what the wrap of an object is bound to, and what it is to be bound to.
type Bound struct {
	Object [32]byte // the object's own descriptor
	// Of an object that was uploaded in parts and whose wrap has BindUpload: the
	// upload's descriptor and id, and the check of the code that binds the object's.
	Upload   [32]byte
	UploadID [16]byte
	Check    func(bind secret.Bytes) error
}

// Rewrap moves the data key that is wrapped under m.From to m.To, and verifies that
// what it made opens to the same. Everything else of the wrap stays, but that a wrap
// of one layer that was bound to its upload is then bound to the object itself; of
// two layers both keep what they are bound to, as the inner one is not opened.
// Faults: Damaged, and what Check returns.
func Rewrap(wrapped []byte, b Bound, m Move) ([]byte, error) {
	layers, err := parseWraps(wrapped)
	if err != nil {
		return nil, err
	}
	var out []byte
	moved := false
	for _, w := range layers.all() {
		held := w.source.inGeneration() && w.ref == m.From.Generation()
		if !held {
			out = append(append(out, w.head()...), w.sealed...)
			continue
		}
		next, err := rewrapOne(w, b, m, layers.n == 1)
		if err != nil {
			return nil, err
		}
		out, moved = append(out, next...), true
	}
	if !moved {
		return nil, fmt.Errorf("sse: the data key is not under generation %v", m.From.Generation())
	}
	return out, nil
}

func rewrapOne(w wrap, b Bound, m Move, alone bool) ([]byte, error) {
	d := b.Object
	if w.bind == BindUpload {
		d = b.Upload
	}
	dek, err := w.openDEK(m.From.Open, d)
	if err != nil {
		return nil, err
	}
	defer dek.Clear()
	next := wrap{source: w.source, layer: w.layer, bind: w.bind, ref: m.To.Generation()}
	if w.bind == BindUpload && alone {
		bind := uploadBind(dataKeys{dek}, b.UploadID)
		err := b.Check(bind)
		bind.Clear()
		if err != nil {
			return nil, err
		}
		next.bind, d = BindDescriptor, b.Object
	}
	sealed := next.sealDEK(m.To.Seal, dek, d)
	made, _, err := parseWrap(sealed)
	if err != nil {
		return nil, err
	}
	again, err := made.openDEK(m.Proof.Open, d)
	if err != nil {
		return nil, err
	}
	defer again.Clear()
	if !again.Equal(dek) {
		return nil, fault.New(Damaged, "").Because(errors.New("a new wrap opens to another data key"))
	}
	return sealed, nil
}

// Renew takes other generations for the data keys that would be wrapped under one of
// these, which take no more. Wrap again afterwards. Errors as ForWrite.
func (s *Sealing) Renew(ctx context.Context, retired []uuid.UUID) error {
	s.keys.cache.Leave(retired...)
	s.keys.owned.Leave(retired...)
	for _, w := range s.wraps {
		if w.sealer == nil || !slices.Contains(retired, w.sealer.Generation()) {
			continue
		}
		if err := w.prepare(ctx); err != nil {
			return err
		}
	}
	s.applied = appliedBy(s.wraps)
	return nil
}
