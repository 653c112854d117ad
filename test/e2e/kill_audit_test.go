// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"math/rand/v2"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/server"
)

// ownKeys is the bucket in which each request takes a KMS request: it has no bucket key.
const ownKeys = "sse-kms"

// syncReads has some of the servers make the records of reads durable at once.
func (k *killTest) syncReads() []string {
	if rand.IntN(2) == 0 {
		return nil
	}
	return []string{"--audit-sync-reads"}
}

// lookForRecords looks for the audit record of every request that was answered, and for
// those of the KMS requests that they took: each is there once, whether it was in a file,
// in the journal or in both when the server was killed. The chain is whole.
//
// Reads are looked for as well: what a process has written to a file before it answers
// outlives it. The last second of them is at stake when the machine stops.
func (k *killTest) lookForRecords(p *process) {
	k.Helper()
	wanted, withKMS := k.ledger.requests, k.ledger.withKMS
	k.ledger.requests, k.ledger.withKMS = map[string]string{}, map[string]bool{}
	records, children, events := map[string]int{}, map[string]int{}, map[string]int{}
	err := audit.Read(k.Context(), server.AuditDir(k.dir), audit.Filter{}, func(e audit.Entry) error {
		records[e.RequestID]++
		events[e.EventID]++
		if parent, ok := e.AdditionalEventData["cofferParentRequestId"].(string); ok {
			children[parent]++
		}
		return nil
	})
	if err != nil {
		k.Errorf("read audit: %v", err)
	}
	for id, what := range wanted {
		if n := records[id]; n != 1 {
			k.Errorf("%s was answered and has %d audit records (request %s)", what, n, id)
		}
	}
	for id := range withKMS {
		if n := children[id]; n != 1 {
			k.Errorf("%s was answered and its KMS request has %d audit records (request %s)", wanted[id], n, id)
		}
	}
	for id, n := range events {
		if n != 1 {
			k.Errorf("event %s is in the trail %d times", id, n)
		}
	}
	if out, err := p.run("audit", "verify"); err != nil {
		k.Errorf("verify the trail: %v\n%s", err, out)
	}
}
