// SPDX-License-Identifier: Apache-2.0

// Package opsapi speaks to those who run a server: health, readiness and metrics
// for machines nearby, and the operator's API behind the command line, with its
// client. Everything is under /-/, where no bucket can be.
//
// The operator's API is signed as service "coffer", answers JSON or JSON lines,
// and is for the account's root. What it can do is given to it as functions; it
// decides nothing.
package opsapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/core/audit/index"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/core/preflight"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// Kinds of fault that this package raises.
const (
	Forbidden        fault.Kind = "opsapi: peer not allowed"
	InvalidParameter fault.Kind = "opsapi: invalid parameter"
	MethodNotAllowed fault.Kind = "opsapi: method not allowed"
	NotFound         fault.Kind = "opsapi: no such page"
	NotReady         fault.Kind = "opsapi: not ready"
	ScrubRunning     fault.Kind = "opsapi: a scrub is running"
)

const (
	prefix    = "/-/"
	apiPrefix = "/-/api/"

	// service is the operator's API's name in signatures and audit events.
	service = "coffer"
)

// API is what operators can see and do. Its fields are set before Families is
// called and not changed after.
type API struct {
	// Domains are the base host names of virtual-host style requests: under a
	// name below one of them the whole path is an object's.
	Domains []string
	// Peers may read health and metrics, besides loopback.
	Peers []netip.Prefix
	// Checks are what readiness depends on.
	Checks  []Check
	Metrics prometheus.Gatherer

	// Version and Config are shown as JSON. They hold no secrets.
	Version, Config any
	// AuditDir is where the audit trail is.
	AuditDir string
	Trail    Trail
	// Index searches it.
	Index *index.Index
	// FlushKeys drops bucket keys from memory and returns how many: those of a
	// bucket, those under a KMS key, or both; "" is any.
	FlushKeys func(ctx context.Context, bucket, keyARN string) (int, error)
	// SetLegacy switches the legacy mode of a bucket (bucket.Buckets).
	SetLegacy func(ctx context.Context, bucket string, on bool) (bucket.Legacy, error)
	// BucketKeys are the bucket keys of buckets.
	BucketKeys BucketKeys
	// Lifecycle carries out lifecycle rules.
	Lifecycle Lifecycle
	// Preflight says what Bucket Keys on a bucket would change, for the requests under
	// a KMS key, or with "" under any.
	Preflight func(ctx context.Context, bucket, keyARN string) (*preflight.Report, error)
	// Scrub reads everything and compares it with what is known of it. report is
	// called now and then, and at the end. It must not be kept.
	Scrub func(ctx context.Context, deep bool, report func(any)) error

	// Accounts are those that the server has.
	Accounts Accounts

	// Stopping is closed when the server is told to stop: it ends what would go on
	// for as long as its client likes. nil is never.
	Stopping <-chan struct{}
	Log      *slog.Logger // nil discards

	scrubbing atomic.Bool
}

// Families returns the operator's API and, after it, health and metrics.
func (a *API) Families() []*pipeline.Family {
	if a.Log == nil {
		a.Log = slog.New(slog.DiscardHandler)
	}
	api := a.family(apiPrefix, []pipeline.Op{
		a.versionOp(), a.configOp(), a.auditOp(), a.searchAuditOp(), a.auditObjectsOp(), a.auditKMSEventsOp(),
		a.auditStatusOp(), a.verifyAuditOp(), a.flushKeysOp(), a.scrubOp(),
		a.bucketKeysOp(), a.preflightOp(), a.reportKeysOp(), a.consolidateOp(), a.switchConsolidationOp(), a.switchLegacyOp(), a.runLifecycleOp(), a.lifecycleStatusOp(),
		a.createAccountOp(), a.renewRootKeyOp(), a.listAccountsOp(), a.deleteAccountOp(), a.setControlsOp(),
	})
	api.Name, api.Source, api.Services, api.Whole, api.Fault = "operator", service, []string{service}, true, renderJSON
	health := a.family(prefix, []pipeline.Op{a.livezOp(), a.readyzOp(), a.metricsOp()})
	health.Name, health.Source, health.Fault = "ops", service, renderText
	return []*pipeline.Family{api, health}
}

// family is what both have in common: fixed paths below a prefix.
func (a *API) family(prefix string, ops []pipeline.Op) *pipeline.Family {
	return &pipeline.Family{
		Match: func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, prefix) && !a.namesBucket(r) },
		Find:  func(c *pipeline.Call) (*pipeline.Op, error) { return find(c, ops) },
		Codes: codes, Ops: ops,
	}
}

// namesBucket reports whether the host name of a request is a bucket's.
func (a *API) namesBucket(r *http.Request) bool {
	host := (&pipeline.Call{Request: r}).Host()
	below := false
	for _, d := range a.Domains {
		domain := strings.ToLower(strings.Trim(d, "."))
		if host == domain {
			return false
		}
		label, ok := strings.CutSuffix(host, "."+domain)
		below = below || ok && label != ""
	}
	return below
}

func find(c *pipeline.Call, ops []pipeline.Op) (*pipeline.Op, error) {
	err := NotFound
	for i := range ops {
		if ops[i].Route.Path != c.Request.URL.Path {
			continue
		}
		method := ops[i].Route.Method
		if method == c.Request.Method || method == http.MethodGet && c.Request.Method == http.MethodHead {
			return &ops[i], nil
		}
		err = MethodNotAllowed
	}
	return nil, err
}

// parameters returns the parameters of the call, of which it may have no others
// than the named ones and each only once, and notes them in its audit record.
func parameters(c *pipeline.Call, names ...string) (map[string]string, error) {
	p := make(map[string]string, len(names))
	noted := make(map[string]any, len(names))
	for name, values := range c.Query {
		switch {
		case strings.HasPrefix(name, "X-Amz-"): // a presigned URL's
			continue
		case !slices.Contains(names, name):
			return nil, fault.New(InvalidParameter, "There is no parameter %q here.", name)
		case len(values) > 1:
			return nil, fault.New(InvalidParameter, "Parameter %q is given more than once.", name)
		}
		p[name], noted[name] = values[0], values[0]
	}
	if len(noted) > 0 {
		c.AuditParameters(noted)
	}
	return p, nil
}

// flag reads a parameter that is 1 or absent.
func flag(p map[string]string, name string) (bool, error) {
	switch value, ok := p[name]; {
	case !ok || value == "0":
		return false, nil
	case value == "1":
		return true, nil
	}
	return false, fault.New(InvalidParameter, "Parameter %q is either 1 or 0.", name)
}

// needs is the permission that an operation of the operator's API takes.
func needs(action string) []policy.Need {
	return []policy.Need{{Action: "coffer:" + action, Resource: "*"}}
}
