// SPDX-License-Identifier: Apache-2.0

// Package trailapi speaks the CloudTrail API: JSON 1.1 documents over POST, the operation
// in X-Amz-Target. It reads them into core/trails's typed requests and writes the results,
// with the codec of package json11. It decides nothing.
package trailapi

import (
	"context"
	"slices"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/trails"
	"github.com/cofferstore/coffer/internal/wire/json11"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// target is CloudTrail's name in X-Amz-Target. Some of AWS's clients leave out the
// package.
var target = json11.Target{"com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.", "CloudTrail_20131101."}

// API is the CloudTrail family's operations over the trails.
type API struct{ Trails *trails.Service }

// Family returns the family. It matches requests by their X-Amz-Target.
func (a *API) Family() *pipeline.Family {
	ops := a.ops()
	return &pipeline.Family{
		Name: "cloudtrail", Source: trails.ServiceName, Services: []string{"cloudtrail"}, Whole: true,
		Match: target.Match, Find: target.Find(ops),
		Codes: codes, Fault: json11.Fault(onTheWire), Ops: ops,
	}
}

// ops is the table of everything CloudTrail does here, and of what it does not do.
func (a *API) ops() []pipeline.Op {
	return slices.Concat([]pipeline.Op{
		define("CreateTrail", 0, a.Trails.Create),
		define("UpdateTrail", 0, a.Trails.Update),
		define("DeleteTrail", 0, a.Trails.Delete),
		define("DescribeTrails", pipeline.Read, a.Trails.Describe),
		define("GetTrail", pipeline.Read, a.Trails.Get),
		define("ListTrails", pipeline.Read, a.Trails.List),
		define("StartLogging", 0, a.Trails.Start),
		define("StopLogging", 0, a.Trails.Stop),
		define("GetTrailStatus", pipeline.Read, a.Trails.Status),
		define("PutEventSelectors", 0, a.Trails.PutEventSelectors),
		define("GetEventSelectors", pipeline.Read, a.Trails.GetEventSelectors),
		define("LookupEvents", pipeline.Read, a.Trails.LookupEvents),
		define("ListPublicKeys", pipeline.Read, a.Trails.ListPublicKeys),
		define("AddTags", 0, a.Trails.AddTags),
		define("RemoveTags", 0, a.Trails.RemoveTags),
		define("ListTags", pipeline.Read, a.Trails.ListTags),
	}, unsupportedOps())
}

// define makes an operation whose answer is the result of do, member for member.
func define[In, Out any](name string, traits pipeline.Traits, do func(context.Context, iam.Caller, In) (Out, error)) pipeline.Op {
	return pipeline.Define(name, traits, target.Route(name),
		func(c *pipeline.Call) (in In, err error) {
			body, err := c.Document()
			if err != nil {
				return in, err
			}
			if err := json11.Decode(body, &in); err != nil {
				return in, err
			}
			c.AuditParameters(json11.Parameters(in))
			return in, nil
		},
		do,
		func(c *pipeline.Call, out Out) (*pipeline.Response, error) {
			if !c.Op.Traits.Has(pipeline.Read) {
				c.AuditResponse(json11.Parameters(out))
			}
			document := json11.Encode(out)
			if document == nil {
				document = []byte("{}") // as CloudTrail answers, and KMS does not
			}
			return json11.Answer(c, document), nil
		})
}
