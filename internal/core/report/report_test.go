// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
)

const (
	k1    = "arn:aws:kms:us-east-1:111122223333:key/k1"
	alice = "arn:aws:iam::111122223333:user/alice"
	role  = "arn:aws:iam::111122223333:role/Writer"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// world writes a trail.
type world struct {
	t     *testing.T
	now   time.Time
	lines [][]byte
	n     int
}

func (w *world) write(r audit.Record) {
	w.t.Helper()
	r.EventTime, r.EventVersion = w.now, "1.11"
	w.n++
	r.EventID = fmt.Sprintf("event-%d", w.n)
	if r.UserIdentity == (audit.Identity{}) {
		r.UserIdentity = audit.Identity{Type: "IAMUser", ARN: alice, AccountID: "111122223333"}
	}
	line, err := json.Marshal(r)
	if err != nil {
		w.t.Fatal(err)
	}
	w.lines = append(w.lines, line)
}

// kms writes a KMS request that S3 made for request id, in the context of an ARN.
func (w *world) kms(operation, id, arn, generation string, edit ...func(*audit.Record)) {
	r := audit.Record{
		EventSource: "kms.amazonaws.com", EventName: operation, EventType: audit.TypeAPICall,
		RequestParameters:   map[string]any{"encryptionContext": map[string]string{"aws:s3:arn": arn}},
		AdditionalEventData: map[string]any{"cofferParentRequestId": id},
		Resources:           []audit.Resource{{Type: "AWS::KMS::Key", ARN: k1}},
	}
	if generation != "" {
		r.AdditionalEventData["cofferGeneration"] = generation
	}
	for _, e := range edit {
		e(&r)
	}
	w.write(r)
}

func refused(r *audit.Record) { r.ErrorCode, r.RequestParameters = "AccessDenied", nil }

func (w *world) s3(event, id, bucket string, facts map[string]any, edit ...func(*audit.Record)) {
	r := audit.Record{
		EventSource: "s3.amazonaws.com", EventName: event, EventType: audit.TypeAPICall, RequestID: id,
		RequestParameters: map[string]any{"bucketName": bucket, "key": "k"}, AdditionalEventData: facts,
	}
	for _, e := range edit {
		e(&r)
	}
	w.write(r)
}

func under(generation string) map[string]any {
	return map[string]any{"cofferKeyArn": k1, "cofferBucketKey": true, "cofferGeneration": generation}
}

func (w *world) encryption(bucket string, bucketKey bool) {
	w.s3("PutBucketEncryption", "", bucket, nil, func(r *audit.Record) {
		r.RequestParameters["ServerSideEncryptionConfiguration"] = map[string]any{"Rule": map[string]any{"BucketKeyEnabled": bucketKey}}
	})
}

func (w *world) report(q Query) *Report {
	w.t.Helper()
	if q.Until.IsZero() {
		q.Until = noon.Add(24 * time.Hour)
	}
	c, err := NewCollector(q, noon)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, line := range w.lines {
		c.Add(line)
	}
	r := c.Report(DefaultPrice)
	if !r.Reconciles() {
		w.t.Errorf("the report does not reconcile: %+v, total %+v", r.Audit, r.Total)
	}
	return r
}

func (r *Report) text() string {
	var b strings.Builder
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "%s %s %s %s made=%d failed=%d direct=%d avoided=%d\n", row.Operation, row.Bucket, row.Key[strings.LastIndexByte(row.Key, '/')+1:],
			row.Requester[strings.LastIndexByte(row.Requester, '/')+1:], row.Made, row.Failed, row.Direct, row.Avoided)
	}
	return b.String()
}

func newWorld(t *testing.T) *world { return &world{t: t, now: noon} }

const photos = "arn:aws:s3:::photos"

