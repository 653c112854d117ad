// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// logResources are the resources in the operations of access logs, REST.METHOD.RESOURCE, by
// the sub-resource that a request names; for objects where they differ.
var logResources = map[string]struct{ ofBucket, ofObject string }{
	"":                        {"BUCKET", "OBJECT"},
	"abac":                    {ofBucket: "ABAC"},
	"accelerate":              {ofBucket: "ACCELERATE"},
	"acl":                     {"ACL", "ACL"},
	"analytics":               {ofBucket: "ANALYTICS"},
	"annotation":              {ofObject: "OBJECT_ANNOTATION"},
	"attributes":              {ofObject: "OBJECT_ATTRIBUTES"},
	"cors":                    {ofBucket: "CORS"},
	"delete":                  {ofBucket: "MULTI_OBJECT_DELETE"},
	"encryption":              {"ENCRYPTION", "OBJECT_ENCRYPTION"},
	"intelligent-tiering":     {ofBucket: "INTELLIGENT_TIERING"},
	"inventory":               {ofBucket: "INVENTORY"},
	"legal-hold":              {ofObject: "LEGAL_HOLD"},
	"lifecycle":               {ofBucket: "LIFECYCLE"},
	"location":                {ofBucket: "LOCATION"},
	"logging":                 {ofBucket: "LOGGING_STATUS"},
	"metadataAnnotationTable": {ofBucket: "METADATA_ANNOTATION_TABLE"},
	"metadataConfiguration":   {ofBucket: "METADATA_CONFIGURATION"},
	"metadataInventoryTable":  {ofBucket: "METADATA_INVENTORY_TABLE"},
	"metadataJournalTable":    {ofBucket: "METADATA_JOURNAL_TABLE"},
	"metadataTable":           {ofBucket: "METADATA_TABLE"},
	"metrics":                 {ofBucket: "METRICS"},
	"notification":            {ofBucket: "NOTIFICATION"},
	"object-lock":             {ofBucket: "OBJECT_LOCK_CONFIGURATION"},
	"ownershipControls":       {ofBucket: "OWNERSHIP_CONTROLS"},
	"policy":                  {ofBucket: "BUCKETPOLICY"},
	"policyStatus":            {ofBucket: "POLICY_STATUS"},
	"publicAccessBlock":       {ofBucket: "PUBLIC_ACCESS_BLOCK"},
	"renameObject":            {ofObject: "RENAME"},
	"replication":             {ofBucket: "REPLICATION"},
	"requestPayment":          {ofBucket: "REQUEST_PAYMENT"},
	"restore":                 {ofObject: "RESTORE"},
	"retention":               {ofObject: "RETENTION"},
	"select":                  {ofObject: "SELECT"},
	"session":                 {ofBucket: "SESSION"},
	"tagging":                 {"TAGGING", "OBJECT_TAGGING"},
	"torrent":                 {ofObject: "TORRENT"},
	"uploadId":                {ofObject: "UPLOAD"},
	"uploads":                 {"UPLOADS", "UPLOADS"},
	"versioning":              {ofBucket: "VERSIONING"},
	"versions":                {ofBucket: "BUCKETVERSIONS"},
	"website":                 {ofBucket: "WEBSITE"},
}

// logOperation is how lines name what a call does. It goes by the request alone: calls that
// are refused before their operation is known have a line, too.
func logOperation(c *pipeline.Call) string {
	method := c.Request.Method
	if method == http.MethodOptions {
		return "REST.OPTIONS.PREFLIGHT"
	}
	if n := notes(c); n != nil && n.site {
		return "WEBSITE." + cleanMethod(method) + ".OBJECT"
	}
	sub, err := subresource(c)
	if err != nil {
		sub = ""
	}
	// What a browser's form is sent to is the bucket: its key came later.
	ofObject := c.Key != "" && c.Form == nil
	resources := logResources[sub]
	resource := resources.ofBucket
	if ofObject {
		resource = resources.ofObject
	}
	switch {
	case resource == "": // of the other kind: refused
		resource = resources.ofBucket + resources.ofObject
	case sub == "uploadId" && method == http.MethodPut:
		resource = "PART"
	}
	if copies(c) {
		method = "COPY"
	}
	return "REST." + cleanMethod(method) + "." + resource
}

// copies reports whether a call is CopyObject or UploadPartCopy, or was to be.
func copies(c *pipeline.Call) bool {
	if c.Request.Method != http.MethodPut || c.Key == "" || !c.Has(copySourceHeader) {
		return false
	}
	sub, err := subresource(c)
	return err == nil && (sub == "" || sub == "uploadId")
}

// cleanMethod returns a method that can stand in an operation's name: clients may send any.
func cleanMethod(method string) string {
	if strings.ContainsFunc(method, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		return "UNKNOWN"
	}
	return method
}

// secretEncoded is secretParameter for a name as it stands in a query. One that cannot be
// decoded is no parameter of ours, and may be anything.
func secretEncoded(name string) bool {
	plain, err := url.QueryUnescape(name)
	return err != nil || secretParameter(plain)
}
