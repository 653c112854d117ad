// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"
)

// act is what an operation of a history does with its key.
type act uint8

const (
	write         act = iota // of a body in any way: put, copy, completion of an upload
	deletion                 // of what is current
	read                     // of what is current
	readVersion              // of a version by its id
	removeVersion            // of a version by its id
	versionList              // of the key, all of them
)

var acts = map[act]string{
	write: "write", deletion: "delete", read: "read", readVersion: "read version", removeVersion: "remove version", versionList: "list",
}

// linearInput is what an operation asks. Versions go by the operation that made them,
// since their ids are known to nobody before they are answered.
type linearInput struct {
	act
	how       string // for who reads a failure
	key       string // with its bucket: the partition
	versioned bool
	op        uint64 // of a write or deletion: what its version will go by
	etag      string // of what a write makes
	ifMatch   string
	ifAbsent  bool
	version   uint64 // that is asked for
}

func (in linearInput) conditional() bool { return in.ifAbsent || in.ifMatch != "" }

// verdict is how an operation was answered.
type verdict string

const (
	noAnswer verdict = "unanswered" // it took effect until its end, or never does
	done     verdict = "done"
	missing  verdict = "404"
	conflict verdict = "409"
	failed   verdict = "412"
)

// linearOutput is an answer.
type linearOutput struct {
	verdict
	op   uint64 // of a read: the version that was found; 0 if the ETag alone is known
	etag string
	list []listedVersion
}

// listedVersion is a version as a listing has it: with its id. Markers come after the
// others.
type listedVersion struct {
	id             string
	marker, latest bool
}

// linearVersion is a version in a state of the model.
type linearVersion struct {
	op     uint64
	etag   string
	marker bool
}

// linearState is what a key is: its versions, newest first. Without versioning there
// is at most one, and no marker.
type linearState []linearVersion

func (s linearState) current() *linearVersion {
	if len(s) == 0 || s[0].marker {
		return nil
	}
	return &s[0]
}

// listed returns the versions in the order of listings.
func (s linearState) listed() linearState {
	out := slices.Clone(s)
	slices.SortStableFunc(out, func(a, b linearVersion) int {
		switch {
		case a.marker == b.marker:
			return 0
		case a.marker:
			return 1
		}
		return -1
	})
	return out
}

func (s linearState) find(op uint64) int {
	return slices.IndexFunc(s, func(v linearVersion) bool { return v.op == op })
}

// after returns the state in which v is current.
func (s linearState) after(v linearVersion, versioned bool) linearState {
	switch {
	case versioned:
		return append(linearState{v}, s...)
	case v.marker:
		return nil
	}
	return linearState{v}
}

// answers says how the condition of a write or a deletion is answered here.
func (s linearState) answers(in linearInput) verdict {
	cur := s.current()
	switch {
	case in.ifAbsent && cur != nil:
		return failed
	case in.ifMatch != "" && cur == nil:
		return missing
	case in.ifMatch != "" && cur.etag != in.ifMatch:
		return failed
	}
	return done
}

// linearModel is S3 as one key sees it. made tells the operation that made a version
// from the version's id, for those of which an answer ever told.
func linearModel(made map[string]uint64) porcupine.Model {
	told := map[uint64]bool{}
	for _, op := range made {
		told[op] = true
	}
	m := porcupine.NondeterministicModel{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byKey := map[string]int{}
			var out [][]porcupine.Operation
			for _, o := range history {
				key := o.Input.(linearInput).key
				i, ok := byKey[key]
				if !ok {
					i = len(out)
					byKey[key], out = i, append(out, nil)
				}
				out[i] = append(out[i], o)
			}
			return out
		},
		Init: func() []any { return []any{linearState(nil)} },
		Step: func(state, input, output any) []any {
			var next []any
			for _, s := range linearStep(state.(linearState), input.(linearInput), output.(linearOutput), made, told) {
				next = append(next, s)
			}
			return next
		},
		Equal: func(a, b any) bool { return slices.Equal(a.(linearState), b.(linearState)) },
		Hash: func(state any) uint64 {
			h := uint64(14695981039346656037)
			for _, v := range state.(linearState) {
				h = (h ^ v.op) * 1099511628211
			}
			return h
		},
		DescribeOperation: func(input, output any) string {
			return describeLinear(input.(linearInput), output.(linearOutput))
		},
	}
	return m.ToModel()
}

