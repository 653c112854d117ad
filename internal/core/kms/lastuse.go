// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Rows of when keys were last used:
//
//	k/u/<account>/<key id>   the last use; late by up to a minute, and nothing waits for it
//	k/tracked                since when uses are noted
const (
	useRows    = "k/u/"
	trackedRow = "k/tracked"
)

// KeyLastUsage is a successful cryptographic operation.
type KeyLastUsage struct {
	CloudTrailEventId string    `json:"event"`
	KmsRequestId      string    `json:"request"`
	Operation         string    `json:"operation"`
	Timestamp         time.Time `json:"at"`
}

// KeyUsage says when a key was last used, if it was since tracking began.
type KeyUsage struct {
	KeyCreationDate   time.Time
	KeyId             string
	KeyLastUsage      *KeyLastUsage
	TrackingStartDate time.Time
}

// Touches returns the key's ARN.
func (r KeyUsage) Touches() []string { return []string{r.KeyId} }

// uses are the last uses of keys that are not in their rows yet, by row. There are
// as many as keys are used in a minute.
type uses struct {
	mu   sync.Mutex
	last map[string]KeyLastUsage
}

// tracked are the operations whose last use is noted, as the API lists them.
func tracked(operation string) bool {
	switch operation {
	case "Decrypt", "DeriveSharedSecret", "Encrypt", "GenerateDataKey", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext",
		"GenerateDataKeyWithoutPlaintext", "GenerateMac", "ReEncrypt", "Sign", "Verify", "VerifyMac":
		return true
	}
	return false
}

// NoteUse notes that an operation succeeded with keys. eventID and requestID are those
// of its audit record. Operations that use no key material are passed over.
func (s *Service) NoteUse(operation string, keyARNs []string, eventID, requestID string) {
	if !tracked(operation) {
		return
	}
	u := KeyLastUsage{eventID, requestID, operation, now()}
	s.uses.mu.Lock()
	defer s.uses.mu.Unlock()
	if s.uses.last == nil {
		s.uses.last = map[string]KeyLastUsage{}
	}
	for _, arn := range keyARNs {
		a, _ := aws.ParseARN(arn)
		if id, ok := strings.CutPrefix(a.Resource, "key/"); ok {
			s.uses.last[useRows+a.Account+"/"+id] = u
		}
	}
}

// flushUses writes the noted uses to their rows.
func (s *Service) flushUses(ctx context.Context) error {
	s.uses.mu.Lock()
	last := s.uses.last
	s.uses.last = nil
	s.uses.mu.Unlock()
	if len(last) == 0 {
		return nil
	}
	var b meta.Batch
	for row, u := range last {
		b.Put([]byte(row), encode(u))
	}
	_, err := s.store.Commit(ctx, &b)
	if err != nil { // until the next time
		s.uses.mu.Lock()
		defer s.uses.mu.Unlock()
		maps.Copy(last, s.uses.last)
		s.uses.last = last
	}
	return err
}

// TrackUses has it on record, once and for all, that last uses of keys are noted from
// now on. Call it before serving.
func (s *Service) TrackUses(ctx context.Context) error {
	_, err := s.trackingBegan(ctx)
	return err
}

// trackingBegan returns since when uses are noted: since the first call.
func (s *Service) trackingBegan(ctx context.Context) (at time.Time, err error) {
	err = s.commit(ctx, func(b *meta.Batch) error {
		item, err := meta.Get1(ctx, s.store, []byte(trackedRow))
		if err != nil {
			return fromMeta(err)
		}
		if item.Ver != 0 {
			if at, err = time.Parse(time.RFC3339, string(item.Value)); err != nil {
				return fault.New(Internal, "").Because(err)
			}
			return errUnchanged
		}
		at = now()
		b.PutIf([]byte(trackedRow), []byte(at.Format(time.RFC3339)), 0)
		return nil
	})
	return at, err
}

// GetKeyLastUsage tells when a key was last used.
func (s *Service) GetKeyLastUsage(ctx context.Context, by iam.Caller, in KeyOnly) (KeyUsage, error) {
	return counted(s, "GetKeyLastUsage", func() (KeyUsage, error) {
		k, err := s.readByName(ctx, by, "GetKeyLastUsage", in.KeyId)
		if err != nil {
			return KeyUsage{}, err
		}
		began, err := s.trackingBegan(ctx)
		if err != nil {
			return KeyUsage{}, err
		}
		if k.Created.After(began) {
			began = k.Created
		}
		out := KeyUsage{KeyCreationDate: k.Created, KeyId: s.arnOf(k), TrackingStartDate: began}
		row := useRows + strings.TrimPrefix(s.rowOf(k), keyRows)
		s.uses.mu.Lock()
		u, ok := s.uses.last[row]
		s.uses.mu.Unlock()
		if ok {
			out.KeyLastUsage = &u
			return out, nil
		}
		item, err := meta.Get1(ctx, s.store, []byte(row))
		if err != nil {
			return KeyUsage{}, fromMeta(err)
		}
		if item.Ver != 0 {
			out.KeyLastUsage = &KeyLastUsage{}
			err = decode(item.Value, out.KeyLastUsage)
		}
		return out, err
	})
}
