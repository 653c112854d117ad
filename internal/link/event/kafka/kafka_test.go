// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/cofferstore/coffer/internal/link/event"
	"github.com/cofferstore/coffer/internal/link/event/eventtest"
	"github.com/cofferstore/coffer/internal/secret"
)

const topic = "s3-events"

func TestTarget(t *testing.T) {
	eventtest.Run(t, func(t *testing.T) eventtest.Harness {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, topic), kfake.EnableSASL(), kfake.Superuser("PLAIN", "coffer", eventtest.Secret))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cluster.Close)
		target, err := New(Config{
			Name: "log", Brokers: cluster.ListenAddrs(), Topic: topic,
			User: "coffer", Password: secret.New([]byte(eventtest.Secret)), Mechanism: "PLAIN",
		})
		if err != nil {
			t.Fatal(err)
		}
		var fault *kfake.FaultHandle
		return eventtest.Harness{
			Target: target, Unordered: true,
			Came: func() []string { return stored(t, cluster) },
			Down: func(down bool) {
				if down {
					fault = cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.TopicAuthorizationFailed, Count: -1})
					return
				}
				fault.Remove()
			},
		}
	})
}

// stored returns what the topic has, up to what it had when it was asked.
func stored(t *testing.T, cluster *kfake.Cluster) (out []string) {
	t.Helper()
	left := int64(0)
	for _, p := range cluster.PartitionInfos(topic) {
		left += p.HighWatermark
	}
	if left == 0 {
		return nil
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SASL(plain.Auth{User: "coffer", Pass: eventtest.Secret}.AsMechanism()),
	)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for left > 0 {
		fetched := client.PollFetches(t.Context())
		if err := fetched.Err(); err != nil {
			t.Fatal(err)
		}
		fetched.EachRecord(func(r *kgo.Record) {
			left--
			if body := string(r.Value); !slices.Contains(out, body) {
				out = append(out, body)
			}
		})
	}
	return out
}

// A broker that takes records and does not answer is not waited for behind the end of the
// context. What it was sent is sent again.
func TestBrokerHangs(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, topic))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	answer := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cancel()
		<-answer
		return nil, nil, false
	})
	target, err := New(Config{Name: "log", Brokers: cluster.ListenAddrs(), Topic: topic})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	messages := []event.Message{{ID: "1", Key: "k", Body: []byte("{}")}}
	if n, err := target.Send(ctx, messages); n != 0 || err == nil {
		t.Errorf("%d were taken by nobody, %v", n, err)
	}
	close(answer)
	if n, err := target.Send(t.Context(), messages); n != 1 || err != nil {
		t.Errorf("%d were taken, %v", n, err)
	}
}
