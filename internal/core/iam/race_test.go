// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"sync"
	"testing"

	"github.com/cofferstore/coffer/internal/store/meta/cached"
)

// A change that was answered holds for every decision that begins after it, however many
// are under way meanwhile and keep what they read.
func TestDecisionsFollowChangesUnderLoad(t *testing.T) {
	w := newTown(t)
	w.store = cached.Wrap(w.store, cached.Config{})
	ctx, root := t.Context(), w.rootOf(home)
	const object = "arn:aws:s3:::photos/a"
	ann := w.user(home, "ann", "")
	arn := w.role(home, "ops", trusts, "")
	w.must(second(w.PutUserPolicy(ctx, root, PutUserPolicy{"ann", "assume", allow("sts:AssumeRole")})))
	session := ok[RoleSession](t)(w.AssumeRole(ctx, ann, AssumeRole{RoleArn: arn, RoleSessionName: "monday"})).Credentials
	monday := w.enter(session)
	p := ok[PolicyResult](t)(w.CreatePolicy(ctx, root, CreatePolicy{PolicyName: "p", PolicyDocument: readsAll})).Policy.Arn
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				w.may(ann, "s3:GetObject", object)
				w.may(monday, "s3:GetObject", object)
				_, _, _ = w.Lookup(ctx, ann.AccessKeyID)
				_, _, _ = w.LookupSession(ctx, session.AccessKeyId, session.SessionToken)
			}
		})
	}
	all := func(want bool, after string) {
		t.Helper()
		var asking sync.WaitGroup
		for range 4 {
			asking.Go(func() {
				if w.may(ann, "s3:GetObject", object) != want || w.may(monday, "s3:GetObject", object) != want {
					t.Errorf("after policies were %s: not %t", after, want)
				}
			})
		}
		asking.Wait()
	}
	active := func(status string) {
		t.Helper()
		w.must(second(w.UpdateAccessKey(ctx, root, UpdateAccessKey{"ann", ann.AccessKeyID, status})))
		_, _, err := w.Lookup(ctx, ann.AccessKeyID)
		if (err == nil) != (status == statusActive) {
			t.Errorf("an access key that is %s: %v", status, err)
		}
	}
	for range 50 {
		w.must(second(w.AttachUserPolicy(ctx, root, AttachUserPolicy{"ann", p})))
		w.must(second(w.AttachRolePolicy(ctx, root, AttachRolePolicy{"ops", p})))
		all(true, "attached")
		active(statusInactive)
		w.must(second(w.DetachUserPolicy(ctx, root, DetachUserPolicy{"ann", p})))
		w.must(second(w.DetachRolePolicy(ctx, root, DetachRolePolicy{"ops", p})))
		all(false, "detached")
		active(statusActive)
	}
	close(stop)
	load.Wait()
}
