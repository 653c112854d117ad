// SPDX-License-Identifier: Apache-2.0

//go:build !race

package object

// every: all cases of a test are run.
const every = 1