// What each operation costs, and what it avoids under a Bucket Key.
func TestAccesses(t *testing.T) {
	source := map[string]any{"cofferSourceKeyArn": k1, "cofferSourceBucketKey": true, "cofferSourceGeneration": "old"}
	both := under("g")
	for name, v := range source {
		both[name] = v
	}
	copied := func(r *audit.Record) { r.RequestParameters["x-amz-copy-source"] = "/archive/a%2Fb?versionId=1" }
	checksums := func(r *audit.Record) { r.RequestParameters["x-amz-checksum-mode"] = "enabled" }
	failed := func(r *audit.Record) { r.ErrorCode = "BadDigest" }
	for name, c := range map[string]struct {
		do   func(w *world)
		want string
	}{
		"put":           {func(w *world) { w.s3("PutObject", "r", "photos", under("g")) }, "GenerateDataKey photos k1 alice made=0 failed=0 direct=0 avoided=1\n"},
		"get":           {func(w *world) { w.s3("GetObject", "r", "photos", under("g")) }, "Decrypt photos k1 alice made=0 failed=0 direct=0 avoided=1\n"},
		"head":          {func(w *world) { w.s3("HeadObject", "r", "photos", under("g")) }, ""},
		"head checksum": {func(w *world) { w.s3("HeadObject", "r", "photos", under("g"), checksums) }, "Decrypt photos k1 alice made=0 failed=0 direct=0 avoided=1\n"},
		"attributes":    {func(w *world) { w.s3("GetObjectAttributes", "r", "photos", under("g")) }, "Decrypt photos k1 alice made=0 failed=0 direct=0 avoided=1\n"},
		"create":        {func(w *world) { w.s3("CreateMultipartUpload", "r", "photos", under("g")) }, "GenerateDataKey photos k1 alice made=0 failed=0 direct=0 avoided=1\n"},
		"part":          {func(w *world) { w.s3("UploadPart", "r", "photos", under("g")) }, "Decrypt photos k1 alice made=0 failed=0 direct=0 avoided=1\n"},
		"complete":      {func(w *world) { w.s3("CompleteMultipartUpload", "r", "photos", under("g")) }, ""},
		"delete":        {func(w *world) { w.s3("DeleteObject", "r", "photos", under("g")) }, ""},
		"failed put":    {func(w *world) { w.s3("PutObject", "r", "photos", under("g"), failed) }, ""},
		"sse-s3":        {func(w *world) { w.s3("PutObject", "r", "photos", nil) }, ""},
		"dsse": {func(w *world) {
			w.kms("GenerateDataKey", "r", photos+"/k", "")
			w.s3("PutObject", "r", "photos", map[string]any{"cofferKeyArn": k1, "cofferBucketKey": false})
		}, "GenerateDataKey photos k1 alice made=1 failed=0 direct=1 avoided=0\n"},
		"copy": {func(w *world) { w.s3("CopyObject", "r", "photos", both, copied) },
			"Decrypt archive k1 alice made=0 failed=0 direct=0 avoided=1\nGenerateDataKey photos k1 alice made=0 failed=0 direct=0 avoided=1\n"},
		"copy, cold source": {func(w *world) {
			w.kms("Decrypt", "r", "arn:aws:s3:::archive", "old")
			w.s3("CopyObject", "r", "photos", both, copied)
		}, "Decrypt archive k1 alice made=1 failed=0 direct=0 avoided=0\nGenerateDataKey photos k1 alice made=0 failed=0 direct=0 avoided=1\n"},
		"copied part, cold source": {func(w *world) {
			w.kms("Decrypt", "r", "arn:aws:s3:::archive", "old")
			w.s3("UploadPartCopy", "r", "photos", both, copied)
		}, "Decrypt archive k1 alice made=1 failed=0 direct=0 avoided=0\nDecrypt photos k1 alice made=0 failed=0 direct=0 avoided=1\n"},
		"update": {func(w *world) {
			w.kms("Decrypt", "r", photos, "old")
			w.kms("GenerateDataKey", "r", photos, "g")
			w.kms("Decrypt", "r", photos, "g") // the new wrap is opened once
			w.s3("UpdateObjectEncryption", "r", "photos", both)
		}, "Decrypt photos k1 alice made=2 failed=0 direct=0 avoided=0\nGenerateDataKey photos k1 alice made=1 failed=0 direct=0 avoided=0\n"},
		"another bucket key than the one that was made": {func(w *world) {
			w.kms("GenerateDataKey", "r", photos, "lost")
			w.s3("PutObject", "r", "photos", under("g"))
		}, "GenerateDataKey photos k1 alice made=1 failed=0 direct=0 avoided=0\n"},
		"no key named": {func(w *world) {
			w.kms("GenerateDataKey", "other", photos, "g")
			w.s3("PutObject", "r", "photos", map[string]any{"cofferGeneration": "g"})
			w.s3("PutObject", "r2", "photos", map[string]any{"cofferGeneration": "unheard"})
		}, "GenerateDataKey photos (unknown) alice made=0 failed=0 direct=0 avoided=1\nGenerateDataKey photos k1 alice made=1 failed=0 direct=0 avoided=1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.do(w)
			got := w.report(Query{}).text()
			if len(strings.Split(got, "\n")) != len(strings.Split(c.want, "\n")) {
				t.Fatalf("got:\n%swant:\n%s", got, c.want)
			}
			for line := range strings.Lines(c.want) {
				if !strings.Contains(got, line) {
					t.Errorf("got:\n%swant:\n%s", got, c.want)
				}
			}
		})
	}
}

