// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"context"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
)

// Toucher is a result that names what the operation touched, for its audit
// record: ARNs of keys and aliases.
type Toucher interface{ Touches() []string }

// touched makes a result a Toucher.
type touched []string

// Touches returns the ARNs.
func (t touched) Touches() []string { return t }

// Done is the result of operations that answer nothing.
type Done struct{ touched }

// named is a request that names what it touches.
type named interface {
	// names returns keys as the client wrote them, aliases by name, and a
	// ciphertext whose key is touched though it is not named.
	names() (keys []string, aliases []string, blob []byte)
}

// Touched returns the ARNs that a request of this package names, as far as they
// can be told, for the audit record of a call that failed. It checks nothing.
func (s *Service) Touched(ctx context.Context, by iam.Caller, request any) []string {
	r, ok := request.(named)
	if !ok {
		return nil
	}
	var arns []string
	keys, aliases, blob := r.names()
	for _, name := range keys {
		if name == "" {
			continue
		}
		if ref, _, err := s.keyOrAliasNamed(ctx, by, name); err == nil {
			arns = append(arns, ref.arn(s.region))
		}
	}
	if ref, _, held, err := s.keyOfBlob(ctx, blob); err == nil && !held && (len(keys) == 0 || keys[0] == "") {
		arns = append(arns, ref.arn(s.region))
	}
	for _, name := range aliases {
		arns = append(arns, aws.AliasARN(s.region, by.Account, name))
	}
	return arns
}
