// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Verifier checks what a trail has delivered, from its newest digest back. Beside what
// `aws cloudtrail validate-logs` checks it compares each digest with the hash, the
// signature and the time that the one behind it has of it.
type Verifier struct {
	// Get returns what is stored of an object, and its user metadata by headers. What is
	// missing is fs.ErrNotExist; other errors end the verification.
	Get func(ctx context.Context, bucket, object string) (body []byte, headers map[string]string, err error)
	// Keys are those that Signer.PublicKeys returned.
	Keys []PublicKey
}

// Verified is what a Verifier has found.
type Verified struct {
	Digests, Files int // that are what they were
	Findings       []Finding
}

// Finding is an object that is not what was delivered.
type Finding struct {
	Bucket, Object string
	Problem        string
}

// maxDelivered bounds what is read of a file: what is compressed may be of any size.
const maxDelivered = 256 << 20

// Verify checks the chain that ends with a digest. hash, if it is not "", is what that
// digest must hash to: the trail's own row has it, so that nobody can take away the end
// of the chain.
func (v *Verifier) Verify(ctx context.Context, bucket, object, hash string) (Verified, error) {
	var out Verified
	var behind *digestText // the digest that was checked before: it is newer
	for object != "" {
		d, err := v.digest(ctx, bucket, object, hash, behind)
		if errors.Is(err, errNotDelivered) {
			out.Findings = append(out.Findings, Finding{bucket, object, err.Error()})
			if d == nil {
				return out, nil // what is before it cannot be found
			}
		} else if err != nil {
			return out, err
		} else {
			out.Digests++
		}
		for _, f := range d.Files {
			err := v.file(ctx, f)
			switch {
			case errors.Is(err, errNotDelivered):
				out.Findings = append(out.Findings, Finding{f.Bucket, f.Object, err.Error()})
			case err != nil:
				return out, err
			default:
				out.Files++
			}
		}
		behind, bucket, object, hash = d, known(d.PreviousBucket), known(d.PreviousObject), known(d.PreviousHash)
	}
	return out, nil
}

func known(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// errNotDelivered is wrapped by what says that an object is not what was delivered.
var errNotDelivered = errors.New("not what was delivered")

func finding(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errNotDelivered}, args...)...)
}

// digest checks one digest. With errNotDelivered it may be returned nevertheless: the
// chain can then be followed further.
func (v *Verifier) digest(ctx context.Context, bucket, object, hash string, behind *digestText) (*digestText, error) {
	text, headers, err := v.get(ctx, bucket, object)
	if err != nil {
		return nil, err
	}
	d := new(digestText)
	if err := json.Unmarshal(text, d); err != nil {
		return nil, finding("not a digest")
	}
	if d.Bucket != bucket || d.Object != object {
		return nil, finding("it was moved from its original location")
	}
	sum := sha256.Sum256(text)
	if hash != "" && !same(hash, hex.EncodeToString(sum[:])) {
		return d, finding("the digest that follows, or the trail, has another hash of it")
	}
	if behind != nil && (behind.PreviousSignature == nil || !same(*behind.PreviousSignature, headers[signatureHeader])) {
		return d, finding("the digest that follows has another signature of it")
	}
	if behind != nil && behind.Start != d.End {
		return d, finding("the digest that follows begins at another time than it ends")
	}
	if err := v.signature(d, text, headers); err != nil {
		return d, err
	}
	return d, nil
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (v *Verifier) signature(d *digestText, text []byte, headers map[string]string) error {
	if headers[signatureAlgorithmHeader] != signatureAlgorithm || d.Algorithm != signatureAlgorithm {
		return finding("its signature is of another algorithm")
	}
	signature, err := hex.DecodeString(headers[signatureHeader])
	if err != nil {
		return finding("its signature is none")
	}
	for _, k := range v.Keys {
		if k.Fingerprint != d.Fingerprint {
			continue
		}
		public, err := x509.ParsePKCS1PublicKey(k.DER)
		if err != nil {
			return fmt.Errorf("public key %s: %w", k.Fingerprint, err)
		}
		signed := sha256.Sum256(d.toSign(text))
		if rsa.VerifyPKCS1v15(public, crypto.SHA256, signed[:], signature) != nil {
			return finding("its signature is not of this text")
		}
		return nil
	}
	return finding("it is signed with a key that is not known")
}

// file checks a log file.
func (v *Verifier) file(ctx context.Context, f digestFile) error {
	text, _, err := v.get(ctx, f.Bucket, f.Object)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	if f.Algorithm != hashAlgorithm || !same(f.Hash, hex.EncodeToString(sum[:])) {
		return finding("its hash is another one")
	}
	return nil
}

// get returns what an object has compressed.
func (v *Verifier) get(ctx context.Context, bucket, object string) (text []byte, headers map[string]string, err error) {
	body, headers, err := v.Get(ctx, bucket, object)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, finding("it is missing")
	}
	if err != nil {
		return nil, nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, nil, finding("it is not compressed by gzip")
	}
	text, err = io.ReadAll(io.LimitReader(z, maxDelivered+1))
	if err != nil || len(text) > maxDelivered {
		return nil, nil, finding("it is damaged, or too large")
	}
	return text, headers, nil
}
