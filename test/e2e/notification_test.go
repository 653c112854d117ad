// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/cofferstore/coffer/test/coffertest"
)

// eventLog is what a target got.
type eventLog struct {
	mu     sync.Mutex
	tests  int
	events []s3Event
}

// s3Event is what these tests look at of a record.
type s3Event struct {
	EventName        string
	EventTime        time.Time
	EventVersion     string
	UserIdentity     struct{ PrincipalID string }
	ResponseElements map[string]string
	Replication      map[string]string `json:"replicationEventData"`
	S3               struct {
		ConfigurationID string `json:"configurationId"`
		Bucket          struct{ Name, ARN string }
		Object          struct {
			Key, ETag, VersionID, Sequencer string
			Size                            *int64
		}
	}
}

// take takes a message.
func (l *eventLog) take(t testing.TB, body []byte) {
	var doc struct {
		Event   string
		Records []s3Event
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Errorf("a message %q: %v", body, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if doc.Event == "s3:TestEvent" {
		l.tests++
	}
	for _, e := range doc.Records {
		if !slices.ContainsFunc(l.events, func(have s3Event) bool { return have.S3.Object == e.S3.Object && have.EventName == e.EventName }) {
			l.events = append(l.events, e)
		}
	}
}

// names returns what came, each event once, as "NAME KEY".
func (l *eventLog) names() (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		out = append(out, e.EventName+" "+e.S3.Object.Key)
	}
	return out
}

// await waits until that came, in that order.
func (l *eventLog) await(t testing.TB, want ...string) {
	t.Helper()
	coffertest.Eventually(t, "delivery", func() bool { return len(l.names()) >= len(want) })
	if got := l.names(); !slices.Equal(got, want) {
		t.Errorf("came\n%q, want\n%q", got, want)
	}
}

// hooked starts a webhook that writes down what comes, while it is up.
func hooked(t testing.TB, l *eventLog, up func() bool) *httptest.Server {
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !up() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		l.take(t, body)
	}))
	t.Cleanup(hook.Close)
	return hook
}

func always() bool { return true }

// jetStream starts a NATS server with a stream, whose messages are written down.
func jetStream(t *testing.T, l *eventLog) (address string) {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("NATS does not come up")
	}
	conn, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"s3.>"}})
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := stream.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	consuming, err := consumer.Consume(func(m jetstream.Msg) { l.take(t, m.Data()) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { consuming.Stop(); <-consuming.Closed() })
	return s.Addr().String()
}

// kafka starts a Kafka broker with a topic, whose records are written down.
func kafka(t *testing.T, l *eventLog) (address string) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "s3-events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("s3-events"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			fetched := client.PollFetches(t.Context())
			if fetched.IsClientClosed() || t.Context().Err() != nil {
				return
			}
			fetched.EachRecord(func(r *kgo.Record) { l.take(t, r.Value) })
		}
	}()
	t.Cleanup(func() { client.Close(); <-ended })
	return cluster.ListenAddrs()[0]
}

