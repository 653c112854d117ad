// SPDX-License-Identifier: Apache-2.0

package trailapi

import (
	"github.com/cofferstore/coffer/internal/core/trails"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// unsupportedOps are the operations of the API that Coffer does not offer. Their callers
// are authenticated and their calls recorded, as others.
func unsupportedOps() []pipeline.Op {
	var ops []pipeline.Op
	for _, group := range []struct {
		what        string
		reads, rest []string
	}{
		{
			what:  "Insights",
			reads: []string{"GetInsightSelectors", "ListInsightsData", "ListInsightsMetricData"},
			rest:  []string{"PutInsightSelectors"},
		}, {
			what:  "Event data stores",
			reads: []string{"GetEventConfiguration", "GetEventDataStore", "ListEventDataStores"},
			rest: []string{
				"CreateEventDataStore", "DeleteEventDataStore", "DisableFederation", "EnableFederation", "PutEventConfiguration",
				"RestoreEventDataStore", "StartEventDataStoreIngestion", "StopEventDataStoreIngestion", "UpdateEventDataStore",
			},
		}, {
			what:  "Queries of event data stores",
			reads: []string{"DescribeQuery", "GenerateQuery", "GetQueryResults", "ListQueries", "SearchSampleQueries"},
			rest:  []string{"CancelQuery", "StartQuery"},
		}, {
			what:  "Imports to event data stores",
			reads: []string{"GetImport", "ListImportFailures", "ListImports"},
			rest:  []string{"StartImport", "StopImport"},
		}, {
			what:  "Dashboards",
			reads: []string{"GetDashboard", "ListDashboards"},
			rest:  []string{"CreateDashboard", "DeleteDashboard", "StartDashboardRefresh", "UpdateDashboard"},
		}, {
			what:  "Channels",
			reads: []string{"GetChannel", "ListChannels"},
			rest:  []string{"CreateChannel", "DeleteChannel", "UpdateChannel"},
		}, {
			what:  "Resource policies",
			reads: []string{"GetResourcePolicy"},
			rest:  []string{"DeleteResourcePolicy", "PutResourcePolicy"},
		}, {
			what: "Organizations",
			rest: []string{"DeregisterOrganizationDelegatedAdmin", "RegisterOrganizationDelegatedAdmin"},
		},
	} {
		err := fault.New(trails.Unsupported, "%s: not supported by Coffer.", group.what)
		for _, name := range group.reads {
			op := pipeline.Unsupported(name, target.Route(name), err)
			op.Traits = pipeline.Read
			ops = append(ops, op)
		}
		for _, name := range group.rest {
			ops = append(ops, pipeline.Unsupported(name, target.Route(name), err))
		}
	}
	return ops
}
