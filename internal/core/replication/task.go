// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/object"
)

// Rows of this package:
//
//	rp/<due><sequence>   a version that is to be replicated to a destination
//
// Both are eight bytes, big-endian: when the task is due, in ms since 1970, and its place among
// all, which it keeps when it is put off.
const taskRows = "rp/"

const taskKeySize = len(taskRows) + 16

func taskKey(due time.Time, sequence uint64) []byte {
	key := make([]byte, 0, taskKeySize)
	key = binary.BigEndian.AppendUint64(append(key, taskRows...), uint64(max(due.UnixMilli(), 0)))
	return binary.BigEndian.AppendUint64(key, sequence)
}

// splitTaskKey returns when the task of a row is due, and its place.
func splitTaskKey(key []byte) (due time.Time, sequence uint64, ok bool) {
	if len(key) != taskKeySize || !strings.HasPrefix(string(key), taskRows) {
		return time.Time{}, 0, false
	}
	ms := binary.BigEndian.Uint64(key[len(taskRows):])
	if ms > 1<<62 {
		return time.Time{}, 0, false
	}
	return time.UnixMilli(int64(ms)), binary.BigEndian.Uint64(key[len(taskRows)+8:]), true
}

// task is what is to be replicated to one destination, the value of its row.
type task struct {
	Version     int              `json:"version"`
	Bucket      string           `json:"bucket"`
	UID         uuid.UUID        `json:"uid"` // of the bucket
	Owner       string           `json:"owner"`
	Key         []byte           `json:"key"` // any bytes
	VersionID   string           `json:"versionId"`
	Destination string           `json:"destination"` // bucket
	Rule        string           `json:"rule"`        // id
	Operation   object.Operation `json:"operation"`
	Replica     bool             `json:"replica,omitempty"` // the version is a replica itself
	Size        int64            `json:"size"`
	ETag        string           `json:"etag,omitempty"`
	Class       string           `json:"class,omitempty"`
	Algorithm   string           `json:"algorithm,omitempty"`
	Requested   int64            `json:"requested"` // in ms since 1970
	Tries       int              `json:"tries,omitempty"`
	// Missed says that it was told that the task took longer than its rule allows.
	Missed bool `json:"missed,omitempty"`
}

const taskVersion = 1

func newTask(c *object.ReplicaChange, rule *bucket.ReplicationRule) task {
	return task{
		Bucket: c.Bucket.Name, UID: uuid.UUID(c.Bucket.UID), Owner: c.Bucket.Owner, Key: []byte(c.Key), VersionID: c.VersionID,
		Destination: rule.Destination.Name(), Rule: id(rule), Operation: c.Operation, Replica: c.Replica, Size: c.Size, ETag: c.ETag,
		Class: c.Class, Algorithm: c.Algorithm, Requested: c.Time.UnixMilli(),
	}
}

// change returns what the task was planned for, as far as rules ask.
func (t *task) change(tags []bucket.Tag) object.ReplicaChange {
	return object.ReplicaChange{
		Operation: t.Operation, Key: string(t.Key), VersionID: t.VersionID, Tags: tags, Class: t.Class, Algorithm: t.Algorithm,
		Replica: t.Replica, Replicated: []string{t.Destination},
	}
}

func (t *task) requested() time.Time { return time.UnixMilli(t.Requested) }

// anew reports whether a version is to be replicated, and not a change of one.
func (t *task) anew() bool { return t.Operation == object.OpPut || t.Operation == object.OpMarker }

func (t *task) ref() object.VersionRef {
	return object.VersionRef{Ref: object.Ref{Ref: bucket.Ref{Bucket: t.Bucket}, Key: string(t.Key)}, VersionID: t.VersionID}
}

func (t task) encode() ([]byte, error) {
	t.Version = taskVersion
	return json.Marshal(t)
}

func decodeTask(row []byte) (t task, err error) {
	if err := json.Unmarshal(row, &t); err != nil {
		return t, err
	}
	switch {
	case t.Version != taskVersion:
		return t, errors.New("unknown version")
	case t.Bucket == "" || t.Destination == "" || len(t.Key) == 0 || t.VersionID == "" || t.Operation == "" || t.Size < 0 || t.Tries < 0:
		return t, errors.New("no task")
	}
	return t, nil
}
