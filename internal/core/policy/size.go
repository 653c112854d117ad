// SPDX-License-Identifier: Apache-2.0

package policy

// Size counts a text's characters without white space, as IAM's quotas do.
func Size(text string) int {
	n := 0
	for _, c := range text {
		switch c {
		case ' ', '\t', '\n', '\r':
		default:
			n++
		}
	}
	return n
}
