// SPDX-License-Identifier: Apache-2.0

package object

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// replication is what a version's record says of its replication. docs/formats.md, "COR1",
// tag 4D.
type replication struct {
	Replica bool
	// Changed is when tags, list of grants or lock were changed last, in ns; 0 for never. Of two
	// buckets that replicate such changes to each other, the later one counts in both.
	Changed int64
	To      []destination // in the order of their names
}

// destination is a bucket to which the version is replicated.
type destination struct {
	Bucket string
	State  ReplicaState
}

// ReplicaState is what has become of a version for a destination.
type ReplicaState byte

// The states.
const (
	ReplicaPending   ReplicaState = 1
	ReplicaCompleted ReplicaState = 2
	ReplicaFailed    ReplicaState = 3
	// replicaBehind: the replica was made, and a change of the version is to follow.
	replicaBehind ReplicaState = 4
)

// Replication statuses of versions (S3 API Reference, HeadObject).
const (
	StatusPending   = "PENDING"
	StatusCompleted = "COMPLETED"
	StatusFailed    = "FAILED"
	StatusReplica   = "REPLICA"
)

// given reports whether there is anything to say.
func (r *replication) given() bool { return r.Replica || r.Changed != 0 || len(r.To) > 0 }

// pending reports whether a destination is open still, whatever became of others.
func (r *replication) pending() bool {
	return slices.ContainsFunc(r.To, func(d destination) bool { return d.State == ReplicaPending || d.State == replicaBehind })
}

// status is x-amz-replication-status; "" for a version that is not replicated.
func (r *replication) status() string {
	switch {
	case slices.ContainsFunc(r.To, func(d destination) bool { return d.State == ReplicaFailed }):
		return StatusFailed
	case r.pending():
		return StatusPending
	case r.Replica:
		return StatusReplica
	case len(r.To) > 0:
		return StatusCompleted
	}
	return ""
}

// live returns the destinations that have not failed.
func (r *replication) live() (buckets []string) {
	for _, d := range r.To {
		if d.State != ReplicaFailed {
			buckets = append(buckets, d.Bucket)
		}
	}
	return buckets
}

// state returns what has become of the version for a destination; 0 when it has none there.
func (r *replication) state(name string) ReplicaState {
	if i, ok := r.find(name); ok {
		return r.To[i].State
	}
	return 0
}

func (r *replication) find(name string) (int, bool) {
	return slices.BinarySearchFunc(r.To, name, func(d destination, name string) int { return cmp.Compare(d.Bucket, name) })
}

// plan notes to which buckets the version, or a change of it, is to go.
func (r *replication) plan(buckets []string, first bool) {
	for _, name := range buckets {
		i, ok := r.find(name)
		switch {
		case !ok && first:
			r.insert(i, destination{name, ReplicaPending})
		case !ok:
			r.insert(i, destination{name, replicaBehind})
		case r.To[i].State != ReplicaPending: // where it never was, the replica will have the change
			r.set(i, replicaBehind)
		}
	}
}

// insert and set change a copy: records that were read share their destinations.
func (r *replication) insert(i int, d destination) { r.To = slices.Insert(slices.Clone(r.To), i, d) }

func (r *replication) set(i int, s ReplicaState) {
	r.To = slices.Clone(r.To)
	r.To[i].State = s
}

// maxDestinations is how many rules a configuration has at most.
const maxDestinations = 1000

const (
	replicationFixed = 1 + 8
	flagReplica      = 1
)

// encode writes u8 flags ‖ u64 changed, and for each destination u8 state ‖ u8 length ‖ name.
func (r *replication) encode() []byte {
	b := make([]byte, replicationFixed, replicationFixed+32*len(r.To))
	if r.Replica {
		b[0] = flagReplica
	}
	binary.BigEndian.PutUint64(b[1:], uint64(r.Changed))
	for _, d := range r.To {
		b = append(append(b, byte(d.State), byte(len(d.Bucket))), d.Bucket...)
	}
	return b
}

// decode refuses what encode does not write.
func (r *replication) decode(v []byte) error {
	if len(v) < replicationFixed || v[0]&^flagReplica != 0 {
		return errField
	}
	*r = replication{Replica: v[0] == flagReplica, Changed: int64(binary.BigEndian.Uint64(v[1:]))}
	for v = v[replicationFixed:]; len(v) > 0; {
		if len(v) < 2 || len(v) < 2+int(v[1]) {
			return errField
		}
		d := destination{string(v[2 : 2+int(v[1])]), ReplicaState(v[0])}
		last := len(r.To) - 1
		if d.Bucket == "" || d.State < ReplicaPending || d.State > replicaBehind || last >= 0 && r.To[last].Bucket >= d.Bucket {
			return errField
		}
		r.To, v = append(r.To, d), v[2+len(d.Bucket):]
	}
	if r.Changed < 0 || !r.given() || len(r.To) > maxDestinations {
		return errField
	}
	return nil
}

// noteReplicated is Replicated.
func (o *Objects) noteReplicated(ctx context.Context, ref VersionRef, uid bucket.UID, destination string, state ReplicaState, done func(*meta.Batch)) error {
	if done == nil {
		done = func(*meta.Batch) {}
	}
	err := o.retry(ctx, ref.Ref, uid, func(b *bucket.Bucket) error {
		v, err := o.find(ctx, b, ref.Key, ref.VersionID)
		var batch meta.Batch
		switch {
		case errors.Is(err, NoSuchKey), errors.Is(err, NoSuchVersion):
		case err != nil:
			return err
		default:
			if i, ok := v.Replication.find(destination); ok && v.Replication.To[i].State != state {
				v.Replication.set(i, state)
				batch.PutIf(v.row, v.encode(), v.ver)
			}
		}
		done(&batch)
		return o.commit(ctx, &batch)
	})
	if !errors.Is(err, bucket.NoSuchBucket) && !errors.Is(err, bucket.BeingDeleted) {
		return err
	}
	var batch meta.Batch
	done(&batch)
	return o.commit(ctx, &batch)
}
