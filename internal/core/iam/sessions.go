// SPDX-License-Identifier: Apache-2.0

package iam

import "github.com/cofferstore/coffer/internal/fault"

// Kinds of fault of temporary credentials.
const (
	// ExpiredToken: the session is over.
	ExpiredToken fault.Kind = "iam: expired session token"
	// InvalidToken: the session token is missing, was not given out here, or is not of
	// this access key; or what the session was of is no more.
	InvalidToken fault.Kind = "iam: invalid session token"
)
