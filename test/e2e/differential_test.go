// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/test/coffertest"
)

var cases = flag.Int("cases", 30_000, "number of writes, each with one read of it, of the differential test")

const (
	// casesOfAServer is how many there are until the next server. All that it has
	// written then still fits into its memory, which is much cheaper under the race
	// detector.
	casesOfAServer = 10_000
	// inlineLimit is a tenth of the default: bodies within it fill little of that
	// memory, and small ones lie beyond it, too.
	inlineLimit = 1600
	// minPart is the least part of the differential test's uploads: small enough that
	// an upload of odd parts costs little.
	minPart = 100
	differs = 8
	// shortWindow is that of bucket keys: generations close, merge and go all the time.
	shortWindow = time.Second
)

// TestEveryWayInAndOut holds the server against a plaintext oracle: what was
// written in whatever way, under whatever encryption, is what is read, in whatever
// way; also after its encryption was updated, and while bucket keys are consolidated,
// KMS keys rotated, caches emptied and old streams removed.
func TestEveryWayInAndOut(t *testing.T) {
	n := *cases
	if testing.Short() {
		n = min(n, 300)
	}
	for server := uint64(0); n > 0 && !t.Failed(); server++ {
		t.Run(fmt.Sprint("server ", server), func(t *testing.T) { doCases(t, min(n, casesOfAServer), server) })
		n -= casesOfAServer
	}
}

// doCases does n cases on a server of their own.
func doCases(t *testing.T, n int, seed uint64) {
	s := start(t, coffertest.InMemory(), coffertest.Flags("--inline-limit", fmt.Sprint(inlineLimit)), coffertest.Tune(server.Tuning{
		Objects: object.Config{MinPart: minPart, RemoveAfter: time.Second}, Window: shortWindow,
	}))
	keys := []string{s.Key(), s.Key()}
	vaults := makeVaults(s, keys[0])
	all := make([]*differ, differs)
	for i := range all {
		all[i] = &differ{
			s: s, ctx: t.Context(), rnd: rand.New(rand.NewPCG(uint64(i), seed)), vaults: vaults, keys: keys, name: fmt.Sprint("w", i),
			versions: map[place][]*written{}, buf: make([]byte, 32<<10),
		}
	}
	turn, ended := startUpkeep(s, vaults, keys)
	var next atomic.Int64
	took := lap(func() {
		each(t, all, func(d *differ) error {
			for i := int(next.Add(1)); i <= n && !t.Failed(); i = int(next.Add(1)) {
				if i%upkeepEvery == 1 {
					turn()
				}
				if err := d.once(); err != nil {
					return err
				}
			}
			return nil
		})
	})
	done := ended()
	t.Logf("%d cases in %v; %s", n, took.Round(time.Millisecond), done)
	if took > 20*shortWindow && n > 10*upkeepEvery && (done.moved == 0 || done.deleted == 0 || done.reEncrypted == 0) {
		t.Errorf("consolidation did too little: %s", done)
	}
	if t.Failed() {
		return
	}
	sender.CloseIdleConnections()
	s.Restart() // all that is known of keys is what is stored
	each(t, all, (*differ).finish)
}

// each lets all work at once.
func each(t *testing.T, all []*differ, work func(*differ) error) {
	var working sync.WaitGroup
	for _, d := range all {
		working.Go(func() {
			if err := work(d); err != nil {
				t.Errorf("%s: %v", d.name, err)
			}
		})
	}
	working.Wait()
}

// vault is a bucket of the differential test.
type vault struct {
	name string
	// What comes of a write that asks for no encryption: how it is sealed, and what
	// answers tell of that, which need not be the same.
	algorithm types.ServerSideEncryption
	tells     applied
	bucketKey bool // the bucket's flag, which also holds for keys that a write asks for
	// configured says that the bucket has an encryption configuration, which lets
	// customers' keys in.
	configured bool
	legacy     bool // answers tell of no encryption
	versioned  bool
}

// makeVaults makes a bucket of each kind; key is that of those with one.
func makeVaults(s *coffertest.Server, key string) []*vault {
	const kms, plain = types.ServerSideEncryptionAwsKms, types.ServerSideEncryptionAes256
	vaults := []*vault{
		{name: "sse-s3", algorithm: plain, configured: true, versioned: true},
		{name: "sse-kms", algorithm: kms, tells: applied{key: key}, configured: true, versioned: true},
		{name: "bucket-key", algorithm: kms, tells: applied{key: key, bk: true}, bucketKey: true, configured: true, versioned: true},
		{name: "two-layers", algorithm: dsse, tells: applied{key: key}, bucketKey: true, configured: true, versioned: true},
		{name: "as-made", algorithm: plain},
		{name: "legacy", algorithm: plain, legacy: true, versioned: true},
	}
	for _, v := range vaults {
		s.Bucket(v.name, "", "", false)
		if v.legacy {
			legacy(s, v.name, true)
		} else {
			v.tells.sse = string(v.algorithm)
		}
		if v.configured {
			s.Encrypt(v.name, string(v.algorithm), v.tells.key, v.bucketKey)
			unblock(s, v.name)
		}
		if v.versioned {
			s.Versioning(v.name, types.BucketVersioningStatusEnabled)
		}
	}
	return vaults
}
