// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	metamem "github.com/cofferstore/coffer/internal/store/meta/mem"
)

// An object of many parts takes its time: what of its replica is written already stays meanwhile,
// however old it is, and is swept when the replica comes to nothing.
func TestReplicasThatTakeLongerThanOrphansLive(t *testing.T) {
	for name, fails := range map[string]bool{"made": false, "failed": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rows := &staged{Store: metamem.New()}
				w, p := newReplicatingOver(t, filed, rows)
				w.delete("dst", "warm", w.put(put("dst", "warm", nil)).VersionID)
				up := w.begin(CreateUpload{Ref: ref("src", "k")})
				stored, err := w.complete(Complete{UploadRef: up, Parts: []CompletePart{w.part(up, 1, pattern(70_000)), w.part(up, 2, pattern(70_000))}})
				if err != nil {
					t.Fatal(err)
				}
				task := p.take()[0]
				stands, goes := make(chan struct{}), make(chan struct{})
				var once sync.Once
				rows.direct(func(ctx context.Context, call rowCall, do func() error) error {
					if ctx.Value(slowly{}) == nil || call != commitRows {
						return do()
					}
					once.Do(func() { close(stands); <-goes })
					if fails {
						return errRows
					}
					return do()
				})
				done := make(chan error)
				go func() {
					_, err := w.objects.Replicate(slow(t.Context()), alice, Replicate{
						Source: bucket.Ref{Bucket: "src"}, SourceUID: task.Bucket.UID, Key: task.Key, VersionID: task.VersionID, Destination: "dst",
					})
					done <- err
				}()
				<-stands
				time.Sleep(2 * orphanAge)
				if n, err := w.objects.Sweep(t.Context()); n != 0 || err != nil {
					t.Errorf("swept %d, %v", n, err)
				}
				close(goes)
				err = <-done
				rows.direct(nil)
				if (err != nil) != fails {
					t.Fatal(err)
				}
				if n, err := w.objects.Sweep(t.Context()); (n > 0) != fails || err != nil {
					t.Errorf("swept %d, %v", n, err)
				}
				if !fails {
					w.same("k", stored.VersionID)
				}
				if err := w.consistent(false); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
