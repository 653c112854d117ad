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
	Changed Changed
	To      []destination // in the order of their names
}

// aspect is what of a version is replicated by itself: the version as it is made, and what of it
// can be changed after. It is one bit; several are a set.
type aspect byte

const (
	itself aspect = 1 << iota
	itsTags
	itsGrants
	itsRetention
	itsHold

	allAspects = itself | itsTags | itsGrants | itsRetention | itsHold
)

// changes are the aspects that change.
var changes = [...]aspect{itsTags, itsGrants, itsRetention, itsHold}

// Changed is when tags, list of grants, retention and legal hold of a version that is replicated
// were changed last, in ns; 0 for never. Of two buckets that replicate such changes to each
// other, the later one counts in both.
type Changed [len(changes)]int64

// at returns the place of an aspect.
func (c *Changed) at(a aspect) *int64 { return &c[slices.Index(changes[:], a)] }

// aspect returns what an operation changes; all where it says none.
func (op Operation) aspect() aspect {
	switch op {
	case OpPut, OpMarker:
		return itself
	case OpTags:
		return itsTags
	case OpACL:
		return itsGrants
	case OpRetention:
		return itsRetention
	case OpLegalHold:
		return itsHold
	}
	return allAspects
}

// destination is a bucket to which the version is replicated.
type destination struct {
	Bucket string
	Open   aspect // what is still to be replicated, or could not be
	Failed bool   // something of that could not be
}

// ReplicaState is what has become of a version, or of a change of one, for a destination.
type ReplicaState byte

// The states.
const (
	ReplicaCompleted ReplicaState = 1
	ReplicaFailed    ReplicaState = 2
)

// Replication statuses of versions (S3 API Reference, HeadObject).
const (
	StatusPending   = "PENDING"
	StatusCompleted = "COMPLETED"
	StatusFailed    = "FAILED"
	StatusReplica   = "REPLICA"
)

// given reports whether there is anything to say.
func (r *replication) given() bool { return r.Replica || r.Changed != Changed{} || len(r.To) > 0 }

// pending reports whether a destination is open still, whatever became of others.
func (r *replication) pending() bool {
	return slices.ContainsFunc(r.To, func(d destination) bool { return d.Open != 0 && !d.Failed })
}

// status is x-amz-replication-status; "" for a version that is not replicated.
func (r *replication) status() string {
	switch {
	case slices.ContainsFunc(r.To, func(d destination) bool { return d.Failed }):
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
		if !d.Failed {
			buckets = append(buckets, d.Bucket)
		}
	}
	return buckets
}

// was reports whether the version was in a destination, or could not get there.
func (r *replication) was(name string) bool {
	i, ok := r.find(name)
	return ok && (r.To[i].Failed || r.To[i].Open&itself == 0)
}

func (r *replication) find(name string) (int, bool) {
	return slices.BinarySearchFunc(r.To, name, func(d destination, name string) int { return cmp.Compare(d.Bucket, name) })
}

// plan notes to which buckets an aspect of the version is to go. Where the version never was,
// its replica will have the change.
func (r *replication) plan(buckets []string, a aspect) {
	if len(buckets) > 0 {
		r.To = slices.Clone(r.To) // records that were read share their destinations
	}
	for _, name := range buckets {
		i, ok := r.find(name)
		if !ok && len(r.To) >= maxDestinations {
			continue // it is replicated, and nobody is told of what became of it
		}
		if !ok {
			r.To = slices.Insert(r.To, i, destination{Bucket: name})
		}
		r.To[i].Open |= a
	}
}

// note notes what became of the version in a destination, and reports whether that is news.
// What failed stays so until it is replicated after all, whatever else is.
func (r *replication) note(name string, state ReplicaState, taken Taken) bool {
	i, ok := r.find(name)
	if !ok {
		return false
	}
	d := r.To[i]
	if state == ReplicaFailed {
		d.Failed = true
	} else {
		d.Open &^= taken.of & itself
		for _, a := range changes {
			if taken.of&a != 0 && *taken.changed.at(a) == *r.Changed.at(a) {
				d.Open &^= a // else the next change is to follow
			}
		}
		d.Failed = d.Failed && d.Open != 0
	}
	if d == r.To[i] {
		return false
	}
	r.To = slices.Clone(r.To)
	r.To[i] = d
	return true
}

// maxDestinations is how many rules a configuration has at most.
const maxDestinations = 1000

const (
	replicationFixed = 1 + 8*len(changes)
	flagReplica      = 1
	flagFailed       = 0x80
)

// encode writes u8 flags ‖ u64 changed of each aspect, and for each destination u8 open and failed ‖
// u8 length ‖ name.
func (r *replication) encode() []byte {
	b := make([]byte, 1, replicationFixed+32*len(r.To))
	if r.Replica {
		b[0] = flagReplica
	}
	for _, at := range r.Changed {
		b = binary.BigEndian.AppendUint64(b, uint64(at))
	}
	for _, d := range r.To {
		state := byte(d.Open)
		if d.Failed {
			state |= flagFailed
		}
		b = append(append(b, state, byte(len(d.Bucket))), d.Bucket...)
	}
	return b
}

// decode refuses what encode does not write.
func (r *replication) decode(v []byte) error {
	if len(v) < replicationFixed || v[0]&^flagReplica != 0 {
		return errField
	}
	*r = replication{Replica: v[0] == flagReplica}
	for i := range r.Changed {
		if r.Changed[i] = int64(binary.BigEndian.Uint64(v[1+8*i:])); r.Changed[i] < 0 {
			return errField
		}
	}
	for v = v[replicationFixed:]; len(v) > 0; {
		if len(v) < 2 || len(v) < 2+int(v[1]) {
			return errField
		}
		d := destination{string(v[2 : 2+int(v[1])]), aspect(v[0] &^ flagFailed), v[0]&flagFailed != 0}
		last := len(r.To) - 1
		if d.Bucket == "" || d.Open&^allAspects != 0 || d.Failed && d.Open == 0 || last >= 0 && r.To[last].Bucket >= d.Bucket {
			return errField
		}
		r.To, v = append(r.To, d), v[2+len(d.Bucket):]
	}
	if !r.given() || len(r.To) > maxDestinations {
		return errField
	}
	return nil
}

// noteReplicated is Replicated.
func (o *Objects) noteReplicated(ctx context.Context, ref VersionRef, uid bucket.UID, destination string, state ReplicaState, taken Taken, done func(*meta.Batch)) error {
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
			if v.Replication.note(destination, state, taken) {
				batch.PutIf(v.row, v.encode(), v.ver)
			}
		}
		done(&batch)
		return o.commit(ctx, &batch)
	})
	if !errors.Is(err, bucket.NoSuchBucket) {
		return err
	}
	var batch meta.Batch
	done(&batch)
	return o.commit(ctx, &batch)
}
