// SPDX-License-Identifier: Apache-2.0

package coffertest

import (
	"os"

	"golang.org/x/sys/unix"
)

const (
	// memoryFiles is where Linux keeps files in memory.
	memoryFiles = "/dev/shm"
	// memoryRoom is how much must be free there. A container has 64 MiB by default.
	memoryRoom = 2 << 30
)

// InMemory puts the data directory on a memory file system, where there is one with
// room. It is for tests that write much and whose subject is not what a disk keeps.
func InMemory() Option {
	return func(s *Server) {
		s.T.Helper()
		var fs unix.Statfs_t
		if err := unix.Statfs(memoryFiles, &fs); err != nil || fs.Bavail < memoryRoom/uint64(fs.Bsize) {
			return
		}
		dir, err := os.MkdirTemp(memoryFiles, "coffertest-")
		if err != nil { // not ours to write to
			return
		}
		s.Dir = dir
		s.T.Cleanup(func() {
			if err := os.RemoveAll(dir); err != nil {
				s.T.Errorf("remove the data directory: %v", err)
			}
		})
	}
}
