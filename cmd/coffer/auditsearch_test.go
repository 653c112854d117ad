// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/audit/index"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
)

// searched serves an operator's API whose trail is indexed, with records.
func searched(t *testing.T) (data string) {
	api := &opsapi.API{}
	data, trail := operated(t, api)
	var err error
	if api.Index, err = index.Open(trail, server.AuditDir(data), index.Config{}); err != nil {
		t.Fatal(err)
	}
	kms, put, copied, deleted := byBucket, byBucket, byBucket, byBucket
	kms.EventID, kms.EventCategory = "kms-1", audit.Management
	put.EventSource, put.EventName, put.EventID, put.EventCategory = "s3.amazonaws.com", "PutObject", "put-1", audit.Data
	put.UserIdentity.InvokedBy, put.RequestParameters = "", map[string]any{"bucketName": "photos"}
	put.AdditionalEventData = map[string]any{"cofferKmsEventId": "kms-1"}
	put.Resources = []audit.Resource{{Type: "AWS::S3::Object", ARN: "arn:aws:s3:::photos/2026/a"}, {Type: "AWS::S3::Bucket", ARN: "arn:aws:s3:::photos"}}
	copied, deleted = put, put
	copied.EventName, copied.EventID, copied.AdditionalEventData = "GetObject", "get-1", map[string]any{"cofferKmsEventId": "kms-0"}
	deleted.EventName, deleted.EventID, deleted.AdditionalEventData = "DeleteObject", "delete-1", nil
	refusedPut, rotated := refusedPut, rotated
	refusedPut.EventID, refusedPut.EventCategory, rotated.EventID = "refused-1", audit.Data, "rotate-1"
	rotated.EventType = audit.TypeServiceEvent
	keep(t, trail, kms, put, copied, deleted, refusedPut, rotated)
	return data
}

const (
	kmsText    = "2026-03-04T05:12:01Z  Decrypt           arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab  {aws:s3:arn=arn:aws:s3:::photos, tenant=t-17}  generation=0e2c9f4a-6c1b-4c5e-9c0a-3b0a3a1c6d11  by=arn:aws:iam::111122223333:root via fas.s3.amazonaws.com  id=kms-1\n"
	putText    = "2026-03-04T05:12:01Z  PutObject         arn:aws:s3:::photos/2026/a  by=arn:aws:iam::111122223333:root  id=put-1  kms=kms-1\n"
	getText    = "2026-03-04T05:12:01Z  GetObject         arn:aws:s3:::photos/2026/a  by=arn:aws:iam::111122223333:root  id=get-1  kms=kms-0\n"
	deleteText = "2026-03-04T05:12:01Z  DeleteObject      arn:aws:s3:::photos/2026/a  by=arn:aws:iam::111122223333:root  id=delete-1\n"
	rotateText = "2026-03-04T05:12:01Z  RotateKey         -  by=AWS Internal  id=rotate-1\n"
)

// A search shows the same of a server and of its files.
func TestAuditSearch(t *testing.T) {
	data := searched(t)
	for _, test := range []struct{ args, stdout, stderr string }{
		{"search --object s3://photos/2026/a", deleteText + getText + putText, ""},
		{"search --object arn:aws:s3:::photos/2026/a --oldest-first", putText + getText + deleteText, ""},
		{"search --object s3://photos/2026/a --limit 2", deleteText + getText, "more than 2"},
		{"search --bucket photos --prefix 2026/ --event-name GetObject", getText, ""},
		{"search --bucket photos --prefix 2025/", "", ""},
		{"search --bucket photos --not event-name=GetObject --not error=AccessDenied", deleteText + putText + kmsText, ""},
		{"search --key 1234abcd-12ab-34cd-56ef-1234567890ab", kmsText, ""},
		{"search --event-name RotateKey --since 2026-03-04T05:12:01Z --until 2026-03-04T05:12:02Z", rotateText, ""},
		{"search --event-name RotateKey --until 2026-03-04T05:12:01Z", "", ""},
		{"objects --kms-event kms-1", kmsText + "  " + putText + "1 access\n", ""},
		{"objects --kms-event rotate-1", rotateText + "0 accesses: this is an event of KMS's own upkeep: it covers no objects\n", ""},
		{"kms --object s3://photos/2026/a", kmsText + "  " + putText + "KMS event kms-0: not in the trail any more\n  " + getText +
			"covered by no KMS event: refused, without the object's data, or not under a KMS key\n  " + deleteText, ""},
		{"kms --object s3://photos/none", "", "no access to this object"},
	} {
		for _, where := range []string{"", " --data " + data} {
			exit, stdout, stderr := command(t, strings.Fields("audit "+test.args+where)...)
			if exit != 0 || stdout != test.stdout || (stderr == "") != (test.stderr == "") || !strings.Contains(stderr, test.stderr) {
				t.Errorf("audit %s%s: %d\n%s%s\nwant\n%s", test.args, where, exit, stdout, stderr, test.stdout)
			}
		}
	}
	for _, where := range []string{"", " --data " + data} {
		exit, stdout, stderr := command(t, strings.Fields("audit kms --json --object s3://photos/2026/a"+where)...)
		if lines := strings.Split(stdout, "\n"); exit != 0 || len(lines) != 4 || !strings.HasPrefix(lines[1], `{"kmsEventId":"kms-0","kmsEvent":null,"accesses":[{`) {
			t.Errorf("as JSON: %d\n%s%s", exit, stdout, stderr)
		}
	}
}

