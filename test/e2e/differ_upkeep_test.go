// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/cofferstore/coffer/internal/core/jobs"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
	"github.com/cofferstore/coffer/test/coffertest"
)

const (
	// upkeepEvery is how many cases go by until the next round of upkeep, unless
	// the last one is still under way.
	upkeepEvery = 500
	// rotateEvery is how many rounds go by until the next rotation of a KMS key. That
	// can be done 25 times in a key's life.
	rotateEvery = 2
)

// startUpkeep has all buckets consolidated, from beside those who use them: one round
// for each turn. After a round it empties the caches of bucket keys, and now and then
// it rotates a KMS key. ended ends that, and says what came of it.
func startUpkeep(s *coffertest.Server, vaults []*vault, keys []string) (turn func(), ended func() consolidated) {
	o := operator(s, coffertest.SecretAccessKey)
	o.HTTP = sender
	turns := make(chan struct{}, 1)
	var working sync.WaitGroup
	working.Go(func() {
		round := 0
		for range turns {
			var all sync.WaitGroup
			for _, v := range vaults {
				all.Go(func() {
					if err := consolidateNow(s, o, v.name); err != nil {
						s.T.Errorf("consolidate %s: %v", v.name, err)
					}
				})
			}
			all.Wait()
			if _, err := o.FlushKeys(s.T.Context(), "", ""); err != nil {
				s.T.Errorf("flush keys: %v", err)
			}
			if round++; round%rotateEvery == 0 {
				key := keys[round/rotateEvery%len(keys)]
				if _, err := s.KMS.RotateKeyOnDemand(s.T.Context(), &kms.RotateKeyOnDemandInput{KeyId: &key}); err != nil {
					s.T.Errorf("rotate: %v", err)
				}
			}
		}
	})
	turn = func() {
		select {
		case turns <- struct{}{}:
		default:
		}
	}
	return turn, func() consolidated {
		close(turns)
		working.Wait()
		return countConsolidated(s)
	}
}

// consolidateNow consolidates a bucket, and returns when that is done.
func consolidateNow(s *coffertest.Server, o *opsapi.Client, bucket string) error {
	var last jobs.Status
	err := o.Consolidate(s.T.Context(), bucket, func(line []byte) error {
		last = jobs.Status{}
		return json.Unmarshal(line, &last)
	})
	if err == nil && last.State != jobs.Done {
		err = fmt.Errorf("the job ends as %+v", last)
	}
	return err
}

// consolidated is what consolidation did since the server's start, by its own count.
type consolidated struct{ moved, merged, deleted, reEncrypted float64 }

func (c consolidated) String() string {
	return fmt.Sprintf("%.0f data keys moved, %.0f generations merged, %.0f deleted, %.0f re-encrypted", c.moved, c.merged, c.deleted, c.reEncrypted)
}

func countConsolidated(s *coffertest.Server) (c consolidated) {
	families, err := s.Core.Metrics().Gather()
	if err != nil {
		s.T.Error(err)
	}
	counts := map[string]*float64{
		"rewraps_total": &c.moved, "generations_merged_total": &c.merged,
		"generations_deleted_total": &c.deleted, "generations_reencrypted_total": &c.reEncrypted,
	}
	for _, f := range families {
		for name, n := range counts {
			if f.GetName() == "coffer_bucket_key_"+name {
				*n = f.GetMetric()[0].GetCounter().GetValue()
			}
		}
	}
	return c
}
