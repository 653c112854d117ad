// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Digest files (CloudTrail User Guide, "CloudTrail digest file structure"). They form a
// chain: each has the hash and the signature of the one before it.

const (
	signatureAlgorithm = "SHA256withRSA"
	hashAlgorithm      = "SHA-256"

	signatureHeader          = object.MetadataPrefix + "signature"
	signatureAlgorithmHeader = object.MetadataPrefix + "signature-algorithm"

	// digestFiles bounds the files in one digest: what is more goes into the next one.
	digestFiles = 5000
)

// fileRows are the files that are in no digest yet: ct/f/<id of the trail>/<number>.
const fileRows = "ct/f/"

func fileRow(id string, number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(fileRows+id+"/"), number)
}

// trailOfFile returns the trail whose file a row is of.
func trailOfFile(row []byte) (id string, ok bool) {
	rest, ok := strings.CutPrefix(string(row), fileRows)
	id, _, found := strings.Cut(rest, "/")
	return id, ok && found && id != ""
}

// digestText is a digest file. The members have the order of the documentation's
// example; those that are null in a starting digest must be there all the same.
type digestText struct {
	Account           string       `json:"awsAccountId"`
	Start             string       `json:"digestStartTime"`
	End               string       `json:"digestEndTime"`
	Bucket            string       `json:"digestS3Bucket"`
	Object            string       `json:"digestS3Object"`
	Fingerprint       string       `json:"digestPublicKeyFingerprint"`
	Algorithm         string       `json:"digestSignatureAlgorithm"`
	Newest            *string      `json:"newestEventTime"`
	Oldest            *string      `json:"oldestEventTime"`
	PreviousBucket    *string      `json:"previousDigestS3Bucket"`
	PreviousObject    *string      `json:"previousDigestS3Object"`
	PreviousHash      *string      `json:"previousDigestHashValue"`
	PreviousAlgorithm *string      `json:"previousDigestHashAlgorithm"`
	PreviousSignature *string      `json:"previousDigestSignature"`
	Files             []digestFile `json:"logFiles"`
	// Head is Coffer's own: the head of the chain of the audit trail's lines.
	Head *audit.Anchor `json:"cofferJournalHead,omitempty"`
}

type digestFile struct {
	Bucket    string `json:"s3Bucket"`
	Object    string `json:"s3Object"`
	Hash      string `json:"hashValue"`
	Algorithm string `json:"hashAlgorithm"`
	Newest    string `json:"newestEventTime"`
	Oldest    string `json:"oldestEventTime"`
}

