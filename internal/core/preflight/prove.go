// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"errors"
	"fmt"

	"github.com/cofferstore/coffer/internal/core/policy"
)

// Prove shows of the finding of a statement that an edited policy is accepted, decides on
// objects' contexts as the old one does, and allows in the bucket's context what the old
// one allowed in any object's; unless widens, also that it allows nothing that was
// refused. It asks both with questions made from the old one: its principals, the actions
// that S3 uses, object keys for each of its values, and whatever its other conditions ask
// for. Bucket and Key of the input say what is in question.
func Prove(in *Input, old *Document, edited string, statement int, effect Effect, widens bool) error {
	p, err := parseDocument(old)
	if err != nil {
		return err
	}
	t := targetOf(in)
	s, err := survey(p, edited, &t)
	if err != nil {
		return err
	}
	return s.proves(statement, effect, !widens)
}

// surveyed is how two policies differ in the questions made from one statement: the first
// question of each sort, "" for none.
type surveyed struct {
	matched  bool   // the statement applied
	changed  string // another answer for an object
	lost     string // allowed for an object, and not for the bucket
	gained   string // refused for an object, and for the bucket by the old policy, and allowed by the edited one
	open     string // refused for an object, and allowed for the bucket
	undenied string // denied for an object, and not for the bucket
}

// surveys are those of a policy's statements.
type surveys []surveyed

// proves says what an edit lacks. Exact is that it may not allow what was refused.
func (all surveys) proves(statement int, effect Effect, exact bool) error {
	if statement < 0 || statement >= len(all) || !all[statement].matched {
		return errors.New("no question was found to which the statement applies")
	}
	for _, s := range all {
		switch {
		case s.changed != "":
			return fmt.Errorf("it would change a decision about objects that exist: %s", s.changed)
		case s.lost != "":
			return fmt.Errorf("it would not allow all that is allowed now: %s", s.lost)
		case exact && s.gained != "":
			return fmt.Errorf("it would allow what is refused now: %s", s.gained)
		case effect == StartsAllowing && s.open != "":
			return fmt.Errorf("it would allow what is refused for every object: %s", s.open)
		case effect == StopsDenying && s.undenied != "":
			return fmt.Errorf("it would not deny all that is denied now: %s", s.undenied)
		}
	}
	return nil
}

// covers reports of a policy surveyed with itself whether it allows, or denies, in the
// bucket's context what one of its statements would not any more.
func (all surveys) covers(statement int, effect Effect) bool {
	if len(all) == 0 || !all[statement].matched {
		return false
	}
	switch s := &all[statement]; effect {
	case StopsAllowing:
		return s.lost == ""
	case StopsDenying:
		return s.undenied == ""
	case StartsAllowing:
		return s.open == ""
	}
	return false
}

// Bounds of a survey: what a policy of 32 KiB that is written to be long would ask.
const (
	maxQuestions = 1 << 14
	maxObjects   = 64
)

var errTooLong = errors.New("the policy is too long to ask all its questions")

// survey asks the old policy about objects, and the edited one about the same objects
// and the bucket.
func survey(p *parsed, edited string, t *target) (surveys, error) {
	w := newWitness(p, t)
	var err error
	if w.before, err = w.parse(p.Text); err != nil {
		return nil, err
	}
	if w.after, err = w.parse(edited); err != nil {
		return nil, err
	}
	all := make(surveys, len(p.statements))
	for i := range p.statements {
		if err := w.survey(&p.statements[i], t, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// survey asks the questions made from one statement.
func (w *witness) survey(s *statement, t *target, out *surveyed) error {
	alone, err := w.parse(w.p.alone(s))
	if err != nil {
		return err
	}
	base := w.context(s)
	contexts := append(w.objects[:len(w.objects):len(w.objects)], t.bucket)
	for _, who := range w.principals(s) {
		for _, q := range w.variants(who) {
			for _, action := range s.actions() {
				if w.asked += len(contexts); w.asked > maxQuestions {
					return errTooLong
				}
				q.Principal, q.Action, q.Resource = who, action, w.resource(s)
				is, was := w.decide(q, w.after, base, t.bucket), w.decide(q, w.before, base, t.bucket)
				for _, context := range contexts {
					if !out.matched && len(s.clauses) > 0 {
						by := w.decide(q, alone, base, context)
						out.matched = s.deny && by.Explicit || !s.deny && by.Allowed && (q.Rights == nil || w.p.Kind == KeyPolicy)
					}
					if context != t.bucket {
						out.compare(w.decide(q, w.before, base, context), w.decide(q, w.after, base, context), was, is, action+" by "+who.ARN+" on "+context)
					}
				}
			}
		}
	}
	return nil
}

// compare notes how answers differ: of the old and the edited policy for an object, and
// for the bucket.
func (out *surveyed) compare(old, edited, was, is policy.Decision, question string) {
	first := func(say *string, differs bool) {
		if differs && *say == "" {
			*say = question
		}
	}
	first(&out.changed, edited.Allowed != old.Allowed)
	first(&out.lost, old.Allowed && !is.Allowed)
	first(&out.open, !old.Allowed && is.Allowed)
	first(&out.gained, !old.Allowed && !was.Allowed && is.Allowed)
	first(&out.undenied, old.Explicit && !is.Explicit)
}

// alone returns a policy of one of the statements.
func (p *parsed) alone(s *statement) string {
	version := "2008-10-17"
	if p.variables {
		version = "2012-10-17"
	}
	return `{"Version":"` + version + `","Statement":[` + p.Text[s.node.start:s.node.end] + `]}`
}
