// SPDX-License-Identifier: Apache-2.0

package trailapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/cofferstore/coffer/internal/core/access"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/audit/index"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/iam/iamtest"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/trails"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/mem"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

const (
	region   = "us-east-1"
	home     = "111122223333"
	password = "a secret of sufficient length"
)

// account knows one access key: that of the root.
type account struct{}

func (account) Credential(_ context.Context, id, _ string) (sigv4.Credential, error) {
	if id != "AKIAHOME" {
		return sigv4.Credential{}, iam.NoSuchAccessKey
	}
	return sigv4.Credential{Secret: secret.New([]byte(password)), Principal: iam.Principal{
		Type: iam.Root, Account: home, ARN: "arn:aws:iam::" + home + ":root", PrincipalID: home, AccessKeyID: id,
	}}, nil
}

// paper is an audit trail that keeps the last record.
type paper struct{ last audit.Record }

func (p *paper) Append(_ context.Context, r audit.Record, _ bool) error {
	p.last = r.Plain()
	return nil
}

func (p *paper) Join(*meta.Batch, audit.Record) (func(), error) { return func() {}, nil }

// world is buckets and keys that may be used, and an index that has nothing.
type world struct{}

func (world) Authorize(context.Context, access.Request) error { return nil }
func (world) Resolve(_ context.Context, _ iam.Caller, key string) (string, error) {
	return "arn:aws:kms:" + region + ":" + home + ":key/" + key, nil
}
func (world) Check(context.Context, iam.Caller, kms.Class, string, kms.Context) error { return nil }
func (world) Usable(context.Context, string) error                                    { return nil }
func (world) Search(_ context.Context, q index.Query, _ func(index.Progress)) (*index.Page, error) {
	if q.Token != "" {
		return nil, fault.New(index.BadToken, "")
	}
	return &index.Page{}, nil
}

// station is the family on a road.
type station struct {
	road  *pipeline.Road
	paper *paper
}

func newStation(t testing.TB) *station {
	t.Helper()
	rows, s := mem.New(), &station{paper: &paper{}}
	people := iamtest.New(t, rows, home)
	service := trails.New(rows, trails.Config{
		Region: region, Policy: people, Buckets: world{}, Keys: world{}, Index: world{}, Head: func() audit.Position { return audit.Position{} },
	})
	s.road = pipeline.New(pipeline.Config{
		Region: region, Account: home, Verifier: sigv4.New(account{}, sigv4.Config{Region: region}),
		Authorize: people.Authorize, Trail: s.paper, Log: slog.New(slog.DiscardHandler),
	}, (&API{Trails: service}).Family())
	return s
}

// post sends a document to the operation of that target.
func (s *station) post(t testing.TB, target, document string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "http://localhost/", strings.NewReader(document))
	r.RemoteAddr = "127.0.0.1:40000"
	r.Header.Set("X-Amz-Target", target)
	sum := sha256.Sum256([]byte(document))
	err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "AKIAHOME", SecretAccessKey: password}, r, hex.EncodeToString(sum[:]), "cloudtrail", region, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.road.ServeHTTP(w, r)
	return w
}

