// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/link/keystore"
)

// Rows of the metadata store:
//
//	k/k/<account>/<key id>   a key, with the names of its aliases
//	k/a/<account>/<name>     an alias
//	k/i/<key UUID>           the account of a key, to find the key of a ciphertext
//	k/n/<account>            how many customer keys an account has
//	k/epoch                  written in every change; its version dates the caches
//	k/service                the service-owned key
const (
	keyRows    = "k/k/"
	aliasRows  = "k/a/"
	indexRows  = "k/i/"
	countRows  = "k/n/"
	epochRow   = "k/epoch"
	serviceRow = "k/service"
)

func (r keyRef) row() string { return string(r.appendRow(nil)) }

func (r keyRef) appendRow(b []byte) []byte {
	return append(append(append(append(b, keyRows...), r.account...), '/'), r.id...)
}

func aliasRow(account, name string) string { return aliasRows + account + "/" + name }

// State is a key's state.
type State string

// States of keys.
const (
	Enabled         State = "Enabled"
	StateDisabled   State = "Disabled"
	PendingDeletion State = "PendingDeletion"
	PendingImport   State = "PendingImport"
	StateDown       State = "Unavailable" // its external key store is
	Creating        State = "Creating"
	Updating        State = "Updating"
)

// Values of key metadata.
const (
	SymmetricDefault = "SYMMETRIC_DEFAULT" // key spec and encryption algorithm
	EncryptDecrypt   = "ENCRYPT_DECRYPT"
	OriginKMS        = "AWS_KMS"
	OriginExternal   = "EXTERNAL"
	ManagerCustomer  = "CUSTOMER"
	ManagerAWS       = "AWS"
)

// key is the row of a key. A row that was read is shared and must not be
// changed; clone it first.
type key struct {
	Account     string     `json:"account"`
	ID          uuid.UUID  `json:"id"`
	Created     time.Time  `json:"created"`
	Description string     `json:"description,omitempty"`
	Usage       string     `json:"usage"`
	Spec        string     `json:"spec"`
	Origin      string     `json:"origin"`
	MultiRegion bool       `json:"multiRegion,omitempty"`
	Manager     string     `json:"manager"`
	State       State      `json:"state"`
	Deletion    *deletion  `json:"deletion,omitempty"` // while PendingDeletion
	Policy      string     `json:"policy"`
	Tags        []Tag      `json:"tags,omitempty"`
	Aliases     []string   `json:"aliases,omitempty"` // sorted
	Rotation    rotation   `json:"rotation"`
	Materials   []material `json:"materials"`        // oldest first; the last one is current
	Public      []byte     `json:"public,omitempty"` // of asymmetric keys, DER of a SubjectPublicKeyInfo
	// Pending is imported material that waits for a rotation on demand.
	Pending *material `json:"pending,omitempty"`
	// LastVersion is the last version number handed out. It may be ahead of
	// Materials: a rotation reserves its number before it makes the material.
	LastVersion uint32 `json:"lastVersion"`
	Grants      int    `json:"grants,omitempty"` // how many there are
	// Bound are the unique ids of the users and roles that Policy names, by their ARNs.
	Bound map[string]string `json:"bound,omitempty"`

	ver    uint64
	parsed *parsedKey
}

// parsedKey is what is made of a row when it is first asked for. Rows are shared, and
// so is this.
type parsedKey struct {
	policy atomic.Pointer[policy.Document]
	broken atomic.Bool // Policy does not parse
	arn    atomic.Pointer[string]
	row    atomic.Pointer[string]
}

type deletion struct {
	Date   time.Time `json:"date"`
	Window int       `json:"windowInDays"`
	// Began is when the material's destruction began. From then on the key is
	// gone for everybody, and only the end of the deletion is left to do.
	Began   *time.Time `json:"began,omitempty"`
	EventID uuid.UUID  `json:"eventId,omitzero"` // of the DeleteKey event
}

type rotation struct {
	PeriodInDays int       `json:"periodInDays,omitempty"` // 0: no automatic rotation
	Next         time.Time `json:"next,omitzero"`
	OnDemand     int       `json:"onDemand,omitempty"` // how many there were
	// Unrecorded are RotateKey events of rotations that took place and that the
	// audit trail has not yet confirmed.
	Unrecorded []rotationEvent `json:"unrecorded,omitempty"`
}

type rotationEvent struct {
	ID   uuid.UUID `json:"id"`
	At   time.Time `json:"at"`
	Type string    `json:"type"`
	New  string    `json:"new"`
	Old  string    `json:"old"`
}

