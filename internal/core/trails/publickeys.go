// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"context"
	"time"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
)

// PublicKey is a key that digests are signed with.
type PublicKey struct {
	DER         []byte    // PKCS #1 RSAPublicKey
	From, To    time.Time // when digests are signed with it
	Fingerprint string    // as digests name it
}

// ListPublicKeys is the request of Service.ListPublicKeys.
type ListPublicKeys struct {
	StartTime *time.Time
	EndTime   *time.Time
	NextToken *string
}

// PublicKeyList is the result of Service.ListPublicKeys.
type PublicKeyList struct{ PublicKeyList []PublicKeyEntry }

// PublicKeyEntry is a key in a list.
type PublicKeyEntry struct {
	Value             []byte
	ValidityStartTime time.Time
	ValidityEndTime   time.Time
	Fingerprint       string
}

// ListPublicKeys lists the keys that digests were signed with in a time: without times,
// the one that they are signed with now. Faults: InvalidTimeRange, InvalidToken,
// iam.AccessDenied.
func (s *Service) ListPublicKeys(ctx context.Context, by iam.Caller, in ListPublicKeys) (PublicKeyList, error) {
	if err := s.may(ctx, by, "ListPublicKeys", "*", nil); err != nil {
		return PublicKeyList{}, err
	}
	if in.NextToken != nil {
		return PublicKeyList{}, fault.New(InvalidToken, "Invalid token.")
	}
	from := time.Now().UTC()
	to := from
	set(&from, in.StartTime)
	set(&to, in.EndTime)
	if from.After(to) {
		return PublicKeyList{}, fault.New(InvalidTimeRange, "The start time must be before the end time.")
	}
	out := PublicKeyList{PublicKeyList: []PublicKeyEntry{}}
	if s.PublicKeys == nil {
		return out, nil
	}
	if in.StartTime == nil && in.EndTime == nil {
		from, to = time.Time{}, time.Time{} // the signer's own now
	}
	keys, err := s.PublicKeys(ctx, from, to)
	for _, k := range keys {
		out.PublicKeyList = append(out.PublicKeyList, PublicKeyEntry{k.DER, k.From, k.To, k.Fingerprint})
	}
	return out, err
}
