// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/lifecycle"
	"github.com/cofferstore/coffer/internal/core/object"
)

// What lifecycle rules do is told of in lines of all fields, by nobody's request.
func TestLinesOfLifecycleRules(t *testing.T) {
	of := &bucket.Logged{Name: "photos", OwnerID: "OWNER"}
	at := time.Date(2026, 1, 19, 0, 7, 0, 0, time.UTC)
	for want, done := range map[string]object.Aged{
		"S3.EXPIRE.OBJECT a%20b - - - - 5 - - - - -":      {Action: lifecycle.Action{Kind: lifecycle.Expire}, Key: "a b", Size: 5},
		"S3.EXPIRE.OBJECT k - - - - 5 - - - - v1":         {Action: lifecycle.Action{Kind: lifecycle.Remove}, Key: "k", VersionID: "v1", Size: 5},
		"S3.CREATE.DELETEMARKER k - - - - - - - - - m1":   {Action: lifecycle.Action{Kind: lifecycle.Expire}, Key: "k", VersionID: "v1", Marker: "m1", Size: 5},
		"S3.TRANSITION_GIR.OBJECT k - - - - 5 - - - - v1": {Action: lifecycle.Action{Kind: lifecycle.Transition, Class: "GLACIER_IR"}, Key: "k", VersionID: "v1", Size: 5},
		"S3.DELETE.UPLOAD k - - - - - - - - - -":          {Action: lifecycle.Action{Kind: lifecycle.Abort}, Key: "k"},
	} {
		e := Aged(done, at)
		line := strings.TrimSuffix(string(e.appendLine(nil, of)), "\n")
		if e.RequestID == "" {
			t.Error("no request id")
		}
		if want := "OWNER photos [19/Jan/2026:00:07:00 +0000] - AmazonS3 " + e.RequestID + " " + want + " - - - - - - - -"; line != want {
			t.Errorf("\n got %s\nwant %s", line, want)
		}
	}
	for _, class := range bucket.TransitionClasses {
		if transitions[class] == "" {
			t.Errorf("no name for transitions to %s", class)
		}
	}
}
