// SPDX-License-Identifier: Apache-2.0

package policy

// The limits of AWS. A document's size is counted by [Size], except for bucket and key
// policies, whose length in bytes counts. Parse does not ask for them: the service that
// keeps a document does, and answers LimitExceeded in its own words.
const (
	MaxManaged     = 6144  // a managed policy
	MaxUserInline  = 2048  // all inline policies of a user together
	MaxGroupInline = 5120  // of a group
	MaxRoleInline  = 10240 // of a role
	MaxTrust       = 2048  // a role's trust policy
	MaxSession     = 2048  // an inline session policy
	MaxBucket      = 20480 // a bucket's policy, in bytes
	MaxKey         = 32768 // a key's policy, in bytes
)

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
