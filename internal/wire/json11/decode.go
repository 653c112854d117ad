// SPDX-License-Identifier: Apache-2.0

package json11

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
)

// Malformed: the body is not the JSON document that the operation takes.
const Malformed fault.Kind = "json11: malformed document"

// maxDepth bounds how deep a document nests. No operation takes more than five.
const maxDepth = 16

func malformed(format string, args ...any) error { return fault.New(Malformed, format, args...) }

// Decode reads a JSON object into the exported fields of a request, which is a
// pointer to a struct: field KeyId is member "KeyId", and only that; one with a tag
// wire:"keyId" is member "keyId". The fields of an embedded struct are members, too.
// Members that the request has no field for are ignored; null and absent are the same.
// No input at all is an empty object. The body is cleared as far as it was taken.
// Fault: Malformed.
func Decode(body []byte, request any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if err := checkText(body); err != nil {
		return err
	}
	return decodeObject(body, reflect.ValueOf(request).Elem(), "the document")
}

// checkText refuses what the JSON decoder would take but repair or go deep for:
// text that is no Unicode would become another text, and two encryption contexts
// one.
func checkText(body []byte) error {
	if !utf8.Valid(body) {
		return malformed("The document is not valid UTF-8.")
	}
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			n, ok := escape(body[i:])
			if !ok {
				return malformed("The document has an escape that is no character.")
			}
			i += n - 1
		case c == '"':
			inString = !inString
		case !inString && (c == '{' || c == '['):
			if depth++; depth > maxDepth {
				return malformed("The document nests too deep.")
			}
		case !inString && (c == '}' || c == ']'):
			depth--
		}
	}
	return nil
}

// escape returns the length of the escape that b begins with. ok is false for half
// of a surrogate pair. What else may be wrong with it, the decoder tells.
func escape(b []byte) (n int, ok bool) {
	unit, isUnit := codeUnit(b)
	switch {
	case !isUnit:
		return 2, true
	case unit < 0xD800 || unit > 0xDFFF:
		return 6, true
	case unit > 0xDBFF:
		return 0, false
	}
	low, isUnit := codeUnit(b[6:])
	return 12, isUnit && low >= 0xDC00 && low <= 0xDFFF
}

// codeUnit reads an escape of the form \uXXXX.
func codeUnit(b []byte) (uint64, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return unit, err == nil
}

func decodeObject(text []byte, into reflect.Value, what string) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return malformed("%s is not a JSON object.", upperFirst(what))
	}
	return decodeMembers(members, into)
}

func decodeMembers(members map[string]json.RawMessage, into reflect.Value) error {
	t := into.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.IsExported() {
			if err := decodeMembers(members, into.Field(i)); err != nil {
				return err
			}
			continue
		}
		text, ok := members[memberName(f)]
		if !ok || !f.IsExported() || isNull(text) {
			continue
		}
		if err := decodeValue(text, into.Field(i), memberName(f)); err != nil {
			return err
		}
		clear(text) // it may be a plaintext
	}
	return nil
}

// memberName is what a field is called in documents.
func memberName(f reflect.StructField) string {
	if name := f.Tag.Get("wire"); name != "" {
		return name
	}
	return f.Name
}

func isNull(text []byte) bool { return string(text) == "null" }

// Types whose form in JSON does not follow from their kind.
var (
	bytesType  = reflect.TypeFor[[]byte]()
	secretType = reflect.TypeFor[secret.Bytes]()
)

// decodeValue reads the value of the member named what.
func decodeValue(text []byte, into reflect.Value, what string) error {
	switch into.Type() {
	case bytesType:
		b, err := decodeBlob(text, what)
		into.SetBytes(b)
		return err
	case secretType:
		b, err := decodeBlob(text, what)
		into.Set(reflect.ValueOf(secret.New(b)))
		return err
	case timeType:
		at, err := decodeTime(text, what)
		into.Set(reflect.ValueOf(at))
		return err
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		return decodeValue(text, into.Elem(), what)
	case reflect.Struct:
		return decodeObject(text, into, what)
	case reflect.Slice:
		return decodeList(text, into, what)
	case reflect.Map:
		return decodeMap(text, into, what)
	case reflect.Int:
		n, err := strconv.Atoi(string(text))
		if err != nil {
			return malformed("%s is not an integer.", what)
		}
		into.SetInt(int64(n))
		return nil
	case reflect.String:
		if err := json.Unmarshal(text, into.Addr().Interface()); err != nil {
			return malformed("%s is not a string.", what)
		}
		return nil
	case reflect.Bool:
		if err := json.Unmarshal(text, into.Addr().Interface()); err != nil {
			return malformed("%s is neither true nor false.", what)
		}
		return nil
	}
	panic("json11: no request has a member of type " + into.Type().String())
}

func decodeList(text []byte, into reflect.Value, what string) error {
	var elements []json.RawMessage
	if err := json.Unmarshal(text, &elements); err != nil {
		return malformed("%s is not a list.", what)
	}
	into.Set(reflect.MakeSlice(into.Type(), len(elements), len(elements)))
	for i, e := range elements {
		if isNull(e) {
			return malformed("%s has an element that is null.", what)
		}
		if err := decodeValue(e, into.Index(i), what); err != nil {
			return err
		}
	}
	return nil
}

// decodeMap reads a map of strings: numbers must be quoted.
func decodeMap(text []byte, into reflect.Value, what string) error {
	var pairs map[string]*string
	if err := json.Unmarshal(text, &pairs); err != nil {
		return malformed("%s is not a map of strings.", what)
	}
	into.Set(reflect.MakeMapWithSize(into.Type(), len(pairs)))
	for k, v := range pairs {
		if v == nil {
			return malformed("%s has a value that is null.", what)
		}
		into.SetMapIndex(reflect.ValueOf(k), reflect.ValueOf(*v))
	}
	return nil
}

// decodeBlob reads base64 into memory of its own; the result is never nil unless
// there is an error. Key material passes through no other memory than the text,
// which the caller clears, unless a client escapes characters that need none.
func decodeBlob(text []byte, what string) ([]byte, error) {
	if len(text) < 2 || text[0] != '"' {
		return nil, malformed("%s is not a string.", what)
	}
	digits := text[1 : len(text)-1]
	if bytes.IndexByte(digits, '\\') >= 0 {
		var s string
		if err := json.Unmarshal(text, &s); err != nil {
			return nil, malformed("%s is not a string.", what)
		}
		digits = []byte(s)
	}
	blob := make([]byte, base64.StdEncoding.DecodedLen(len(digits)))
	n, err := base64.StdEncoding.Decode(blob, digits)
	if err != nil {
		clear(blob)
		return nil, malformed("%s is not base64.", what)
	}
	return blob[:n], nil
}

// decodeTime reads seconds since 1970, with a fraction of which milliseconds count.
func decodeTime(text []byte, what string) (time.Time, error) {
	const first, last = -62135596800, 1 << 37 // years 1 and 6325: what is written must have four digits
	seconds, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(seconds >= first && seconds <= last) {
		return time.Time{}, malformed("%s is not a timestamp.", what)
	}
	return time.UnixMilli(int64(math.Round(seconds * 1000))).UTC(), nil
}

func upperFirst(s string) string { return string(s[0]&^0x20) + s[1:] }
