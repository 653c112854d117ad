// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/fault"
)

// MaxLifecycleRules is how many rules a bucket may have (S3 User Guide, "Managing the
// lifecycle of objects").
const MaxLifecycleRules = 1000

const (
	maxRuleID     = 255
	maxObjectSize = 1_099_511_627_776_000 // that a filter can name
	// leastIADays is how long objects must have been there before they go to one of the
	// classes for infrequent access.
	leastIADays = 30
	day         = 24 * time.Hour
)

// TransitionClasses are the classes that objects can go to, from the warmest to the
// coldest: none goes back, and in a rule a colder one is due later.
var TransitionClasses = []string{"STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"}

// check holds a configuration against S3's rules. The texts are S3's, where they are
// known.
func (l *Lifecycle) check() error {
	switch l.Minimum {
	case "", MinimumAll, MinimumByClass:
	default:
		return fault.New(InvalidLifecycle, "Invalid TransitionDefaultMinimumObjectSize found: %s", l.Minimum)
	}
	if len(l.Rules) == 0 {
		return malformedLifecycle("no rules")
	}
	if len(l.Rules) > MaxLifecycleRules {
		return fault.New(InvalidLifecycle, "The lifecycle configuration must not have more than %d rules", MaxLifecycleRules)
	}
	for i := range l.Rules {
		if r := &l.Rules[i]; r.Prefix == nil && r.Filter == nil {
			return malformedLifecycle("a rule without filter and prefix")
		}
	}
	ids := make(map[string]bool, len(l.Rules))
	second := l.Rules[0].Filter != nil
	for i := range l.Rules {
		r := &l.Rules[i]
		switch {
		case len(r.ID) > maxRuleID:
			return lifecycleValue("ID", r.ID, "ID length should not exceed allowed limit of 255")
		case r.ID != "" && ids[r.ID]:
			return lifecycleValue("ID", r.ID, "Rule ID must be unique. Found same ID for more than one rule")
		case second && r.Prefix != nil:
			return fault.New(InvalidLifecycle, "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter.")
		case !second && r.Filter != nil:
			return fault.New(InvalidLifecycle, "Filter element can only be used in Lifecycle V2.")
		}
		ids[r.ID] = true
		if err := r.check(); err != nil {
			return err
		}
	}
	if second {
		return nil
	}
	return overlapping(l.Rules)
}

