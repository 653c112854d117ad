// SPDX-License-Identifier: Apache-2.0

package coffertest

import (
	"slices"
	"sync"

	"github.com/cofferstore/coffer/internal/server"
)

// operations are what the servers of this process offered and what was called on
// them with success, by the servers' own count: a test binary asks at its end what
// its tests left out.
var operations struct {
	sync.Mutex
	offered, called map[string]bool // "service operation"
}

// Uncalled returns the operations that servers offered, and that no test called
// with success on one that has stopped, as "service operation".
func Uncalled() []string {
	operations.Lock()
	defer operations.Unlock()
	var names []string
	for name := range operations.offered {
		if !operations.called[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// note adds what a server counted.
func note(s *server.Server) error {
	families, err := s.Metrics().Gather()
	if err != nil {
		return err
	}
	operations.Lock()
	defer operations.Unlock()
	if operations.offered == nil {
		operations.offered, operations.called = map[string]bool{}, map[string]bool{}
	}
	for _, f := range s.Handler().Families() {
		for _, op := range f.Ops {
			if !op.Refused {
				operations.offered[f.Name+" "+op.Name] = true
			}
		}
	}
	for _, f := range families {
		if f.GetName() != "coffer_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			label := map[string]string{}
			for _, pair := range m.GetLabel() {
				label[pair.GetName()] = pair.GetValue()
			}
			if label["code"] == "" {
				operations.called[label["service"]+" "+label["operation"]] = true
			}
		}
	}
	return nil
}
