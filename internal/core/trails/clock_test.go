// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
)

// A file that waits for others does not wait for a clock that was set back meanwhile: the
// time since its first event is measured, not compared.
func TestFilesWaitWithoutTheClock(t *testing.T) {
	for _, ago := range []time.Duration{0, time.Hour, -time.Hour} {
		first := began(time.Now().Add(-ago).UTC().Truncate(time.Second))
		if !strings.Contains(first.String(), " m=") {
			t.Errorf("%v, of an event %v ago, is of the clock alone", first, ago)
		}
		if age := time.Since(first); age < max(ago, 0) || first.After(time.Now()) {
			t.Errorf("an event %v ago is %v old", ago, age)
		}
	}
}

// Where the clock was ahead for some time, another chain of digests begins.
func TestDigestsWhenTheClockWasAhead(t *testing.T) {
	inPost(t, func(p *post) {
		p.begin(true)
		p.happen(1, 90*time.Minute)
		p.stop()
		d := p.delivery()
		d.Digest.Since = d.Digest.Since.AddDate(1, 0, 0)
		p.put(string(deliveryRow(account, "main")), encode(d))
		p.run()
		p.happen(1, 130*time.Minute)
		names := p.came("/CloudTrail-Digest/")
		if len(names) != 4 { // the first, that which ends its chain, two of the new one
			t.Fatalf("came: %v", names)
		}
		if ends, begins := p.readDigest(names[1]), p.readDigest(names[2]); ends.PreviousObject == nil || begins.PreviousObject != nil {
			t.Errorf("the chain ends with %+v, another begins with %+v", ends, begins)
		}
		if v := p.verify(p.delivery().Digest); v.Digests != 2 || v.Files != 1 || len(v.Findings) != 0 {
			t.Errorf("verified: %+v", v)
		}
	})
}

// What is signed now is signed with a key of now: those who verify it ask for no other.
func TestSigningKeysOfATimeToCome(t *testing.T) {
	key := aKey()
	synctest.Test(t, func(t *testing.T) {
		p := &post{t: t, rows: &refusing{Store: metamem.New()}}
		p.put(signingRows+"test", key)
		s := NewSigner(p.rows, sealer)
		keys, err := s.keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ahead := keys[0]
		ahead.From, ahead.To = time.Now().AddDate(1, 0, 0), time.Now().AddDate(2, 0, 0)
		p.put(signingRows+"test", encode(ahead))
		signs, err := s.current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		now, err := s.PublicKeys(t.Context(), time.Time{}, time.Time{})
		if err != nil || len(now) != 1 || now[0].Fingerprint != signs.fingerprint() {
			t.Errorf("%s signs, and those of now are %+v, %v", signs.fingerprint(), now, err)
		}
		if again, err := s.current(t.Context()); err != nil || again.fingerprint() != signs.fingerprint() {
			t.Errorf("then %s signs, %v", again.fingerprint(), err)
		}
	})
}

// A trail that starts again does not read what was recorded while it did not log.
func TestStartedAgainFromThere(t *testing.T) {
	inPost(t, func(p *post) {
		p.begin(false)
		p.happen(1, 10*time.Minute)
		p.logging(false)
		p.happen(10, time.Minute)
		p.stop()
		p.logging(true)
		trail, err := p.service.Find(t.Context(), account, "main")
		if err != nil {
			t.Fatal(err)
		}
		l, err := NewCourier(p.service, p.trail, p.shop, p.signer, p.cfg).begin(t.Context(), trail)
		if err != nil || l.d.Position != trail.From || trail.From == (audit.Position{}) {
			t.Errorf("goes on at %v, started at %v, %v", l.d.Position, trail.From, err)
		}
		p.run()
		p.happen(1, 10*time.Minute)
		if got := p.numbers(); len(got) != 2 || got[0] != 1 || got[1] != 12 {
			t.Errorf("delivered %v", got)
		}
	})
}
