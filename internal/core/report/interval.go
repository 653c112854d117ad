// SPDX-License-Identifier: Apache-2.0

package report

import (
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/fault"
)

// Invalid: what is asked for cannot be reported.
const Invalid fault.Kind = "report: invalid request"

// Interval is how long each point of a series lasts. Days are UTC's.
type Interval string

// The intervals.
const (
	Minute Interval = "minute"
	Hour   Interval = "hour"
	Day    Interval = "day"
)

// maxIntervals bounds a series.
const maxIntervals = 20_000

func (i Interval) length() time.Duration {
	switch i {
	case Minute:
		return time.Minute
	case Hour:
		return time.Hour
	}
	return 24 * time.Hour
}

// Query says what to report.
type Query struct {
	Bucket string    // "": all, and KMS requests that S3 did not make
	Since  time.Time // events of that second or later; zero: all
	Until  time.Time // events before that second; zero: now
	By     Interval  // "": what suits the time
}

// Check reports what is wrong with a query. Fault: Invalid.
func (q Query) Check(now time.Time) error {
	_, err := q.complete(now)
	return err
}

// complete checks a query and fills in what it leaves open.
func (q Query) complete(now time.Time) (Query, error) {
	if q.Bucket != "" && !aws.ValidBucketName(q.Bucket) {
		return q, fault.New(Invalid, "%q is no name of a bucket.", q.Bucket)
	}
	if q.Until.IsZero() {
		q.Until = now.Add(time.Second)
	}
	q.Until = q.Until.UTC().Truncate(time.Second)
	if !q.Since.IsZero() {
		q.Since = q.Since.UTC().Truncate(time.Second)
		if !q.Since.Before(q.Until) {
			return q, fault.New(Invalid, "The time ends before it begins.")
		}
	}
	span := q.Until.Sub(q.Since)
	switch q.By {
	case "":
		q.By = Day
		if !q.Since.IsZero() && span <= 3*time.Hour {
			q.By = Minute
		} else if !q.Since.IsZero() && span <= 8*24*time.Hour {
			q.By = Hour
		}
	case Minute, Hour:
		if q.Since.IsZero() || span/q.By.length() > maxIntervals {
			return q, fault.New(Invalid, "The time has too many intervals of a %s: choose a shorter time, or longer intervals.", q.By)
		}
	case Day:
	default:
		return q, fault.New(Invalid, "The interval is minute, hour or day.")
	}
	return q, nil
}
