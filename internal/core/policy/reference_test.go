// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"encoding/base64"
	"encoding/json"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// This file is a second evaluator, written straight from the rules: slow, without
// preparation, on plain JSON. It shares no code with the first.

// who asks, in the reference's words.
type refPrincipal struct {
	kind    string // user, session, federated, root, service, anonymous, web
	account string
	arn     string
	role    string // a session's
}

// refQuestion holds texts of documents.
type refQuestion struct {
	by             refPrincipal
	action         string
	resource       string
	owner          string
	context        map[string][]string
	identity       []string
	boundary       string // "" none
	narrowed       bool
	session        []string
	controls       [][]string
	policy         string // "" none
	decides, grant bool
	closed         bool
}

func refDecide(q refQuestion) (allowed, explicit bool) {
	if q.resource == "*" && strings.HasPrefix(strings.ToLower(q.action), "s3:") {
		q.resource = "arn:aws:s3:::*"
	}
	// 1, 2: any deny of any policy.
	own := append(append([]string{}, q.identity...), q.session...)
	if q.boundary != "" {
		own = append(own, q.boundary)
	}
	for _, level := range q.controls {
		own = append(own, level...)
	}
	for _, doc := range own {
		if refApplies(q, doc, "Deny", nil) {
			return false, true
		}
	}
	if q.policy != "" && refApplies(q, q.policy, "Deny", func(st map[string]any) bool { return refDenied(q.by, st) }) {
		return false, true
	}

	allows := func(docs []string) bool {
		for _, doc := range docs {
			if refApplies(q, doc, "Allow", nil) {
				return true
			}
		}
		return false
	}
	// 3: every level of service control policies must allow.
	for _, level := range q.controls {
		if !allows(level) {
			return false, false
		}
	}
	// 5, 6, 7.
	I := allows(q.identity) || q.by.kind == "root"
	B := q.boundary == "" || allows([]string{q.boundary})
	S := !q.narrowed || allows(q.session)

	// 4: what the resource's policy says, by the form in which it names the principal.
	R := func(form string) bool {
		return q.policy != "" && refApplies(q, q.policy, "Allow", func(st map[string]any) bool {
			_, named := st["Principal"]
			return named && refNames(q.by, st["Principal"], form)
		})
	}
	self, role, root, everyone := R("self"), R("role"), R("account"), R("*")
	grant := q.grant
	owner := q.owner
	if owner == "" {
		owner = q.by.account
	}
	same := owner == q.by.account && q.by.kind != "anonymous" && q.by.kind != "web"
	if q.closed && !same && q.by.kind != "service" {
		self, role, root, everyone, grant = false, false, false, false, false
	}

	switch q.by.kind {
	case "anonymous":
		return (everyone || grant) && !q.decides, false
	case "service", "web":
		return self || everyone || grant, false
	}
	if q.decides && grant {
		return true, false
	}
	if !same {
		return I && B && S && (self || role || root || everyone || grant), false
	}
	if self || everyone || grant || role && B && S {
		return true, false
	}
	if q.decides {
		return root && I && B && S, false
	}
	return I && B && S, false
}

// refApplies reports whether a statement of the effect applies.
func refApplies(q refQuestion, doc, effect string, principal func(map[string]any) bool) bool {
	d := refRead[doc]
	if d == nil {
		if err := json.Unmarshal([]byte(doc), &d); err != nil {
			panic(err)
		}
		if len(refRead) > 1000 {
			clear(refRead)
		}
		refRead[doc] = d
	}
	variables := d["Version"] == "2012-10-17"
	for _, v := range refList(d["Statement"]) {
		st := v.(map[string]any)
		if st["Effect"] != effect || principal != nil && !principal(st) {
			continue
		}
		if refAction(q, st) && refResource(q, st, variables) && refConditions(q, st, variables) {
			return true
		}
	}
	return false
}

func refList(v any) []any {
	if l, ok := v.([]any); ok {
		return l
	}
	return []any{v}
}

