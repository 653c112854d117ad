// SPDX-License-Identifier: Apache-2.0

package replication

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cofferstore/coffer/internal/core/object"
)

// example is a task with a key that is no text.
var example = task{
	Version: 1, Bucket: "photos", UID: uuid.UUID{1}, Owner: "111122223333", Key: []byte{'a', 0xff, 0}, VersionID: "v", Destination: "copies", Rule: "r",
	Operation: object.OpPut, Size: 7, ETag: "e", Class: "STANDARD_IA", Algorithm: "aws:kms", Requested: 1_700_000_000_000, Tries: 3, Missed: true,
}

const exampleRow = `{"version":1,"bucket":"photos","uid":"01000000-0000-0000-0000-000000000000","owner":"111122223333","key":"Yf8A","versionId":"v",` +
	`"destination":"copies","rule":"r","operation":"OBJECT_PUT","size":7,"etag":"e","class":"STANDARD_IA","algorithm":"aws:kms","requested":1700000000000,"tries":3,"missed":true}`

func TestTaskRow(t *testing.T) {
	row, err := example.encode()
	if err != nil || string(row) != exampleRow {
		t.Errorf("%s, %v", row, err)
	}
	if got, err := decodeTask([]byte(exampleRow)); err != nil || !reflect.DeepEqual(got, example) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "{}", `{"version":2}`, `{"version":1}`, `[]`} {
		if got, err := decodeTask([]byte(bad)); err == nil {
			t.Errorf("%q is %+v", bad, got)
		}
	}
	at := time.UnixMilli(1_700_000_000_000)
	key := taskKey(at, 42)
	if due, sequence, ok := splitTaskKey(key); !ok || !due.Equal(at) || sequence != 42 || len(key) != taskKeySize {
		t.Errorf("%q is %v, %d, %t", key, due, sequence, ok)
	}
	if bytes.Compare(taskKey(at, 43), taskKey(at.Add(time.Millisecond), 1)) >= 0 || bytes.Compare(taskKey(at, 1), taskKey(at, 2)) >= 0 {
		t.Error("rows are not in the order of time, then of place")
	}
	for _, bad := range []string{"rp/", "rp/12345678", "nq/1234567812345678", "rp/\xff2345678123456789"} {
		if _, _, ok := splitTaskKey([]byte(bad)); ok {
			t.Errorf("%q is a task's", bad)
		}
	}
}

// FuzzTask: what a row is read as is written as what is read as the same.
func FuzzTask(f *testing.F) {
	f.Add([]byte(exampleRow))
	f.Add([]byte(`{"version":1,"bucket":"b","uid":"01000000-0000-0000-0000-000000000000","key":"YQ==","versionId":"v","destination":"c","operation":"DELETE_MARKER"}`))
	f.Fuzz(func(t *testing.T, row []byte) {
		one, err := decodeTask(row)
		if err != nil {
			return
		}
		again, err := one.encode()
		if err != nil {
			t.Fatal(err)
		}
		if two, err := decodeTask(again); err != nil || !reflect.DeepEqual(one, two) {
			t.Fatalf("%+v, then %+v, %v", one, two, err)
		}
	})
}

func TestBackoff(t *testing.T) {
	for tries, most := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 9: maxWait, 10: maxWait, 1 << 40: maxWait} {
		for range 100 {
			if got := backoff(tries); got < most/2 || got > most {
				t.Errorf("after %d tries %v, want %v at most and half of it at least", tries, got, most)
			}
		}
	}
}
