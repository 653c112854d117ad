// SPDX-License-Identifier: Apache-2.0

//go:build race

package object

// every is of how many cases of a test one is run. Under the race detector they take
// ten times as long, and a few show as much: what it looks for does not depend on
// which two operations meet where.
const every = 6