func refNames(by refPrincipal, principal any, form string) bool {
	if principal == "*" {
		return form == "*" && by.kind != "web"
	}
	for kind, values := range principal.(map[string]any) {
		for _, v := range refList(values) {
			name := v.(string)
			switch {
			case kind == "AWS" && name == "*":
				if form == "*" && by.kind != "web" {
					return true
				}
			case kind == "Service":
				if form == "self" && by.kind == "service" && by.arn == name {
					return true
				}
			case kind == "Federated":
				if form == "self" && by.kind == "web" && by.arn == name {
					return true
				}
			case by.kind == "service" || by.kind == "anonymous" || by.kind == "web":
			case name == by.account || name == "arn:aws:iam::"+by.account+":root":
				if form == "account" && by.kind != "root" || form == "self" && by.kind == "root" {
					return true
				}
			case name == by.arn:
				if form == "self" && by.kind != "root" {
					return true
				}
			case by.kind == "session" && name == by.role:
				if form == "role" {
					return true
				}
			}
		}
	}
	return false
}

// refDenied: a deny concerns whoever is named in any form; NotPrincipal spares only whom it
// names with all that it is.
func refDenied(by refPrincipal, st map[string]any) bool {
	if p, ok := st["Principal"]; ok {
		return refNames(by, p, "self") || refNames(by, p, "role") || refNames(by, p, "account") || refNames(by, p, "*")
	}
	not := st["NotPrincipal"]
	if refNames(by, not, "*") {
		return false
	}
	switch by.kind {
	case "user", "federated":
		return !(refNames(by, not, "self") && refNames(by, not, "account"))
	case "session":
		return !(refNames(by, not, "self") && refNames(by, not, "role") && refNames(by, not, "account"))
	}
	return !refNames(by, not, "self")
}

func refAction(q refQuestion, st map[string]any) bool {
	match := func(v any) bool {
		for _, p := range refList(v) {
			if refLike(strings.ToLower(p.(string)), strings.ToLower(q.action)) {
				return true
			}
		}
		return false
	}
	if v, ok := st["Action"]; ok {
		return match(v)
	}
	if v, ok := st["NotAction"]; ok {
		return !match(v)
	}
	return false
}

func refResource(q refQuestion, st map[string]any, variables bool) bool {
	match := func(v any) (matched, lost bool) {
		for _, p := range refList(v) {
			pattern, ok := p.(string), true
			pattern = strings.Replace(pattern, "arn:*:", "arn:aws:", 1)
			if parts := strings.SplitN(pattern, ":", 6); variables && len(parts) == 6 {
				parts[5], ok = refExpand(parts[5], q.context, true)
				pattern = strings.Join(parts, ":")
			}
			if !ok {
				lost = true
			} else if refLike(pattern, q.resource) {
				return true, lost
			}
		}
		return false, lost
	}
	if v, ok := st["Resource"]; ok {
		matched, _ := match(v)
		return matched
	}
	if v, ok := st["NotResource"]; ok {
		matched, lost := match(v)
		return !matched && !(lost && st["Effect"] == "Allow")
	}
	return false
}

// refQuoted marks a character that is no wildcard.
const refQuoted = "\x00"

