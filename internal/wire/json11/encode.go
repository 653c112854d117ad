// SPDX-License-Identifier: Apache-2.0

package json11

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/cofferstore/coffer/internal/secret"
)

var timeType = reflect.TypeFor[time.Time]()

// Encode writes an answer as a JSON object of its exported fields, which have the names
// that Decode knows, or nothing for an answer that has none. Members that are absent are
// left out: nil, and text that is empty, unless it is of a member named in keep. Key
// material goes into the result and nowhere else: it is allocated in one piece,
// so that no part of it is left behind by growth.
func Encode(answer any, keep ...string) []byte {
	v := reflect.ValueOf(answer)
	if !hasMembers(v.Type()) {
		return nil
	}
	return encoder{keep}.object(make([]byte, 0, 4096+blobLength(v)), v)
}

type encoder struct{ keep []string }

func hasMembers(t reflect.Type) bool {
	for i := range t.NumField() {
		if t.Field(i).IsExported() {
			return true
		}
	}
	return false
}

// blobLength is how long the blobs of an answer are in base64.
func blobLength(v reflect.Value) int {
	total := 0
	for i := range v.NumField() {
		if !v.Type().Field(i).IsExported() {
			continue
		}
		switch b := v.Field(i).Interface().(type) {
		case []byte:
			total += base64.StdEncoding.EncodedLen(len(b))
		case secret.Bytes:
			total += base64.StdEncoding.EncodedLen(b.Len())
		}
	}
	return total
}

func (e encoder) object(dst []byte, v reflect.Value) []byte {
	dst = append(dst, '{')
	first := true
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() || e.absent(f.Name, v.Field(i)) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, '"')
		dst = append(dst, memberName(f)...)
		dst = append(dst, `":`...)
		dst = e.value(dst, v.Field(i))
	}
	return append(dst, '}')
}

// absent reports whether a member has nothing to say. Flags and numbers always
// have; of the strings, those that a user may have set to nothing.
func (e encoder) absent(name string, v reflect.Value) bool {
	if v.Type() == secretType {
		return v.Interface().(secret.Bytes).Len() == 0
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return v.IsNil()
	case reflect.String:
		return v.Len() == 0 && !slices.Contains(e.keep, name)
	}
	return false
}

func (e encoder) value(dst []byte, v reflect.Value) []byte {
	switch v.Type() {
	case bytesType:
		return appendBlob(dst, v.Bytes())
	case secretType:
		return appendBlob(dst, v.Interface().(secret.Bytes).Reveal())
	case timeType:
		// Seconds, with milliseconds as their fraction.
		ms := v.Interface().(time.Time).UnixMilli()
		return strconv.AppendFloat(dst, float64(ms)/1000, 'f', -1, 64)
	}
	switch v.Kind() {
	case reflect.Pointer:
		return e.value(dst, v.Elem())
	case reflect.Struct:
		return e.object(dst, v)
	case reflect.Slice:
		dst = append(dst, '[')
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = e.value(dst, v.Index(i))
		}
		return append(dst, ']')
	case reflect.Map:
		return appendPairs(dst, v)
	case reflect.String:
		return appendString(dst, v.String())
	case reflect.Bool:
		return strconv.AppendBool(dst, v.Bool())
	case reflect.Int:
		return strconv.AppendInt(dst, v.Int(), 10)
	}
	panic("json11: no answer has a member of type " + v.Type().String())
}

// appendPairs writes a map of strings, sorted.
func appendPairs(dst []byte, v reflect.Value) []byte {
	pairs := make(map[string]string, v.Len())
	for k, e := range v.Seq2() {
		pairs[k.String()] = e.String()
	}
	dst = append(dst, '{')
	for i, k := range slices.Sorted(maps.Keys(pairs)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, k), ':')
		dst = appendString(dst, pairs[k])
	}
	return append(dst, '}')
}

func appendBlob(dst, b []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

// appendString writes a string as JSON, with <, > and & as they are.
func appendString(dst []byte, s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // strings always encode
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

// ClearSecrets overwrites the key material in a request or result.
func ClearSecrets(message any) {
	v := reflect.ValueOf(message)
	for i := range v.NumField() {
		if v.Type().Field(i).Type == secretType {
			v.Field(i).Interface().(secret.Bytes).Clear()
		}
	}
}
