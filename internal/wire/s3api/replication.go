// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"net/http"
	"strings"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) replicationOps() []pipeline.Op {
	put := pipeline.Define("PutBucketReplication", 0, bucketRoute("PUT", "replication"), decodePutReplication, a.Buckets.PutReplication, ok)
	put.MaxBody = maxReplication
	return []pipeline.Op{
		put,
		pipeline.Define("GetBucketReplication", pipeline.Read, bucketRoute("GET", "replication"), decodeGetReplication, a.Buckets.GetReplication, encodeReplication),
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
		if r.Destination.KMSKey = s.optional(e, "ReplicaKmsKeyID"); r.Destination.KMSKey == nil {
			r.Destination.KMSKey = new(string) // which is none
		}
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

func encodeReplication(_ *pipeline.Call, r *bucket.Replication) (*pipeline.Response, error) {
	return xmlResponse(http.StatusOK, writeReplication(r)), nil
}

func writeReplication(r *bucket.Replication) []byte {
	var x markup
	x.root("ReplicationConfiguration")
	x.element("Role", r.Role)
	for i := range r.Rules {
		x.replicationRule(&r.Rules[i])
	}
	x.close("ReplicationConfiguration")
	return x.buf
}

func (m *markup) replicationRule(r *bucket.ReplicationRule) {
	m.open("Rule")
	m.optional("ID", r.ID)
	if r.Priority != nil {
		m.number("Priority", int64(*r.Priority))
	}
	m.optional("Prefix", r.Prefix)
	if f := r.Filter; f != nil && !f.And && f.Prefix == nil && len(f.Tags) == 0 {
		m.buf = append(m.buf, "<Filter/>"...) // of all objects
	} else {
		m.filter(f)
	}
	m.element("Status", r.Status)
	if r.Criteria {
		m.open("SourceSelectionCriteria")
		m.status("SseKmsEncryptedObjects", r.KMSObjects)
		m.status("ReplicaModifications", r.Modifications)
		m.close("SourceSelectionCriteria")
	}
	m.replicationDestination(&r.Destination)
	m.status("DeleteMarkerReplication", r.DeleteMarkers)
	m.close("Rule")
}

func (m *markup) replicationDestination(d *bucket.ReplicationDestination) {
	m.open("Destination")
	m.element("Bucket", d.Bucket)
	m.optional("Account", d.Account)
	m.optional("StorageClass", d.StorageClass)
	if d.Owner != "" {
		m.open("AccessControlTranslation")
		m.element("Owner", d.Owner)
		m.close("AccessControlTranslation")
	}
	if d.KMSKey != nil {
		m.open("EncryptionConfiguration")
		m.element("ReplicaKmsKeyID", *d.KMSKey)
		m.close("EncryptionConfiguration")
	}
	m.replicationTime("ReplicationTime", "Time", d.Time)
	m.replicationTime("Metrics", "EventThreshold", d.Metrics)
	m.close("Destination")
}

// status writes an element with a status in it, none for "".
func (m *markup) status(name, status string) {
	if status == "" {
		return
	}
	m.open(name)
	m.element("Status", status)
	m.close(name)
}

func (m *markup) replicationTime(name, minutes string, t *bucket.ReplicationTime) {
	if t == nil {
		return
	}
	m.open(name)
	m.element("Status", t.Status)
	if t.Minutes != nil {
		m.open(minutes)
		m.number("Minutes", int64(*t.Minutes))
		m.close(minutes)
	}
	m.close(name)
}