// Every KMS request is somewhere.
func TestAttribution(t *testing.T) {
	w := newWorld(t)
	w.kms("GenerateDataKey", "r1", photos, "g")
	w.s3("PutObject", "r1", "photos", under("g"))
	for i := range 5 {
		w.s3("PutObject", fmt.Sprint("p", i), "photos", under("g"))
	}
	session := func(r *audit.Record) {
		r.UserIdentity = audit.Identity{Type: "AssumedRole", ARN: "arn:aws:sts::111122223333:assumed-role/Writer/one", Session: &audit.SessionContext{Issuer: &audit.Issuer{ARN: role}}}
	}
	w.kms("Decrypt", "r2", photos, "g", session)
	w.s3("GetObject", "r2", "photos", under("g"), session)
	w.s3("GetObject", "r3", "photos", under("g"), session)
	// Refused: the bucket is that of the S3 event.
	w.kms("Decrypt", "r4", "", "", refused)
	w.s3("GetObject", "r4", "photos", nil, refused, func(r *audit.Record) { r.RequestParameters = map[string]any{"bucketName": "photos"} })
	w.kms("Decrypt", "r5", "", "", refused) // its S3 event is missing
	// Of a service, the KMS event does not say of which.
	service := func(by string) func(*audit.Record) {
		return func(r *audit.Record) { r.UserIdentity = audit.Identity{Type: "AWSService", InvokedBy: by} }
	}
	w.kms("GenerateDataKey", "t1", "arn:aws:s3:::logs", "l", service(audit.InvokedByS3))
	w.s3("PutObject", "t1", "logs", under("l"), service("cloudtrail.amazonaws.com"))
	w.s3("PutObject", "t2", "logs", under("l"), service("cloudtrail.amazonaws.com"))
	w.kms("Decrypt", "t3", "arn:aws:s3:::logs", "l", service(audit.InvokedByS3)) // without an S3 event
	w.kms("Decrypt", "r6", "arn:aws:s3:::logs/x", "")
	w.s3("GetObject", "r6", "logs", map[string]any{"cofferKeyArn": k1, "cofferBucketKey": false})
	w.write(audit.Record{EventSource: "kms.amazonaws.com", EventName: "Encrypt", EventType: audit.TypeAPICall,
		RequestParameters: map[string]any{"keyId": "alias/app", "encryptionContext": map[string]string{"aws:s3:arn": photos}}})
	// Upkeep, under a KMS key and under the service's own; and what is no request.
	for _, name := range []string{"OpenBucketKeyGeneration", "DeleteBucketKeyGeneration"} {
		for _, resources := range [][]audit.Resource{
			{{Type: "AWS::S3::Bucket", ARN: photos}, {Type: "AWS::KMS::Key", ARN: k1}}, {{Type: "AWS::S3::Bucket", ARN: photos}},
		} {
			w.write(audit.Record{EventSource: "kms.amazonaws.com", EventName: name, EventType: audit.TypeServiceEvent, Resources: resources,
				ServiceEventDetails: json.RawMessage(`{"keyArn":"` + k1 + `","bucketArn":"` + photos + `"}`)})
		}
	}
	// The copy of an event for another account.
	shared := w.lines[0]
	w.lines[0] = bytes.Replace(shared, []byte(`"eventID":"`), []byte(`"sharedEventID":"event-1","eventID":"`), 1)
	w.lines = append(w.lines, bytes.Replace(shared, []byte(`"eventID":"`), []byte(`"sharedEventID":"event-1","eventID":"2`), 1))
	w.lines = append(w.lines, []byte(`{"eventSource":"kms.amazonaws.com"`), []byte(`{"eventSource":"kms.amazonaws.com",}`))

	want := map[string]bool{
		"GenerateDataKey logs k1 cloudtrail.amazonaws.com made=1 failed=0 direct=0 avoided=1":            true,
		"Decrypt logs k1 fas.s3.amazonaws.com made=1 failed=0 direct=0 avoided=0":                        true,
		"GenerateDataKey photos k1 alice made=1 failed=0 direct=0 avoided=5":                             true,
		"Decrypt photos k1 Writer made=1 failed=0 direct=0 avoided=1":                                    true,
		"Decrypt photos k1 alice made=1 failed=1 direct=0 avoided=0":                                     true,
		"Decrypt (unknown) k1 alice made=1 failed=1 direct=0 avoided=0":                                  true,
		"Decrypt logs k1 alice made=1 failed=0 direct=1 avoided=0":                                       true,
		"Encrypt (not through S3) app alice made=1 failed=0 direct=0 avoided=0":                          true,
		"OpenBucketKeyGeneration photos k1 s3.amazonaws.com (upkeep) made=1 failed=0 direct=0 avoided=0": true,
	}
	r := w.report(Query{})
	for line := range strings.Lines(r.text()) {
		if !want[strings.TrimSpace(line)] {
			t.Errorf("row %s", line)
		}
		delete(want, strings.TrimSpace(line))
	}
	for line := range want {
		t.Errorf("no row %s", line)
	}
	if !r.Audit.Begins.Equal(noon) || r.Audit.Damaged != 2 || r.Audit.Copies != 1 || r.Audit.KMSRequests != 9 || r.Audit.Unplaced != 1 || r.Audit.Accesses != 10 || r.Audit.OwnRequest != 3 {
		t.Errorf("audit: %+v", r.Audit)
	}
	one := w.report(Query{Bucket: "photos"})
	if one.Total != (Counts{Made: 4, Failed: 1, Avoided: 6}) || one.Audit.Elsewhere != 4 || one.Audit.Unplaced != 1 {
		t.Errorf("of photos: %+v, %+v", one.Total, one.Audit)
	}
}

