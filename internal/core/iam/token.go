// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"bytes"
	"compress/flate"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

// A session token is the session itself, sealed: nothing of it is stored. It is
// base64 of version ‖ Seal(KDF(iam-secret key, "session-token", "", 32),
// deflate(tokenDocument as JSON), version ‖ access key id). docs/formats.md has it.

const (
	tokenVersion = 1
	// maxToken bounds a token's text: a request's head is no longer.
	maxToken = 8 << 10
	// maxOpened bounds what a token's document inflates to. The largest that is sealed
	// has 50 tags, 10 ARNs and a policy, all of characters of several bytes.
	maxOpened = 256 << 10
	// tokenPrefix begins the ids of temporary access keys.
	tokenPrefix = "ASIA"
)

// tokenDocument is what a session token says.
type tokenDocument struct {
	Type     string    `json:"type"` // a principal's
	Account  string    `json:"account"`
	ID       string    `json:"id"` // unique id of the role, or of the user; the account of a root
	Issued   time.Time `json:"issued"`
	Expires  time.Time `json:"expires"`
	Name     string    `json:"name,omitempty"`
	Policies []string  `json:"policies,omitempty"`
	ARNs     []string  `json:"policyArns,omitempty"`
	Narrowed bool      `json:"narrowed,omitempty"`
	Tags     []Tag     `json:"tags,omitempty"` // in their order of names
	Through  []string  `json:"transitive,omitempty"`
	Source   string    `json:"sourceIdentity,omitempty"`
	Provider string    `json:"provider,omitempty"`
	Chained  bool      `json:"chained,omitempty"`
	MFA      bool      `json:"mfa,omitempty"`
	Parent   string    `json:"parent,omitempty"` // access key id
}

// tokenBox seals and opens session tokens. It is safe for concurrent use.
type tokenBox struct {
	aead    *secret.AEAD
	sealKey secret.Bytes // of which access keys' secrets follow
}

func newTokenBox(sealKey secret.Bytes) *tokenBox {
	key := secret.Derive(sealKey, "session-token", nil, secret.Size)
	defer key.Clear()
	return &tokenBox{secret.NewAEAD(key), sealKey}
}

// newTemporaryID returns an access key id as AWS's are: ASIA and 16 letters or digits,
// of 80 random bits.
func newTemporaryID() string {
	var b [10]byte
	rand.Read(b[:])
	return tokenPrefix + base32.StdEncoding.EncodeToString(b[:])
}

// secretOf returns the secret of a temporary access key. It follows from the id, so that
// no token has to carry it.
func (t *tokenBox) secretOf(accessKeyID string) secret.Bytes {
	raw := secret.Derive(t.sealKey, "session-secret", []byte(accessKeyID), 30)
	defer raw.Clear()
	text := make([]byte, base64.StdEncoding.EncodedLen(raw.Len()))
	base64.StdEncoding.Encode(text, raw.Reveal())
	return secret.New(text)
}

func tokenContext(accessKeyID string) []byte { return append([]byte{tokenVersion}, accessKeyID...) }

// seal returns the token of an access key. Fault: PackedPolicyTooLarge.
func (t *tokenBox) seal(accessKeyID string, d *tokenDocument) (string, error) {
	sealed := t.aead.Seal([]byte{tokenVersion}, deflated(d), tokenContext(accessKeyID))
	if base64.StdEncoding.EncodedLen(len(sealed)) > maxToken/2 {
		return "", fault.New(PackedPolicyTooLarge, "Packed size of session policies and tags is too large.")
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

// deflated encodes what cannot fail to be encoded: strings, flags and times.
func deflated(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic("iam: encode session token: " + err.Error())
	}
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		panic("iam: " + err.Error())
	}
	_, _ = w.Write(text) // a Buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

var errToken = errors.New("this is not a session token of this access key")

// open reads the token of an access key. An error says no more than that it is none.
func (t *tokenBox) open(accessKeyID, token string) (*tokenDocument, error) {
	// A line break the decoder would pass over: one session, many tokens.
	if len(token) > maxToken || len(accessKeyID) > maxAccessKeyID || strings.ContainsAny(token, "\r\n") {
		return nil, errToken
	}
	sealed, err := base64.StdEncoding.Strict().DecodeString(token)
	if err != nil || len(sealed) == 0 || sealed[0] != tokenVersion {
		return nil, errToken
	}
	packed, err := t.aead.Open(nil, sealed[1:], tokenContext(accessKeyID))
	if err != nil {
		return nil, errToken
	}
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxOpened+1))
	if err != nil || len(text) > maxOpened {
		return nil, errToken
	}
	d := new(tokenDocument)
	if err := json.Unmarshal(text, d); err != nil {
		return nil, errToken
	}
	return d, nil
}

// maxPacked is what session policies and tags may take up in a token, in bytes.
const maxPacked = 2 << 10

// packed returns how much of maxPacked a session's policies and tags take, in percent,
// nil when there are none. Fault: PackedPolicyTooLarge.
func (d *tokenDocument) packed() (*int, error) {
	if len(d.Policies)+len(d.ARNs)+len(d.Tags) == 0 {
		return nil, nil
	}
	n := len(deflated(tokenDocument{Policies: d.Policies, ARNs: d.ARNs, Tags: d.Tags, Through: d.Through}))
	percent := (100*n + maxPacked - 1) / maxPacked
	if percent > 100 {
		return nil, fault.New(PackedPolicyTooLarge,
			"Packed size of session policies and tags consumes %d%% of allotted space for the session.", percent)
	}
	return &percent, nil
}
