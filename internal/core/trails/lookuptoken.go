// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"time"
)

// lookupToken says where a listing goes on. It is bound to its request: since when events
// are looked up depends on when that was first made.
type lookupToken struct {
	since   time.Time
	request [16]byte
	at      string // of the index
}

// lookupTokenVersion begins a token; what follows is since (s since 1970), the digest of
// the request, and the index's own token.
const (
	lookupTokenVersion = 1
	lookupTokenHead    = 1 + 8 + 16
	maxLookupToken     = 4096
)

func (t lookupToken) String() string {
	b := make([]byte, 0, lookupTokenHead+len(t.at))
	b = append(b, lookupTokenVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(t.since.Unix()))
	b = append(b, t.request[:]...)
	return base64.RawURLEncoding.EncodeToString(append(b, t.at...))
}

func parseLookupToken(s string) (t lookupToken, ok bool) {
	if len(s) > maxLookupToken {
		return t, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) <= lookupTokenHead || b[0] != lookupTokenVersion {
		return t, false
	}
	t.since = time.Unix(int64(binary.BigEndian.Uint64(b[1:])), 0).UTC()
	copy(t.request[:], b[9:])
	t.at = string(b[lookupTokenHead:])
	return t, true
}

// digest is of the members that a token is bound to: all but those of paging.
func (in *LookupEvents) digest() (d [16]byte) {
	text, err := json.Marshal(struct {
		Attributes []LookupAttribute
		From, To   *int64
		Category   *string
	}{in.LookupAttributes, millis(in.StartTime), millis(in.EndTime), in.EventCategory})
	if err != nil {
		panic("trails: " + err.Error()) // texts and numbers alone
	}
	sum := sha256.Sum256(text)
	copy(d[:], sum[:])
	return d
}

func millis(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	ms := t.UnixMilli()
	return &ms
}
