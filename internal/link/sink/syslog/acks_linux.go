// SPDX-License-Identifier: Apache-2.0

package syslog

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// seesAcknowledgements says that unacknowledged tells.
const seesAcknowledgements = true

// established is the state of a TCP connection of which neither side has ended anything
// (TCP_ESTABLISHED in Linux's net/tcp_states.h).
const established = 1

// unacknowledged returns how many bytes written to a connection the other machine has not
// acknowledged, or that the other side has ended the connection: its bytes are then
// forgotten, and none would be left.
func unacknowledged(c net.Conn) (pending int, err error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return 0, nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		if pending, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err != nil {
			err = fmt.Errorf("ask what is acknowledged: %w", err)
			return
		}
		var info *unix.TCPInfo
		if info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err != nil {
			err = fmt.Errorf("ask whether the connection lasts: %w", err)
		} else if info.State != established {
			err = errors.New("the server ended the connection")
		}
	})
	return pending, errors.Join(controlErr, err)
}
