// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"strings"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) replicationOps() []pipeline.Op {
	put := pipeline.Define("PutBucketReplication", 0, bucketRoute("PUT", "replication"), decodePutReplication, a.Buckets.PutReplication, ok)
	put.MaxBody = maxReplication
	return []pipeline.Op{
		pipeline.Answered(put, "S3's error for what is wrong with the configuration; one that is right: 501 `NotImplemented`. Objects are not replicated yet, and a rule that copies nothing must not be taken"),
		pipeline.Answered(pipeline.Define("GetBucketReplication", pipeline.Read, bucketRoute("GET", "replication"), decodeGetReplication, a.Buckets.GetReplication, ok),
			"404 `ReplicationConfigurationNotFoundError`, as for every bucket that has none"),
		pipeline.Define("DeleteBucketReplication", 0, bucketRoute("DELETE", "replication"), decodeDeleteReplication, a.Buckets.DeleteReplication, noContent),
	}
}

// maxReplication bounds a document of replication, in bytes.
const maxReplication = 2 << 20

func decodePutReplication(c *pipeline.Call) (in bucket.PutReplication, err error) {
	in.Ref = bucketRef(c)
	if err := requireDigest(c); err != nil {
		return in, err
	}
	b, err := document(c)
	if err != nil {
		return in, err
	}
	var n *node
	if in.Replication, n, err = parseReplication(b); err != nil {
		return in, err
	}
	auditDocument(c, "ReplicationConfiguration", n.recorded())
	return in, nil
}

// parseReplication reads a document of replication. Fault: MalformedXML.
func parseReplication(b []byte) (*bucket.Replication, *node, error) {
	n, err := parseTree(b, "ReplicationConfiguration")
	if err != nil {
		return nil, nil, err
	}
	var s schema
	s.only(n, "Role", "Rule")
	r := &bucket.Replication{Role: s.word(n, "Role")}
	for _, rule := range s.all(n, "Rule") {
		r.Rules = append(r.Rules, s.replicationRule(rule))
	}
	return r, n, s.err
}

func (s *schema) replicationRule(n *node) (r bucket.ReplicationRule) {
	s.only(n, "ID", "Priority", "Prefix", "Filter", "Status", "SourceSelectionCriteria", "ExistingObjectReplication", "Destination", "DeleteMarkerReplication")
	r.ID, r.Prefix = s.optional(n, "ID"), s.optional(n, "Prefix")
	if s.maybe(n, "Priority") != nil {
		p := s.number(n, "Priority")
		r.Priority = &p
	}
	r.Filter = s.filter(n, false)
	r.Status = s.word(n, "Status")
	if c := s.maybe(n, "SourceSelectionCriteria"); c != nil {
		s.only(c, "SseKmsEncryptedObjects", "ReplicaModifications")
		r.Criteria = true
		r.KMSObjects, r.Modifications = s.statusOf(c, "SseKmsEncryptedObjects"), s.statusOf(c, "ReplicaModifications")
	}
	r.Existing = s.maybe(n, "ExistingObjectReplication") != nil
	r.DeleteMarkers = s.statusOf(n, "DeleteMarkerReplication")
	d := s.one(n, "Destination")
	s.only(d, "Bucket", "Account", "StorageClass", "AccessControlTranslation", "EncryptionConfiguration", "ReplicationTime", "Metrics")
	r.Destination = bucket.ReplicationDestination{
		Bucket: s.word(d, "Bucket"), Account: s.optional(d, "Account"), StorageClass: s.optional(d, "StorageClass"),
		Time: s.replicationTime(d, "ReplicationTime", "Time"), Metrics: s.replicationTime(d, "Metrics", "EventThreshold"),
	}
	if t := s.maybe(d, "AccessControlTranslation"); t != nil {
		s.only(t, "Owner")
		r.Destination.Owner = s.word(t, "Owner")
	}
	if e := s.maybe(d, "EncryptionConfiguration"); e != nil {
		s.only(e, "ReplicaKmsKeyID")
		r.Destination.KMSKey = s.optional(e, "ReplicaKmsKeyID")
	}
	return r
}

// statusOf returns the status in the child of that name, "" when there is no such child.
func (s *schema) statusOf(n *node, name string) string {
	c := s.maybe(n, name)
	if c == nil {
		return ""
	}
	s.only(c, "Status")
	if status := strings.TrimSpace(s.text(c, "Status")); status != "" {
		return status
	}
	s.fail("an empty status")
	return ""
}

func (s *schema) replicationTime(n *node, name, minutes string) *bucket.ReplicationTime {
	c := s.maybe(n, name)
	if c == nil {
		return nil
	}
	s.only(c, "Status", minutes)
	t := &bucket.ReplicationTime{Status: s.word(c, "Status")}
	if m := s.maybe(c, minutes); m != nil {
		s.only(m, "Minutes")
		n := s.number(m, "Minutes")
		t.Minutes = &n
	}
	return t
}

func decodeGetReplication(c *pipeline.Call) (bucket.GetReplication, error) {
	return bucket.GetReplication{Ref: bucketRef(c)}, nil
}

func decodeDeleteReplication(c *pipeline.Call) (bucket.DeleteReplication, error) {
	return bucket.DeleteReplication{Ref: bucketRef(c)}, nil
}
