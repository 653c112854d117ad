// SPDX-License-Identifier: Apache-2.0

package index

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/fault"
)

// A token is where its page ended: a place in the trail, so that records that come later
// move nothing. It is authenticated together with what was searched for.
const (
	tokenVersion = 1
	tokenSum     = 16
	maxToken     = 512
)

func (x *Index) token(q Query, at audit.Position) string {
	b := binary.BigEndian.AppendUint64([]byte{tokenVersion}, uint64(at.Offset))
	b = append(b, at.Segment...)
	return base64.RawURLEncoding.EncodeToString(append(b, x.tokenSum(q, b)...))
}

// parseToken returns where the page before ended. Error: BadToken.
func (x *Index) parseToken(q Query) (at audit.Position, err error) {
	bad := fault.New(BadToken, "The paging token is not one that a search for the same returned.")
	if len(q.Token) > maxToken {
		return at, bad
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(q.Token)
	if err != nil || len(b) < 1+8+1+tokenSum || b[0] != tokenVersion {
		return at, bad
	}
	b, sum := b[:len(b)-tokenSum], b[len(b)-tokenSum:]
	if !hmac.Equal(sum, x.tokenSum(q, b)) {
		return at, bad
	}
	at.Offset, at.Segment = int64(binary.BigEndian.Uint64(b[1:])), string(b[9:])
	if at.Offset < 0 {
		return at, bad
	}
	return at, nil
}

func (x *Index) tokenSum(q Query, b []byte) []byte {
	what, err := json.Marshal([]any{q.Terms, q.ObjectPrefix, q.OldestFirst, q.Bind})
	if err != nil {
		panic(err) // strings and booleans always encode
	}
	mac := hmac.New(sha256.New, x.tokenKey.Reveal())
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(what))))
	mac.Write(what)
	mac.Write(b)
	return mac.Sum(nil)[:tokenSum]
}
