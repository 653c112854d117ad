// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// document looks through a policy.
func (e *examiner) document(p *parsed) {
	from := len(e.out.Findings)
	var edits []insertion
	fixed := map[int]bool{} // findings with an edit, by statement
	for i := range p.statements {
		s := &p.statements[i]
		if len(s.clauses) == 0 {
			continue
		}
		if p.Kind == BucketPolicy {
			e.unseen(p, s)
			continue
		}
		if len(s.actions()) == 0 || !p.about(s, e.target.key) {
			continue
		}
		v := e.target.judge(s, p.variables)
		if v.unsure {
			e.warn(strings.Join(p.concerns(s), ", "), p.Name, fmt.Sprintf("statement %d%s compares the encryption context with a policy variable, whose value decides whether it matches the bucket's ARN: see that it does", s.index, sidOf(s)))
			continue
		}
		if v.effect == "" {
			continue
		}
		f := e.finding(p, s, v)
		if added, ok := e.target.additions(s, v.fix, p.variables); ok {
			edits = append(edits, added...)
			fixed[s.index] = true
		} else {
			f.Widens = false
		}
		e.out.Findings = append(e.out.Findings, f)
	}
	if len(e.out.Findings) == from || p.Kind == BucketPolicy {
		return
	}
	slices.SortFunc(edits, func(a, b insertion) int { return cmp.Compare(a.at, b.at) })
	edited := insert(p.Text, 0, len(p.Text), edits)
	exact := true
	for i := range e.out.Findings[from:] {
		f := &e.out.Findings[from+i]
		exact = exact && fixed[f.Index] && !f.Widens
	}
	now, _ := survey(p, p.Text, &e.target) // of what cannot be asked, nothing is covered
	then, unproven := survey(p, edited, &e.target)
	for i := range e.out.Findings[from:] {
		f := &e.out.Findings[from+i]
		f.Covered = now.covers(f.Index, f.Effect)
		if !fixed[f.Index] {
			continue
		}
		s := &p.statements[f.Index]
		f.Edited = json.RawMessage(insert(p.Text, s.node.start, s.node.end, edits))
		err := unproven
		if err == nil {
			err = then.proves(f.Index, f.Effect, exact)
		}
		if err != nil {
			f.Unproven = err.Error()
		} else {
			f.Proven = true
		}
	}
	if same := func(other Edited) bool { return other.Policy == p.Name }; len(edits) > 0 && !slices.ContainsFunc(e.out.Edited, same) {
		e.out.Edited = append(e.out.Edited, Edited{p.Kind, p.Name, json.RawMessage(edited)})
	}
}

func sidOf(s *statement) string {
	if s.sid == "" {
		return ""
	}
	return fmt.Sprintf(" (%q)", s.sid)
}

// unseen reports a condition in a bucket's policy: requests of S3 have no encryption
// context, so the key is never there.
func (e *examiner) unseen(p *parsed, s *statement) {
	v := e.target.judge(s, p.variables)
	if v.effect == "" && !v.unsure {
		return
	}
	f := e.finding(p, s, verdict{effect: NoEffect})
	f.Why = "A bucket's policy is asked about S3's requests alone, which have no encryption context: the key kms:EncryptionContext:aws:s3:arn is never there, " +
		"a positive operator never matches and a negated one always does, with Bucket Keys and without. S3 accepts no such policy today."
	f.Advice = []string{"Put the condition into the key's policy, on the bucket's ARN, or take it away."}
	e.out.Findings = append(e.out.Findings, f)
}

// finding describes what becomes of a statement.
func (e *examiner) finding(p *parsed, s *statement, v verdict) Finding {
	f := Finding{
		Kind: p.Kind, Policy: p.Name, Sid: s.sid, Index: s.index, Concerns: e.withMembers(p.concerns(s)), Effect: v.effect, Widens: v.widens,
		Weakens: v.effect == StopsDenying || v.effect == StartsAllowing, Statement: json.RawMessage(p.Text[s.node.start:s.node.end]),
	}
	if p.Kind == KeyPolicy {
		f.Key = p.Resource
	}
	e.explain(&f, p, s, v)
	return f
}

// withMembers adds the users of groups, each once.
func (e *examiner) withMembers(concerned []string) []string {
	out := slices.Clone(concerned)
	for _, who := range concerned {
		for _, user := range e.in.Members[who] {
			if !slices.Contains(out, user) {
				out = append(out, user)
			}
		}
	}
	return out
}

