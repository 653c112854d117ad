// SPDX-License-Identifier: Apache-2.0

package policy

// Rights is in policy.go; its index is of the identity policies.
type rightsIndex struct{ identity index }

// NewRights puts a principal's policies together.
func NewRights(c RightsConfig) *Rights {
	r := &Rights{RightsConfig: c}
	for _, a := range c.Policies {
		r.index.identity.add(ByIdentity, a.Name, a.Doc)
	}
	r.index.identity.build()
	return r
}

// Decide answers a question. The context may be asked for keys in any order, and for
// one key more than once.
func Decide(q *Question) Decision {
	e := evaluation{asked: ask(q, nil)}
	return e.decide(q)
}

// evaluation is one question on its way through the layers.
type evaluation struct {
	asked
	denies  []Match
	allows  found // of the identity policies
	granted found // of the resource's policy
	forms   form  // by which the resource's policy allows
}

// found is statements of one layer that allow; the first is kept in its ready form, which
// has no room for a second: what is added goes elsewhere.
type found []Match

func (f *found) add(e *entry) {
	if *f == nil {
		*f = e.match
	} else {
		*f = append(*f, e.match...)
	}
}

// decide goes through the layers as IAM's evaluation logic does: any deny refuses; else
// each part that must allow has to (IAM User Guide, "Policy evaluation logic").
func (e *evaluation) decide(q *Question) Decision {
	r := q.Rights
	same := q.Owner == "" || q.Owner == q.Principal.Account
	if q.Principal.Type == Anonymous || q.Principal.Type == WebIdentity {
		same = false
	}
	controlled := e.controls(r)
	e.ofResource(q, same)
	identity, boundary, session := e.own(q, r)
	if e.denies != nil {
		return Decision{Explicit: true, Layer: e.denies[0].Layer, Matched: e.denies}
	}
	if !controlled {
		return Decision{Layer: ByControl}
	}
	return e.combine(q, same, identity, boundary, session)
}

// controls asks the service control policies; each level must allow. They bind whoever is
// of the account, its root too.
func (e *evaluation) controls(r *Rights) bool {
	if r == nil {
		return true
	}
	ok := true
	for _, level := range r.Controls {
		allowed := false
		for i := range level {
			if e.layer(ByControl, &level[i]) {
				allowed = true
			}
		}
		ok = ok && allowed
	}
	return ok
}

// layer asks one attached document, and keeps its denies.
func (e *evaluation) layer(layer Layer, a *Attached) (allowed bool) {
	if a.Doc == nil {
		return false
	}
	a.Doc.index.each(e.action, e.asked.resource, func(x *entry) {
		if (!x.deny && allowed && e.explain == nil) || !x.of(&e.asked) || !x.holds(&e.asked) {
			return
		}
		if !x.deny {
			allowed = true
			return
		}
		e.denies = append(e.denies, Match{layer, a.Name, x.sid, x.at})
	})
	return allowed
}

// ofResource asks the resource's policy.
func (e *evaluation) ofResource(q *Question, same bool) {
	// RestrictPublicBuckets: strangers may be denied, but not allowed.
	closed := q.Closed && !same && q.Principal.Type != Service
	if q.Granted && !closed {
		if q.ToRole {
			e.forms |= byRole
		} else {
			e.forms |= elsewhere
		}
	}
	if q.Policy == nil {
		return
	}
	q.Policy.index.each(e.action, e.asked.resource, func(x *entry) {
		if !x.deny && closed || !x.of(&e.asked) {
			return
		}
		f, ok := x.names(e.who)
		if !ok || !x.deny && e.explain == nil && f&^e.forms == 0 || !x.holds(&e.asked) {
			return
		}
		if x.deny {
			e.denies = append(e.denies, x.match...)
			return
		}
		e.forms |= f
		e.granted.add(x)
	})
}

