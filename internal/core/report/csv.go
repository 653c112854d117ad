// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/csv"
	"io"
	"math"
	"strconv"
	"time"
)

// csvHeader names the columns. Those of cost are US dollars.
var csvHeader = []string{
	"start", "interval", "bucket", "kms_key", "requester", "operation",
	"kms_requests", "failed", "for_objects_without_bucket_key", "avoided", "cost_usd", "avoided_cost_usd",
}

// CSV writes the cells of the report, a line each, with a header (RFC 4180). Its columns of
// numbers add up to the totals.
func (r *Report) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write(csvHeader); err != nil {
		return err
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	cost := func(n int64) string {
		return strconv.FormatFloat(math.Round(float64(n)*r.Price/priced*1e10)/1e10, 'f', -1, 64)
	}
	for _, c := range r.Cells {
		err := out.Write([]string{
			c.Start.Format(time.RFC3339), string(r.Interval), c.Bucket, c.Key, c.Requester, c.Operation,
			number(c.Made), number(c.Failed), number(c.Direct), number(c.Avoided), cost(c.Made), cost(c.Avoided),
		})
		if err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