func (r *LifecycleRule) check() error {
	if r.Expiration == nil && len(r.Transitions) == 0 && r.NoncurrentExpiration == nil && len(r.NoncurrentTransitions) == 0 && r.AbortDays == nil {
		return fault.New(InvalidLifecycle, "At least one action needs to be specified in a rule")
	}
	for _, check := range []func() error{
		r.checkFilter, r.checkAbort, r.checkExpiration, r.checkTransitions, r.checkOrder, r.checkNoncurrent,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (r *LifecycleRule) checkFilter() error {
	f := r.Filter
	if f == nil {
		return nil
	}
	keys := make(map[string]bool, len(f.Tags))
	for _, t := range f.Tags {
		if keys[t.Key] {
			return fault.New(InvalidLifecycle, "Duplicate Tag Keys are not allowed.")
		}
		keys[t.Key] = true
		if err := CheckTags([]Tag{t}, 1); err != nil {
			return err
		}
	}
	if f.Greater != nil && (*f.Greater < 0 || *f.Greater > maxObjectSize) {
		return fault.New(InvalidLifecycle, "'ObjectSizeGreaterThan' should be between 0 and %d.", maxObjectSize)
	}
	if f.Less != nil && (*f.Less < 1 || *f.Less > maxObjectSize) {
		return fault.New(InvalidLifecycle, "'ObjectSizeLessThan' should be between 1 and %d.", maxObjectSize)
	}
	if f.Greater != nil && f.Less != nil && *f.Less <= *f.Greater {
		return fault.New(InvalidLifecycle, "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")
	}
	return nil
}

// byObject refuses a filter by what only objects have, for an action on something else.
func (r *LifecycleRule) byObject(action string) error {
	switch f := r.Filter; {
	case f == nil:
	case len(f.Tags) > 0:
		return fault.New(InvalidLifecycle, "%s cannot be specified with Tags.", action)
	case f.Greater != nil || f.Less != nil:
		return fault.New(InvalidLifecycle, "%s cannot be specified with Object Size.", action)
	}
	return nil
}

func (r *LifecycleRule) checkAbort() error {
	if r.AbortDays == nil {
		return nil
	}
	if err := r.byObject("AbortIncompleteMultipartUpload"); err != nil {
		return err
	}
	return positive("DaysAfterInitiation", "AbortIncompleteMultipartUpload", *r.AbortDays)
}

func (r *LifecycleRule) checkExpiration() error {
	e := r.Expiration
	if e == nil {
		return nil
	}
	set := 0
	for _, is := range []bool{e.Days != nil, e.Date != nil, e.Markers != nil} {
		if is {
			set++
		}
	}
	switch {
	case set != 1:
		return malformedLifecycle("not one of days, date and markers")
	case e.Markers != nil:
		return r.byObject("ExpiredObjectDeleteMarker")
	case e.Date != nil:
		return midnight(*e.Date)
	}
	return positive("Days", "Expiration", *e.Days)
}

func (r *LifecycleRule) checkTransitions() error {
	byDays, byDate := 0, 0
	classes := map[string]bool{}
	for _, t := range r.Transitions {
		switch {
		case !slices.Contains(TransitionClasses, t.Class):
			return malformedLifecycle("unknown class")
		case t.Days != nil && t.Date != nil:
			return malformedLifecycle("a transition after days and at a date")
		case t.Days == nil && t.Date == nil:
			return lifecycleValue("Days", "null", "'Transition' action must specify either 'Days' or 'Date'")
		case t.Days != nil && *t.Days < 0:
			return lifecycleValue("Days", fmt.Sprint(*t.Days), "'Days' in Transition action must be nonnegative")
		case t.Days != nil && *t.Days < leastIADays && forInfrequentAccess(t.Class):
			return lifecycleValue("Days", fmt.Sprint(*t.Days),
				"'Days' in Transition action must be greater than or equal to 30 for storageClass '%s'", t.Class)
		case classes[t.Class]:
			return fault.New(InvalidLifecycle, "'StorageClass' must be different for 'Transition' actions in same 'Rule' with filter '%s'", r.filterText())
		}
		classes[t.Class] = true
		if t.Date == nil {
			byDays++
			continue
		}
		byDate++
		if err := midnight(*t.Date); err != nil {
			return err
		}
	}
	mixed := byDays > 0 && byDate > 0
	what := "Transition"
	if e := r.Expiration; e != nil && !mixed {
		mixed = e.Days != nil && byDate > 0 || e.Date != nil && byDays > 0
		what = "Expiration and Transition"
	}
	if mixed {
		return fault.New(InvalidLifecycle, "Found mixed 'Date' and 'Days' based %s actions in lifecycle rule for filter '%s'", what, r.filterText())
	}
	return nil
}

func forInfrequentAccess(class string) bool { return class == "STANDARD_IA" || class == "ONEZONE_IA" }

// checkOrder refuses what could never come about: an expiration that is not later than a
// transition, and a colder class that is not later than a warmer one.
func (r *LifecycleRule) checkOrder() error {
	e := r.Expiration
	for _, t := range r.Transitions {
		if e != nil && e.Days != nil && t.Days != nil && *e.Days <= *t.Days {
			return lifecycleValue("Days", fmt.Sprint(*e.Days), "'Days' in the Expiration action for filter '%s' must be greater than 'Days' in the Transition action", r.filterText())
		}
		if e != nil && e.Date != nil && t.Date != nil && !e.Date.After(*t.Date) {
			return lifecycleValue("Date", e.Date.Format(lifecycleDate), "'Date' in the Expiration action for filter '%s' must be greater than 'Date' in the Transition action", r.filterText())
		}
	}
	order := func(i, j int) error {
		warm, cold := r.Transitions[i], r.Transitions[j]
		if slices.Index(TransitionClasses, warm.Class) > slices.Index(TransitionClasses, cold.Class) {
			warm, cold = cold, warm
		}
		unit := ""
		switch {
		case warm.Days != nil && cold.Days != nil && *cold.Days <= *warm.Days:
			unit = "Days"
		case warm.Date != nil && cold.Date != nil && !cold.Date.After(*warm.Date):
			unit = "Date"
		default:
			return nil
		}
		return fault.New(InvalidLifecycleValue, "'%s' in the Transition action for StorageClass '%s' for filter '%s' must be greater than '%s' in the Transition action for StorageClass '%s' for filter '%s'",
			unit, cold.Class, r.filterText(), unit, warm.Class, r.filterText())
	}
	for i := range r.Transitions {
		for j := range i {
			if err := order(i, j); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *LifecycleRule) checkNoncurrent() error {
	if e := r.NoncurrentExpiration; e != nil {
		if err := positive("NoncurrentDays", "NoncurrentVersionExpiration", e.Days); err != nil {
			return err
		}
		if err := r.checkNewer(e.Newer); err != nil {
			return err
		}
	}
	classes := map[string]bool{}
	for _, t := range r.NoncurrentTransitions {
		switch {
		case !slices.Contains(TransitionClasses, t.Class):
			return malformedLifecycle("unknown class")
		case t.Days < 0:
			return lifecycleValue("NoncurrentDays", fmt.Sprint(t.Days), "'NoncurrentDays' in NoncurrentVersionTransition action must be nonnegative")
		case t.Days < leastIADays && forInfrequentAccess(t.Class):
			return lifecycleValue("NoncurrentDays", fmt.Sprint(t.Days),
				"'NoncurrentDays' in NoncurrentVersionTransition action must be greater than or equal to 30 for storageClass '%s'", t.Class)
		case classes[t.Class]:
			return fault.New(InvalidLifecycle, "'StorageClass' must be different for 'NoncurrentVersionTransition' actions in same 'Rule' with filter '%s'", r.filterText())
		case r.NoncurrentExpiration != nil && r.NoncurrentExpiration.Days <= t.Days:
			return lifecycleValue("NoncurrentDays", fmt.Sprint(r.NoncurrentExpiration.Days),
				"'NoncurrentDays' in the NoncurrentVersionExpiration action for filter '%s' must be greater than 'NoncurrentDays' in the NoncurrentVersionTransition action", r.filterText())
		}
		classes[t.Class] = true
		if err := r.checkNewer(t.Newer); err != nil {
			return err
		}
	}
	return nil
}

func (r *LifecycleRule) checkNewer(newer *int) error {
	switch {
	case newer == nil:
		return nil
	case r.Filter == nil:
		return fault.New(InvalidLifecycle, "NewerNoncurrentVersions element can only be used in Lifecycle V2.")
	case *newer < 1:
		return lifecycleValue("NewerNoncurrentVersions", fmt.Sprint(*newer), "NewerNoncurrentVersions must be a positive integer")
	}
	return nil
}

// lifecycleDate is the form of dates in configurations.
const lifecycleDate = "2006-01-02T15:04:05.000Z"

func midnight(t time.Time) error {
	if !t.Equal(t.UTC().Truncate(day)) {
		return lifecycleValue("Date", t.UTC().Format(lifecycleDate), "'Date' must be at midnight GMT")
	}
	return nil
}

func positive(name, action string, n int) error {
	if n <= 0 {
		return lifecycleValue(name, fmt.Sprint(n), "'%s' for %s action must be a positive integer", name, action)
	}
	return nil
}

func lifecycleValue(name, value, text string, args ...any) error {
	return fault.New(InvalidLifecycleValue, text, args...).With("ArgumentName", name).With("ArgumentValue", value)
}

func malformedLifecycle(why string) error {
	return fault.New(MalformedLifecycle, "").Because(errors.New(why))
}

// filterText is how S3's messages name a rule's filter.
func (r *LifecycleRule) filterText() string {
	var terms []string
	if r.Prefix != nil {
		terms = append(terms, "prefix="+*r.Prefix)
	}
	if f := r.Filter; f != nil {
		if f.Prefix != nil {
			terms = append(terms, "prefix="+*f.Prefix)
		}
		for _, t := range f.Tags {
			terms = append(terms, fmt.Sprintf("tag={key=%s, value=%s}", t.Key, t.Value))
		}
		if f.Greater != nil {
			terms = append(terms, fmt.Sprintf("objectsizegreaterthan=%d", *f.Greater))
		}
		if f.Less != nil {
			terms = append(terms, fmt.Sprintf("objectsizelessthan=%d", *f.Less))
		}
	}
	if len(terms) == 0 {
		terms = append(terms, "prefix=")
	}
	return "(" + strings.Join(terms, " and ") + ")"
}

// overlapping refuses rules of the first version that have the same action and of whose
// prefixes one begins with the other.
func overlapping(rules []LifecycleRule) error {
	for _, action := range []struct {
		name string
		has  func(*LifecycleRule) bool
	}{
		{"Expiration", func(r *LifecycleRule) bool { return r.Expiration != nil }},
		{"Transition", func(r *LifecycleRule) bool { return len(r.Transitions) > 0 }},
		{"NoncurrentVersionExpiration", func(r *LifecycleRule) bool { return r.NoncurrentExpiration != nil }},
		{"NoncurrentVersionTransition", func(r *LifecycleRule) bool { return len(r.NoncurrentTransitions) > 0 }},
		{"AbortIncompleteMultipartUpload", func(r *LifecycleRule) bool { return r.AbortDays != nil }},
	} {
		var prefixes []string
		for i := range rules {
			if action.has(&rules[i]) {
				prefixes = append(prefixes, *rules[i].Prefix)
			}
		}
		slices.Sort(prefixes)
		for i := 1; i < len(prefixes); i++ { // one that begins with another follows it, or one that does, too
			if a, b := prefixes[i-1], prefixes[i]; strings.HasPrefix(b, a) {
				return fault.New(InvalidLifecycle, "Found overlapping prefixes '%s' and '%s' for same action type '%s'", a, b, action.name)
			}
		}
	}
	return nil
}

// named gives an id to rules that have none, of the form that S3's have.
func named(rules []LifecycleRule) []LifecycleRule {
	rules = slices.Clone(rules)
	for i := range rules {
		if rules[i].ID == "" {
			rules[i].ID = base64.StdEncoding.EncodeToString([]byte(uuid.NewString()))
		}
	}
	return rules
}
