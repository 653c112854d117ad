// SPDX-License-Identifier: Apache-2.0

package json11

import (
	"reflect"
	"slices"
	"time"
)

// Parameters returns the members of a request or answer as audit records have them, by
// their names in lower camel case, or nil when there are none. Blobs, key material and
// the members named in hide are left out, and so is what the client left out.
func Parameters(message any, hide ...string) map[string]any {
	p := map[string]any{}
	recorder{hide}.members(reflect.ValueOf(message), p)
	if len(p) == 0 {
		return nil
	}
	return p
}

type recorder struct{ hide []string }

func (r recorder) members(v reflect.Value, into map[string]any) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous && f.IsExported() {
			r.members(v.Field(i), into)
			continue
		}
		if !f.IsExported() || f.Type == secretType || f.Type == bytesType || slices.Contains(r.hide, f.Name) || unset(v.Field(i)) {
			continue
		}
		into[lowerFirst(memberName(f))] = r.value(v.Field(i))
	}
}

// unset reports whether a member was left out. A flag that is off says nothing;
// but a pointer is set whatever it points to.
func unset(v reflect.Value) bool {
	if v.Kind() == reflect.Slice || v.Kind() == reflect.Map {
		return v.Len() == 0
	}
	return v.IsZero()
}

func (r recorder) value(v reflect.Value) any {
	if v.Type() == timeType {
		return v.Interface().(time.Time).UTC()
	}
	switch v.Kind() {
	case reflect.Pointer:
		return r.value(v.Elem())
	case reflect.Struct:
		p := map[string]any{}
		r.members(v, p)
		return p
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = r.value(v.Index(i))
		}
		return list
	}
	return v.Interface()
}

func lowerFirst(s string) string { return string(s[0]|0x20) + s[1:] }
