// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) restoreOps() []pipeline.Op {
	return []pipeline.Op{
		pipeline.Define("RestoreObject", pipeline.Data, objectRoute("POST", "restore"), decodeRestore, a.Objects.Restore, encodeRestore),
	}
}

func decodeRestore(c *pipeline.Call) (in object.Restore, err error) {
	if in.VersionRef, err = versionRef(c); err != nil {
		return in, err
	}
	b, err := document(c)
	if err != nil {
		return in, err
	}
	var n *node
	if in.Days, in.Tier, n, err = parseRestore(b); err != nil {
		return in, err
	}
	auditDocument(c, "RestoreRequest", n.recorded())
	return in, nil
}

// parseRestore reads a RestoreRequest. Faults: MalformedXML; MethodNotAllowed for one that is
// to select from the object.
func parseRestore(b []byte) (days int, tier string, n *node, err error) {
	if n, err = parseTree(b, "RestoreRequest"); err != nil {
		return 0, "", nil, err
	}
	var s schema
	s.only(n, "Days", "GlacierJobParameters", "Type", "Tier", "Description", "SelectParameters", "OutputLocation")
	if t := s.optional(n, "Type"); t != nil {
		if *t != "SELECT" {
			s.fail("unknown type of restore")
		} else if s.err == nil {
			return 0, "", nil, fault.New(MethodNotAllowed, "").With("ResourceType", "SELECT")
		}
	}
	s.optional(n, "Description")
	if s.maybe(n, "SelectParameters") != nil || s.maybe(n, "OutputLocation") != nil {
		s.fail("parameters of a selection")
	}
	days = s.number(n, "Days")
	if t := s.optional(n, "Tier"); t != nil {
		tier = strings.TrimSpace(*t)
	}
	if g := s.maybe(n, "GlacierJobParameters"); g != nil {
		s.only(g, "Tier")
		if tier = s.word(g, "Tier"); tier == "" {
			s.fail("an empty tier")
		}
	}
	switch tier {
	case "", "Standard", "Bulk", "Expedited":
	default:
		s.fail("unknown tier")
	}
	return days, tier, n, s.err
}

func encodeRestore(_ *pipeline.Call, out object.Restoring) (*pipeline.Response, error) {
	status := http.StatusAccepted
	if out.Already {
		status = http.StatusOK
	}
	h := http.Header{}
	setHeader(h, "x-amz-version-id", out.VersionID)
	return &pipeline.Response{Status: status, Header: h}, nil
}

// setRestored tells how long an archived object can be read.
func setRestored(h http.Header, until time.Time) {
	if !until.IsZero() {
		setHeader(h, "x-amz-restore", `ongoing-request="false", expiry-date="`+until.Format(http.TimeFormat)+`"`)
	}
}

// wantsRestores reports whether entries of a listing are to tell of restores.
func wantsRestores(c *pipeline.Call) bool {
	for name := range strings.SplitSeq(value(c, "x-amz-optional-object-attributes"), ",") {
		if strings.TrimSpace(name) == "RestoreStatus" {
			return true
		}
	}
	return false
}

// restored tells of an entry's restore.
func (m *markup) restored(until time.Time) {
	if until.IsZero() {
		return
	}
	m.open("RestoreStatus")
	m.flag("IsRestoreInProgress", false)
	m.time("RestoreExpiryDate", until)
	m.close("RestoreStatus")
}
