// SPDX-License-Identifier: Apache-2.0

package iamapi

import (
	"cmp"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
)

// A request is a struct whose fields are the API's members: field UserName is
// parameter UserName, a slice is UserName.member.1 and so on, a struct's members
// follow behind a dot. Fields are string, int, bool, pointers to them where absent and
// zero differ, structs, and slices of strings or structs; an embedded struct's fields
// are the request's own. What the tag "api" says, in any order, between spaces:
//
//	required     must be there
//	1-64         a string's length in characters, a number's value, a list's length;
//	             1- has no upper end
//	each:1-64    the length of a list's elements
//	name, arn …  the name of a pattern, see patterns
//	A|B|C        one of these values
//	secret       is in no audit record
//	encoded      of results: a document, percent-encoded
//
// Parameters that the request has no field for are ignored, as on AWS.

const (
	maxDepth    = 8    // of names between dots; no member needs more than six
	maxElements = 1000 // of a list, if its tag does not say less
	maxFaults   = 10   // as many mistakes are told at once
)

// node is the parameters that begin with one name.
type node struct {
	value  string
	isSet  bool // there is a parameter of just this name
	within map[string]*node
}

// decode reads parameters into a request, which is a pointer to a struct. Faults:
// iam.ValidationError, Malformed.
func decode(parameters url.Values, request any) error {
	root := &node{}
	for name, values := range parameters {
		if err := root.add(name, values[0]); err != nil {
			return err
		}
	}
	var d decoder
	d.fields(root, reflect.ValueOf(request).Elem(), "")
	return d.fault()
}

func (n *node) add(name, value string) error {
	if !utf8.ValidString(name) || !utf8.ValidString(value) {
		return fault.New(Malformed, "The parameters are not valid UTF-8.")
	}
	if strings.Count(name, ".") >= maxDepth {
		return fault.New(Malformed, "A parameter's name has too many parts.")
	}
	for part := range strings.SplitSeq(name, ".") {
		next := n.within[part]
		if next == nil {
			if n.within == nil {
				n.within = map[string]*node{}
			}
			next = &node{}
			n.within[part] = next
		}
		n = next
	}
	n.value, n.isSet = value, true
	return nil
}

// decoder notes what is wrong, in AWS's words.
type decoder struct{ wrong []string }

func (d *decoder) fault() error {
	switch n := len(d.wrong); n {
	case 0:
		return nil
	case 1:
		return fault.New(iam.ValidationError, "1 validation error detected: %s", d.wrong[0])
	default:
		return fault.New(iam.ValidationError, "%d validation errors detected: %s", n, strings.Join(d.wrong, "; "))
	}
}

// refuse notes that a value does not satisfy what is wanted. A value of "" is not
// shown.
func (d *decoder) refuse(path, value, want string) {
	if value != "" {
		value += " "
	}
	if len(d.wrong) < maxFaults {
		d.wrong = append(d.wrong, "Value "+value+"at '"+path+"' failed to satisfy constraint: Member must "+want)
	}
}

func (d *decoder) fields(n *node, into reflect.Value, path string) {
	t := into.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			d.fields(n, into.Field(i), path)
			continue
		}
		if !f.IsExported() {
			continue
		}
		r, at := readRules(f.Tag.Get("api")), path+lowerFirst(f.Name)
		from := n.within[f.Name]
		if from == nil { // a few members' names begin in lower case
			from = n.within[lowerFirst(f.Name)]
		}
		if from != nil {
			d.value(from, into.Field(i), at, r)
		} else if r.required {
			d.refuse(at, "null", "not be null")
		}
	}
}

func (d *decoder) value(n *node, into reflect.Value, path string, r rules) {
	switch into.Kind() {
	case reflect.Struct:
		d.fields(n, into, path+".")
		return
	case reflect.Slice:
		d.list(n, into, path, r)
		return
	}
	if !n.isSet {
		if r.required {
			d.refuse(path, "null", "not be null")
		}
		return
	}
	if into.Kind() == reflect.Pointer {
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
	}
	switch into.Kind() {
	case reflect.String:
		into.SetString(n.value)
		d.text(n.value, path, r)
	case reflect.Int:
		i, err := strconv.ParseInt(n.value, 10, 32)
		if err != nil {
			d.refuse(path, shown(n.value), "be an integer")
			return
		}
		into.SetInt(i)
		d.within(int(i), shown(n.value), path, r, "value")
	case reflect.Bool:
		if n.value != "true" && n.value != "false" {
			d.refuse(path, shown(n.value), "satisfy enum value set: [true, false]")
		}
		into.SetBool(n.value == "true")
	default:
		panic("iamapi: no request has a member of type " + into.Type().String())
	}
}

// list reads Name.member.N. The numbers order the elements, and need not be without
// gaps. A parameter of just the name is the empty list, as the SDKs write it.
func (d *decoder) list(n *node, into reflect.Value, path string, r rules) {
	type element struct {
		at int
		*node
	}
	var elements []element
	if members := n.within["member"]; members != nil {
		for number, e := range members.within {
			at, err := strconv.Atoi(number)
			if err != nil || at < 0 {
				d.refuse(path, shown(number), "be numbered by positive integers")
				return
			}
			elements = append(elements, element{at, e})
		}
	}
	if len(elements) > maxElements {
		r.most = min(r.most, maxElements)
	}
	before := len(d.wrong)
	if d.within(len(elements), "", path, r, "length"); len(d.wrong) > before {
		return
	}
	slices.SortFunc(elements, func(a, b element) int { return cmp.Compare(a.at, b.at) })
	into.Set(reflect.MakeSlice(into.Type(), len(elements), len(elements)))
	r.least, r.most = 0, unbounded
	if r.each != "" {
		r.least, r.most = readRange(r.each)
	}
	r.required = true
	for i, e := range elements {
		d.value(e.node, into.Index(i), path+"."+strconv.Itoa(i+1)+".member", r)
	}
}
