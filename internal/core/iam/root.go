// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// MinSecret is the least length of a secret access key. Signature Version 4 keys
// an HMAC with "AWS4" and the secret; a shorter one than this is guessable, and
// the cryptographic module may refuse it.
const MinSecret = 16

const maxAccessKeyID = 128

// RootConfig is what the operator says of the account and its root's access key.
type RootConfig struct {
	Account         string       // twelve digits
	AccessKeyID     string       // "" with no secret: keep the stored pair, or make one
	SecretAccessKey secret.Bytes // not kept: OpenRoot copies it
}

// RootState says what OpenRoot did to the stored access key.
type RootState string

// States.
const (
	RootKept    RootState = "kept"    // as it was stored
	RootCreated RootState = "created" // there was none
	RootChanged RootState = "changed" // the configured pair replaced another
)

// RootKeys holds the one account's root access key. It does not change after
// OpenRoot and is safe for concurrent use.
type RootKeys struct {
	account     string
	arn         string
	accessKeyID string
	secretKey   secret.Bytes
}

func newRootKeys(account, accessKeyID string, secretKey secret.Bytes) *RootKeys {
	return &RootKeys{account, aws.RootARN(account), accessKeyID, secretKey}
}

// OpenRoot finds the root access key, whose secret is stored sealed under a key
// derived from sealKey. A configured pair wins over the stored one at every
// start; without either, one is made. Damaged means that the stored pair cannot be
// opened under this sealKey.
func OpenRoot(ctx context.Context, store meta.Store, sealKey secret.Bytes, cfg RootConfig) (*RootKeys, RootState, error) {
	if err := cfg.check(); err != nil {
		return nil, "", err
	}
	for {
		keys, state, err := openRoot(ctx, store, sealKey, cfg)
		var conflict *meta.ConflictError
		if errors.As(err, &conflict) {
			continue // another process has just stored a pair: begin with that
		}
		return keys, state, err
	}
}

func openRoot(ctx context.Context, store meta.Store, sealKey secret.Bytes, cfg RootConfig) (*RootKeys, RootState, error) {
	item, err := meta.Get1(ctx, store, rootRow())
	if err != nil {
		return nil, "", fmt.Errorf("read root access key: %w", err)
	}
	configured := cfg.AccessKeyID != ""
	state := RootCreated
	if item.Ver != 0 {
		stored, err := decodeRoot(item.Value, sealKey)
		if err != nil && !configured {
			return nil, "", err
		}
		if err == nil {
			if stored.account != cfg.Account {
				return nil, "", fmt.Errorf("this data belongs to account %s, and the account id configured is %s: start with --account-id %[1]s", stored.account, cfg.Account)
			}
			if !configured || stored.is(cfg) {
				return stored, RootKept, nil
			}
		}
		state = RootChanged
	}
	keys := newRootKeys(cfg.Account, cfg.AccessKeyID, secret.Copy(cfg.SecretAccessKey.Reveal()))
	if !configured {
		keys.accessKeyID, keys.secretKey = newAccessKey()
	}
	value, err := keys.encode(sealKey)
	if err != nil {
		return nil, "", err
	}
	var b meta.Batch
	b.PutIf(rootRow(), value, item.Ver)
	if _, err := store.Commit(ctx, &b); err != nil {
		return nil, "", fmt.Errorf("store root access key: %w", err)
	}
	return keys, state, nil
}

func (cfg RootConfig) check() error {
	if !aws.ValidAccount(cfg.Account) {
		return fmt.Errorf("iam: account id %q is not twelve digits", cfg.Account)
	}
	n := cfg.SecretAccessKey.Len()
	switch {
	case cfg.AccessKeyID == "" && n == 0:
		return nil
	case cfg.AccessKeyID == "":
		return errors.New("iam: a root secret access key is configured without an access key id")
	case n == 0:
		return errors.New("iam: a root access key id is configured without a secret access key")
	case !validAccessKeyID(cfg.AccessKeyID):
		return fmt.Errorf("iam: root access key id %q is not 3 to %d letters, digits, '-' or '_'", cfg.AccessKeyID, maxAccessKeyID)
	case n < MinSecret:
		return fmt.Errorf("iam: the root secret access key has %d characters; it needs at least %d", n, MinSecret)
	}
	return nil
}

