// SPDX-License-Identifier: Apache-2.0

package observed

import (
	"testing"

	"github.com/cofferstore/coffer/test/coffertest"
)

// replicates has a bucket's objects, under keys or not, replicated to another one; key is that
// of SSE-KMS replicas.
func (r *row) replicates(role, from, to, key string) {
	r.Helper()
	for _, b := range []string{from, to} {
		r.ok(200, r.do("PUT", "/"+b+"?versioning", versioning("Enabled")))
	}
	r.ok(200, r.do("PUT", "/"+from+"?replication", "<ReplicationConfiguration><Role>"+role+"</Role><Rule><ID>r</ID><Status>Enabled</Status><Priority>1</Priority><Filter/>"+
		"<DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication>"+
		"<SourceSelectionCriteria><SseKmsEncryptedObjects><Status>Enabled</Status></SseKmsEncryptedObjects></SourceSelectionCriteria>"+
		"<Destination><Bucket>arn:aws:s3:::"+to+"</Bucket><EncryptionConfiguration><ReplicaKmsKeyID>"+key+"</ReplicaKmsKeyID></EncryptionConfiguration></Destination></Rule></ReplicationConfiguration>"))
}

// replica waits for an object's replica, and returns what HEAD says of both.
func (r *row) replica(from, to, key string) (source, replica answer) {
	r.Helper()
	coffertest.Eventually(r, "replication", func() bool {
		source = r.ok(200, r.do("HEAD", "/"+from+"/"+key, ""))
		return source.header.Get("x-amz-replication-status") != "PENDING"
	})
	r.told(source, "x-amz-replication-status", "COMPLETED")
	replica = r.ok(200, r.do("HEAD", "/"+to+"/"+key, ""))
	r.told(replica, "x-amz-replication-status", "REPLICA", "x-amz-version-id", source.header.Get("x-amz-version-id"), "Last-Modified", source.header.Get("Last-Modified"))
	return source, replica
}

func TestReplication(t *testing.T) {
	s := start(t)
	role := s.s.Root().NewRole("replicator", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"sts:AssumeRole"}]}`, allow("s3:*", "*"), allow("kms:*", "*"))
	s.row("9.9", "replicas keep the setting of their source, and what has none takes the target's default", func(r *row) {
		key, other := r.s.Key(), r.s.Key()
		for _, on := range []bool{true, false} {
			from, to := r.kmsBucket(r.s.Key(), on), r.kmsBucket(other, !on)
			r.replicates(role, from, to, key)
			r.put("/"+from+"/k", "x")
			source, replica := r.replica(from, to, "k")
			want := absent
			if on {
				want = "true"
			}
			r.told(replica, sseHeader, "aws:kms", keyHeader, key, bkHeader, want, "ETag", source.header.Get("ETag"))
		}
		from, to := r.bucket(), r.kmsBucket(other, true)
		if _, err := r.s.Operator().SwitchLegacyMode(r.Context(), from, true); err != nil {
			r.Fatal(err)
		}
		r.replicates(role, from, to, key)
		r.put("/"+from+"/k", "x")
		source, replica := r.replica(from, to, "k")
		r.told(source, sseHeader, absent)
		r.told(replica, sseHeader, "aws:kms", keyHeader, other, bkHeader, "true")
		if source.etag() == replica.etag() {
			r.Errorf("both ETags are %s", source.etag())
		}
	})
}
