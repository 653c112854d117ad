// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/test/coffertest"
)

// replicaKill is a server that is killed while it replicates.
type replicaKill struct {
	*testing.T
	dir     string
	process *process
	acked   sync.Map // "key version" to the body, of what was answered; "" of delete markers
	serial  atomic.Int64
}

const replicaSource, replicaTarget = "source", "replicas"

// TestKillReplication kills the server while it takes writes and makes replicas of them. In
// the end each version has its replica, of which the trail has one record, and no task is
// lost or left over.
func TestKillReplication(t *testing.T) {
	t.Parallel()
	k := &replicaKill{T: t, dir: t.TempDir()}
	program := buildProgram(t)
	k.process = startProcess(t, program, k.dir)
	k.prepare()
	for _, answers := range []int64{40, 90, 60} {
		k.load(answers)
		k.process = startProcess(t, program, k.dir)
	}
	k.arrived()
	k.recorded()
	k.process.stop()
	if out, err := k.process.run("audit", "verify", "--data", k.dir); err != nil {
		t.Errorf("verify the trail: %v\n%s", err, out)
	}
}

func (k *replicaKill) prepare() {
	p := k.process
	people := iam.New(iam.Options{
		Region: coffertest.Region, BaseEndpoint: &p.url, Credentials: credentials.NewStaticCredentialsProvider(coffertest.AccessKeyID, coffertest.SecretAccessKey, ""),
	})
	do(k.T, people.CreateRole, &iam.CreateRoleInput{RoleName: aws.String("replicator"), AssumeRolePolicyDocument: &replicatorTrust})
	do(k.T, people.PutRolePolicy, &iam.PutRolePolicyInput{
		RoleName: aws.String("replicator"), PolicyName: aws.String("p"), PolicyDocument: aws.String(document(replicatorObjects + "," + replicatorKeys)),
	})
	for _, name := range []string{replicaSource, replicaTarget} {
		do(k.T, p.s3.CreateBucket, &s3.CreateBucketInput{Bucket: &name})
		do(k.T, p.s3.PutBucketVersioning, &s3.PutBucketVersioningInput{Bucket: &name, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	}
	var keys [2]string
	for i := range keys {
		keys[i] = *do(k.T, p.kms.CreateKey, &kms.CreateKeyInput{}).KeyMetadata.Arn
	}
	do(k.T, p.s3.PutBucketEncryption, &s3.PutBucketEncryptionInput{Bucket: aws.String(replicaSource), ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
		Rules: []types.ServerSideEncryptionRule{{BucketKeyEnabled: aws.Bool(true), ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{
			SSEAlgorithm: types.ServerSideEncryptionAwsKms, KMSMasterKeyID: &keys[0],
		}}},
	}})
	rule := replicating("all", 1, replicaTarget, underKey(keys[1]), func(r *types.ReplicationRule) {
		r.DeleteMarkerReplication.Status = types.DeleteMarkerReplicationStatusEnabled
	})
	do(k.T, p.s3.PutBucketReplication, &s3.PutBucketReplicationInput{
		Bucket: aws.String(replicaSource), ReplicationConfiguration: &types.ReplicationConfiguration{Role: roleARN("replicator"), Rules: []types.ReplicationRule{rule}},
	})
}

// load writes, and kills the server when so many changes were answered and others are under
// way.
func (k *replicaKill) load(answers int64) {
	var answered atomic.Int64
	var killed atomic.Bool
	kill := sync.OnceFunc(func() { killed.Store(true); k.process.kill() })
	var writers sync.WaitGroup
	for w := range 16 {
		writers.Go(func() {
			for {
				if err := k.change(k.Context(), w); err != nil {
					if !killed.Load() {
						k.Errorf("write: %v", err)
					}
					return
				}
				if answered.Add(1) >= answers {
					kill()
				}
			}
		})
	}
	writers.Wait()
}

// change makes a version of one of a few keys: of a body that is kept inline, in a pack or in
// a file, or now and then a delete marker.
func (k *replicaKill) change(ctx context.Context, writer int) error {
	n := k.serial.Add(1)
	key := fmt.Sprintf("%d/%d", writer%2, n%5)
	if n%7 == 0 {
		out, err := k.process.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(replicaSource), Key: &key})
		if err == nil {
			k.acked.Store(key+" "+*out.VersionId, "")
		}
		return err
	}
	body := strings.Repeat(fmt.Sprintf("body %d.", n), []int{1, 4 << 10, 128 << 10}[n%3])
	out, err := k.process.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(replicaSource), Key: &key, Body: strings.NewReader(body)})
	if err == nil {
		k.acked.Store(key+" "+*out.VersionId, body)
	}
	return err
}

