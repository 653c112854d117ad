// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/oidc"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// NoSuchAccount: there is no account with this id.
const NoSuchAccount fault.Kind = "iam operation: no such account"

// Config is what Open needs besides the store.
type Config struct {
	Region string       // aws:RequestedRegion
	Log    *slog.Logger // nil discards
	// Owns says what an account owns elsewhere ("bucket photos", "KMS key …"), "" for
	// nothing: it then cannot be deleted. nil: nothing.
	Owns func(ctx context.Context, account string) (string, error)
	// Identities verifies web identities. nil: none is.
	Identities oidc.Verifier
}

// Service is accounts and who is in them: users, groups, roles, their policies and
// access keys. It is safe for concurrent use, and what it answers follows the last
// change at once.
type Service struct {
	store   meta.Store
	sealKey secret.Bytes
	root    *RootKeys
	cfg     Config
	log     *slog.Logger

	changing chan struct{} // held while a change of this process is under way

	rights *recent[rightsID, *rights]
	keys   *recent[string, *openedKey]
	docs   *recent[docID, *policy.Document]
	tokens *recent[tokenID, *openedToken]
	box    *tokenBox
	used   *uses
}

// How much is kept in memory, in entries and in bytes; twice that at most. Sessions cost
// nothing to begin, and each may have rights of its own: so they are weighed.
const (
	recentRights = 4096
	recentKeys   = 4096
	recentDocs   = 4096
	maxKept      = 16 << 10 // bytes of a document that is kept as it is

	roomForRights = 64 << 20
	roomForKeys   = 8 << 20
	roomForDocs   = 32 << 20
	roomForTokens = 32 << 20

	// A parsed document takes this many times its text at most, and rights that it is
	// part of half as many again.
	parsedText = 16
)

// Open opens the service over its rows. The account of root is made account number one if
// there is none yet. Secrets are sealed under keys derived from sealKey, as the
// root's is. What Open returns needs no closing, but Flush before the store is
// closed.
func Open(ctx context.Context, store meta.Store, sealKey secret.Bytes, root *RootKeys, cfg Config) (*Service, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		store: store, sealKey: sealKey, root: root, cfg: cfg, log: cfg.Log,
		changing: make(chan struct{}, 1),
		rights:   newRecent[rightsID](recentRights, roomForRights, func(r *rights) int { return r.weight }),
		keys:     newRecent[string](recentKeys, roomForKeys, func(*openedKey) int { return 1 << 10 }),
		docs:     newRecent[docID](recentDocs, roomForDocs, func(d *policy.Document) int { return 1<<10 + parsedText*len(d.Text()) }),
		tokens:   newRecent[tokenID](recentTokens, roomForTokens, (*openedToken).weight),
		box:      newTokenBox(sealKey),
		used:     newUses(),
	}
	first := account{
		Version: formatOfRows, ID: root.account, Name: "root", First: true, Created: time.Now().UTC().Truncate(time.Second),
	}
	err := s.makeAccount(ctx, first, nil)
	if errors.Is(err, AccountExists) {
		err = nil
	}
	return s, err
}

// docID is a document by what it says.
type docID struct {
	kind policy.Kind
	text string
}

// document parses a stored document, once. A text that does not parse any more is an
// error: what it allows and denies cannot be told. Of long ones, which are mostly white
// space, only the rest is kept in memory.
func (s *Service) document(kind policy.Kind, text string) (*policy.Document, error) {
	if len(text) > maxKept {
		var b bytes.Buffer
		if json.Compact(&b, []byte(text)) == nil {
			text = b.String()
		}
	}
	if d, ok := s.docs.get(docID{kind, text}); ok {
		return d, nil
	}
	d, err := policy.Parse(kind, "", text)
	if err != nil {
		return nil, errors.New("stored policy does not parse: " + err.Error())
	}
	s.docs.put(docID{kind, text}, d)
	return d, nil
}
