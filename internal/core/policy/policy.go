// SPDX-License-Identifier: Apache-2.0

// Package policy is the language of permissions: what a request needs. It is
// pure: no I/O, no clock.
package policy

// Need is one action on one resource that a request must be allowed.
type Need struct {
	Action   string // "s3:PutObject", "kms:Decrypt"
	Resource string // ARN; "*" for actions without one
}