type material struct {
	Version uint32    `json:"version"`
	ID      string    `json:"id"` // hex
	Created time.Time `json:"created"`
	Type    string    `json:"type,omitempty"` // of the rotation that made it; "" for the first

	// Of imported material:
	Description string    `json:"description,omitempty"`
	Expires     time.Time `json:"expires,omitzero"` // zero: never
	Gone        bool      `json:"gone,omitempty"`   // deleted, or expired: only its id is left
	// Doomed is since when the material, which is Gone, is being removed from the
	// key store. Until that is done it cannot be imported again.
	Doomed *time.Time `json:"doomed,omitempty"`
	// Removals counts how often it went, so that an import that a removal overtook
	// learns of it.
	Removals int `json:"removals,omitempty"`
}

// usable reports whether the material is there at a time.
func (m material) usable(at time.Time) bool {
	return !m.Gone && (m.Expires.IsZero() || at.Before(m.Expires))
}

// alias is the row of an alias. It is shared, as key is.
type alias struct {
	Target  string    `json:"target"` // key id, in the alias's account
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`

	ver uint64
}

func (k *key) ref() keyRef { return keyRef{k.Account, k.name()} }

// name is the key's id as the API has it.
func (k *key) name() string { return aws.KeyID(k.ID, k.MultiRegion) }

// current returns the material for new ciphertexts. A key that waits for its first
// has none.
func (k *key) current() material {
	if len(k.Materials) == 0 {
		return material{}
	}
	return k.Materials[len(k.Materials)-1]
}

// external reports whether the key's material is imported.
func (k *key) external() bool { return k.Origin == OriginExternal }

// complete reports whether all material that the key needs is there.
func (k *key) complete(at time.Time) bool {
	for _, m := range k.Materials {
		if !m.usable(at) {
			return false
		}
	}
	return len(k.Materials) > 0
}

// at returns the key as it is at a time: while imported material is missing, it is
// pending import, whatever its row says.
func (k *key) at(t time.Time) *key {
	if !k.external() || k.State == PendingImport || k.State == PendingDeletion || k.complete(t) {
		return k
	}
	c := k.clone()
	c.parsed = k.parsed
	c.State = PendingImport
	return c
}

// imported returns the imported material of an id, to be changed, or nil.
func (k *key) imported(id string) *material {
	for i := range k.Materials {
		if k.Materials[i].ID == id {
			return &k.Materials[i]
		}
	}
	if k.Pending != nil && k.Pending.ID == id {
		return k.Pending
	}
	return nil
}

func (k *key) currentRef() keystore.Ref { return keystore.Ref{Key: k.ID, Version: k.current().Version} }

// materialOf returns the material that a ciphertext names.
func (k *key) materialOf(version uint32) (material, bool) {
	for _, m := range k.Materials {
		if m.Version == version {
			return m, true
		}
	}
	return material{}, false
}

// gone reports whether the key's waiting period is over: it is then as absent as
// if its row were not there.
func (k *key) gone(now time.Time) bool {
	return k.Deletion != nil && (k.Deletion.Began != nil || !now.Before(k.Deletion.Date))
}

func (k *key) managed() bool { return k.Manager == ManagerAWS }

// clone returns a copy to change.
func (k *key) clone() *key {
	c := *k
	c.parsed = &parsedKey{}
	c.Tags = slices.Clone(k.Tags)
	c.Aliases = slices.Clone(k.Aliases)
	c.Materials = slices.Clone(k.Materials)
	c.Rotation.Unrecorded = slices.Clone(k.Rotation.Unrecorded)
	if k.Deletion != nil {
		d := *k.Deletion
		c.Deletion = &d
	}
	if k.Pending != nil {
		m := *k.Pending
		c.Pending = &m
	}
	return &c
}

func (k *key) addMaterial(m keystore.Material, now time.Time, kind string) {
	k.Materials = append(k.Materials, material{Version: m.Version, ID: hex.EncodeToString(m.ID[:]), Created: now, Type: kind})
	k.LastVersion = max(k.LastVersion, m.Version)
	k.Public = m.Public
}

func decodeKey(value []byte, ver uint64) (*key, error) {
	k := &key{parsed: &parsedKey{}}
	if err := decode(value, k); err != nil {
		return nil, err
	}
	if len(k.Materials) == 0 && !k.external() {
		return nil, fault.New(Internal, "").Because(fmt.Errorf("key %s has no material", k.ID))
	}
	k.ver = ver
	return k, nil
}

func decodeAlias(value []byte, ver uint64) (*alias, error) {
	a := &alias{}
	if err := decode(value, a); err != nil {
		return nil, err
	}
	a.ver = ver
	return a, nil
}

func decode(value []byte, into any) error {
	if err := json.Unmarshal(value, into); err != nil {
		return fault.New(Internal, "").Because(fmt.Errorf("decode row: %w", err))
	}
	return nil
}

// encode cannot fail: rows hold strings, numbers and times of this era.
func encode(row any) []byte {
	b, err := json.Marshal(row)
	if err != nil {
		panic("kms: encode row: " + err.Error())
	}
	return b
}