// What cannot be read of the trail is told of, and the rest is found.
func TestAuditSearchPassesOver(t *testing.T) {
	data := searched(t)
	file := "audit-20260101T000000.000000000Z.jsonl"
	if err := os.MkdirAll(filepath.Join(server.AuditDir(data), file, "no file"), 0o700); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"audit search --event-name RotateKey":   rotateText,
		"audit objects --kms-event kms-1":       kmsText + "  " + putText + "1 access\n",
		"audit kms --object s3://photos/2026/b": "",
	} {
		for _, where := range []string{"", " --data " + data} {
			exit, stdout, stderr := command(t, strings.Fields(args+where)...)
			if exit != 0 || stdout != want || !strings.Contains(stderr, file+" cannot be read at byte 0") {
				t.Errorf("%s%s: %d\n%s%s", args, where, exit, stdout, stderr)
			}
		}
	}
	// One that is removed between two looks at it is as if it had been before.
	if err := os.Symlink("gone", filepath.Join(server.AuditDir(data), "audit-20260102T000000.000000000Z.jsonl")); err != nil {
		t.Fatal(err)
	}
	exit, stdout, stderr := command(t, "bucketkey", "report", "--since", "2026-01-01T00:00:00Z", "--data", data)
	if exit != 0 || !strings.Contains(stdout, "1 file of the trail cannot be read") || stderr != "" {
		t.Errorf("a report: %d\n%s%s", exit, stdout, stderr)
	}
}

func TestAuditSearchMistakes(t *testing.T) {
	data := searched(t)
	if _, _, stderr := command(t, "audit", "objects", "--data", data, "--kms-event", "none"); stderr != "coffer: The trail has no event of KMS with the id none\n" {
		t.Errorf("in files: %s", stderr)
	}
	for args, want := range map[string]string{
		"search --prefix a":                "--bucket",
		"search --event-name=":             "--event-name needs a value",
		"search --not error":               "--not error is not like",
		"search --not colour=red":          "--not colour=red is not like",
		"search --limit -1":                "--limit",
		"search --since never":             "--since never",
		"search --until never":             "--until never",
		"search --since 1h --until 2h":     "nothing was then",
		"search --data /none":              "no data directory",
		"search --object photos/a":         "--object is an object",
		"search --not object=s3://photos":  "--object is an object",
		"objects":                          "--kms-event",
		"objects --kms-event put-1":        "no event of KMS with the id put-1",
		"objects --kms-event x --data .":   "no data directory",
		"kms":                              "--object",
		"kms --object photos/a":            "--object",
		"kms --object s3://photos":         "--object",
		"kms --object s3://photos/":        "--object",
		"kms --object s3://b/k --since -1": "--since",
	} {
		exit, stdout, stderr := command(t, append([]string{"audit"}, strings.Fields(args)...)...)
		if exit == 0 || stdout != "" || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("audit %s: %d\n%s%s", args, exit, stdout, stderr)
		}
	}
}

// full is a device that has no room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no room") }

// What cannot be printed is told in one line, and is no answer.
func TestAuditToAFullDevice(t *testing.T) {
	data := searched(t)
	for _, args := range []string{"search", "objects --kms-event kms-1", "kms --object s3://photos/2026/a", "kms --json --object s3://photos/2026/a", "tail", "tail --json"} {
		var stderr bytes.Buffer
		exit := run(t.Context(), strings.Fields("audit "+args+" --data "+data), full{}, &stderr)
		if exit != 1 || stderr.String() != "coffer: no room\n" {
			t.Errorf("%s: %d\n%s", args, exit, stderr.String())
		}
	}
}
