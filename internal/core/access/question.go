// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"sync"

	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
)

// question is one need of a request, and the condition keys that are found when a
// policy asks for them. It is used again and again: a decision takes no memory.
type question struct {
	policy.Question
	ctx    context.Context
	a      *Authorizer
	r      Request
	need   *policy.Need
	bucket *bucket.Access
	key    string

	facts object.Facts
	asked bool // facts were looked for

	// However many conditions a policy has, these are found once.
	keyName     string // of the write, when resolved
	resolved    bool
	applied     sse.Applied // of the upload, when uploadAsked
	byDefault   bool
	uploadAsked bool

	err error // why a value could not be found: then nothing is allowed
}

var questions = sync.Pool{New: func() any { return new(question) }}

func take() *question { return questions.Get().(*question) }

func (q *question) release() {
	*q = question{}
	questions.Put(q)
}

// decideAlone decides about what no resource has a say in.
func (q *question) decideAlone() error {
	if q.r.By.IsAnonymous() {
		return fault.New(iam.AccessDenied, "")
	}
	d, err := q.ask()
	if err != nil || d.Allowed {
		return err
	}
	return iam.Denied(q.r.By, d, q.Action, q.Resource, true)
}

// decide decides about a bucket or what is in it.
func (q *question) decide() error {
	b := q.bucket
	if b.Broken != nil {
		return b.Broken
	}
	q.Owner, q.Policy = b.Owner, b.Policy
	if b.Public {
		blocked, err := q.a.buckets.Blocked(q.ctx, b.Bucket)
		if err != nil {
			return err
		}
		q.Closed = blocked.Restrict
	}
	if b.HasACLs() {
		foreign, err := q.grants()
		if err != nil {
			return err
		}
		if foreign {
			return q.decideForeign()
		}
	}
	d, err := q.ask()
	if err != nil || d.Allowed {
		return err
	}
	return q.denied(d)
}

// decideForeign decides about an object that does not belong to the bucket's owner: its
// owner decides, by the object's grants, and the bucket's policy can only deny (S3 User
// Guide, "How Amazon S3 authorizes a request for an object operation").
func (q *question) decideForeign() error {
	granted := q.Granted
	if q.Closed && (q.r.By.IsAnonymous() || q.r.By.Account != q.bucket.Owner) {
		return fault.New(iam.AccessDenied, "") // whoever's the object is: the bucket is
	}
	q.Granted = false
	if q.Policy != nil {
		d, err := q.ask()
		if err != nil {
			return err
		}
		if d.Explicit {
			return q.denied(d)
		}
	}
	q.Owner, q.Policy, q.Closed, q.Granted = q.facts.Owner, nil, false, granted
	if q.Owner == "" { // nobody's: it was put there without a signature
		if granted && q.r.By.IsAnonymous() {
			if n, ok := q.r.Keys.(interface{ ACLRequired() }); ok {
				n.ACLRequired()
			}
			return nil
		}
		q.Owner = q.bucket.Owner
	}
	d, err := q.ask()
	if err == nil && !d.Allowed {
		err = d.Mark(fault.New(iam.AccessDenied, "")) // more than one account has a part in it
	}
	return err
}

// ask asks the decider. A value that could not be found is an error, whatever the
// decision was without it.
func (q *question) ask() (policy.Decision, error) {
	q.Context = q // the decider may have put its own before it
	d, err := q.a.iam.Decide(q.ctx, q.r.By, &q.Question)
	if err == nil {
		err = q.err
	}
	if err == nil && d.Allowed && q.Granted {
		q.noteGrant()
	}
	return d, err
}

// noteGrant tells whoever records the request if nothing but a list of grants allowed it.
func (q *question) noteGrant() {
	n, ok := q.r.Keys.(interface{ ACLRequired() })
	if !ok {
		return
	}
	q.Granted, q.Context = false, q
	if d, err := q.a.iam.Decide(q.ctx, q.r.By, &q.Question); err == nil && !d.Allowed {
		n.ACLRequired()
	}
	q.Granted = true
}

// denied says why not: in full to principals of the bucket's own account, and nothing
// to others.
func (q *question) denied(d policy.Decision) error {
	if q.r.By.IsAnonymous() || q.r.By.Account != q.bucket.Owner {
		return d.Mark(fault.New(iam.AccessDenied, ""))
	}
	return iam.Denied(q.r.By, d, q.Action, q.Resource, true)
}

// grants sets Granted from the lists of the bucket and of the object, and reports
// whether the object belongs to another account than the bucket.
func (q *question) grants() (foreign bool, err error) {
	// Services that write for themselves are in no account that a list could name.
	service := q.r.By.Type == iam.AWSService
	who := acl.Who{ID: acl.AnonymousID, Anonymous: q.r.By.IsAnonymous() || service, LogDelivery: service && q.r.By.ARN == acl.LogService}
	if !who.Anonymous {
		who.ID = q.a.iam.CanonicalID(q.r.By.Account)
	}
	blocked, err := q.a.buckets.Blocked(q.ctx, q.bucket.Bucket)
	if err != nil {
		return false, err
	}
	who.NoPublic = blocked.IgnoreACLs
	if p := permissionOnObject(q.Action); p != "" && !(q.creates() && ofNew(q.Action)) {
		if err := q.look(); err != nil || !q.facts.Found {
			return false, err
		}
		foreign = q.facts.Owner != q.bucket.Owner
		if q.facts.ACL == nil {
			return foreign, nil
		}
		q.Granted = q.byList(q.facts.ACL, p, who, q.facts.Owner)
		return foreign, nil
	}
	if ofForeign(q.Action) && !(q.creates() && ofNew(q.Action)) {
		if err := q.look(); err != nil {
			return false, err
		}
		return q.facts.Found && q.facts.Owner != q.bucket.Owner, nil
	}
	p := permissionOnBucket(q.Action)
	if q.Action == "s3:PutObjectAcl" { // of a new object: who may write one may say who reads it
		p = acl.Write
	}
	if p != "" {
		q.Granted = q.byList(q.bucket.ACL, p, who, q.bucket.Owner)
	}
	return false, nil
}

// byList reports whether a list grants it. What it grants to the owner's own account
// is for that account to pass on to its users, and they need nothing else to be
// granted it by a policy.
func (q *question) byList(l acl.List, p acl.Permission, who acl.Who, owner string) bool {
	if !who.Anonymous && q.r.By.Account == owner {
		who.ID = ""
	}
	return l.Allows(p, who)
}

// look reads what is kept with the object.
func (q *question) look() error {
	if q.asked {
		return q.err
	}
	q.asked = true
	q.facts, q.err = q.a.objects.Facts(q.ctx, q.bucket.Bucket, q.key, q.need.Version)
	return q.err
}

// encrypter is a request that makes an object: how it asks for it to be encrypted.
type encrypter interface{ Encryption() sse.Request }

func (q *question) creates() bool {
	_, ok := q.r.In.(encrypter)
	return ok
}
