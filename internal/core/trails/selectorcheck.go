// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/core/audit"
)

// Bounds of selectors (CloudTrail User Guide, "Quotas in AWS CloudTrail").
const (
	maxSelectors      = 5    // basic ones
	maxDataValues     = 250  // of all basic selectors together
	maxFieldValues    = 500  // of all advanced selectors together
	maxSelectorName   = 1000 // characters
	maxSelectorValue  = 2048 // characters
	maxBasicValueSize = 2048
	maxSelectorsSize  = 256 << 10 // bytes in the trail's row: Coffer's own bound
)

// excludable are the event sources of management events that can be left out.
var excludable = []string{"kms.amazonaws.com", "rdsdata.amazonaws.com"}

// dataPrefixes are the types of basic data resources, and how their values begin. Coffer
// has events of objects alone; the others are taken so that a template written for
// CloudTrail works.
var dataPrefixes = map[string]string{
	objectType:              "arn:aws:s3",
	"AWS::Lambda::Function": "arn:aws:lambda",
	"AWS::DynamoDB::Table":  "arn:aws:dynamodb",
}

func checkBasic(in []BasicEventSelector) ([]EventSelector, error) {
	if len(in) > maxSelectors {
		return nil, badSelectors("Specify a valid number of selectors (1 to %d) for a trail.", maxSelectors)
	}
	values := 0
	out := make([]EventSelector, len(in))
	for i, e := range in {
		out[i] = EventSelector{ReadWriteType: e.ReadWriteType, Management: true, Data: e.DataResources, Exclude: e.ExcludeManagementEventSources}
		set(&out[i].Management, e.IncludeManagementEvents)
		switch e.ReadWriteType {
		case "":
			out[i].ReadWriteType = all
		case all, readOnly, writeOnly:
		default:
			return nil, badSelectors("Value %s for ReadWriteType is invalid.", quoted(e.ReadWriteType))
		}
		for _, source := range e.ExcludeManagementEventSources {
			if !slices.Contains(excludable, source) {
				return nil, badSelectors("Value %s for ExcludeManagementEventSources is invalid.", quoted(source))
			}
		}
		for _, d := range e.DataResources {
			if values += len(d.Values); values > maxDataValues {
				return nil, badSelectors("The total number of data resources in all event selectors of a trail cannot exceed %d.", maxDataValues)
			}
			if err := checkDataResource(d); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func checkDataResource(d DataResource) error {
	prefix, ok := dataPrefixes[d.Type]
	if !ok {
		return badSelectors("Value %s for DataResources.Type is invalid.", quoted(d.Type))
	}
	if len(d.Values) == 0 {
		return badSelectors("DataResources.Values cannot be empty.")
	}
	for _, v := range d.Values {
		if len(v) > maxBasicValueSize || !strings.HasPrefix(v, prefix) || d.Type == objectType && !choosesObjects(v) {
			return badSelectors("Value %s for DataResources.Values is invalid.", quoted(v))
		}
	}
	return nil
}

// choosesObjects reports whether a value is all buckets, or a bucket and a prefix.
func choosesObjects(v string) bool {
	const buckets = "arn:aws:s3:::"
	if v == "arn:aws:s3" || v == buckets {
		return true
	}
	name, ok := strings.CutPrefix(v, buckets)
	bucket, _, slash := strings.Cut(name, "/")
	return ok && slash && bucket != "" && !strings.Contains(bucket, "*")
}

// operators are what a field of advanced selectors may be compared with.
type operators uint8

const (
	onlyEquals operators = iota
	onlyNotEquals
	anyOperator
)

// fieldRules say of each field which events have it, how it may be compared, and with
// which values; nil is any.
var fieldRules = map[string]struct {
	only      string // category of events; "" is any
	operators operators
	values    []string
}{
	fieldCategory:  {"", onlyEquals, []string{audit.Management, audit.Data}},
	fieldReadOnly:  {"", onlyEquals, []string{"true", "false"}},
	fieldSource:    {audit.Management, onlyNotEquals, excludable},
	fieldName:      {"", anyOperator, nil},
	fieldType:      {"", anyOperator, nil},
	fieldConsole:   {"", anyOperator, nil},
	fieldPrincipal: {"", anyOperator, nil},
	fieldResource:  {audit.Data, onlyEquals, []string{objectType}},
	fieldARN:       {audit.Data, anyOperator, nil},
}

func checkAdvanced(in []AdvancedEventSelector) ([]AdvancedSelector, error) {
	values := 0
	out := make([]AdvancedSelector, len(in))
	for i, a := range in {
		if utf8.RuneCountInString(a.Name) > maxSelectorName {
			return nil, badSelectors("The name of an advanced event selector cannot be longer than %d characters.", maxSelectorName)
		}
		category := categoryOf(a)
		if category == "" {
			return nil, badSelectors("Each advanced event selector must have a field selector for %s that Equals one of %s.", fieldCategory, strings.Join(fieldRules[fieldCategory].values, ", "))
		}
		out[i].Name = a.Name
		seen := map[string]bool{}
		for _, f := range a.FieldSelectors {
			if seen[f.Field] {
				return nil, badSelectors("Field %s is specified more than once in an advanced event selector.", quoted(f.Field))
			}
			seen[f.Field] = true
			n, err := checkField(f, category)
			if err != nil {
				return nil, err
			}
			if values += n; values > maxFieldValues {
				return nil, badSelectors("The total number of values in all advanced event selectors of a trail cannot exceed %d.", maxFieldValues)
			}
			out[i].Fields = append(out[i].Fields, FieldSelector{
				Field: f.Field, Equals: f.Equals, NotEquals: f.NotEquals, StartsWith: f.StartsWith,
				NotStartsWith: f.NotStartsWith, EndsWith: f.EndsWith, NotEndsWith: f.NotEndsWith,
			})
		}
		if category == audit.Data && !seen[fieldResource] {
			return nil, badSelectors("An advanced event selector for data events must have a field selector for %s.", fieldResource)
		}
	}
	return out, nil
}

// categoryOf returns which events a selector is for, "" when it does not say.
func categoryOf(a AdvancedEventSelector) string {
	for _, f := range a.FieldSelectors {
		if f.Field == fieldCategory && len(f.Equals) == 1 && slices.Contains(fieldRules[fieldCategory].values, f.Equals[0]) {
			return f.Equals[0]
		}
	}
	return ""
}

// checkField checks a condition and returns how many values it has.
func checkField(f AdvancedFieldSelector, category string) (n int, err error) {
	rule, ok := fieldRules[f.Field]
	switch {
	case !ok:
		return 0, badSelectors("Field %s is not valid.", quoted(f.Field))
	case rule.only != "" && rule.only != category:
		return 0, badSelectors("Field %s is not valid for events of category %s.", f.Field, category)
	}
	for _, op := range []struct {
		name   string
		values []string
		fits   bool
	}{
		{"Equals", f.Equals, rule.operators != onlyNotEquals},
		{"NotEquals", f.NotEquals, rule.operators != onlyEquals},
		{"StartsWith", f.StartsWith, rule.operators == anyOperator},
		{"NotStartsWith", f.NotStartsWith, rule.operators == anyOperator},
		{"EndsWith", f.EndsWith, rule.operators == anyOperator},
		{"NotEndsWith", f.NotEndsWith, rule.operators == anyOperator},
	} {
		n += len(op.values)
		switch {
		case op.values != nil && len(op.values) == 0:
			return 0, badSelectors("Operator %s for field %s has no values.", op.name, f.Field)
		case len(op.values) > 0 && !op.fits:
			return 0, badSelectors("Operator %s is not valid for field %s.", op.name, f.Field)
		case len(op.values) > 1 && rule.operators == onlyEquals:
			return 0, badSelectors("Field %s can have one value only.", f.Field)
		}
		for _, v := range op.values {
			if v == "" || utf8.RuneCountInString(v) > maxSelectorValue || rule.values != nil && !slices.Contains(rule.values, v) {
				return 0, badSelectors("Value %s for field %s is invalid.", quoted(v), f.Field)
			}
		}
	}
	if n == 0 {
		return 0, badSelectors("Field %s has no operator.", f.Field)
	}
	return n, nil
}
