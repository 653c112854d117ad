// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault of a form's policy.
const (
	// InvalidPolicyDocument: the policy of a form is none.
	InvalidPolicyDocument fault.Kind = "s3api: invalid policy document"
	// PolicyViolated: the form is not one that its policy allows.
	PolicyViolated fault.Kind = "s3api: form violates its policy"
)

// postPolicy is what the signer of a form allows its sender: until when, and with
// which fields (S3, "Creating a POST policy").
type postPolicy struct {
	expiration time.Time
	conditions []postCondition
}

// postCondition is one demand on a form.
type postCondition struct {
	operation string // eq, starts-with or content-length-range, in lower case
	field     string // of the first two: with the dollar sign that it should have
	value     string
	min, max  int64 // of the third
	hopeless  bool  // of the third: its bounds are not numbers, so nothing meets it
	text      string
}

// Operations of conditions.
const (
	equal       = "eq"
	startsWith  = "starts-with"
	lengthRange = "content-length-range"
)

func invalidPolicy(format string, args ...any) error {
	return fault.New(InvalidPolicyDocument, "Invalid Policy: "+format, args...)
}

func notJSON() error { return invalidPolicy("Invalid JSON.") }

// parsePostPolicy reads a policy, in base64 as it was signed. A policy that can be
// understood in two ways, with a member twice, is refused: whoever signed it may
// have meant the other. Fault: InvalidPolicyDocument.
func parsePostPolicy(text string) (*postPolicy, error) {
	document, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, invalidPolicy("invalid Base64 encoding.")
	}
	document = plainEscapes(document)
	if !utf8.Valid(document) || !json.Valid(document) {
		return nil, notJSON()
	}
	members, ok := membersOf(document)
	if !ok {
		return nil, notJSON()
	}
	p := new(postPolicy)
	var expiration, conditions json.RawMessage
	for _, m := range members {
		var into *json.RawMessage
		switch m.name {
		case "expiration":
			into = &expiration
		case "conditions":
			into = &conditions
		default:
			return nil, invalidPolicy("Unexpected: '%s'", strings.ToLower(m.name))
		}
		if *into != nil {
			return nil, notJSON()
		}
		*into = m.value
	}
	if expiration == nil {
		return nil, invalidPolicy("Policy missing expiration.")
	}
	if conditions == nil {
		return nil, invalidPolicy("Policy missing conditions.")
	}
	if p.expiration, err = parseExpiration(expiration); err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if conditions[0] != '[' || json.Unmarshal(conditions, &list) != nil {
		return nil, invalidPolicy("Invalid 'conditions' value: must be a List.")
	}
	for _, item := range list {
		c, err := parseCondition(item)
		if err != nil {
			return nil, err
		}
		p.conditions = append(p.conditions, c)
	}
	return p, nil
}

// plainEscapes writes the escapes that S3 has for policies and JSON has not as
// what they stand for.
func plainEscapes(document []byte) []byte {
	if !bytes.Contains(document, []byte(`\$`)) && !bytes.Contains(document, []byte(`\v`)) {
		return document
	}
	plain := make([]byte, 0, len(document)+8)
	for i := 0; i < len(document); i++ {
		if document[i] != '\\' || i+1 == len(document) {
			plain = append(plain, document[i])
			continue
		}
		i++
		switch document[i] {
		case '$':
			plain = append(plain, '$')
		case 'v':
			plain = append(plain, `\u000b`...)
		default:
			plain = append(plain, '\\', document[i])
		}
	}
	return plain
}

type jsonMember struct {
	name  string
	value json.RawMessage
}

// membersOf returns the members of a valid JSON object in their order. ok is false
// for what is no object.
func membersOf(document []byte) (members []jsonMember, ok bool) {
	d := json.NewDecoder(bytes.NewReader(document))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	for d.More() {
		var m jsonMember
		t, err := d.Token()
		if err != nil {
			return nil, false
		}
		m.name, _ = t.(string)
		if err := d.Decode(&m.value); err != nil {
			return nil, false
		}
		members = append(members, m)
	}
	return members, true
}

// parseExpiration reads a time as S3 does: ISO 8601, and in UTC.
func parseExpiration(text json.RawMessage) (time.Time, error) {
	var s string
	if text[0] != '"' || json.Unmarshal(text, &s) != nil {
		return time.Time{}, invalidPolicy("Invalid 'expiration' value: %.100s", text)
	}
	// A fraction of the seconds needs no mention in the layout.
	at, err := time.Parse("2006-01-02T15:04:05Z", s)
	if err != nil {
		return time.Time{}, invalidPolicy("Invalid 'expiration' value: '%.100s'", s)
	}
	return at, nil
}

func parseCondition(text json.RawMessage) (postCondition, error) {
	switch text[0] {
	case '{':
		return parseSimpleCondition(text)
	case '[':
		return parseListCondition(text)
	}
	return postCondition{}, invalidPolicy("Invalid Condition: must be a List or Object.")
}

