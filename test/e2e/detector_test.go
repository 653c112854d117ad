// SPDX-License-Identifier: Apache-2.0

//go:build race

package e2e

// raced says that the race detector watches: everything takes many times as long.
const raced = true