// linearStep returns the states that an operation with that answer may lead to; none
// if it cannot be answered so.
func linearStep(s linearState, in linearInput, out linearOutput, made map[string]uint64, told map[uint64]bool) []linearState {
	same := []linearState{s}
	if out.verdict == conflict && in.conditional() { // the caller is to try again
		return same
	}
	switch in.act {
	case write, deletion:
		want := s.answers(in)
		next := s
		if want == done {
			next = s.after(linearVersion{in.op, in.etag, in.act == deletion}, in.versioned)
		}
		switch out.verdict {
		case noAnswer:
			return []linearState{s, next}
		case want:
			return []linearState{next}
		}
	case read:
		cur := s.current()
		switch {
		case out.verdict == missing && cur == nil,
			out.verdict == done && cur != nil && cur.etag == out.etag && (out.op == 0 || out.op == cur.op):
			return same
		}
	case readVersion:
		i := s.find(in.version)
		if out.verdict == missing && i < 0 || out.verdict == done && i >= 0 && out.op == in.version {
			return same
		}
	case removeVersion:
		next := s
		if i := s.find(in.version); i >= 0 {
			next = slices.Delete(slices.Clone(s), i, i+1)
		}
		switch out.verdict {
		case noAnswer:
			return []linearState{s, next}
		case done:
			return []linearState{next}
		}
	case versionList:
		if slices.EqualFunc(s.listed(), out.list, func(v linearVersion, l listedVersion) bool {
			op, known := made[l.id]
			latest := v.op == s[0].op
			return v.marker == l.marker && latest == l.latest && (known && op == v.op || !known && !told[v.op])
		}) {
			return same
		}
	}
	return nil
}

func describeLinear(in linearInput, out linearOutput) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", acts[in.act], in.how)
	if in.op != 0 {
		fmt.Fprintf(&b, " #%d", in.op)
	}
	if in.version != 0 {
		fmt.Fprintf(&b, " of #%d", in.version)
	}
	if in.ifAbsent {
		b.WriteString(" if absent")
	}
	if in.ifMatch != "" {
		fmt.Fprintf(&b, " if %.8s", in.ifMatch)
	}
	fmt.Fprintf(&b, " -> %s", out.verdict)
	if out.op != 0 {
		fmt.Fprintf(&b, " #%d", out.op)
	}
	if out.list != nil {
		fmt.Fprintf(&b, " %v", out.list)
	}
	return b.String()
}

