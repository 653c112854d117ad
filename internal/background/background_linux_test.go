// SPDX-License-Identifier: Apache-2.0

package background

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestDoLowersItsThreadAlone(t *testing.T) {
	// The system call's value is 20 - niceness.
	prio := func() int {
		p, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
		if err != nil {
			t.Fatal(err)
		}
		return 20 - p
	}
	before := prio()
	within := before
	Do(func() { within = prio() })
	if want := max(before, niceness); within != want {
		t.Errorf("within: %d, want %d", within, want)
	}
	for range 100 { // threads come and go
		done := make(chan int)
		go func() { done <- prio() }()
		if got := <-done; got != before {
			t.Fatalf("another goroutine has niceness %d, want %d", got, before)
		}
	}
}
