// SPDX-License-Identifier: Apache-2.0

package audit

import "github.com/cockroachdb/pebble/v2/vfs"

// Segments returns the names of the files of the trail in dir, oldest first.
func Segments(fs vfs.FS, dir string) ([]string, error) { return listSegments(fs, dir) }

// Delivered returns a line of a file, without its newline, as consumers are given it: it
// is made of the same memory, whose content changes.
func Delivered(line []byte) []byte { return unchained(line) }
