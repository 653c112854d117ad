// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Edit says what the values of a condition shall be.
type Edit struct {
	Statement int    // its index, from 0
	Operator  string // as the document has it
	Key       string // as the document has it
	Values    []string
	// NewOperator is what the operator shall be called; "" leaves it. It is for an operator
	// with this key alone; others move to the new one too.
	NewOperator string
}

// ErrNoCondition: a document has no such statement, operator or key.
var ErrNoCondition = errors.New("policy: no such condition")

// Rewrite returns a document's text with other values in some conditions. All other text,
// white space too, stays as it is: a single value stays single if it can, and a list keeps
// its layout. It does not ask whether the text is a valid policy, before or after.
// Error: ErrNoCondition, and others for a text that is not JSON.
func Rewrite(text string, edits ...Edit) (string, error) {
	root, err := readJSON(text)
	if err != nil {
		return "", fmt.Errorf("policy: %w", err)
	}
	var changes []change
	for _, e := range edits {
		c, err := e.changes(text, root)
		if err != nil {
			return "", err
		}
		changes = append(changes, c...)
	}
	// From the end, so that what is not yet changed stays where it was.
	slices.SortStableFunc(changes, func(a, b change) int { return b.start - a.start })
	for i, c := range changes {
		if i > 0 && c.end > changes[i-1].start {
			if c == changes[i-1] {
				continue
			}
			return "", errors.New("policy: two edits of one condition")
		}
		text = text[:c.start] + c.text + text[c.end:]
	}
	return text, nil
}

// change replaces a piece of text.
type change struct {
	start, end int
	text       string
}

func (e *Edit) changes(text string, root *node) ([]change, error) {
	none := fmt.Errorf("%w: statement %d, %s, %s", ErrNoCondition, e.Statement, e.Operator, e.Key)
	all := root.under("Statement")
	if len(e.Values) == 0 || all == nil || e.Statement < 0 || e.Statement >= len(all.list()) {
		return nil, none
	}
	condition := all.list()[e.Statement].under("Condition")
	if condition == nil {
		return nil, none
	}
	for _, m := range condition.members {
		if m.name != e.Operator {
			continue
		}
		values := m.value.under(e.Key)
		if values == nil {
			return nil, none
		}
		changes := []change{{values.start, values.end, list(text, values, e.Values)}}
		if e.NewOperator != "" && e.NewOperator != e.Operator {
			if condition.under(e.NewOperator) != nil {
				return nil, fmt.Errorf("policy: statement %d has %s already", e.Statement, e.NewOperator)
			}
			changes = append(changes, change{m.start, m.end, quote(e.NewOperator)})
		}
		return changes, nil
	}
	return nil, none
}

// list writes values in the manner of the value that they replace.
func list(text string, old *node, values []string) string {
	if old.kind != '[' && len(values) == 1 {
		return quote(values[0])
	}
	before, between, after := "", ", ", ""
	if old.kind == '[' && len(old.items) > 0 {
		first, last := old.items[0], old.items[len(old.items)-1]
		before, after = text[old.start+1:first.start], text[last.end:old.end-1]
		switch {
		case len(old.items) > 1:
			between = text[first.end:old.items[1].start]
		case strings.Contains(before, "\n"):
			between = "," + before
		}
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = quote(v)
	}
	return "[" + before + strings.Join(quoted, between) + after + "]"
}

// quote writes a JSON string, and leaves <, > and & as they are.
func quote(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) != nil {
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}
