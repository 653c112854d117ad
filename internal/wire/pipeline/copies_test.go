// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"testing"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
)

const neighbour = "222222222222"

// wantCopies holds a call's two records against one another.
func wantCopies(t *testing.T, h *house, tellsCaller bool) {
	t.Helper()
	if len(h.trail.records) != 2 {
		t.Fatalf("%d records, want the caller's and the owner's", len(h.trail.records))
	}
	mine, theirs := h.trail.records[0], h.trail.records[1]
	if theirs.RecipientAccountID != neighbour || mine.RecipientAccountID == neighbour || mine.RequestID != theirs.RequestID {
		t.Errorf("for %q and %q, requests %s and %s", mine.RecipientAccountID, theirs.RecipientAccountID, mine.RequestID, theirs.RequestID)
	}
	if mine.EventID == theirs.EventID || theirs.EventID == "" || mine.SharedEventID != mine.EventID || theirs.SharedEventID != mine.EventID {
		t.Errorf("ids %s and %s, shared %s and %s", mine.EventID, theirs.EventID, mine.SharedEventID, theirs.SharedEventID)
	}
	if mine.UserIdentity.ARN == "" || (theirs.UserIdentity.ARN != "") != tellsCaller {
		t.Errorf("identities %+v and %+v", mine.UserIdentity, theirs.UserIdentity)
	}
	if i := theirs.UserIdentity; !tellsCaller && (i != audit.Identity{Type: "AWSAccount", PrincipalID: mine.UserIdentity.PrincipalID, AccountID: mine.UserIdentity.AccountID}) {
		t.Errorf("the owner learns %+v", i)
	}
	bucket := audit.Resource{Type: audit.BucketResource, ARN: "arn:aws:s3:::pot", AccountID: neighbour}
	if len(theirs.Resources) == 0 || theirs.Resources[0] != bucket {
		t.Errorf("the owner's copy is about %+v", theirs.Resources)
	}
}

func ownedByNeighbour(c *Call) {
	c.Identify(iam.Principal{Type: iam.IAMUser, ARN: "arn:aws:iam::111111111111:user/ann", Account: "111111111111", PrincipalID: "AIDA1"})
	c.family.Owner = func(context.Context, *Call) string { return neighbour }
	c.AuditResource(audit.Resource{Type: audit.BucketResource, ARN: "arn:aws:s3:::pot"})
}

func TestOwnersHaveCopies(t *testing.T) {
	for _, tells := range []bool{false, true} {
		h := open(t, func(_ context.Context, c *Call) (*Response, error) {
			ownedByNeighbour(c)
			c.family.TellsCaller = tells
			c.AuditFor(c.Caller.Account) // is no other
			c.AuditFor("")               // is nobody
			c.AuditParameters(map[string]any{"x-amz-grant-read": `emailAddress="ann@example.com"`, "x-amz-grant-write": `id="1"`})
			return &Response{Status: 200}, nil
		}, nil)
		h.ask(t)
		wantCopies(t, h, tells)
		theirs := h.trail.records[1].RequestParameters
		if _, told := theirs["x-amz-grant-read"]; told != tells || theirs["x-amz-grant-write"] == nil || h.trail.records[0].RequestParameters["x-amz-grant-read"] == nil {
			t.Errorf("parameters %v and %v", h.trail.records[0].RequestParameters, theirs)
		}
	}
}

func TestCopiesGoWithACommit(t *testing.T) {
	h := openPouring(t, func(ctx context.Context, c *Call) (*Response, error) {
		ownedByNeighbour(c)
		return pouring(3, nil)(ctx, c)
	})
	h.ask(t)
	if len(h.trail.records) != 2 || h.trail.records[0].SharedEventID != h.trail.records[1].SharedEventID || h.trail.records[1].RecipientAccountID != neighbour {
		t.Errorf("records %+v", h.trail.records)
	}
}

// What nobody does in a bucket is in its owner's trail alone.
func TestNobodysCallsAreTheOwners(t *testing.T) {
	h := open(t, func(_ context.Context, c *Call) (*Response, error) {
		c.family.Owner = func(context.Context, *Call) string { return neighbour }
		c.AuditFor(neighbour) // as the owner of a copy's source
		return &Response{Status: 200}, nil
	}, nil)
	h.ask(t)
	if r := h.trail.records; len(r) != 1 || r[0].RecipientAccountID != neighbour || r[0].SharedEventID != "" {
		t.Errorf("records %+v", r)
	}
}

// The sentence of a refusal names the caller and tells which policies there are.
func TestOwnersDoNotLearnWhoWasRefused(t *testing.T) {
	for _, tells := range []bool{false, true} {
		h := open(t, func(_ context.Context, c *Call) (*Response, error) {
			ownedByNeighbour(c)
			c.family.TellsCaller = tells
			return nil, fault.New(iam.AccessDenied, "User: %s is not authorized to perform: s3:GetObject", c.Caller.ARN)
		}, nil)
		h.ask(t)
		if r := h.trail.records; len(r) != 2 || r[0].ErrorMessage == deniedText || (r[1].ErrorMessage != deniedText) != tells {
			t.Errorf("caller told: %v: records %+v", tells, r)
		}
	}
}

// A request that fails before it is decided about tells a stranger no more than one that
// is refused.
func TestStrangersDoNotLearnWhoseABucketIs(t *testing.T) {
	failing := func(decided bool) *house {
		return open(t, nil, func(h *house) {
			h.op = Define("Brew", 0, Route{Method: "POST", Path: "/"},
				func(c *Call) (brew, error) {
					ownedByNeighbour(c)
					if !decided {
						return brew{}, fault.New(outOfTea, "")
					}
					return brew{}, nil
				},
				func(context.Context, iam.Caller, brew) (*Response, error) { return nil, fault.New(outOfTea, "") },
				func(_ *Call, r *Response) (*Response, error) { return r, nil })
		})
	}
	for decided, want := range map[bool]string{false: "", true: neighbour} {
		h := failing(decided)
		h.ask(t)
		if r := h.trail.records; len(r) != 2 || r[0].Resources[0].AccountID != want || r[1].Resources[0].AccountID != neighbour {
			t.Errorf("decided: %v: records %+v", decided, r)
		}
	}
}

func TestStrangersDoNotLearnWhoseItemsAre(t *testing.T) {
	for _, tc := range []struct{ second, want string }{{denied, ""}, {"", neighbour}} {
		h := open(t, func(_ context.Context, c *Call) (*Response, error) {
			ownedByNeighbour(c)
			for _, code := range []string{denied, tc.second} {
				c.AuditItem("BrewCup", nil, nil, Code{Code: code}, audit.Resource{Type: audit.BucketResource, ARN: "arn:aws:s3:::pot"})
			}
			return &Response{Status: 200}, nil
		}, nil)
		h.ask(t)
		for _, r := range h.trail.records {
			want := tc.want
			if r.RecipientAccountID == neighbour {
				want = neighbour
			}
			if r.Resources[0].AccountID != want {
				t.Errorf("with an item of %q: %s for %s is about %+v, want %q", tc.second, r.EventName, r.RecipientAccountID, r.Resources, want)
			}
		}
	}
}