// A bucket's time is cut where its default was switched.
func TestSwitches(t *testing.T) {
	w := newWorld(t)
	step := func() { w.now = w.now.Add(time.Hour) }
	direct := func(n int) {
		for i := range n {
			id := fmt.Sprint("d", w.n, i)
			w.kms("GenerateDataKey", id, photos+"/k", "")
			w.s3("PutObject", id, "photos", map[string]any{"cofferKeyArn": k1, "cofferBucketKey": false})
		}
	}
	warm := func(n int) {
		for i := range n {
			w.s3("PutObject", fmt.Sprint("w", w.n, i), "photos", under("g"))
		}
	}
	w.s3("CreateBucket", "", "photos", nil)
	step()
	w.encryption("photos", false) // it is off already
	direct(3)
	step()
	w.encryption("photos", true)
	warm(4)
	w.encryption("photos", true)
	step()
	w.s3("DeleteBucketEncryption", "", "photos", nil)
	direct(1)
	step()
	w.s3("DeleteBucketEncryption", "", "photos", nil, func(r *audit.Record) { r.ErrorCode = "AccessDenied" })
	w.encryption("other", true)

	phases := func(r *Report) (out string) {
		for _, b := range r.Buckets {
			for _, p := range b.Phases {
				out += fmt.Sprintf("%s %s %q made=%d avoided=%d\n", b.Bucket, p.From.Format("15:04"), p.BucketKey, p.Made, p.Avoided)
			}
		}
		return out
	}
	const all = "photos 12:00 \"off\" made=3 avoided=0\nphotos 14:00 \"on\" made=0 avoided=4\nphotos 15:00 \"off\" made=1 avoided=0\n"
	if got := phases(w.report(Query{})); got != all {
		t.Errorf("phases:\n%swant:\n%s", got, all)
	}
	// What was switched before is known, if the records are still read.
	const late = "photos 14:30 \"on\" made=0 avoided=0\nphotos 15:00 \"off\" made=1 avoided=0\n"
	if got := phases(w.report(Query{Bucket: "photos", Since: noon.Add(150 * time.Minute)})); got != late {
		t.Errorf("phases:\n%swant:\n%s", got, late)
	}
	if got := phases(w.report(Query{Bucket: "other"})); !strings.Contains(got, `"on"`) {
		t.Errorf("phases of a bucket without requests:\n%s", got)
	}
	r := w.report(Query{By: Hour, Since: noon})
	if len(r.Series) != 3 || r.Series[0].Made != 3 || r.Series[1].Avoided != 4 || r.Series[2].Made != 1 {
		t.Errorf("series: %+v", r.Series)
	}
}

