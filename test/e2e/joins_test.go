// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/cofferstore/coffer/test/coffertest"
)

// TestEveryAccessIsJoinedToItsKMSEvent is ten thousand requests by three requesters under
// one Bucket Key: the trail has a handful of KMS events and every access, each names the
// event that covered it, and each event is of the requester whose accesses name it.
func TestEveryAccessIsJoinedToItsKMSEvent(t *testing.T) {
	t.Parallel()
	s := start(t)
	key := s.Key()
	s.Bucket("vault", "aws:kms", key, true)
	root := s.Root()
	all := allows("s3:*", "kms:*", "sts:*")
	role := root.NewRole("writer", trusts(coffertest.Account), all)
	ann := root.NewUser("ann", all)
	requesters := []*coffertest.Identity{ann, root.NewUser("bob", all), ann.Assume(role, "one")}
	total := 10_000
	if testing.Short() || raced {
		total = 1000
	}
	var work errgroup.Group
	work.SetLimit(8)
	for n := range total / 2 {
		who, object := requesters[n%3], fmt.Sprint("k", n)
		work.Go(func() error {
			if err := put(who, "vault", object); err != nil {
				return err
			}
			return get(who, "vault", object)
		})
	}
	must(t, work.Wait())

	type access struct{ event, requester, generation string }
	events := map[string]access{} // by id
	named := map[string]int{}     // of the events
	accesses := 0
	found := trail(s)
	for _, r := range found {
		if r["eventSource"] == "kms.amazonaws.com" && r["userIdentity.invokedBy"] != "" {
			events[r["eventID"]] = access{r["eventName"], r["userIdentity.arn"], r["additionalEventData.cofferGeneration"]}
		}
	}
	class := map[string]string{"PutObject": "GenerateDataKey", "GetObject": "Decrypt"}
	for _, r := range found {
		kms, is := class[r["eventName"]]
		if !is {
			continue
		}
		accesses++
		id := r["additionalEventData.cofferKmsEventId"]
		named[id]++
		if got, want := events[id], (access{kms, r["userIdentity.arn"], r["additionalEventData.cofferGeneration"]}); got != want {
			t.Fatalf("%s of %s is covered by event %q, %+v; want %+v", r["eventName"], r["requestParameters.key"], id, got, want)
		}
		if r["additionalEventData.cofferKeyArn"] != key || r["additionalEventData.cofferBucketKey"] != "true" {
			t.Fatalf("%s of %s is under %v", r["eventName"], r["requestParameters.key"], r)
		}
	}
	if accesses != total || len(events) < 3 || len(events) > 6 {
		t.Errorf("%d accesses and %d KMS events; want %d, and 3 to 6", accesses, len(events), total)
	}
	covered := 0
	for id, e := range events {
		if named[id] == 0 {
			t.Errorf("nothing names event %s, %+v", id, e)
		}
		covered += named[id]
	}
	if covered != total {
		t.Errorf("the events cover %d accesses of %d", covered, total)
	}
}
