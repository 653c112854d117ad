// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) accelerateOps() []pipeline.Op {
	return []pipeline.Op{
		pipeline.Define("PutBucketAccelerateConfiguration", 0, bucketRoute("PUT", "accelerate"), decodePutAccelerate, a.Buckets.PutAccelerate, ok),
		pipeline.Define("GetBucketAccelerateConfiguration", pipeline.Read, bucketRoute("GET", "accelerate"), decodeGetAccelerate, a.Buckets.Acceleration, encodeAccelerate),
	}
}

type accelerateXML struct {
	Status  []string
	Unknown []unknownXML `xml:",any"`
}

func decodePutAccelerate(c *pipeline.Call) (in bucket.PutAccelerate, err error) {
	in.Ref = bucketRef(c)
	var doc accelerateXML
	if err := decodeXML(c, "AccelerateConfiguration", &doc); err != nil {
		return in, err
	}
	if len(doc.Unknown) > 0 || len(doc.Status) != 1 {
		return in, malformedXML(errors.New("not one status"))
	}
	in.Status = strings.TrimSpace(doc.Status[0])
	auditDocument(c, "AccelerateConfiguration", map[string]any{"Status": in.Status})
	return in, nil
}

func decodeGetAccelerate(c *pipeline.Call) (bucket.GetAccelerate, error) {
	return bucket.GetAccelerate{Ref: bucketRef(c)}, nil
}

// encodeAccelerate writes the state; a bucket that was never accelerated has none.
func encodeAccelerate(_ *pipeline.Call, status string) (*pipeline.Response, error) {
	var x markup
	x.root("AccelerateConfiguration")
	if status != "" {
		x.raw("Status", status)
	}
	x.close("AccelerateConfiguration")
	return xmlResponse(http.StatusOK, x.buf), nil
}