// TestTargets: AWS's clients name operations in two ways.
func TestTargets(t *testing.T) {
	s := newStation(t)
	for target, want := range map[string]int{
		"com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.ListTrails": 200, "CloudTrail_20131101.ListTrails": 200, "CloudTrail_20131101.listTrails": 400,
	} {
		w := s.post(t, target, "")
		if w.Code != want || w.Header().Get("Content-Type") != "application/x-amz-json-1.1" || w.Header().Get("X-Amzn-Requestid") == "" {
			t.Errorf("%s: %d %v %s", target, w.Code, w.Header(), w.Body)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("X-Amz-Target", "TrentService.ListKeys")
	if target.Match(r) {
		t.Error("takes what is KMS's")
	}
}

// TestRecordsOfCalls sees what is recorded, and that an answer without members is {}.
func TestRecordsOfCalls(t *testing.T) {
	s := newStation(t)
	const prefix = "CloudTrail_20131101."
	s.post(t, prefix+"CreateTrail", `{"Name":"main","S3BucketName":"logs","IncludeGlobalServiceEvents":false,"KmsKeyId":"alias/a"}`)
	text, err := json.Marshal(s.paper.last.RequestParameters)
	if err != nil || string(text) != `{"includeGlobalServiceEvents":false,"kmsKeyId":"alias/a","name":"main","s3BucketName":"logs"}` {
		t.Errorf("parameters %s, %v", text, err)
	}
	if a := s.paper.last.ResponseElements; a["trailARN"] != "arn:aws:cloudtrail:us-east-1:111122223333:trail/main" || a["includeGlobalServiceEvents"] != false {
		t.Errorf("answer %v", a)
	}
	w := s.post(t, prefix+"StartLogging", `{"Name":"main"}`)
	if r := s.paper.last; w.Body.String() != "{}" || r.ResponseElements != nil || r.EventSource != "cloudtrail.amazonaws.com" || r.ReadOnly {
		t.Errorf("%s: %+v", w.Body, r)
	}
	s.post(t, prefix+"PutEventSelectors", `{"TrailName":"main","EventSelectors":[{"DataResources":[{"Type":"AWS::S3::Object","Values":["arn:aws:s3"]}]}]}`)
	text, err = json.Marshal(s.paper.last.RequestParameters)
	if err != nil || string(text) != `{"eventSelectors":[{"dataResources":[{"type":"AWS::S3::Object","values":["arn:aws:s3"]}]}],"trailName":"main"}` {
		t.Errorf("parameters %s, %v", text, err)
	}
	w = s.post(t, prefix+"DescribeTrails", `{"trailNameList":["main"]}`)
	if r := s.paper.last; !strings.HasPrefix(w.Body.String(), `{"trailList":[{"Name":"main",`) || !r.ReadOnly || r.ResponseElements != nil || r.RequestParameters["trailNameList"] == nil {
		t.Errorf("%s: %+v", w.Body, r)
	}
	w = s.post(t, prefix+"GetTrail", `{"Name":"none"}`)
	if r := s.paper.last; w.Code != 400 || r.ErrorCode != "TrailNotFoundException" || !strings.HasPrefix(r.ErrorMessage, "Unknown trail: ") {
		t.Errorf("%s: %+v", w.Body, r)
	}
}

// FuzzOperation sends documents to every operation: done, or refused by name, and never
// an internal error.
func FuzzOperation(f *testing.F) {
	var names []string
	for _, op := range (&API{}).ops() {
		names = append(names, op.Name)
	}
	for i := range names {
		for _, document := range []string{
			`{}`, `{"Name":"main","S3BucketName":"logs","S3KeyPrefix":"p","KmsKeyId":"alias/a","TagsList":[{"Key":"k","Value":"v"}]}`,
			`{"TrailName":"main","EventSelectors":[{"ReadWriteType":"All","DataResources":[{"Type":"AWS::S3::Object","Values":["arn:aws:s3:::b/"]}]}]}`,
			`{"TrailName":"main","AdvancedEventSelectors":[{"FieldSelectors":[{"Field":"eventCategory","Equals":["Data"]},{"Field":"resources.type","Equals":["AWS::S3::Object"]},{"Field":"resources.ARN","EndsWith":["x"]}]}]}`,
			`{"LookupAttributes":[{"AttributeKey":"EventName","AttributeValue":"x"}],"StartTime":-1e11,"EndTime":1.7e9,"MaxResults":1,"NextToken":"x"}`,
			`{"ResourceId":"arn:aws:cloudtrail:us-east-1:111122223333:trail/main","ResourceIdList":["arn:aws:cloudtrail:us-east-1:111122223333:trail/main"],"TagsList":[{"Key":"k"}]}`,
			`{"trailNameList":["main","arn:aws:cloudtrail:us-east-1:111122223333:trail/main"],"includeShadowTrails":null}`,
		} {
			f.Add(i, document)
		}
	}
	f.Fuzz(func(t *testing.T, i int, document string) {
		if i < 0 || i >= len(names) {
			return
		}
		s := newStation(t)
		s.post(t, target[0]+"CreateTrail", `{"Name":"main","S3BucketName":"logs"}`)
		w := s.post(t, target[0]+names[i], document)
		if w.Code >= 500 || w.Code != 200 && w.Header().Get("X-Amzn-Errortype") == "" || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %q: %d %s", names[i], document, w.Code, w.Body)
		}
	})
}
