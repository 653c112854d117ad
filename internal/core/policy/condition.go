// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// family is what a condition's operator compares.
type family uint8

const (
	stringExact family = iota
	stringFold
	stringLike
	numeric
	date
	boolean
	binary
	address
	arnLike
	null
)

// relation is how a number or a date must stand to the policy's.
type relation uint8

const (
	equal relation = iota
	less
	lessOrEqual
	greater
	greaterOrEqual
)

// operator is a condition's operator without what may stand before and after it.
type operator struct {
	family   family
	relation relation
	negated  bool
}

// operators by their names in lower case.
var operators = map[string]operator{
	"stringequals":              {family: stringExact},
	"stringnotequals":           {family: stringExact, negated: true},
	"stringequalsignorecase":    {family: stringFold},
	"stringnotequalsignorecase": {family: stringFold, negated: true},
	"stringlike":                {family: stringLike},
	"stringnotlike":             {family: stringLike, negated: true},
	"numericequals":             {family: numeric},
	"numericnotequals":          {family: numeric, negated: true},
	"numericlessthan":           {family: numeric, relation: less},
	"numericlessthanequals":     {family: numeric, relation: lessOrEqual},
	"numericgreaterthan":        {family: numeric, relation: greater},
	"numericgreaterthanequals":  {family: numeric, relation: greaterOrEqual},
	"dateequals":                {family: date},
	"datenotequals":             {family: date, negated: true},
	"datelessthan":              {family: date, relation: less},
	"datelessthanequals":        {family: date, relation: lessOrEqual},
	"dategreaterthan":           {family: date, relation: greater},
	"dategreaterthanequals":     {family: date, relation: greaterOrEqual},
	"bool":                      {family: boolean},
	"binaryequals":              {family: binary},
	"ipaddress":                 {family: address},
	"notipaddress":              {family: address, negated: true},
	"arnequals":                 {family: arnLike},
	"arnlike":                   {family: arnLike},
	"arnnotequals":              {family: arnLike, negated: true},
	"arnnotlike":                {family: arnLike, negated: true},
	"null":                      {family: null},
}

// over says which of a key's values must satisfy a condition.
type over uint8

const (
	single over = iota
	forAll
	forAny
)

// condition is one key under one operator.
type condition struct {
	operator
	over     over
	ifExists bool
	key      string // in lower case
	values   []operand
	name     string // of the operator, and
	written  string // the key, both as the document has them
}

// operand is a value of the policy. Which field counts is the family's affair.
type operand struct {
	text    string
	ok      bool // it could be read as what it must be
	pattern pattern
	number  number
	date    time.Time
	truth   bool
	network netip.Prefix
	bytes   string
}

// newCondition prepares a condition. variables says that the document's version has them.
// ok is false for an operator that there is not, and for a malformed variable.
func newCondition(name, key string, values []string, variables bool) (c condition, ok bool) {
	c.name, c.written, c.key = name, key, strings.ToLower(key)
	rest := strings.ToLower(name)
	if r, cut := strings.CutPrefix(rest, "forallvalues:"); cut {
		rest, c.over = r, forAll
	} else if r, cut := strings.CutPrefix(rest, "foranyvalue:"); cut {
		rest, c.over = r, forAny
	}
	rest, c.ifExists = strings.CutSuffix(rest, "ifexists")
	if c.operator, ok = operators[rest]; !ok || c.family == null && (c.over != single || c.ifExists) {
		return c, false
	}
	for _, v := range values {
		o, ok := c.operand(v, variables)
		if !ok {
			return c, false
		}
		c.values = append(c.values, o)
	}
	return c, true
}