// explain says why, and what to do beside the edit.
func (e *examiner) explain(f *Finding, p *parsed, s *statement, v verdict) {
	values, named := e.values(s, p.variables)
	with := "With a Bucket Key the encryption context is " + e.target.bucket
	operators := []string{}
	for i := range s.clauses {
		operators = append(operators, s.clauses[i].operator)
	}
	condition := strings.Join(slices.Compact(operators), " and ")
	switch v.effect {
	case StopsAllowing:
		f.Why = fmt.Sprintf("%s, which %s does not match with %s: the statement would no longer allow KMS requests for new objects.", with, condition, values)
		if named {
			f.Why = fmt.Sprintf("%s, which %s excludes by name: the statement would not allow KMS requests for new objects.", with, condition)
		}
	case StartsDenying:
		f.Why = fmt.Sprintf("%s, which is not among what %s excepts (%s): the statement would deny KMS requests for every new object.", with, condition, values)
		if named {
			f.Why = fmt.Sprintf("%s, which %s denies by name: the statement would deny KMS requests for every new object.", with, condition)
		}
	case StopsDenying:
		f.Why = fmt.Sprintf("%s, which %s does not match with %s: the statement would no longer deny anything for new objects. This weakens protection.", with, condition, values)
	case StartsAllowing:
		f.Why = fmt.Sprintf("%s, which is not among what %s excepts (%s): the statement would allow KMS requests for every new object, also for those that it excepts now. This weakens protection.", with, condition, values)
	}
	if slices.ContainsFunc(s.clauses, func(c clause) bool {
		return c.kind.equal && strings.ContainsAny(strings.NewReplacer("${*}", "", "${?}", "").Replace(strings.Join(c.values.strings(), "")), "*?")
	}) {
		f.Advice = append(f.Advice, "StringEquals and its kin take * and ? for characters: such a value is for an object whose key has them. Was StringLike meant?")
	}
	const cannot = "A Bucket Key serves every object of the bucket, so no policy of a key can tell prefixes apart any more"
	resources := strings.Join(e.objects(s, p.variables), ", ")
	switch {
	case v.effect == "" || v.effect == NoEffect:
	case named && len(v.fix) == 0:
		f.Advice = append(f.Advice, "The bucket's own ARN is named here, so that no value can be added: decide whether Bucket Keys are to be refused, and if not, take the bucket's ARN out.")
	case len(v.fix) > 0 && v.widens:
		f.Advice = append(f.Advice, fmt.Sprintf("%s: the edit allows KMS requests for all of %s. Keep the restriction on S3's side: let the Resource of statements for s3:GetObject, s3:PutObject and the like be %s for those concerned.", cannot, e.target.name, resources))
	case len(v.fix) == 0:
		f.Advice = append(f.Advice, fmt.Sprintf("%s, and there is no edit that keeps this statement's meaning for new objects. Leave it for those that exist, and restrict S3's actions on %s instead, as in the statement for the bucket's policy.", cannot, resources))
		f.Instead = e.instead(p, s)
	}
}

// values lists the values that match objects of the bucket; named says that there are
// none, and that the bucket itself is named.
func (e *examiner) values(s *statement, variables bool) (text string, named bool) {
	var out []string
	for i := range s.clauses {
		c := &s.clauses[i]
		for _, v := range c.values.strings() {
			if e.target.hits(v, c.kind, variables) {
				out = append(out, v)
			}
		}
	}
	return strings.Join(out, ", "), len(out) == 0
}

// hits reports whether a value matches some object of the bucket.
func (t *target) hits(v string, op operator, variables bool) bool {
	v, _, prefix, ok := t.comparable(v, op)
	return ok && matchesSome(parsePattern(v, op.equal, variables), prefix)
}