// TestNotification: a webhook, a stream of NATS and a topic of Kafka each get the events that a
// bucket tells them of, in their order and over a restart.
func TestNotification(t *testing.T) {
	t.Parallel()
	var hook, bus, log eventLog
	targets := fmt.Sprintf("hook=%s/in,bus=nats://%s/s3.events,log=kafka://%s/s3-events", hooked(t, &hook, always).URL, jetStream(t, &bus), kafka(t, &log))
	s := start(t, coffertest.Flags("--notification-target", targets))
	s.Bucket("photos", "", "", false)
	arn := func(service, name string) *string {
		return aws.String("arn:aws:" + service + ":us-east-1:" + coffertest.Account + ":" + name)
	}
	under := func(prefix string) *types.NotificationConfigurationFilter {
		return &types.NotificationConfigurationFilter{Key: &types.S3KeyFilter{FilterRules: []types.FilterRule{{Name: "prefix", Value: &prefix}}}}
	}
	all := []types.Event{"s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*"}
	put := &s3.PutBucketNotificationConfigurationInput{
		Bucket: aws.String("photos"),
		NotificationConfiguration: &types.NotificationConfiguration{
			QueueConfigurations:          []types.QueueConfiguration{{QueueArn: arn("sqs", "hook"), Events: all, Filter: under("hook/"), Id: aws.String("to-hook")}},
			TopicConfigurations:          []types.TopicConfiguration{{TopicArn: arn("sns", "bus"), Events: all, Filter: under("bus/")}},
			LambdaFunctionConfigurations: []types.LambdaFunctionConfiguration{{LambdaFunctionArn: arn("lambda", "function:log"), Events: all, Filter: under("log/")}},
		},
	}
	do(t, s.S3.PutBucketNotificationConfiguration, put)
	got := do(t, s.S3.GetBucketNotificationConfiguration, &s3.GetBucketNotificationConfigurationInput{Bucket: aws.String("photos")})
	if len(got.QueueConfigurations) != 1 || *got.QueueConfigurations[0].Id != "to-hook" || len(*got.TopicConfigurations[0].Id) != 48 ||
		*got.LambdaFunctionConfigurations[0].Filter.Key.FilterRules[0].Value != "log/" {
		t.Errorf("the configuration is %+v", got)
	}
	work := func(prefix, n string) (want []string) {
		key := prefix + "/a b" + n
		s.Put("photos", key, "hello")
		do(t, s.S3.CopyObject, &s3.CopyObjectInput{Bucket: aws.String("photos"), Key: aws.String(key), CopySource: aws.String("photos/" + prefix + "/a%20b" + n), MetadataDirective: types.MetadataDirectiveReplace})
		do(t, s.S3.PutObjectTagging, &s3.PutObjectTaggingInput{Bucket: aws.String("photos"), Key: aws.String(key), Tagging: &types.Tagging{TagSet: []types.Tag{}}})
		do(t, s.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: aws.String("photos"), Key: aws.String(key)})
		for _, e := range []string{"ObjectCreated:Put", "ObjectCreated:Copy", "ObjectTagging:Put", "ObjectRemoved:Delete"} {
			want = append(want, e+" "+prefix+"/a+b"+n)
		}
		return want
	}
	logs := map[string]*eventLog{"hook": &hook, "bus": &bus, "log": &log}
	want := map[string][]string{}
	for _, round := range []string{"1", "2"} {
		for name := range logs {
			want[name] = append(want[name], work(name, round)...)
		}
		if round == "1" {
			s.Restart()
		}
	}
	for name, l := range logs {
		coffertest.Eventually(t, "delivery to "+name, func() bool { return len(l.names()) >= len(want[name]) })
		got := l.names()
		if name == "log" { // each key may be in a partition of its own
			slices.SortStableFunc(got, func(a, b string) int { return strings.Compare(a[len(a)-1:], b[len(b)-1:]) })
		}
		if !slices.Equal(got, want[name]) {
			t.Errorf("%s got\n%q, want\n%q", name, got, want[name])
		}
	}
	for _, l := range logs {
		l.mu.Lock()
	}
	if hook.tests == 0 || bus.tests == 0 || log.tests != 0 { // the restart may have one sent again
		t.Errorf("%d, %d, %d test events", hook.tests, bus.tests, log.tests)
	}
	e := hook.events[0]
	for _, l := range logs {
		l.mu.Unlock()
	}
	if o := e.S3.Object; o.Size == nil || *o.Size != 5 || len(o.ETag) != 32 || o.Sequencer == "" || e.S3.ConfigurationID != "to-hook" ||
		e.S3.Bucket.ARN != "arn:aws:s3:::photos" || e.ResponseElements["x-amz-request-id"] == "" || e.ResponseElements["x-amz-id-2"] == "" {
		t.Errorf("the first event is %+v", e)
	}

	// Wrong destinations are refused, all at once, and leave what there was.
	put.NotificationConfiguration = &types.NotificationConfiguration{QueueConfigurations: []types.QueueConfiguration{{QueueArn: arn("sqs", "nobody"), Events: all}}}
	fails(t, s.S3.PutBucketNotificationConfiguration, put, 400, "InvalidArgument", "Unable to validate the following destination configurations")
	put.SkipDestinationValidation = aws.Bool(true)
	do(t, s.S3.PutBucketNotificationConfiguration, put)
	put.NotificationConfiguration = &types.NotificationConfiguration{}
	do(t, s.S3.PutBucketNotificationConfiguration, put)
	got = do(t, s.S3.GetBucketNotificationConfiguration, &s3.GetBucketNotificationConfigurationInput{Bucket: aws.String("photos")})
	if len(got.QueueConfigurations)+len(got.TopicConfigurations)+len(got.LambdaFunctionConfigurations) != 0 {
		t.Errorf("an empty configuration left %+v", got)
	}
}

// TestNotificationOfWhatWasAcknowledged: kill -9 between the answer and the delivery loses no
// event.
func TestNotificationOfWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	var hook eventLog
	var mu sync.Mutex
	up := false
	server := hooked(t, &hook, func() bool { mu.Lock(); defer mu.Unlock(); return up })
	program, dir := buildProgram(t), t.TempDir()
	flags := []string{"--notification-target", "hook=" + server.URL}
	p := startProcess(t, program, dir, flags...)
	do(t, p.s3.CreateBucket, &s3.CreateBucketInput{Bucket: aws.String("photos")})
	do(t, p.s3.PutBucketNotificationConfiguration, &s3.PutBucketNotificationConfigurationInput{
		Bucket: aws.String("photos"), NotificationConfiguration: &types.NotificationConfiguration{QueueConfigurations: []types.QueueConfiguration{{
			QueueArn: aws.String("arn:aws:sqs:us-east-1:" + coffertest.Account + ":hook"), Events: []types.Event{"s3:ObjectCreated:*", "s3:ObjectRemoved:*"},
		}}},
	})
	var want []string
	for i := range 20 {
		key := fmt.Sprint("k", i)
		do(t, p.s3.PutObject, &s3.PutObjectInput{Bucket: aws.String("photos"), Key: &key, Body: strings.NewReader("x")})
		want = append(want, "ObjectCreated:Put "+key)
	}
	do(t, p.s3.DeleteObject, &s3.DeleteObjectInput{Bucket: aws.String("photos"), Key: aws.String("k0")})
	p.kill()
	if got := hook.names(); len(got) != 0 {
		t.Fatalf("came before: %q", got)
	}
	mu.Lock()
	up = true
	mu.Unlock()
	startProcess(t, program, dir, flags...)
	hook.await(t, append(want, "ObjectRemoved:Delete k0")...)
}