// The time ends before its end, and a request at its edge counts once.
func TestTime(t *testing.T) {
	w := newWorld(t)
	w.now = noon.Add(-time.Second)
	w.kms("GenerateDataKey", "r", photos, "g")
	w.now = noon
	w.s3("PutObject", "r", "photos", under("g")) // its own request was before
	w.s3("PutObject", "r2", "photos", under("g"))
	w.now = noon.Add(time.Minute)
	w.s3("PutObject", "r3", "photos", under("g"))
	r := w.report(Query{Since: noon, Until: noon.Add(time.Minute)})
	if r.Total != (Counts{Avoided: 1}) || r.Audit.OwnRequest != 1 || r.Interval != Minute {
		t.Errorf("%+v %+v by %s", r.Total, r.Audit, r.Interval)
	}
	for _, q := range []Query{
		{Since: noon, Until: noon}, {By: "year"}, {By: Minute}, {By: Minute, Since: noon.AddDate(-1, 0, 0)},
	} {
		if _, err := NewCollector(q, noon); err == nil {
			t.Errorf("%+v was accepted", q)
		}
	}
}

func TestPriceAndCSV(t *testing.T) {
	w := newWorld(t)
	for i := range 10_000 {
		w.s3("GetObject", fmt.Sprint(i), "photos", under("g"))
	}
	w.kms("Decrypt", "x", photos, "g")
	r := w.report(Query{})
	if r.CostAvoided != 0.03 || r.Cost != 0.03/10_000 {
		t.Errorf("costs %v, avoided %v", r.Cost, r.CostAvoided)
	}
	r.SetPrice(3)
	if r.CostAvoided != 3 || r.Buckets[0].CostAvoided != 3 || r.Rows[0].CostAvoided != 3 || r.Buckets[0].Phases[0].CostAvoided != 3 {
		t.Errorf("at another price: %v", r.CostAvoided)
	}
	var b bytes.Buffer
	if err := r.CSV(&b); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	sum := Counts{}
	for _, l := range lines[1:] {
		made, _ := strconv.ParseInt(l[6], 10, 64)
		avoided, _ := strconv.ParseInt(l[9], 10, 64)
		sum.Made, sum.Avoided = sum.Made+made, sum.Avoided+avoided
	}
	if sum != (Counts{Made: 1, Avoided: 10_000}) {
		t.Errorf("the lines add up to %+v", sum)
	}
}

func TestNothing(t *testing.T) {
	r := newWorld(t).report(Query{Bucket: "photos"})
	if r.Total != (Counts{}) || r.Total.Saved() != 0 {
		t.Errorf("%+v", r.Total)
	}
}

// Whatever is in a trail, a report reconciles.
func FuzzReport(f *testing.F) {
	w := &world{t: &testing.T{}, now: noon}
	w.kms("GenerateDataKey", "r", photos, "g")
	w.s3("PutObject", "r", "photos", under("g"))
	w.kms("Decrypt", "r4", "", "", refused)
	w.encryption("photos", true)
	f.Add(bytes.Join(w.lines, []byte("\n")), "photos")
	f.Add(bytes.Join(w.lines, []byte("\n")), "")
	f.Fuzz(func(t *testing.T, trail []byte, bucket string) {
		c, err := NewCollector(Query{Bucket: bucket, Until: noon.Add(time.Hour)}, noon)
		if err != nil {
			return
		}
		for line := range bytes.SplitSeq(trail, []byte("\n")) {
			c.Add(line)
		}
		if r := c.Report(DefaultPrice); !r.Reconciles() {
			t.Errorf("%+v %+v", r.Audit, r.Total)
		}
	})
}
