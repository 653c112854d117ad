// SPDX-License-Identifier: Apache-2.0

// Package kmsapi speaks the KMS API: JSON 1.1 documents over POST, the operation
// in X-Amz-Target. It reads them into core/kms's typed requests and writes the
// results; the fields of those types are the API's members, so one codec serves
// all operations. It decides nothing.
//
// A file is a feature, named as in core: its operations, and what their answers
// look like where that is not the result itself.
package kmsapi

import (
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// Kinds of fault that this package raises.
const (
	// UnknownOperation: the request names no operation of the API.
	UnknownOperation fault.Kind = "kmsapi: unknown operation"
	// Malformed: the body is not the JSON document that the operation takes.
	Malformed fault.Kind = "kmsapi: malformed document"
	// NeedsSecureTransport: the request came over a connection that anybody may
	// have read.
	NeedsSecureTransport fault.Kind = "kmsapi: needs a secure connection"
)

// targetPrefix is KMS's name in X-Amz-Target.
const targetPrefix = "TrentService."

// API is the KMS family's operations over the key management service.
type API struct{ Keys *kms.Service }

// Family returns the family. It matches requests by their X-Amz-Target.
func (a *API) Family() *pipeline.Family {
	ops := a.ops()
	byName := make(map[string]*pipeline.Op, len(ops))
	for i := range ops {
		byName[ops[i].Name] = &ops[i]
	}
	return &pipeline.Family{
		Name: "kms", Source: "kms.amazonaws.com", Services: []string{"kms"}, Whole: true,
		Match: func(r *http.Request) bool { return strings.HasPrefix(r.Header.Get("X-Amz-Target"), targetPrefix) },
		Find:  func(c *pipeline.Call) (*pipeline.Op, error) { return find(c, byName) },
		Codes: codes, Fault: renderFault, Ops: ops,
	}
}

// ops is the table of everything KMS does here, feature by feature, and of what
// it does not do.
func (a *API) ops() []pipeline.Op {
	var ops []pipeline.Op
	for _, feature := range [][]pipeline.Op{
		a.keyOps(), a.aliasOps(), a.cryptoOps(), a.dataKeyOps(), a.signOps(), a.importOps(), a.rotationOps(), a.keyPolicyOps(), a.grantOps(), a.tagOps(),
		unsupportedOps(),
	} {
		ops = append(ops, feature...)
	}
	return ops
}

// find returns the operation that X-Amz-Target names. It also gives the call an
// id as KMS has them, which the client, the audit record and the log share.
func find(c *pipeline.Call, byName map[string]*pipeline.Op) (*pipeline.Op, error) {
	c.ID = uuid.NewString()
	op, ok := byName[strings.TrimPrefix(c.Header("X-Amz-Target"), targetPrefix)]
	if !ok || c.Request.Method != http.MethodPost || c.Request.URL.Path != "/" {
		return nil, UnknownOperation
	}
	return op, nil
}

// route is where the operation is reached, for the table.
func route(name string) pipeline.Route {
	return pipeline.Route{Method: http.MethodPost, Path: "/", Header: "X-Amz-Target: " + targetPrefix + name}
}
