// SPDX-License-Identifier: Apache-2.0

package iamapi

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// A result is a struct whose fields are the API's members, as a request is. Strings,
// numbers and flags are elements; a slice's elements stand in <member>, a struct's
// members within it, a map's pairs in <entry>. Left out are empty strings, zero times,
// nil pointers, nil slices and nil maps; numbers and flags are always there, and so are
// an empty slice that is not nil and a string that is "required": a tag's value.

var (
	timeType   = reflect.TypeFor[time.Time]()
	secretType = reflect.TypeFor[secret.Bytes]()
)

// encode writes an answer.
func (s service) encode(operation, id string, result any) []byte {
	var e encoder
	e.WriteString(`<` + operation + `Response xmlns="` + s.namespace() + `">`)
	if v := reflect.ValueOf(result); v.NumField() > 0 {
		e.open(operation + "Result")
		e.fields(v)
		e.close(operation + "Result")
	}
	e.WriteString("<ResponseMetadata>")
	e.element("RequestId", id)
	e.WriteString("</ResponseMetadata></" + operation + "Response>\n")
	return e.Bytes()
}

// renderFault writes an error. Details have no place in it.
func (s service) renderFault(c *pipeline.Call, code pipeline.Code) *pipeline.Response {
	who := "Sender"
	if code.Status >= http.StatusInternalServerError {
		who = "Receiver"
	}
	if code.Code == "InternalError" { // the road's name
		code.Code = "InternalFailure"
	}
	var e encoder
	e.WriteString(`<ErrorResponse xmlns="` + s.namespace() + `"><Error>`)
	e.element("Type", who)
	e.element("Code", code.Code)
	e.element("Message", code.Message)
	e.WriteString("</Error>")
	e.element("RequestId", c.ID)
	e.WriteString("</ErrorResponse>\n")
	return &pipeline.Response{Status: code.Status, Header: head(c), Body: e.Bytes()}
}

type encoder struct{ bytes.Buffer }

func (e *encoder) open(name string)  { e.WriteString("<" + name + ">") }
func (e *encoder) close(name string) { e.WriteString("</" + name + ">") }

func (e *encoder) element(name, text string) {
	e.open(name)
	e.text(text)
	e.close(name)
}

// text writes quotes as the service does: encoding/xml has numbers for them, of which
// small clients know nothing. A Buffer takes everything.
func (e *encoder) text(text string) {
	if !strings.ContainsAny(text, `"'`) {
		_ = xml.EscapeText(e, []byte(text))
		return
	}
	var numbered bytes.Buffer
	_ = xml.EscapeText(&numbered, []byte(text))
	_, _ = named.WriteString(e, numbered.String())
}

var named = strings.NewReplacer("&#34;", "&quot;", "&#39;", "'")

func (e *encoder) fields(v reflect.Value) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		switch {
		case f.Anonymous:
			e.fields(v.Field(i))
		case f.IsExported() && (!leftOut(v.Field(i)) || f.Type.Kind() == reflect.String && readRules(f.Tag.Get("api")).required):
			e.value(f.Name, v.Field(i), f.Tag.Get("api"))
		}
	}
}

func leftOut(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Int, reflect.Int64, reflect.Bool:
		return false
	case reflect.Struct:
		if v.Type() == secretType {
			return v.Interface().(secret.Bytes).Len() == 0
		}
		return v.Type() == timeType && v.IsZero()
	}
	return v.IsZero()
}

func (e *encoder) value(name string, v reflect.Value, tag string) {
	switch v.Type() {
	case timeType:
		e.element(name, v.Interface().(time.Time).UTC().Format("2006-01-02T15:04:05Z"))
		return
	case secretType:
		e.open(name)
		_ = xml.EscapeText(e, v.Interface().(secret.Bytes).Reveal())
		e.close(name)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		e.value(name, v.Elem(), tag)
	case reflect.String:
		text := v.String()
		if readRules(tag).encoded {
			text = strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
		}
		e.element(name, text)
	case reflect.Int, reflect.Int64:
		e.element(name, strconv.FormatInt(v.Int(), 10))
	case reflect.Bool:
		e.element(name, strconv.FormatBool(v.Bool()))
	case reflect.Struct:
		e.open(name)
		e.fields(v)
		e.close(name)
	case reflect.Slice:
		e.open(name)
		for i := range v.Len() {
			e.value("member", v.Index(i), tag)
		}
		e.close(name)
	case reflect.Map:
		e.entries(name, v)
	default:
		panic("iamapi: no result has a member of type " + v.Type().String())
	}
}

// entries writes a map whose keys are strings, in their order.
func (e *encoder) entries(name string, v reflect.Value) {
	e.open(name)
	for _, key := range sortedKeys(v) {
		e.open("entry")
		e.element("key", key)
		e.value("value", v.MapIndex(reflect.ValueOf(key)), "")
		e.close("entry")
	}
	e.close(name)
}
