// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// What somebody does with the bucket or the key of another account is an event of both:
// each account's trail has a copy with an id of its own, and all bear the id that the
// caller's copy has as the one that they share (CloudTrail User Guide, "CloudTrail record
// contents", sharedEventID).

// AuditFor says that an account besides the caller's has a part in the call: its trail
// has the call's record, too. The caller's own account is no other.
func (c *Call) AuditFor(account string) {
	if account != "" && account != c.Caller.Account && !slices.Contains(c.others, account) {
		c.others = append(c.others, account)
	}
}

// FindOwner finds out whose the call's bucket is, before the call may remove it.
func (c *Call) FindOwner(ctx context.Context) {
	if c.owner == "" && c.family.Owner != nil {
		c.owner = c.family.Owner(ctx, c)
	}
}

// addressed decides whose trail has the call's record, and whose the bucket in it is.
func (c *Call) addressed(r *audit.Record) {
	if c.owner == "" {
		c.FindOwner(context.WithoutCancel(c.Request.Context()))
	}
	r.RecipientAccountID = c.Caller.Account
	if c.Caller.IsAnonymous() {
		// Nobody has a trail. What nobody did in a bucket is for its owner to know.
		if r.RecipientAccountID = c.owner; c.owner == "" {
			r.RecipientAccountID = c.road.cfg.Account
		}
	} else {
		c.AuditFor(c.owner)
	}
	own := c.owner
	if own != r.RecipientAccountID && c.refused(r) {
		own = "" // who is refused, or would be, does not learn whose it is
	}
	setOwner(r.Resources, own)
}

// denied is S3's code of a refusal, and deniedText its shortest text.
const (
	denied     = "AccessDenied"
	deniedText = "Access Denied"
)

// refused reports whether nothing was allowed that the call asked for.
func (c *Call) refused(r *audit.Record) bool {
	if r.ErrorCode != "" {
		return r.ErrorCode == denied || !c.allowed
	}
	return len(c.items) > 0 && !slices.ContainsFunc(c.items, func(item audit.Record) bool { return item.ErrorCode != denied })
}

// setOwner sets the account of a record's bucket.
func setOwner(resources []audit.Resource, account string) {
	for i := range resources {
		if resources[i].Type == audit.BucketResource {
			resources[i].AccountID = account
		}
	}
}

// copies returns the record as the trails of other accounts have it, and marks it as one
// of several.
func (c *Call) copies(r *audit.Record) []audit.Record {
	// Nobody's record is some account's own already.
	others := c.others
	if i := slices.Index(others, r.RecipientAccountID); i >= 0 {
		others = slices.Delete(slices.Clone(others), i, i+1)
	}
	if len(others) == 0 {
		return nil
	}
	if r.EventID == "" {
		r.EventID = audit.NewEventID()
	}
	r.SharedEventID = r.EventID
	out := make([]audit.Record, len(others))
	for i, account := range others {
		out[i] = *r
		out[i].EventID, out[i].RecipientAccountID = audit.NewEventID(), account
		if c.family.TellsCaller {
			continue
		}
		out[i].UserIdentity = reduced(r.UserIdentity)
		if r.UserIdentity.ARN != "" && strings.Contains(r.ErrorMessage, r.UserIdentity.ARN) && out[i].UserIdentity.ARN == "" {
			out[i].ErrorMessage = deniedText // the sentence names the caller, and tells of its policies
		}
		out[i].RequestParameters, out[i].Parameters = withoutMail(r.RequestParameters), factsWithoutMail(r.Parameters)
		if account == c.owner {
			out[i].Resources = slices.Clone(r.Resources)
			setOwner(out[i].Resources, account)
		}
	}
	return out
}

// reduced is what the owner of a bucket or a role learns of a caller of another account.
func reduced(i audit.Identity) audit.Identity {
	if i.Type == iam.AWSService {
		return i
	}
	return audit.Identity{Type: "AWSAccount", PrincipalID: i.PrincipalID, AccountID: i.AccountID}
}

// withoutMail leaves out grantees' e-mail addresses, which are for the caller's account
// alone.
func withoutMail(p map[string]any) map[string]any {
	var out map[string]any
	for name, value := range p {
		if !isMail(name, value) {
			continue
		}
		if out == nil {
			out = make(map[string]any, len(p))
			for n, v := range p {
				out[n] = v
			}
		}
		delete(out, name)
	}
	if out == nil {
		return p
	}
	return out
}

// factsWithoutMail is withoutMail of facts.
func factsWithoutMail(f audit.Facts) audit.Facts {
	mail := func(x audit.Fact) bool { return isMail(x.Name, x.Value()) }
	if !slices.ContainsFunc(f, mail) {
		return f
	}
	return slices.DeleteFunc(slices.Clone(f), mail)
}

// isMail reports whether a parameter has an e-mail address of a grantee.
func isMail(name string, value any) bool {
	if !strings.HasPrefix(name, "x-amz-grant-") {
		return false
	}
	text, ok := value.(string)
	return ok && strings.Contains(strings.ToLower(text), "emailaddress")
}

// append appends a record of the call, and its copies.
func (road *Road) append(ctx context.Context, c *Call, r audit.Record, durable bool) error {
	others := c.copies(&r)
	err := road.cfg.Trail.Append(ctx, r, durable)
	for _, other := range others {
		err = errors.Join(err, road.cfg.Trail.Append(ctx, other, durable))
	}
	return err
}

// joinAll lets the call's record and its copies go with a batch.
func (c *Call) joinAll(b *meta.Batch) (committed func(), err error) {
	r := c.record
	others := c.copies(&r)
	if committed, err = c.road.cfg.Trail.Join(b, r); err != nil || others == nil {
		return committed, err
	}
	all := []func(){committed}
	for _, other := range others {
		one, err := c.road.cfg.Trail.Join(b, other)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return func() {
		for _, one := range all {
			one()
		}
	}, nil
}

// bucketOf returns the account of the bucket among a record's resources.
func bucketOf(resources []audit.Resource) string {
	for i := range resources {
		if resources[i].Type == audit.BucketResource {
			return resources[i].AccountID
		}
	}
	return ""
}