func refLike(pattern, s string) bool {
	var re strings.Builder
	re.WriteString(`(?s)^`)
	quoted := false
	for _, c := range pattern {
		switch {
		case quoted:
			re.WriteString(regexp.QuoteMeta(string(c)))
			quoted = false
		case string(c) == refQuoted:
			quoted = true
		case c == '*':
			re.WriteString(`.*`)
		case c == '?':
			re.WriteString(`.`)
		default:
			re.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	text := re.String() + `$`
	compiled, ok := refCompiled[text]
	if !ok {
		if len(refCompiled) > 1000 {
			clear(refCompiled)
		}
		compiled = regexp.MustCompile(text)
		refCompiled[text] = compiled
	}
	return compiled.MatchString(s)
}

// What was read before; only time is saved by it.
var (
	refCompiled = map[string]*regexp.Regexp{}
	refRead     = map[string]map[string]any{}
)

var refVariable = regexp.MustCompile(`\$\{([^}]*)\}`)

// refExpand replaces variables; with quoted, wildcards in what is put in are none.
func refExpand(text string, context map[string][]string, quoted bool) (string, bool) {
	ok := true
	text = refVariable.ReplaceAllStringFunc(text, func(v string) string {
		name := v[2 : len(v)-1]
		value := ""
		switch name {
		case "*", "?", "$":
			value = name
		default:
			key, fallback, has := strings.Cut(name, ", ")
			if values := context[strings.ToLower(key)]; len(values) == 1 {
				value = values[0]
			} else if has {
				value = strings.Trim(fallback, "'")
			} else {
				ok = false
			}
		}
		if quoted {
			value = strings.NewReplacer("*", refQuoted+"*", "?", refQuoted+"?").Replace(value)
		}
		return value
	})
	return text, ok
}

func refConditions(q refQuestion, st map[string]any, variables bool) bool {
	condition, _ := st["Condition"].(map[string]any)
	for operator, keys := range condition {
		for key, values := range keys.(map[string]any) {
			if !refCondition(operator, strings.ToLower(key), refList(values), q.context, variables) {
				return false
			}
		}
	}
	return true
}

func refCondition(operator, key string, policy []any, context map[string][]string, variables bool) bool {
	request := context[key]
	absent := len(request) == 0
	if operator == "Null" {
		for _, p := range policy {
			if refText(p) == strconv.FormatBool(absent) {
				return true
			}
		}
		return false
	}
	operator, forAll := strings.CutPrefix(operator, "ForAllValues:")
	operator, forAny := strings.CutPrefix(operator, "ForAnyValue:")
	operator, ifExists := strings.CutSuffix(operator, "IfExists")
	positive := strings.Replace(operator, "Not", "", 1)
	negated := positive != operator
	if absent {
		return ifExists || forAll || negated && !forAny
	}
	every, some := true, false
	for _, k := range request {
		equal := false
		for _, p := range policy {
			if refBase(positive, k, refText(p), context, variables) {
				equal = true
			}
		}
		if equal != negated {
			some = true
		} else {
			every = false
		}
	}
	if forAll || !forAny && negated {
		return every
	}
	return some
}

// refText is a condition's value as text.
func refText(v any) string {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return v.(string)
}

func refBase(operator, k, p string, context map[string][]string, variables bool) bool {
	like := operator == "StringLike" || operator == "ArnLike" || operator == "ArnEquals"
	if variables && (like || strings.HasPrefix(operator, "String") || operator == "Bool") {
		var ok bool
		if p, ok = refExpand(p, context, like); !ok {
			return false
		}
	}
	order := strings.TrimPrefix(strings.TrimPrefix(operator, "Numeric"), "Date")
	ordered := func(c int) bool {
		return map[string]bool{"Equals": c == 0, "LessThan": c < 0, "LessThanEquals": c <= 0, "GreaterThan": c > 0, "GreaterThanEquals": c >= 0}[order]
	}
	switch {
	case operator == "StringEquals":
		return k == p
	case operator == "StringEqualsIgnoreCase":
		return strings.EqualFold(k, p)
	case operator == "StringLike":
		return refLike(p, k)
	case operator == "ArnLike" || operator == "ArnEquals":
		ks, ps := strings.SplitN(k, ":", 6), strings.SplitN(p, ":", 6)
		if p == "*" {
			return len(ks) == 6
		}
		if len(ks) != 6 || len(ps) != 6 {
			return false
		}
		for i := range ks {
			if !refLike(ps[i], ks[i]) {
				return false
			}
		}
		return true
	case strings.HasPrefix(operator, "Numeric"):
		a, err := strconv.ParseFloat(k, 64)
		b, err2 := strconv.ParseFloat(p, 64)
		if err != nil || err2 != nil {
			return false
		}
		if a < b {
			return ordered(-1)
		}
		if a > b {
			return ordered(1)
		}
		return ordered(0)
	case strings.HasPrefix(operator, "Date"):
		at := func(s string) (time.Time, error) {
			if n, err := strconv.ParseFloat(s, 64); err == nil {
				return time.UnixMilli(int64(n * 1000)), nil
			}
			return time.Parse(time.RFC3339, s)
		}
		a, err := at(k)
		b, err2 := at(p)
		return err == nil && err2 == nil && ordered(a.Compare(b))
	case operator == "Bool":
		return (p == "true" || p == "false") && k == p
	case operator == "BinaryEquals":
		b, err := base64.StdEncoding.DecodeString(p)
		return err == nil && string(b) == k
	case operator == "IpAddress":
		ip := net.ParseIP(k)
		if !strings.Contains(p, "/") {
			return ip != nil && ip.Equal(net.ParseIP(p))
		}
		_, network, err := net.ParseCIDR(p)
		return err == nil && ip != nil && network.Contains(ip)
	}
	panic("no operator " + operator)
}
