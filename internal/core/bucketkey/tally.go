// SPDX-License-Identifier: Apache-2.0

package bucketkey

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cofferstore/coffer/internal/core/kms"
)

// tallyCapacity bounds how many pairs of bucket and KMS key are counted: some 300 bytes
// each, 1.2 MiB. Beyond it the pair unused for longest is forgotten.
const tallyCapacity = 4096

type tallyID struct {
	bucket [16]byte
	keyARN string
}

// tally counts KMS requests for one bucket under one KMS key since the cache was made.
// A nil one counts nothing.
type tally struct {
	made, avoided [2]atomic.Int64 // for writing, for reading
}

func side(class kms.Class) int {
	if class == kms.Generate {
		return 0
	}
	return 1
}

func (t *tally) ask(class kms.Class) {
	if t != nil {
		t.made[side(class)].Add(1)
	}
}

func (t *tally) avoid(class kms.Class) {
	if t != nil {
		t.avoided[side(class)].Add(1)
	}
}

// tally returns the count of a bucket under a KMS key. c.mu is held.
func (c *Cache) tally(bucketUID [16]byte, keyARN string) *tally {
	id := tallyID{bucketUID, keyARN}
	t, ok := c.tallies.get(id)
	if !ok {
		t = new(tally)
		c.tallies.put(id, t)
	}
	return t
}

// asks counts a KMS request that is about to be made.
func (c *Cache) asks(class kms.Class, bucketUID [16]byte, keyARN string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally(bucketUID, keyARN).ask(class)
}

// Requests is how many KMS requests were made for a bucket's bucket keys under one KMS
// key, those that were refused too, and how many were not made that the objects would
// have cost without.
type Requests struct {
	KeyARN                           string
	GenerateDataKey, Decrypt         int64
	GenerateAvoided, DecryptsAvoided int64
}

// Requests returns what was counted for a bucket since the cache was made, by KMS key.
// Of more than 4096 pairs of bucket and key, those unused for longest are forgotten.
func (c *Cache) Requests(bucketUID [16]byte) []Requests {
	var out []Requests
	c.mu.Lock()
	for id, e := range c.tallies.items {
		if id.bucket == bucketUID {
			t := e.Value.(*pair[tallyID, *tally]).value
			out = append(out, Requests{id.keyARN, t.made[0].Load(), t.made[1].Load(), t.avoided[0].Load(), t.avoided[1].Load()})
		}
	}
	c.mu.Unlock()
	slices.SortFunc(out, func(a, b Requests) int { return strings.Compare(a.KeyARN, b.KeyARN) })
	return out
}
