// SPDX-License-Identifier: Apache-2.0

// Package json11 is what the protocols have in common that are AWS's JSON 1.1: documents
// over POST, the operation in X-Amz-Target. It reads documents into the typed requests of
// core and writes their results; the fields of those types are the members, so one codec
// serves all operations.
package json11

import (
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// UnknownOperation: the request names no operation of the API.
const UnknownOperation fault.Kind = "json11: unknown operation"

const contentType = "application/x-amz-json-1.1"

// Target is the names of an API in X-Amz-Target, each with its dot: the first is the one
// that is documented.
type Target []string

// Match reports whether a request is for the API.
func (t Target) Match(r *http.Request) bool {
	_, ok := t.operation(r)
	return ok
}

func (t Target) operation(r *http.Request) (name string, ok bool) {
	target := r.Header.Get("X-Amz-Target")
	for _, prefix := range t {
		if name, ok := strings.CutPrefix(target, prefix); ok {
			return name, true
		}
	}
	return "", false
}

// Find returns a family's Find: it returns the operation that X-Amz-Target names, and
// gives the call an id as these APIs have them, which the client, the audit record and the
// log share. Fault: UnknownOperation.
func (t Target) Find(ops []pipeline.Op) func(*pipeline.Call) (*pipeline.Op, error) {
	byName := make(map[string]*pipeline.Op, len(ops))
	for i := range ops {
		byName[ops[i].Name] = &ops[i]
	}
	return func(c *pipeline.Call) (*pipeline.Op, error) {
		c.ID = uuid.NewString()
		name, _ := t.operation(c.Request)
		op, ok := byName[name]
		if !ok || c.Request.Method != http.MethodPost || c.Request.URL.Path != "/" {
			return nil, UnknownOperation
		}
		return op, nil
	}
}

// Route is where an operation is reached, for the table.
func (t Target) Route(name string) pipeline.Route {
	return pipeline.Route{Method: http.MethodPost, Path: "/", Header: "X-Amz-Target: " + t[0] + name}
}

// Answer is an operation's answer with a document, nil for none.
func Answer(c *pipeline.Call, document []byte) *pipeline.Response {
	return &pipeline.Response{Status: http.StatusOK, Header: head(c), Body: document}
}

// head returns the headers that every answer has.
func head(c *pipeline.Call) http.Header {
	h := make(http.Header, 4)
	h.Set("Content-Type", contentType)
	h.Set("X-Amzn-Requestid", c.ID)
	return h
}

// Fault returns a family's Fault, which writes an error as these APIs do. onTheWire are
// the names that clients know where the road and the audit trail have others. Details have
// no place in it.
func Fault(onTheWire map[string]string) func(*pipeline.Call, pipeline.Code, []fault.Detail) *pipeline.Response {
	return func(c *pipeline.Call, code pipeline.Code, _ []fault.Detail) *pipeline.Response {
		name := code.Code
		if n, ok := onTheWire[name]; ok {
			name = n
		}
		h := head(c)
		h.Set("X-Amzn-Errortype", name)
		body := append([]byte(`{"__type":`), appendString(nil, name)...)
		if code.Message != "" {
			body = append(append(body, `,"message":`...), appendString(nil, code.Message)...)
		}
		return &pipeline.Response{Status: code.Status, Header: h, Body: append(body, '}')}
	}
}
