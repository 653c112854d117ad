// SPDX-License-Identifier: Apache-2.0

package rootkey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Names of the service keys, as in their rows sk/<name>/<version>.
const (
	metaMAC    = "meta-mac"
	iamSecret  = "iam-secret"
	importKey  = "import"
	uploadBind = "upload-bind"
	trailSign  = "trail-sign"
)

// Versioned is all versions of one service key. New work uses the current one;
// the others stay for what was made with them.
type Versioned struct {
	Current uint32
	Keys    map[uint32]secret.Bytes
}

// Key returns the current version's key.
func (v Versioned) Key() secret.Bytes { return v.Keys[v.Current] }

// Services holds the long-lived keys of Coffer's own services. It is immutable.
type Services struct{ keys map[string]Versioned }

// MetaMAC authenticates rows of metadata, and nothing else.
func (s *Services) MetaMAC() Versioned { return s.keys[metaMAC] }

// IAMSecret seals the secrets of access keys.
func (s *Services) IAMSecret() Versioned { return s.keys[iamSecret] }

// Import seals the private keys with which key material is imported.
func (s *Services) Import() Versioned { return s.keys[importKey] }

// UploadBind seals what binds a multipart upload to the object that it becomes.
func (s *Services) UploadBind() Versioned { return s.keys[uploadBind] }

// TrailSign seals the private keys that digests of trails are signed with.
func (s *Services) TrailSign() Versioned { return s.keys[trailSign] }

// ServiceKeys reads the service keys, and makes those that are missing. Nodes
// that race agree on the winner's keys. store is the bare store, without row
// authentication, because the authenticating key is one of them; the rows are
// sealed and name themselves, so they cannot be changed or exchanged.
// Errors: BadRecord, and the store's.
func ServiceKeys(ctx context.Context, store meta.Store, root *Root) (*Services, error) {
	const rounds = 8 // a round is lost only when another node made a key meanwhile
	for range rounds {
		s, err := readServiceKeys(ctx, store, root)
		if err != nil {
			return nil, err
		}
		var b meta.Batch
		for _, name := range []string{metaMAC, iamSecret, importKey, uploadBind, trailSign} {
			if _, ok := s.keys[name]; ok {
				continue
			}
			key := secret.Random(secret.Size)
			_, sealed := root.SealRecord(ServiceKey, Record{Key: serviceID(name), Version: 1, Created: time.Now()}, key)
			key.Clear() // it is read back: only what is stored is ever used
			b.PutIf(serviceRow(name, 1), sealed, 0)
		}
		if len(b.Puts) == 0 {
			return s, nil
		}
		var conflict *meta.ConflictError
		if _, err := store.Commit(ctx, &b); err != nil && !errors.As(err, &conflict) {
			return nil, fmt.Errorf("make service keys: %w", err)
		}
	}
	return nil, errors.New("rootkey: service keys kept changing while they were made")
}

// HasServiceKeys reports whether ServiceKeys has made any in the store.
func HasServiceKeys(ctx context.Context, store meta.Store) (bool, error) {
	prefix := []byte(serviceRows)
	page, err := store.Scan(ctx, meta.Range{Start: prefix, End: meta.PrefixEnd(prefix), Limit: 1, KeysOnly: true})
	if err != nil {
		return false, fmt.Errorf("look for service keys: %w", err)
	}
	return len(page.Items) > 0, nil
}

func readServiceKeys(ctx context.Context, store meta.Store, root *Root) (*Services, error) {
	s := &Services{keys: map[string]Versioned{}}
	r := meta.Range{Start: []byte(serviceRows), End: meta.PrefixEnd([]byte(serviceRows))}
	for {
		page, err := store.Scan(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("read service keys: %w", err)
		}
		for _, item := range page.Items {
			if err := s.add(root, item); err != nil {
				return nil, fmt.Errorf("service key %q: %w", item.Key, err)
			}
		}
		if !page.More {
			return s, nil
		}
		r.Start = page.Next
	}
}

func (s *Services) add(root *Root, item meta.Item) error {
	name, hex, _ := strings.Cut(strings.TrimPrefix(string(item.Key), serviceRows), "/")
	version, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		return BadRecord
	}
	rec, key, err := root.OpenRecord(ServiceKey, item.Value)
	if err != nil {
		return err
	}
	if rec.Key != serviceID(name) || rec.Version != uint32(version) {
		return BadRecord
	}
	v := s.keys[name]
	if v.Keys == nil {
		v.Keys = map[uint32]secret.Bytes{}
	}
	v.Keys[rec.Version] = key
	v.Current = max(v.Current, rec.Version)
	s.keys[name] = v
	return nil
}

const serviceRows = "sk/"

// IsServiceRow says whether a row of the metadata store is a service key's. Those
// are sealed under the root key, which authenticates them.
func IsServiceRow(key []byte) bool { return bytes.HasPrefix(key, []byte(serviceRows)) }

func serviceRow(name string, version uint32) []byte {
	return fmt.Appendf(nil, "%s%s/%08x", serviceRows, name, version)
}

// serviceID is the name, padded with zeros, in the place of a key's UUID.
func serviceID(name string) (id uuid.UUID) {
	copy(id[:], name)
	return id
}
