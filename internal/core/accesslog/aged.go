// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/lifecycle"
	"github.com/cofferstore/coffer/internal/core/object"
)

// transitions are the names of moves to another class.
var transitions = map[string]string{
	"STANDARD_IA": "S3.TRANSITION_SIA.OBJECT", "ONEZONE_IA": "S3.TRANSITION_ZIA.OBJECT", "INTELLIGENT_TIERING": "S3.TRANSITION_INT.OBJECT",
	"GLACIER_IR": "S3.TRANSITION_GIR.OBJECT", "GLACIER": "S3.TRANSITION.OBJECT", "DEEP_ARCHIVE": "S3.TRANSITION_GDA.OBJECT",
}

// Aged is the entry of what a lifecycle rule did (S3 User Guide, "S3 Lifecycle and
// logging"): nobody asked for it, so most of it is empty.
func Aged(done object.Aged, now time.Time) *Entry {
	e := &Entry{
		Time: now, Requester: "AmazonS3", RequestID: aws.NewRequestID(), Operation: "S3.EXPIRE.OBJECT", Key: done.Key,
		VersionID: done.VersionID, Size: done.Size, Total: -1, Turnaround: -1, Part: true,
	}
	switch {
	case done.Kind == lifecycle.Abort:
		e.Operation, e.Size = "S3.DELETE.UPLOAD", -1
	case done.Kind == lifecycle.Transition:
		e.Operation = transitions[done.Class]
	case done.Marker != "":
		e.Operation, e.VersionID, e.Size = "S3.CREATE.DELETEMARKER", done.Marker, -1
	}
	return e
}
