// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"
	"strings"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) versioningOps() []pipeline.Op {
	return []pipeline.Op{
		pipeline.Define("PutBucketVersioning", 0, bucketRoute("PUT", "versioning"), decodePutVersioning, a.Buckets.PutVersioning, ok),
		pipeline.Define("GetBucketVersioning", pipeline.Read, bucketRoute("GET", "versioning"), decodeGetVersioning, a.Buckets.Versioning, encodeVersioning),
	}
}

type versioningXML struct{ Status, MfaDelete string }

func decodePutVersioning(c *pipeline.Call) (bucket.PutVersioning, error) {
	in := bucket.PutVersioning{Ref: bucketRef(c)}
	var doc versioningXML
	if err := decodeXML(c, "VersioningConfiguration", &doc); err != nil {
		return in, err
	}
	switch strings.TrimSpace(doc.MfaDelete) {
	case "", "Disabled":
	case "Enabled":
		return in, fault.New(NotImplemented, "MFA Delete is not implemented.")
	default:
		return in, malformedXML(nil)
	}
	in.Status = strings.TrimSpace(doc.Status)
	auditDocument(c, "VersioningConfiguration", map[string]any{"Status": in.Status})
	return in, nil
}

func decodeGetVersioning(c *pipeline.Call) (bucket.GetVersioning, error) {
	return bucket.GetVersioning{Ref: bucketRef(c)}, nil
}

// encodeVersioning writes the state; a bucket that never had versioning has none.
func encodeVersioning(_ *pipeline.Call, status string) (*pipeline.Response, error) {
	var x markup
	x.root("VersioningConfiguration")
	if status != "" {
		x.raw("Status", status)
	}
	x.close("VersioningConfiguration")
	return xmlResponse(http.StatusOK, x.buf), nil
}
