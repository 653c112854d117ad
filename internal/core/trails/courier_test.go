// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/store/blob"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// A file comes five minutes after its first event, under CloudTrail's name.
func TestFilesAreDelivered(t *testing.T) {
	inPost(t, func(p *post) {
		p.happen(1, 0) // before the trail logs
		p.begin(false)
		p.happen(3, time.Minute)
		time.Sleep(time.Minute)
		if len(p.came("")) != 0 {
			t.Fatalf("came before five minutes: %v", p.shop)
		}
		p.happen(1, 61*time.Second)
		p.delivered(2, 5)
		name := p.came("")[0]
		if !regexp.MustCompile(`^logs/p/AWSLogs/111122223333/CloudTrail/us-east-1/\d{4}/\d\d/\d\d/111122223333_CloudTrail_us-east-1_\d{8}T\d{4}Z_[0-9A-Za-z]{16}\.json\.gz$`).MatchString(name) {
			t.Errorf("named %s", name)
		}
		o := p.stored(name)
		if o.by.ARN != ServiceName || o.by.SourceARN != "arn:aws:cloudtrail:us-east-1:111122223333:trail/main" || o.headers["content-encoding"] != "gzip" {
			t.Errorf("put by %+v with %v", o.by, o.headers)
		}
		if d := p.delivery(); d.Error != "" || d.LastSuccess.IsZero() || d.Pending != nil {
			t.Errorf("status %+v", d)
		}
		time.Sleep(24 * time.Hour) // without events there are no files
		if len(p.came("")) != 1 {
			t.Errorf("files without events: %v", p.shop)
		}
	})
}

// A file that is full does not wait.
func TestFullFilesAreDeliveredAtOnce(t *testing.T) {
	inPost(t, func(p *post) {
		p.cfg.MaxFile = 3000
		p.begin(false)
		p.happen(50, 0)
		time.Sleep(time.Minute)
		if n := len(p.came("")); n < 5 {
			t.Fatalf("%d files after a minute", n)
		}
		for name, o := range p.shop.copy() {
			if n := len(unzip(t, o.body)); n > 3000+len(`{"Records":[]}`) {
				t.Errorf("%s has %d bytes", name, n)
			}
		}
		time.Sleep(5 * time.Minute)
		p.delivered(1, 50)
	})
}

// What the trail does not want is passed over, and its place is kept now and then.
func TestUnwantedRecordsArePassedOver(t *testing.T) {
	inPost(t, func(p *post) {
		p.begin(false)
		p.change(func(t *Trail) { t.Basic = []EventSelector{{ReadWriteType: readOnly, Management: true}} })
		p.happen(10, time.Minute)
		if len(p.came("")) != 0 {
			t.Errorf("delivered %v", p.shop)
		}
		if d := p.delivery(); d.Position == (audit.Position{}) || p.trail.Head().Before(d.Position) {
			t.Errorf("kept %v, the trail is at %v", d.Position, p.trail.Head())
		}
	})
}

// A sink that is down for an hour delays, and drops nothing: the backlog can be seen, the
// order stays, and when it is back everything comes.
func TestOutages(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		code string
	}{
		"the policy forbids it": {iam.AccessDenied, "AccessDenied"},
		"the bucket is gone":    {bucket.NoSuchBucket, "NoSuchBucket"},
		"the device is full":    {blob.Full, "ServiceUnavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			inPost(t, func(p *post) {
				p.begin(true)
				p.happen(10, 30*time.Second)
				synctest.Wait()
				p.delivered(1, 10)
				digests := len(p.came("Digest"))
				p.shop.fail(c.err)
				tries := p.shop.tried()
				p.happen(360, 10*time.Second) // an hour
				if d := p.delivery(); d.Error != c.code || d.LastSuccess.After(time.Now().Add(-time.Hour)) {
					t.Errorf("status %+v", d)
				}
				if n, err := p.trail.Behind(p.delivery().Position); err != nil || n < 359*200 {
					t.Errorf("the backlog is %d, %v", n, err)
				}
				if n := p.shop.tried() - tries; n < 12 || n > 60 {
					t.Errorf("tried %d times in an hour", n)
				}
				p.delivered(1, 10)
				p.shop.fail(nil)
				time.Sleep(lastRetry)
				synctest.Wait()
				if d := p.delivery(); d.Error != "" || d.Digest.Error != "" {
					t.Errorf("status after it %+v", d)
				}
				time.Sleep(time.Hour + 5*time.Minute)
				p.delivered(1, 370)
				if n := len(p.came("Digest")) - digests; n < 1 {
					t.Errorf("%d digests came", n)
				}
				d := p.delivery().Digest
				if v := p.verify(d); len(v.Findings) != 0 || v.Files != len(p.came("/CloudTrail/")) {
					t.Errorf("verified as %+v", v)
				}
			})
		})
	}
}