// pending returns the metric of what is to be replicated: "" when there is nothing.
func (k *replicaKill) pending() string {
	k.Helper()
	resp, err := http.Get(k.process.url + "/-/metrics")
	if err != nil {
		k.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		k.Fatal(err)
	}
	for line := range bytes.Lines(page) {
		if bytes.HasPrefix(line, []byte("coffer_replication_pending_operations{")) {
			return string(line)
		}
	}
	return ""
}

// arrived waits until nothing is to be replicated, and holds the two buckets against each
// other and against what was answered.
func (k *replicaKill) arrived() {
	p := k.process
	coffertest.Eventually(k.T, "the end of replication", func() bool { return k.pending() == "" })
	source, target := k.versions(replicaSource), k.versions(replicaTarget)
	for at := range source {
		if _, ok := target[at]; !ok {
			k.Errorf("%s has no replica", at)
		}
	}
	for at, marker := range target {
		if was, ok := source[at]; !ok || was != marker {
			k.Errorf("%s is no version of the source", at)
		}
		if marker {
			continue
		}
		key, version, _ := strings.Cut(at, " ")
		for bucket, want := range map[string]types.ReplicationStatus{replicaSource: types.ReplicationStatusCompleted, replicaTarget: types.ReplicationStatusReplica} {
			out := do(k.T, p.s3.GetObject, &s3.GetObjectInput{Bucket: &bucket, Key: &key, VersionId: &version})
			body, err := io.ReadAll(out.Body)
			if err := errors.Join(err, out.Body.Close()); err != nil {
				k.Errorf("read %s of %s: %v", at, bucket, err)
			}
			if acked, ok := k.acked.Load(at); ok && acked != string(body) || out.ReplicationStatus != want {
				k.Errorf("%s of %s is %s and has %d bytes", at, bucket, out.ReplicationStatus, len(body))
			}
		}
	}
	k.acked.Range(func(at, _ any) bool {
		if _, ok := source[at.(string)]; !ok {
			k.Errorf("%s was answered and is not there", at)
		}
		return true
	})
}

// versions lists what a bucket has, "key version", and which of them are delete markers.
func (k *replicaKill) versions(bucket string) map[string]bool {
	k.Helper()
	all, err := listVersions(k.Context(), k.process.s3, bucket)
	if err != nil {
		k.Fatal(err)
	}
	out := map[string]bool{}
	for key, place := range all {
		for _, v := range place.versions {
			out[key+" "+v.version] = place.markers[v.version]
		}
	}
	return out
}

// recorded looks for the record of each replica: one, whenever the server was killed.
func (k *replicaKill) recorded() {
	records := map[string]int{}
	err := audit.Read(k.Context(), server.AuditDir(k.dir), audit.Filter{}, func(e audit.Entry) error {
		if p := e.RequestParameters; p["bucketName"] == replicaTarget && e.UserIdentity.ARN == replicatorSession && e.ErrorCode == "" {
			records[fmt.Sprint(p["key"], " ", p["versionId"])]++
		}
		return nil
	})
	if err != nil {
		k.Fatalf("read audit: %v", err)
	}
	for at := range k.versions(replicaTarget) {
		if records[at] != 1 {
			k.Errorf("the replica %s has %d records", at, records[at])
		}
		delete(records, at)
	}
	for at := range records {
		k.Errorf("a record tells of a replica %s that is not there", at)
	}
}
