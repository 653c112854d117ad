// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/test/coffertest"
)

// differ does cases one after another, at keys of its own.
type differ struct {
	s      *coffertest.Server
	ctx    context.Context
	rnd    *rand.Rand
	vaults []*vault
	keys   []string // of the KMS
	name   string
	seq    int
	buf    []byte // for reading

	shelf    []*written           // what is there, the oldest first
	shed     []*written           // read back, and to be deleted
	versions map[place][]*written // both by key, the oldest first
}

// written is a version as the oracle knows it.
type written struct {
	in           *vault
	key, version string // version "" where the bucket has none
	data         content
	parts        []int // sizes, of a multipart object
	under        encryption
	algorithm    types.ServerSideEncryption // "" under a customer's key
	tells        applied
	etag, note   string // note is its user metadata
	history      string
}

func (w *written) at() place { return place{w.in.name, w.key} }

// String says all that a mismatch needs.
func (w *written) String() string {
	return fmt.Sprintf("%v, version %q, %d bytes, parts %v, under %v, by %s", w.at(), w.version, w.data.size(), w.parts, w.under, w.history)
}

const (
	// onShelf is how many versions a differ keeps: for as long that bucket keys
	// merge under them.
	onShelf = 64
	// young of them are read soon.
	young = 12
	// shedAtOnce is how many versions a request deletes.
	shedAtOnce = 50
)

// once writes an object, now and then updates one, and reads and forgets one. Most
// are read soon after they were written, some very late.
func (d *differ) once() error {
	if err := d.write(); err != nil {
		return err
	}
	if len(d.shelf) > 0 && d.rnd.IntN(5) == 0 {
		if err := d.update(d.any()); err != nil {
			return err
		}
	}
	if len(d.shelf) <= onShelf {
		return nil
	}
	from := 0
	if d.rnd.IntN(6) > 0 {
		from = len(d.shelf) - young
	}
	if err := d.shedOne(d.shelf[from+d.rnd.IntN(len(d.shelf)-from)]); err != nil {
		return err
	}
	if len(d.shed) < shedAtOnce {
		return nil
	}
	return d.deleteShed()
}

func (d *differ) any() *written { return d.shelf[d.rnd.IntN(len(d.shelf))] }

// finish compares all that is left with what is listed, and reads it.
func (d *differ) finish() error {
	if err := d.deleteShed(); err != nil {
		return err
	}
	if err := d.list(); err != nil {
		return err
	}
	for _, w := range d.shelf {
		if err := d.check(w); err != nil {
			return err
		}
	}
	return nil
}

// shelve takes what was just written. In a bucket without versions it replaces what
// was there.
func (d *differ) shelve(w *written) {
	if old := d.current(w.at()); old != nil && !w.in.versioned {
		d.shelf = without(d.shelf, old)
		d.versions[w.at()] = nil
	}
	d.shelf = append(d.shelf, w)
	d.versions[w.at()] = append(d.versions[w.at()], w)
}

func without(all []*written, w *written) []*written {
	return slices.DeleteFunc(all, func(o *written) bool { return o == w })
}

// current returns the current version of a key, nil for none.
func (d *differ) current(at place) *written {
	all := d.versions[at]
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// shedOne reads a version back and leaves it to be deleted. Where only a key can be
// named, that is at once: it may be written again.
func (d *differ) shedOne(w *written) error {
	if err := d.check(w); err != nil {
		return err
	}
	d.shelf = without(d.shelf, w)
	d.shed = append(d.shed, w)
	if !w.in.versioned {
		return d.deleteShed()
	}
	return nil
}

// deleteShed deletes what was shed.
func (d *differ) deleteShed() error {
	byVault := map[string][]types.ObjectIdentifier{}
	for _, w := range d.shed {
		d.versions[w.at()] = without(d.versions[w.at()], w)
		byVault[w.in.name] = append(byVault[w.in.name], types.ObjectIdentifier{Key: &w.key, VersionId: said(w.version)})
	}
	d.shed = nil
	for name, all := range byVault {
		out, err := d.s.S3.DeleteObjects(d.ctx, &s3.DeleteObjectsInput{
			Bucket: &name, Delete: &types.Delete{Objects: all, Quiet: aws.Bool(true)},
		})
		if err != nil {
			return fmt.Errorf("delete in %s: %w", name, err)
		}
		for _, e := range out.Errors {
			return fmt.Errorf("delete %s in %s: %s", aws.ToString(e.Key), name, aws.ToString(e.Message))
		}
	}
	return nil
}

// list compares what is listed with what must be there.
func (d *differ) list() error {
	for _, v := range d.vaults {
		var want, got []string
		for at, all := range d.versions {
			for i, w := range all {
				if at.bucket == v.name {
					want = append(want, fmt.Sprint(w.key, " ", cmp.Or(w.version, "null"), " ", w.etag, " ", w.data.size(), " ", i == len(all)-1))
				}
			}
		}
		pages := s3.NewListObjectVersionsPaginator(d.s.S3, &s3.ListObjectVersionsInput{Bucket: &v.name, Prefix: aws.String(d.name + "/")})
		for pages.HasMorePages() {
			page, err := pages.NextPage(d.ctx)
			if err != nil {
				return fmt.Errorf("list %s: %w", v.name, err)
			}
			for _, o := range page.Versions {
				got = append(got, fmt.Sprint(*o.Key, " ", *o.VersionId, " ", strings.Trim(*o.ETag, `"`), " ", *o.Size, " ", *o.IsLatest))
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			return fmt.Errorf("%s lists\n%s\nwant\n%s", v.name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	return nil
}

// update changes the encryption of a version, where that can be done. Nothing else
// of it changes.
func (d *differ) update(w *written) error {
	key, bk := d.keys[d.rnd.IntN(len(d.keys))], d.rnd.IntN(2) == 0
	err := tryUpdate(d.s, w.in.name+"/"+w.key, w.version, key, bk)
	if w.algorithm == "" || w.algorithm == dsse || w.tells.sse == "" {
		if codeOf(err) != "InvalidRequest" {
			return fmt.Errorf("update of %v is not refused: %w", w, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("update of %v: %w", w, err)
	}
	w.algorithm, w.tells = types.ServerSideEncryptionAwsKms, applied{string(types.ServerSideEncryptionAwsKms), key, bk}
	w.history += fmt.Sprintf(", update to %v", w.tells)
	return nil
}
