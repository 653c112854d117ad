// SPDX-License-Identifier: Apache-2.0

package trailapi

import (
	"github.com/cofferstore/coffer/internal/core/trails"
	"github.com/cofferstore/coffer/internal/wire/json11"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// unsupportedOps are the operations of the API that Coffer does not offer. Their callers
// are authenticated and their calls recorded, as others.
func unsupportedOps() []pipeline.Op {
	return target.Unsupported(trails.Unsupported, []json11.Group{
		{
			What:  "Insights",
			Reads: []string{"GetInsightSelectors", "ListInsightsData", "ListInsightsMetricData"},
			Rest:  []string{"PutInsightSelectors"},
		}, {
			What:  "Event data stores",
			Reads: []string{"GetEventConfiguration", "GetEventDataStore", "ListEventDataStores"},
			Rest: []string{
				"CreateEventDataStore", "DeleteEventDataStore", "DisableFederation", "EnableFederation", "PutEventConfiguration",
				"RestoreEventDataStore", "StartEventDataStoreIngestion", "StopEventDataStoreIngestion", "UpdateEventDataStore",
			},
		}, {
			What:  "Queries of event data stores",
			Reads: []string{"DescribeQuery", "GenerateQuery", "GetQueryResults", "ListQueries", "SearchSampleQueries"},
			Rest:  []string{"CancelQuery", "StartQuery"},
		}, {
			What:  "Imports to event data stores",
			Reads: []string{"GetImport", "ListImportFailures", "ListImports"},
			Rest:  []string{"StartImport", "StopImport"},
		}, {
			What:  "Dashboards",
			Reads: []string{"GetDashboard", "ListDashboards"},
			Rest:  []string{"CreateDashboard", "DeleteDashboard", "StartDashboardRefresh", "UpdateDashboard"},
		}, {
			What:  "Channels",
			Reads: []string{"GetChannel", "ListChannels"},
			Rest:  []string{"CreateChannel", "DeleteChannel", "UpdateChannel"},
		}, {
			What:  "Resource policies",
			Reads: []string{"GetResourcePolicy"},
			Rest:  []string{"DeleteResourcePolicy", "PutResourcePolicy"},
		}, {
			What: "Organizations",
			Rest: []string{"DeregisterOrganizationDelegatedAdmin", "RegisterOrganizationDelegatedAdmin"},
		},
	})
}