// own asks the policies of the principal's account: what identity policies allow, and
// whether boundary and session policies would let it pass.
func (e *evaluation) own(q *Question, r *Rights) (identity, boundary, session bool) {
	root := q.Principal.Type == Account
	if r == nil {
		return root, true, true
	}
	identity = root
	r.index.identity.each(e.action, e.asked.resource, func(x *entry) {
		if !x.deny && identity && e.explain == nil || !x.of(&e.asked) || !x.holds(&e.asked) {
			return
		}
		if x.deny {
			e.denies = append(e.denies, x.match...)
			return
		}
		identity = true
		e.allows.add(x)
	})
	boundary = r.Boundary == nil || e.layer(ByBoundary, r.Boundary)
	session = !r.Narrowed
	for i := range r.Session {
		if e.layer(BySession, &r.Session[i]) {
			session = true
		}
	}
	return identity, boundary, session
}

// combine says what the allows are worth when nothing denies.
func (e *evaluation) combine(q *Question, same, identity, boundary, session bool) Decision {
	switch q.Principal.Type {
	case Anonymous:
		// Keys and roles are never for those who do not say who they are.
		return e.byResource(!q.Decides && e.forms&(star|elsewhere) != 0)
	case WebIdentity, Service:
		return e.byResource(e.forms&(direct|star|elsewhere) != 0)
	}
	own := identity && boundary && session
	// A grant of a key is enough by itself, wherever the grantee is.
	if q.Decides && (e.forms&elsewhere != 0 || q.Granted && q.ToRole && boundary && session) {
		return Decision{Allowed: true, Layer: ByResource, Matched: e.granted}
	}
	if !same {
		switch {
		case !own:
			return e.lacking(identity, boundary, session)
		case e.forms == 0:
			return Decision{Layer: ByResource}
		}
		return Decision{Allowed: true, Layer: ByResource, Matched: e.both()}
	}
	// What names the caller itself, or everyone, is not limited by what does not allow in
	// its own account's policies; what names its role is by boundary and session.
	if e.forms&(direct|star|elsewhere) != 0 || e.forms&byRole != 0 && boundary && session {
		return Decision{Allowed: true, Layer: ByResource, Matched: e.granted}
	}
	if q.Decides && e.forms&byAccount == 0 {
		if e.forms&byRole != 0 {
			return e.lacking(true, boundary, session)
		}
		return Decision{Layer: ByResource}
	}
	if own {
		d := Decision{Allowed: true, Layer: ByIdentity, Matched: e.allows}
		if q.Decides {
			d.Matched = e.both()
		}
		return d
	}
	return e.lacking(identity || e.forms&byRole != 0, boundary, session)
}

func (e *evaluation) byResource(allowed bool) Decision {
	d := Decision{Allowed: allowed, Layer: ByResource}
	if allowed {
		d.Matched = e.granted
	}
	return d
}

// both returns the allows of the principal's side and of the resource's.
func (e *evaluation) both() []Match {
	if len(e.allows) == 0 {
		return e.granted
	}
	return append(e.allows[:len(e.allows):len(e.allows)], e.granted...)
}

// lacking names the first layer that would have to allow and does not.
func (e *evaluation) lacking(identity, boundary, _ bool) Decision {
	switch {
	case !identity:
		return Decision{Layer: ByIdentity}
	case !boundary:
		return Decision{Layer: ByBoundary}
	}
	return Decision{Layer: BySession}
}

// Reason says why not, as AWS's denials end: "because no identity-based policy allows
// the s3:GetObject action", "with an explicit deny in a resource-based policy". It is ""
// for what is allowed.
func (d Decision) Reason(action string) string {
	switch {
	case d.Allowed:
		return ""
	case d.Explicit && d.Layer == ByIdentity:
		return "with an explicit deny in an " + string(d.Layer)
	case d.Explicit:
		return "with an explicit deny in a " + string(d.Layer)
	}
	return "because no " + string(d.Layer) + " allows the " + action + " action"
}