// A change of what a failure may depend on is tried at once.
func TestChangesWakeWhoFailed(t *testing.T) {
	for name, change := range map[string]func(p *post){
		"the bucket":      func(p *post) { p.put("bu/0123456789abcdef", []byte("{}")) },
		"its policy":      func(p *post) { p.put("bp/0123456789abcdef", []byte("{}")) },
		"a KMS key":       func(p *post) { p.put("k/epoch", []byte("1")) },
		"the trail's key": func(p *post) { p.change(func(t *Trail) { t.KeyARN = "arn:aws:kms:us-east-1:111122223333:key/x" }) },
	} {
		t.Run(name, func(t *testing.T) {
			inPost(t, func(p *post) {
				p.begin(false)
				p.shop.fail(iam.AccessDenied)
				p.happen(1, time.Hour)
				p.shop.fail(nil)
				change(p)
				time.Sleep(2 * time.Second)
				p.delivered(1, 1)
			})
		})
	}
}

// A crash between a put and the commit that tells of it does not give the same events two
// names.
func TestPutAgainUnderTheSameName(t *testing.T) {
	inPost(t, func(p *post) {
		p.begin(true)
		lost := errors.New("lost")
		p.rows.when(func(b *meta.Batch) error {
			if len(p.shop.named("/CloudTrail/")) == 0 { // not at rest
				return nil
			}
			for _, put := range b.Puts {
				if strings.HasPrefix(string(put.Key), deliveryRows) {
					return lost
				}
			}
			return nil
		})
		p.happen(3, 2*time.Minute)
		if len(p.came("")) == 0 || p.delivery().Pending == nil {
			t.Fatalf("came %v, status %+v", p.shop, p.delivery())
		}
		p.end() // the server dies, and starts again
		p.rows.when(nil)
		p.happen(2, 0)
		p.run()
		time.Sleep(6 * time.Minute)
		names := map[string]bool{}
		for _, name := range p.came("/CloudTrail/") {
			names[name] = true
		}
		if len(p.came("")) < 3 || len(names) != 2 {
			t.Errorf("came %v", p.shop)
		}
		p.delivered(1, 5)
	})
}

// What was recorded before logging stopped is delivered, also when that takes long, and
// nothing after it.
func TestStoppedTrails(t *testing.T) {
	inPost(t, func(p *post) {
		p.begin(false)
		p.shop.fail(iam.AccessDenied)
		p.happen(3, time.Second)
		p.logging(false)
		p.happen(3, time.Hour)
		p.shop.fail(nil)
		time.Sleep(lastRetry)
		synctest.Wait()
		p.delivered(1, 3)
		p.logging(true)
		synctest.Wait()
		p.happen(1, time.Hour)
		if got := p.numbers(); len(got) != 4 || got[3] != 7 {
			t.Errorf("delivered %v", got)
		}
		// Off, and on again, before anything could be delivered.
		p.shop.fail(iam.AccessDenied)
		p.happen(2, time.Second)
		p.logging(false)
		p.happen(2, time.Second)
		p.logging(true)
		p.happen(2, time.Second)
		p.logging(false)
		p.happen(1, time.Hour)
		p.end()
		p.shop.fail(nil)
		p.run()
		time.Sleep(time.Minute)
		if got := p.numbers(); !slices.Equal(got[4:], []int{8, 9, 12, 13}) {
			t.Errorf("delivered %v", got)
		}
	})
}

// What selectors choose is what they chose when the event took place: who changes them
// changes nothing of what waits for its delivery.
func TestSelectorsOfTheTime(t *testing.T) {
	inPost(t, func(p *post) {
		p.begin(false)
		reselect := func(what string) {
			in := PutEventSelectors{TrailName: "main", EventSelectors: []BasicEventSelector{{ReadWriteType: what}}}
			if _, err := p.service.PutEventSelectors(t.Context(), iam.Caller{Principal: iam.Principal{Account: account}}, in); err != nil {
				t.Fatal(err)
			}
		}
		p.shop.fail(iam.AccessDenied)
		p.happen(2, time.Second)
		reselect(readOnly)
		p.happen(2, time.Second)
		reselect(writeOnly)
		p.happen(2, time.Hour)
		p.shop.fail(nil)
		time.Sleep(time.Hour)
		if got := p.numbers(); !slices.Equal(got, []int{1, 2, 5, 6}) {
			t.Errorf("delivered %v", got)
		}
		reselect(all)
		if trail, err := p.service.Find(t.Context(), account, "main"); err != nil || len(trail.Past) > 1 {
			t.Errorf("remembers %+v, %v", trail.Past, err)
		}
	})
}

// With a trail goes what is kept for it.
func TestDeletedTrails(t *testing.T) {
	inPost(t, func(p *post) {
		p.begin(true)
		p.happen(1, 10*time.Minute)
		files := func() int {
			page, err := p.rows.Scan(t.Context(), meta.Range{Start: []byte(fileRows), End: meta.PrefixEnd([]byte(fileRows))})
			if err != nil {
				t.Fatal(err)
			}
			return len(page.Items)
		}
		if files() != 1 {
			t.Fatalf("%d files in no digest", files())
		}
		var b meta.Batch
		b.Delete(trailRow(account, "main"))
		b.Delete(deliveryRow(account, "main"))
		if _, err := p.rows.Commit(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		p.happen(1, 2*time.Minute)
		n := len(p.came(""))
		p.happen(1, 2*time.Hour)
		if files() != 0 || len(p.came("")) != n {
			t.Errorf("%d rows stayed, %d files came", files(), len(p.came(""))-n)
		}
	})
}
