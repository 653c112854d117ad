// SPDX-License-Identifier: Apache-2.0

package bucketkey

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Flush drops the keys that match, and what requests under way are about to bring,
// and returns how many were held. Requesters prove themselves anew.
func (c *Cache) Flush(match func(bucketUID [16]byte, keyARN string) bool) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.drop(byFlush, match)
	c.generations.deleteFunc(func(g *Generation) bool { return match(g.Bucket, g.KeyARN) })
	return n
}

// Leave makes writers look for another generation than these, which were retired.
// Their keys stay for reading.
func (c *Cache) Leave(ids ...uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.windows.deleteFunc(func(w *window) bool { return slices.Contains(ids, w.gen.ID) })
}

// KeyChanged drops the keys under a KMS key that changed. After a rotation, reads
// go on and the next write makes a generation under the new material.
func (c *Cache) KeyChanged(keyARN string, change kms.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if change != kms.Rotated {
		c.drop(byKeyEvent, func(_ [16]byte, arn string) bool { return arn == keyARN })
		return
	}
	now := time.Now()
	for arn, at := range c.rotated {
		if now.Sub(at) > Window+Window/10+windowSlack { // whatever is older has closed by itself
			delete(c.rotated, arn)
		}
	}
	c.rotated[keyARN] = time.UnixMilli(now.UnixMilli())
	c.evict(byKeyEvent, func(e *entry) bool {
		_, writes := e.key.(*Sealer)
		return writes && e.gen.KeyARN == keyARN
	})
}

// drop evicts entries and spoils flights. c.mu is held.
func (c *Cache) drop(cause string, match func(bucketUID [16]byte, keyARN string) bool) int {
	for _, f := range c.unwrapping {
		f.spoilt = f.spoilt || match(f.bucket, f.keyARN)
	}
	for _, f := range c.resolving {
		f.spoilt = f.spoilt || match(f.bucket, f.keyARN)
	}
	return c.evict(cause, func(e *entry) bool { return match(e.gen.Bucket, e.gen.KeyARN) })
}

// Forget destroys a deleted bucket's generations, and with them whatever is still
// wrapped under them. It is safe to repeat. Caches that served the bucket are to be
// flushed.
func Forget(ctx context.Context, store meta.Store, bucketUID [16]byte) error {
	for _, prefix := range []string{"gp/", "gx/", "gs/", "g/"} {
		start := append(append([]byte(prefix), bucketUID[:]...), '/')
		for {
			page, err := store.Scan(ctx, meta.Range{Start: start, End: meta.PrefixEnd(start), KeysOnly: true})
			if err != nil {
				return fmt.Errorf("find generations of bucket %x: %w", bucketUID, err)
			}
			var batch meta.Batch
			for _, item := range page.Items {
				batch.Delete(item.Key)
			}
			if len(batch.Deletes) > 0 {
				if _, err := store.Commit(ctx, &batch); err != nil {
					return fmt.Errorf("delete generations of bucket %x: %w", bucketUID, err)
				}
			}
			if !page.More {
				break
			}
		}
	}
	return nil
}