// parseSimpleCondition reads {"field": "value"}, which is ["eq", "$field", "value"].
func parseSimpleCondition(text json.RawMessage) (postCondition, error) {
	members, ok := membersOf(text)
	if !ok || len(members) != 1 {
		return postCondition{}, invalidPolicy("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
	}
	m := members[0]
	if string(m.value) == "null" {
		return postCondition{}, notJSON()
	}
	c := postCondition{operation: equal, field: "$" + m.name}
	if m.value[0] != '"' || json.Unmarshal(m.value, &c.value) != nil {
		return postCondition{}, invalidPolicy("Invalid Simple-Condition: value must be a string.")
	}
	c.text = listText(equal, c.field, c.value)
	return c, nil
}

func parseListCondition(text json.RawMessage) (postCondition, error) {
	var items []any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&items); err != nil {
		return postCondition{}, notJSON()
	}
	if len(items) == 0 {
		return postCondition{}, invalidPolicy("Invalid Condition: missing operation identifier.")
	}
	name, ok := items[0].(string)
	if !ok {
		return postCondition{}, notJSON()
	}
	c := postCondition{operation: strings.ToLower(name), text: listText(items...)}
	switch c.operation {
	case equal, startsWith, lengthRange:
	default:
		return postCondition{}, invalidPolicy("Invalid Condition: unknown operation '%s'.", name)
	}
	if len(items) != 3 {
		return postCondition{}, invalidPolicy("Invalid %s: wrong number of arguments.", c.operation)
	}
	if c.operation == lengthRange {
		return c, c.setRange(items[1], items[2])
	}
	field, isText := items[1].(string)
	value, isTextToo := items[2].(string)
	if !isText || !isTextToo {
		return postCondition{}, notJSON()
	}
	c.field, c.value = field, value
	return c, nil
}

// setRange takes the bounds of a range: numbers, or numbers in strings. A string
// that is no number makes a policy that nothing meets, not an invalid one.
func (c *postCondition) setRange(low, high any) error {
	for _, bound := range [...]struct {
		item any
		into *int64
	}{{low, &c.min}, {high, &c.max}} {
		var err error
		switch item := bound.item.(type) {
		case json.Number:
			if *bound.into, err = item.Int64(); err != nil {
				return notJSON()
			}
		case string:
			if *bound.into, err = strconv.ParseInt(item, 10, 64); err != nil {
				c.hopeless = true
			}
		default:
			return notJSON()
		}
	}
	return nil
}

// listText writes a condition as S3 does in messages.
func listText(items ...any) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, item := range items {
		if i > 0 {
			b.WriteString(", ")
		}
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if e.Encode(item) != nil { // it came out of a document
			return "[]"
		}
	}
	return strings.ReplaceAll(b.String(), "\n", "") + "]"
}

// sizes are the sizes that a policy allows the file of a form.
type sizes struct{ min, max int64 }

func anySize() sizes { return sizes{max: math.MaxInt64} }

func violates(format string, args ...any) error {
	return fault.New(PolicyViolated, "Invalid according to Policy: "+format, args...)
}

// check holds a form for that bucket against the policy. It returns the sizes that
// the file may have, which are checked as it is read. Fault: PolicyViolated.
func (p *postPolicy) check(f *postForm, bucket string) (sizes, error) {
	if !time.Now().Before(p.expiration) {
		return sizes{}, violates("Policy expired.")
	}
	allowed := anySize()
	covered := make(map[string]bool, len(p.conditions))
	for _, c := range p.conditions {
		if c.operation == lengthRange && !c.hopeless {
			allowed.min, allowed.max = max(allowed.min, c.min), min(allowed.max, c.max)
			continue
		}
		if !c.holds(f, bucket) {
			return sizes{}, violates("Policy Condition failed: %s", c.text)
		}
		covered[strings.ToLower(c.field[1:])] = true
	}
	// The bucket is a field of every form, in the URL if not in the body.
	if !covered["bucket"] {
		return sizes{}, violates("Extra input fields: bucket")
	}
	for _, field := range f.fields {
		if name := strings.ToLower(field.name); !covered[name] && !uncovered(name) {
			return sizes{}, violates("Extra input fields: %s", field.name)
		}
	}
	return allowed, nil
}

// uncovered reports whether a field, by its name in lower case, needs no condition.
func uncovered(name string) bool {
	return name == "policy" || name == "x-amz-signature" || strings.HasPrefix(name, "x-ignore-")
}

// holds reports whether a form meets a condition on one of its fields. A field that
// is not there meets none, not even that it begin with nothing.
func (c *postCondition) holds(f *postForm, bucket string) bool {
	name, ok := strings.CutPrefix(c.field, "$")
	if !ok || c.hopeless {
		return false
	}
	value, present := f.lookup(name)
	if strings.EqualFold(name, "bucket") {
		return c.matches(bucket) && (!present || value == bucket)
	}
	if !present {
		return false
	}
	if c.operation == startsWith && strings.EqualFold(name, "content-type") {
		for one := range strings.SplitSeq(value, ",") {
			if !c.matches(strings.Trim(one, " \t")) {
				return false
			}
		}
		return true
	}
	return c.matches(value)
}

func (c *postCondition) matches(value string) bool {
	if c.operation == startsWith {
		return strings.HasPrefix(value, c.value)
	}
	return value == c.value
}