// validAccessKeyID refuses above all "/", which ends the id in a credential.
func validAccessKeyID(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return len(s) >= 3 && len(s) <= maxAccessKeyID
}

// newAccessKey makes a pair that looks as AWS's do: AKIA and 16 letters or
// digits; 40 characters of 240 random bits.
func newAccessKey() (id string, secretKey secret.Bytes) {
	var b [10]byte
	rand.Read(b[:])
	raw := secret.Random(30)
	defer raw.Clear()
	text := make([]byte, base64.StdEncoding.EncodedLen(raw.Len()))
	base64.StdEncoding.Encode(text, raw.Reveal())
	return "AKIA" + base32.StdEncoding.EncodeToString(b[:]), secret.New(text)
}

// AccessKeyID returns the id of the root's access key.
func (k *RootKeys) AccessKeyID() string { return k.accessKeyID }

// Lookup returns the secret of an access key and the principal who holds it. The
// secret is shared and must not be cleared. Fault: NoSuchAccessKey.
func (k *RootKeys) Lookup(_ context.Context, accessKeyID string) (secret.Bytes, Principal, error) {
	if accessKeyID != k.accessKeyID {
		return secret.Bytes{}, Principal{}, fault.New(NoSuchAccessKey, "").With("AWSAccessKeyId", accessKeyID)
	}
	return k.secretKey, k.Principal(), nil
}

// Principal returns the account's root, as it is when its access key signs.
func (k *RootKeys) Principal() Principal {
	return Principal{
		Type:        Root,
		Account:     k.account,
		ARN:         k.arn,
		PrincipalID: k.account,
		AccessKeyID: k.accessKeyID,
	}
}

func (k *RootKeys) is(cfg RootConfig) bool {
	return k.accessKeyID == cfg.AccessKeyID && k.secretKey.Equal(cfg.SecretAccessKey)
}

// rootRow is the row of the account's root access key.
func rootRow() []byte { return []byte("i/root") }

// storedRoot is the value of that row, as JSON. Sealed is the secret access key
// under Derive(sealKey, "iam-secret", AccessKeyID, 32), with AccessKeyID as
// additional data.
type storedRoot struct {
	Version     int    `json:"version"`
	Account     string `json:"account"`
	AccessKeyID string `json:"accessKeyId"`
	Sealed      []byte `json:"sealed"`
}

func rootAEAD(sealKey secret.Bytes, accessKeyID string) *secret.AEAD {
	key := secret.Derive(sealKey, "iam-secret", []byte(accessKeyID), secret.Size)
	defer key.Clear()
	return secret.NewAEAD(key)
}

func (k *RootKeys) encode(sealKey secret.Bytes) ([]byte, error) {
	sealed := rootAEAD(sealKey, k.accessKeyID).Seal(nil, k.secretKey.Reveal(), []byte(k.accessKeyID))
	return json.Marshal(storedRoot{1, k.account, k.accessKeyID, sealed})
}

func decodeRoot(value []byte, sealKey secret.Bytes) (*RootKeys, error) {
	var stored storedRoot
	if err := json.Unmarshal(value, &stored); err != nil {
		return nil, fault.New(meta.Damaged, "").With("Row", string(rootRow())).Because(err)
	}
	if stored.Version != 1 {
		return nil, fault.New(meta.Damaged, "").With("Row", string(rootRow())).
			Because(fmt.Errorf("version %d is not known", stored.Version))
	}
	opened, err := rootAEAD(sealKey, stored.AccessKeyID).Open(nil, stored.Sealed, []byte(stored.AccessKeyID))
	if err != nil {
		return nil, fault.New(meta.Damaged, "").With("Row", string(rootRow())).Because(err)
	}
	return newRootKeys(stored.Account, stored.AccessKeyID, secret.New(opened)), nil
}
