// SPDX-License-Identifier: Apache-2.0

package bucketkey

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"
)

var planned = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// closedOnes returns generations of a tier with these counts, the oldest first.
func closedOnes(tier byte, objects ...int64) (out []Entry) {
	for i, n := range objects {
		created := planned.Add(time.Duration(i-1000) * 24 * time.Hour)
		out = append(out, Entry{
			Generation: Generation{ID: uuid.New(), KeyARN: key1, Context: bare(photos), Created: created, NotAfter: created.Add(Window)},
			closing:    closing,
			Tier:       tier, Objects: n, Counted: planned, canonical: "c",
		})
	}
	return out
}

func anyKey(string) bool { return true }

func TestPlan(t *testing.T) {
	const half = MaxObjects / 2
	few := []int64{1, 2, 3, 4, 5, 6, 7, 8}
	open := closedOnes(0, few...)
	open[7].NotAfter = planned.Add(-closing + time.Minute)
	uploading := closedOnes(0, few...)
	uploading[0].Uploads = 1
	uncounted := closedOnes(0, few...)
	uncounted[3].Counted = time.Time{}
	otherContext := closedOnes(0, few...)
	otherContext[2].canonical = "d"
	filling := closedOnes(1, few...)
	filling = append(filling, closedOnes(0, 1)...)
	filling[8].Retired, filling[8].Into = planned, filling[0].ID
	for name, test := range map[string]struct {
		entries []Entry
		want    []int // sources of each merge; negative: empty ones
	}{
		"eight":                   {closedOnes(0, few...), []int{8}},
		"seven":                   {closedOnes(0, few[:7]...), nil},
		"twenty":                  {closedOnes(0, append(append(few, few...), 1, 2, 3, 4)...), []int{8, 8}},
		"one takes data keys":     {open, nil},
		"one has uploads":         {uploading, nil},
		"one was never counted":   {uncounted, nil},
		"one of another context":  {otherContext, nil},
		"one is being filled":     {filling, nil},
		"empty ones":              {closedOnes(0, 0, 5, 0), []int{-2}},
		"large ones in two":       {closedOnes(0, half, half, half, half, half, half, half, half), []int{2, 2, 2, 2}},
		"full ones stay":          {closedOnes(3, half+1, half+1, half+1, 1, 1, 1, 1, 1, 1, 1), nil},
		"what is left alone":      {closedOnes(0, 1, 1, 1, 1, 1, 1, MaxObjects/2, MaxObjects/2), []int{7}},
		"the bound is met":        {closedOnes(0, half, half-6, 1, 1, 1, 1, 1, 1), []int{8}},
		"the bound is not passed": {closedOnes(0, half, half, 1, 1, 1, 1, 1, 1), []int{2, 6}},
	} {
		var got []int
		for _, m := range Plan(test.entries, planned, anyKey) {
			n, sum := len(m.Sources), int64(0)
			for _, e := range m.Sources {
				sum += e.Objects
				if !m.Empty && m.Tier != e.Tier+1 {
					t.Errorf("%s: tier %d from tier %d", name, m.Tier, e.Tier)
				}
			}
			if sum > MaxObjects {
				t.Errorf("%s: %d data keys under one generation", name, sum)
			}
			if m.Empty {
				n = -n
			}
			got = append(got, n)
		}
		if len(got) != len(test.want) {
			t.Errorf("%s: merges of %v, want %v", name, got, test.want)
			continue
		}
		for i := range got {
			if got[i] != test.want[i] {
				t.Errorf("%s: merges of %v, want %v", name, got, test.want)
			}
		}
	}
	if got := Plan(closedOnes(0, few...), planned, func(string) bool { return false }); len(got) != 0 {
		t.Errorf("%d merges under a disabled key", len(got))
	}
}

func TestDue(t *testing.T) {
	retired := closedOnes(0, 1)
	retired[0].Retired = planned
	full := closedOnes(0, MaxObjects, MaxObjects, MaxObjects, MaxObjects, MaxObjects, MaxObjects, MaxObjects, MaxObjects)
	for name, test := range map[string]struct {
		entries []Entry
		want    bool
	}{
		"eight":    {closedOnes(0, 1, 1, 1, 1, 1, 1, 1, 1), true},
		"seven":    {closedOnes(0, 1, 1, 1, 1, 1, 1, 1), false},
		"left":     {retired, true},
		"all full": {full, false},
	} {
		if got := Due(test.entries, planned, anyKey); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
		if Due(test.entries, planned, func(string) bool { return false }) {
			t.Errorf("%s: due under a disabled key", name)
		}
	}
}

func TestStateRow(t *testing.T) {
	for _, s := range []state{
		{},
		{tier: 3, counted: planned, objects: 1 << 40, moves: 7, retired: planned, into: uuid.New()},
	} {
		b := s.encode()
		got, err := parseState(b)
		if err != nil || !bytes.Equal(got.encode(), b) || got.tier != s.tier || !got.retired.Equal(s.retired) || got.into != s.into {
			t.Errorf("%+v, %v, want %+v", got, err, s)
		}
		for _, i := range []int{0, 4, 6, 7} {
			bad := bytes.Clone(b)
			bad[i] ^= 2
			if _, err := parseState(bad); err == nil {
				t.Errorf("byte %d is not looked at", i)
			}
		}
		if _, err := parseState(b[:55]); err == nil {
			t.Error("a short row is taken")
		}
	}
}

func FuzzParseState(f *testing.F) {
	f.Add(state{tier: 1, retired: planned, into: uuid.New()}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := parseState(b); err == nil && !bytes.Equal(s.encode(), b) {
			t.Errorf("%x is taken and written as %x", b, s.encode())
		}
	})
}
