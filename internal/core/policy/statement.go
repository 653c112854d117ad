// SPDX-License-Identifier: Apache-2.0

package policy

// asked is a question made ready for its statements.
type asked struct {
	action   *lowered
	resource string
	who      *Principal
	context  Context
	explain  *explanation // nil when only the answer is wanted
}

// ask makes a question ready. What S3 does to no bucket in particular, as listing them,
// is done to all of them: S3's own examples allow it on arn:aws:s3:::* as well as on *.
func ask(q *Question, x *explanation) asked {
	a := asked{action: lower(q.Action), resource: q.Resource, who: &q.Principal, context: q.Context, explain: x}
	if a.resource == "*" && a.action.service == "s3" {
		a.resource = "arn:aws:s3:::*"
	}
	if a.context == nil {
		a.context = Values(nil)
	}
	return a
}

// of reports whether the statement speaks of the action and the resource.
func (st *statement) of(q *asked) bool {
	if st.idle {
		return false
	}
	named := false
	for i := range st.actions {
		if st.actions[i].matches(q.action.service, q.action.name) {
			named = true
			break
		}
	}
	if named == st.notAction {
		return false
	}
	if q.explain != nil {
		for i := range st.resources {
			q.explain.missing(st.resources[i].pattern.keys, q.context)
		}
	}
	return st.anywhere || st.on(q)
}

// on reports whether the resource is one of the statement's. A variable without a value
// makes its pattern match nothing; behind NotResource that must not make an allow wider.
func (st *statement) on(q *asked) bool {
	for i := range st.resources {
		r := &st.resources[i]
		if st.notResource && !st.deny && r.pattern.parts != nil {
			if _, ok := r.pattern.expand(q.context); !ok {
				return false
			}
		}
		if r.matches(q.resource, q.context) {
			return !st.notResource
		}
	}
	return st.notResource
}

// names returns how the statement names who asks; ok is false if it does not. Documents
// of principals name nobody, and mean whom they belong to.
func (st *statement) names(who *Principal) (f form, ok bool) {
	switch {
	case st.principals == nil:
		return direct, true
	case st.notPrincipal:
		return 0, !st.principals.spares(who)
	}
	f = st.principals.forms(who)
	return f, f != 0
}

// holds reports whether all conditions do.
func (st *statement) holds(q *asked) bool {
	if q.explain != nil {
		q.explain.missing(st.keys, q.context)
	}
	for i := range st.conditions {
		if !st.conditions[i].holds(q.context) {
			return false
		}
	}
	return true
}
