// SPDX-License-Identifier: Apache-2.0

package json11

import (
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// Group is operations that a service has and Coffer has not, by what they are about.
type Group struct {
	What  string
	Reads []string
	Rest  []string
}

// Unsupported returns operations that answer with a fault of that kind, which says what
// is not there.
func (t Target) Unsupported(kind fault.Kind, groups []Group) (ops []pipeline.Op) {
	for _, g := range groups {
		err := fault.New(kind, "%s: not supported by Coffer.", g.What)
		for _, name := range g.Reads {
			op := pipeline.Unsupported(name, t.Route(name), err)
			op.Traits = pipeline.Read
			ops = append(ops, op)
		}
		for _, name := range g.Rest {
			ops = append(ops, pipeline.Unsupported(name, t.Route(name), err))
		}
	}
	return ops
}
