// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package syslog

import "net"

// seesAcknowledgements says that unacknowledged tells. Here it does not: what was sent
// last is sent again whenever a connection ends.
const seesAcknowledgements = false

func unacknowledged(net.Conn) (int, error) { return 0, nil }