func (c *condition) operand(text string, variables bool) (o operand, ok bool) {
	o.text = text
	from := -1
	if variables {
		from = 0
	}
	var err error
	switch c.family {
	case stringExact, stringFold:
		o.pattern, err = prepare(text, false, from)
		o.ok = err == nil
	case stringLike, arnLike:
		o.pattern, err = prepare(text, true, from)
		o.ok = err == nil
		if c.family == arnLike && o.pattern.open {
			o.pattern.open, o.pattern.text = false, o.pattern.text+"\xff"
		}
	case boolean:
		if o.pattern, err = prepare(text, false, from); o.pattern.parts == nil {
			o.truth, o.ok = parseBool(o.pattern.text)
		} else {
			o.ok = true
		}
	case null:
		o.truth, o.ok = parseBool(text)
	case numeric:
		o.number, o.ok = parseNumber(text)
	case date:
		o.date, o.ok = parseDate(text)
	case address:
		o.network, o.ok = parseNetwork(text)
	case binary:
		b, failed := base64.StdEncoding.DecodeString(text)
		o.bytes, o.ok = string(b), failed == nil
	}
	return o, err == nil
}

// holds reports whether the request satisfies the condition.
func (c *condition) holds(ctx Context) bool {
	values, present := ctx.Values(c.key)
	present = present && len(values) > 0
	if c.family == null {
		return slices.ContainsFunc(c.values, func(o operand) bool { return o.ok && o.truth != present })
	}
	if !present {
		switch {
		case c.ifExists, c.over == forAll:
			return true
		case c.over == forAny:
			return false
		}
		return c.negated
	}
	if len(values) == 1 {
		return c.one(values[0], ctx)
	}
	// A key with several values and no qualifier is not defined; these are the readings
	// that do not surprise: one must match, or none may.
	all := c.over == forAll || c.over == single && c.negated
	for _, v := range values {
		if c.one(v, ctx) != all {
			return !all
		}
	}
	return all
}

// one applies the condition to one value of the request: a positive operator wants one
// of the policy's values, a negated one none of them.
func (c *condition) one(value string, ctx Context) bool {
	switch c.family {
	case numeric:
		n, ok := parseNumber(value)
		return c.some(ok, func(o *operand) bool { return c.stands(n.compare(o.number)) })
	case date:
		t, ok := parseDate(value)
		return c.some(ok, func(o *operand) bool { return c.stands(t.Compare(o.date)) })
	case address:
		a, ok := parseAddress(value)
		return c.some(ok, func(o *operand) bool { return o.network.Contains(a) })
	case boolean:
		b, ok := parseBool(value)
		return c.some(ok, func(o *operand) bool { return o.is(b, ctx) })
	}
	for i := range c.values {
		if o := &c.values[i]; o.ok && c.text(o, value, ctx) {
			return !c.negated
		}
	}
	return c.negated
}

// some asks for each of the policy's values. readable is false for a value of the request
// that is not of the operator's type: it equals nothing.
func (c *condition) some(readable bool, matches func(*operand) bool) bool {
	for i := 0; readable && i < len(c.values); i++ {
		if o := &c.values[i]; o.ok && matches(o) {
			return !c.negated
		}
	}
	return c.negated
}

func (c *condition) stands(compared int) bool {
	switch c.relation {
	case less:
		return compared < 0
	case lessOrEqual:
		return compared <= 0
	case greater:
		return compared > 0
	case greaterOrEqual:
		return compared >= 0
	}
	return compared == 0
}

// is compares a truth value.
func (o *operand) is(b bool, ctx Context) bool {
	if o.pattern.parts == nil {
		return o.truth == b
	}
	text, ok := o.pattern.expand(ctx)
	truth, readable := parseBool(text)
	return ok && readable && truth == b
}

// text compares strings, bytes and ARNs.
func (c *condition) text(o *operand, value string, ctx Context) bool {
	switch c.family {
	case stringFold:
		text, ok := o.pattern.expand(ctx)
		return ok && strings.EqualFold(text, value)
	case arnLike:
		text, ok := o.pattern.expand(ctx)
		return ok && globARN(text, value)
	case binary:
		return o.bytes == value
	}
	return o.pattern.matches(value, ctx)
}

// keys calls add for the condition's key and those that its values' variables name.
func (c *condition) keys(add func(key string)) {
	add(c.key)
	for i := range c.values {
		c.values[i].pattern.keys(add)
	}
}

func (p *pattern) keys(add func(key string)) {
	for i := range p.parts {
		if p.parts[i].key != "" {
			add(p.parts[i].key)
		}
	}
}
