// SPDX-License-Identifier: Apache-2.0

// Package apidoc writes docs/api-coverage.md from the tables of operations that
// serve requests, so that the document cannot say anything else than they do. Its
// test fails when the two differ; with -update it writes the document.
package apidoc

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// API is one protocol in the document.
type API struct {
	Title string // "Amazon S3"
	Ops   []pipeline.Op
	// Elsewhere are the operations that other endpoints of the real service have: name,
	// request, and why there is nothing to serve here.
	Elsewhere [][3]string
}

const head = `# API coverage

<!-- Generated from the tables in internal/wire. Do not edit; run: go test ./internal/wire/apidoc -update -->

What Coffer serves of each API, and which operations it knows and refuses. How an
operation differs from that of the real service is not listed here.
`

// Render returns the document.
func Render(apis ...API) []byte {
	var b strings.Builder
	b.WriteString(head)
	for _, api := range apis {
		var served, answered, refused []*pipeline.Op
		for i := range api.Ops {
			op := &api.Ops[i]
			switch {
			case op.Answer != "":
				answered = append(answered, op)
			case op.Refused:
				refused = append(refused, op)
			default:
				served = append(served, op)
			}
		}
		fmt.Fprintf(&b, "\n## %s\n\nServed: %d operations.\n\n", api.Title, len(served))
		b.WriteString("| Operation | Request | Access | Audit event |\n|---|---|---|---|\n")
		for _, op := range byName(served) {
			fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", op.Name, request(op.Route), access(op), event(op))
		}
		if len(answered) > 0 {
			fmt.Fprintf(&b, "\nAnswered as the service answers where the thing cannot be had: %d operations.\n\n", len(answered))
			b.WriteString("| Operation | Request | Answer, and why |\n|---|---|---|\n")
			for _, op := range byName(answered) {
				fmt.Fprintf(&b, "| %s | `%s` | %s |\n", op.Name, request(op.Route), op.Answer)
			}
		}
		if len(api.Elsewhere) > 0 {
			fmt.Fprintf(&b, "\nOf other endpoints: %d operations.\n\n", len(api.Elsewhere))
			b.WriteString("| Operation | Request | Why |\n|---|---|---|\n")
			for _, e := range api.Elsewhere {
				fmt.Fprintf(&b, "| %s | `%s` | %s |\n", e[0], e[1], e[2])
			}
		}
		if len(refused) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\nRefused, not yet served: %d operations.\n\n", len(refused))
		b.WriteString("| Operation | Request |\n|---|---|\n")
		for _, op := range byName(refused) {
			fmt.Fprintf(&b, "| %s | `%s` |\n", op.Name, request(op.Route))
		}
	}
	return []byte(b.String())
}

func byName(ops []*pipeline.Op) []*pipeline.Op {
	slices.SortFunc(ops, func(a, b *pipeline.Op) int { return cmp.Compare(a.Name, b.Name) })
	return ops
}

// request writes a route as a request line, with the header that it needs.
func request(r pipeline.Route) string {
	s := r.Method + " " + r.Path
	if len(r.Query) > 0 {
		s += "?" + strings.Join(r.Query, "&")
	}
	if r.Header != "" {
		s += ", " + r.Header
	}
	return s
}

func access(op *pipeline.Op) string {
	if op.Traits.Has(pipeline.Read) {
		return "read"
	}
	return "write"
}

// event says how the operation is recorded: the class, and the name where it is
// another one.
func event(op *pipeline.Op) string {
	class := "management"
	switch {
	case op.Traits.Has(pipeline.Silent):
		return "none"
	case op.Traits.Has(pipeline.Data):
		class = "data"
	}
	if op.EventName != "" && op.EventName != op.Name {
		class += ", as " + op.EventName
	}
	return class
}
