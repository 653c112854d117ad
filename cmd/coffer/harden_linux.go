// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// harden keeps the process's memory, where keys are, from core dumps and from
// other processes of the user.
func harden() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil && !errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("forbid dumps of memory: %w", err)
	}
	// Whatever GOTRACEBACK says: "crash" would end a panic in a core dump.
	debug.SetTraceback("single")
	return nil
}
