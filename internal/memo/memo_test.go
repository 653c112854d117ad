// SPDX-License-Identifier: Apache-2.0

package memo

import (
	"strconv"
	"strings"
	"sync"
	"testing"
)

func TestMemo(t *testing.T) {
	var m Memo[int]
	if v, ok := m.Get("a"); ok {
		t.Errorf("an empty memo has %d", *v)
	}
	if v := m.Put("a", 7); *v != 7 {
		t.Errorf("put 7, got %d", *v)
	}
	if v, ok := m.Get("a"); !ok || *v != 7 {
		t.Error("what was put is not there")
	}
	long := strings.Repeat("x", longest+1)
	if v := m.Put(long, 8); *v != 8 {
		t.Errorf("put 8, got %d", *v)
	}
	if _, ok := m.Get(long); ok {
		t.Error("a long string is held")
	}
}

// Of many strings some are remembered, and what is remembered is right, whoever puts.
func TestMemoIsRight(t *testing.T) {
	var m Memo[int]
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 5000 {
				n := i * i % 2000
				of := strconv.Itoa(n)
				if v, ok := m.Get(of); ok && *v != n {
					t.Errorf("%d is remembered of %s", *v, of)
				}
				m.Put(of, n)
			}
		})
	}
	wg.Wait()
	held := 0
	for i := range 2000 {
		if _, ok := m.Get(strconv.Itoa(i)); ok {
			held++
		}
	}
	if held == 0 || held > len(m.places) {
		t.Errorf("%d of 2000 are remembered", held)
	}
}