// TestTheModelOfOneKey holds the checker to histories that are right and to such that
// no store may have: one that finds nothing must be able to find something.
func TestTheModelOfOneKey(t *testing.T) {
	type operation struct {
		call, ret int64
		in        linearInput
		out       linearOutput
	}
	put := func(op uint64) linearInput { return linearInput{act: write, op: op, etag: fmt.Sprint("e", op)} }
	putIf := func(op, match uint64) linearInput {
		in := put(op)
		in.ifMatch = fmt.Sprint("e", match)
		return in
	}
	putIfAbsent := func(op uint64) linearInput {
		in := put(op)
		in.ifAbsent = true
		return in
	}
	found := func(op uint64) linearOutput { return linearOutput{verdict: done, op: op, etag: fmt.Sprint("e", op)} }
	answer := func(o verdict) linearOutput { return linearOutput{verdict: o} }
	kept := func(in linearInput) linearInput { in.versioned = true; return in }
	get, del := linearInput{act: read}, linearInput{act: deletion, op: 90}
	list := kept(linearInput{act: versionList})
	for name, c := range map[string]struct {
		right   bool
		history []operation
	}{
		"a write is read":              {true, []operation{{1, 2, put(1), answer(done)}, {3, 4, get, found(1)}}},
		"a lost write":                 {false, []operation{{1, 2, put(1), answer(done)}, {3, 4, get, answer(missing)}}},
		"a stale read":                 {false, []operation{{1, 2, put(1), answer(done)}, {3, 4, put(2), answer(done)}, {5, 6, get, found(1)}}},
		"either of two writes at once": {true, []operation{{1, 5, put(1), answer(done)}, {2, 4, put(2), answer(done)}, {6, 7, get, found(1)}}},
		"reads that go back": {false, []operation{
			{1, 2, put(1), answer(done)}, {3, 20, put(2), answer(done)}, {4, 5, get, found(2)}, {6, 7, get, found(1)},
		}},
		"two creations":          {false, []operation{{1, 5, putIfAbsent(1), answer(done)}, {2, 6, putIfAbsent(2), answer(done)}}},
		"one creation":           {true, []operation{{1, 5, putIfAbsent(1), answer(failed)}, {2, 6, putIfAbsent(2), answer(done)}}},
		"both creations refused": {false, []operation{{1, 5, putIfAbsent(1), answer(failed)}, {2, 6, putIfAbsent(2), answer(failed)}}},
		"a lost update": {false, []operation{
			{1, 2, put(1), answer(done)}, {3, 9, putIf(2, 1), answer(done)}, {4, 8, putIf(3, 1), answer(done)},
		}},
		"a condition on nothing":            {true, []operation{{1, 2, putIf(2, 1), answer(missing)}}},
		"a condition on nothing that held":  {false, []operation{{1, 2, putIf(2, 1), answer(done)}}},
		"a refused write that was done":     {false, []operation{{1, 2, put(1), answer(done)}, {3, 4, putIf(2, 7), answer(failed)}, {5, 6, get, found(2)}}},
		"an unanswered write that was done": {true, []operation{{1, 2, put(1), answer(done)}, {3, 4, put(2), answer(noAnswer)}, {5, 6, get, found(2)}}},
		"an unanswered write that was not":  {true, []operation{{1, 2, put(1), answer(done)}, {3, 4, put(2), answer(noAnswer)}, {5, 6, get, found(1)}}},
		"a write that comes after its end": {false, []operation{
			{1, 2, put(1), answer(done)}, {3, 4, put(2), answer(noAnswer)}, {5, 6, get, found(1)}, {7, 8, get, found(2)},
		}},
		"a write that stayed open": {true, []operation{
			{1, 2, put(1), answer(done)}, {3, 100, put(2), answer(noAnswer)}, {5, 6, get, found(1)}, {7, 8, get, found(2)},
		}},
		"a deletion that did nothing": {false, []operation{{1, 2, put(1), answer(done)}, {3, 4, del, answer(done)}, {5, 6, get, found(1)}}},
		"versions in their order": {true, []operation{
			{1, 2, kept(put(1)), answer(done)}, {3, 4, kept(del), answer(done)}, {5, 6, kept(put(2)), answer(done)},
			{7, 8, list, linearOutput{verdict: done, list: []listedVersion{{"v2", false, true}, {"v1", false, false}, {"v90", true, false}}}},
		}},
		"versions out of order": {false, []operation{
			{1, 2, kept(put(1)), answer(done)}, {5, 6, kept(put(2)), answer(done)},
			{7, 8, list, linearOutput{verdict: done, list: []listedVersion{{"v1", false, false}, {"v2", false, true}}}},
		}},
		"a version of an unanswered write": {true, []operation{
			{1, 2, kept(put(1)), answer(done)}, {3, 4, kept(put(5)), answer(noAnswer)},
			{7, 8, list, linearOutput{verdict: done, list: []listedVersion{{"x", false, true}, {"v1", false, false}}}},
		}},
		"a version of nobody": {false, []operation{
			{1, 2, kept(put(1)), answer(done)},
			{7, 8, list, linearOutput{verdict: done, list: []listedVersion{{"x", false, true}, {"v1", false, false}}}},
		}},
		"a removed version uncovers the one before": {true, []operation{
			{1, 2, kept(put(1)), answer(done)}, {3, 4, kept(put(2)), answer(done)},
			{5, 6, kept(linearInput{act: removeVersion, version: 2}), answer(done)}, {7, 8, kept(get), found(1)},
			{9, 10, kept(linearInput{act: readVersion, version: 2}), answer(missing)},
		}},
		"a removed version that is read": {false, []operation{
			{1, 2, kept(put(1)), answer(done)}, {5, 6, kept(linearInput{act: removeVersion, version: 1}), answer(done)},
			{9, 10, kept(linearInput{act: readVersion, version: 1}), found(1)},
		}},
	} {
		var history []porcupine.Operation
		for i, o := range c.history {
			history = append(history, porcupine.Operation{ClientId: i, Input: o.in, Call: o.call, Output: o.out, Return: o.ret})
		}
		model := linearModel(map[string]uint64{"v1": 1, "v2": 2, "v90": 90})
		if got := porcupine.CheckOperations(model, history); got != c.right {
			t.Errorf("%s: is said to be right: %t", name, got)
		}
	}
}