// objects returns the ARNs of objects that a statement is about, for use as Resource.
func (e *examiner) objects(s *statement, variables bool) []string {
	var out []string
	for i := range s.clauses {
		c := &s.clauses[i]
		for _, v := range c.values.strings() {
			if _, rest, ok := strings.Cut(resourceOf(v), "/"); ok && e.target.hits(v, c.kind, variables) {
				if c.kind.equal {
					rest = literal(rest)
				}
				out = append(out, e.target.prefix+rest)
			}
		}
	}
	if len(out) == 0 {
		return []string{e.target.prefix + "*"}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// literal writes a text so that it is no pattern.
func literal(s string) string {
	return strings.NewReplacer("*", "${*}", "?", "${?}").Replace(s)
}

// resourceOf returns what follows the fifth colon.
func resourceOf(v string) string {
	parts := strings.SplitN(v, ":", 6)
	return parts[len(parts)-1]
}

// instead is a Deny for the bucket's policy: of S3's actions that need what the
// statement denies, or does not allow.
func (e *examiner) instead(p *parsed, s *statement) json.RawMessage {
	var actions []string
	if s.covers("kms:Decrypt") {
		actions = append(actions, "s3:GetObject", "s3:GetObjectVersion")
	}
	if s.covers("kms:GenerateDataKey") || s.covers("kms:Encrypt") {
		actions = append(actions, "s3:PutObject")
	}
	if len(actions) == 0 {
		return nil
	}
	type denial struct {
		Sid          string          `json:"Sid"`
		Effect       string          `json:"Effect"`
		Principal    json.RawMessage `json:"Principal,omitempty"`
		NotPrincipal json.RawMessage `json:"NotPrincipal,omitempty"`
		Action       []string        `json:"Action"`
		Resource     []string        `json:"Resource"`
	}
	out := denial{Sid: "InsteadOfEncryptionContext", Effect: "Deny", Action: actions, Resource: e.objects(s, p.variables)}
	switch who, others := s.node.get("Principal"), s.node.get("NotPrincipal"); {
	case who != nil:
		out.Principal = json.RawMessage(p.Text[who.start:who.end])
	case others != nil:
		out.NotPrincipal = json.RawMessage(p.Text[others.start:others.end])
	default:
		var arns []string
		for _, c := range p.Concerns {
			arns = append(arns, cmp.Or(strings.Join(e.in.Members[c], "\n"), c))
		}
		arns = slices.DeleteFunc(strings.Split(strings.Join(arns, "\n"), "\n"), func(arn string) bool { return !strings.HasPrefix(arn, "arn:") || strings.Contains(arn, ":group/") })
		if len(arns) == 0 {
			return nil
		}
		slices.Sort(arns)
		out.Principal, _ = json.Marshal(map[string][]string{"AWS": slices.Compact(arns)}) // of texts it cannot fail
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil
	}
	return b
}

// additions returns the edits of the clauses to be fixed; ok is false when there are
// none, or one cannot be written.
func (t *target) additions(s *statement, fix []int, variables bool) (out []insertion, ok bool) {
	for _, i := range fix {
		c := &s.clauses[i]
		var add []string
		have := c.values.strings()
		for _, v := range have {
			if !t.hits(v, c.kind, variables) {
				continue
			}
			twin, ok := t.twin(v, variables)
			if !ok {
				return nil, false
			}
			if !slices.Contains(have, twin) && !slices.Contains(add, twin) {
				add = append(add, twin)
			}
		}
		if len(add) == 0 {
			return nil, false
		}
		out = append(out, addValues(c.values, add)...)
	}
	return out, len(out) > 0
}

// twin returns the value for the bucket beside a value for its objects: the bucket's
// ARN, or what stands for the bucket's name if that has a policy variable.
func (t *target) twin(v string, variables bool) (string, bool) {
	head, _, slash := strings.Cut(v, "/")
	if depth := strings.Count(head, "${") - strings.Count(head, "}"); variables && depth > 0 {
		// The slash is in a variable's name: ${aws:PrincipalTag/bucket}.
		end := strings.IndexByte(v[len(head):], '}')
		if end < 0 {
			return "", false
		}
		end += len(head) + 1
		rest, _, more := strings.Cut(v[end:], "/")
		head, slash = v[:end]+rest, more
	}
	if !variables || !strings.Contains(head, "${") {
		return t.bucket, true
	}
	if !slash || strings.ContainsAny(head, "*?") || strings.Count(head, "${") > 1 {
		return "", false
	}
	return head, true
}

// addValues writes texts behind a value, or the last of a list.
func addValues(n *node, add []string) []insertion {
	separator := ", "
	if n.kind == '[' && len(n.values) > 0 {
		if strings.Contains(n.blank, "\n") { // a line each
			separator = "," + n.blank
		}
	}
	var b strings.Builder
	for _, v := range add {
		b.WriteString(separator)
		b.WriteString(quote(v))
	}
	if n.kind == '[' && len(n.values) > 0 {
		return []insertion{{n.values[len(n.values)-1].end, b.String()}}
	}
	return []insertion{{n.start, "["}, {n.end, b.String() + "]"}}
}
