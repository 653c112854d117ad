// SPDX-License-Identifier: Apache-2.0

package background

import "golang.org/x/sys/unix"

// niceness is that of background work: about a tenth of the share of a thread that serves,
// so that it comes forward on a machine that never rests, too.
const niceness = 10

// lower gives the calling thread a low priority, if it has none. It cannot be refused:
// everybody may lower a priority of their own.
func lower() {
	if priority, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid()); err != nil || 20-priority < niceness {
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), niceness)
	}
}