// toSign returns the text whose signature a digest has.
func (d *digestText) toSign(text []byte) []byte {
	sum := sha256.Sum256(text)
	previous := "null"
	if d.PreviousSignature != nil {
		previous = *d.PreviousSignature
	}
	return []byte(d.End + "\n" + d.Bucket + "/" + d.Object + "\n" + hex.EncodeToString(sum[:]) + "\n" + previous)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// digestDue returns when the next digest is; zero when there is none to come.
func (l *loop) digestDue(t *Trail) time.Time {
	d := &l.d.Digest
	if !t.Validate || d.Since.IsZero() || l.digests.failed() {
		return time.Time{}
	}
	return d.Since.Add(l.cfg.DigestEvery)
}

// digest delivers the digest that is due, if one is. A chain of digests begins with
// logging, and ends with a last one that has all that was delivered until it was
// stopped.
func (l *loop) digest(ctx context.Context, t *Trail) error {
	d := &l.d.Digest
	if !t.Validate {
		return l.unchain(ctx, t)
	}
	stopped := !t.Logging && !l.d.Position.Before(t.Until) && l.d.Pending == nil
	for {
		if d.Since.IsZero() {
			if stopped && d.First == d.Next {
				return nil
			}
			d.Since, d.Of = time.Now().UTC().Truncate(time.Second), t.Started
			if d.First != d.Next { // something was delivered before
				d.Since = t.Started.UTC().Truncate(time.Second)
			}
		}
		// Where the clock was set back, the time of the last digest may not come again for
		// long: another chain begins now.
		back := time.Now().Add(l.cfg.DigestEvery).Before(d.Since)
		last := stopped || !d.Of.Equal(t.Started) || back
		if d.Pending == nil && !l.nameDigest(t, last) {
			return nil
		}
		if err := l.deliverDigest(ctx, t, last); err != nil {
			return err
		}
	}
}

// unchain forgets the chain of a trail that has no digests any more.
func (l *loop) unchain(ctx context.Context, t *Trail) error {
	d := &l.d.Digest
	if d.Since.IsZero() && d.First == d.Next {
		return nil
	}
	if err := l.dropFiles(ctx, fileRow(t.ID, 0), meta.PrefixEnd([]byte(fileRows+t.ID+"/"))); err != nil {
		return err
	}
	*d = Digest{LastSuccess: d.LastSuccess, First: d.Next, Next: d.Next}
	return l.keep(ctx, t)
}

// nameDigest names the next digest, if it is due: at the end of its time, or when it is
// the last one.
func (l *loop) nameDigest(t *Trail, last bool) bool {
	d := &l.d.Digest
	now := time.Now().UTC().Truncate(time.Second)
	end := d.Since.Add(l.cfg.DigestEvery)
	switch {
	case last: // two digests of one second would have one name
		end = now
		if !end.After(d.Since) {
			end = d.Since.Add(time.Second)
		}
	case now.Before(end):
		return false
	case now.Sub(end) >= l.cfg.DigestEvery: // it could not be delivered for long
		end = now
	}
	d.Pending = &PendingDigest{Bucket: t.Bucket, Object: l.digestName(t, end), End: end, Files: min(d.Next, d.First+digestFiles)}
	return true
}

func (l *loop) digestName(t *Trail, end time.Time) string {
	region := l.service.Region
	return t.prefixed("CloudTrail-Digest/" + region + end.Format("/2006/01/02/") + t.Account + "_CloudTrail-Digest_" + region + "_" +
		t.Name + "_" + region + end.Format("_20060102T150405Z") + ".json.gz")
}

// deliverDigest delivers the digest that has its name. last ends the chain with it, if
// it has everything.
func (l *loop) deliverDigest(ctx context.Context, t *Trail, last bool) error {
	d := &l.d.Digest
	if d.Pending.Bucket != t.Bucket || !strings.HasPrefix(d.Pending.Object, t.prefixed("CloudTrail-Digest/")) {
		d.Pending = &PendingDigest{Bucket: t.Bucket, Object: l.digestName(t, d.Pending.End), End: d.Pending.End, Files: d.Pending.Files}
	}
	p := *d.Pending
	err := error(nil)
	if l.kept.Digest.Pending == nil || *l.kept.Digest.Pending != p {
		err = l.keep(ctx, t)
	}
	var hash, signature string
	if err == nil {
		hash, signature, err = l.putDigest(ctx, t, p)
	}
	if err != nil {
		l.digestFailed(ctx, t, err)
		return err
	}
	before := *d
	*d = Digest{
		LastSuccess: time.Now().UTC(), Since: p.End, Of: before.Of, Bucket: p.Bucket, Object: p.Object, Hash: hash, Signature: signature,
		First: p.Files, Next: before.Next,
	}
	if last && d.First == d.Next {
		*d = Digest{LastSuccess: d.LastSuccess, First: d.Next, Next: d.Next}
	}
	err = l.keep(ctx, t, func(b *meta.Batch) {
		for n := before.First; n < p.Files; n++ {
			b.Delete(fileRow(t.ID, n))
		}
	})
	if err != nil {
		*d = before
		l.digestFailed(ctx, t, err)
	}
	return err
}

func (l *loop) digestFailed(ctx context.Context, t *Trail, err error) {
	if ctx.Err() != nil {
		return
	}
	l.journal.Failed(l.name)
	d := &l.d.Digest
	was := d.Error
	d.Error, _ = l.cfg.Name(err)
	if was != d.Error {
		l.cfg.Log.Warn("a trail's digest cannot be delivered", "trail", l.name, "bucket", t.Bucket, "code", d.Error, "error", err)
	}
	_ = l.keep(ctx, t) // what could not be kept is told at the next failure
}

// putDigest makes, signs and writes a digest. It returns the hash of what was compressed,
// and the signature, both in hexadecimal digits.
func (l *loop) putDigest(ctx context.Context, t *Trail, p PendingDigest) (hash, signature string, err error) {
	key, err := l.signer.current(ctx)
	if err != nil {
		return "", "", err
	}
	d, err := l.compose(ctx, t, p)
	if err != nil {
		return "", "", err
	}
	d.Fingerprint = key.fingerprint()
	text, err := json.Marshal(d)
	if err != nil {
		return "", "", err
	}
	signed, err := key.sign(d.toSign(text))
	if err != nil {
		return "", "", err
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(text); err != nil {
		return "", "", err
	}
	if err := z.Close(); err != nil {
		return "", "", err
	}
	put, keys := l.service.file(t, p.Object)
	put.SSE = sse.Request{} // digests are encrypted as the bucket wants it
	delete(keys, "s3:"+sse.AlgorithmHeader)
	put.ACL = acl.Asked{Canned: acl.BucketOwnerFullControl}
	put.Bucket = p.Bucket
	put.Body, put.Size = &zipped, int64(zipped.Len())
	signature = hex.EncodeToString(signed)
	put.Headers = []object.Header{
		{Name: "content-type", Value: "application/json"}, {Name: "content-encoding", Value: "gzip"},
		{Name: signatureHeader, Value: signature}, {Name: signatureAlgorithmHeader, Value: signatureAlgorithm},
	}
	if _, err := l.writer.Put(ctx, l.service.Deliverer(t), put, keys); err != nil {
		return "", "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), signature, nil
}

// compose makes a digest's text, but for whose signature it has.
func (l *loop) compose(ctx context.Context, t *Trail, p PendingDigest) (*digestText, error) {
	last := &l.d.Digest
	d := &digestText{
		Account: t.Account, Start: stamp(last.Since), End: stamp(p.End), Bucket: p.Bucket, Object: p.Object,
		Algorithm: signatureAlgorithm, Files: []digestFile{},
	}
	if last.Object != "" {
		algorithm := hashAlgorithm
		d.PreviousBucket, d.PreviousObject, d.PreviousHash = &last.Bucket, &last.Object, &last.Hash
		d.PreviousAlgorithm, d.PreviousSignature = &algorithm, &last.Signature
	}
	if head := l.journal.Anchor(); head.Segment != "" {
		d.Head = &head
	}
	for n := last.First; n < p.Files; n++ {
		item, err := meta.Get1(ctx, l.store, fileRow(t.ID, n))
		if err != nil {
			return nil, err
		}
		if item.Ver == 0 {
			continue
		}
		f, err := decode[DeliveredFile](item)
		if err != nil {
			return nil, err
		}
		d.add(f)
	}
	return d, nil
}

// add adds a file.
func (d *digestText) add(f DeliveredFile) {
	one := digestFile{Bucket: f.Bucket, Object: f.Object, Hash: f.Hash, Algorithm: hashAlgorithm, Newest: stamp(f.Newest), Oldest: stamp(f.Oldest)}
	d.Files = append(d.Files, one)
	if d.Newest == nil || *d.Newest < one.Newest {
		d.Newest = &one.Newest
	}
	if d.Oldest == nil || one.Oldest < *d.Oldest {
		d.Oldest = &one.Oldest
	}
}
