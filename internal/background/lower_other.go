// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package background

// lower does nothing: only Linux has priorities of single threads.
func lower() {}
