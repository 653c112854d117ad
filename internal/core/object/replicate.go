// SPDX-License-Identifier: Apache-2.0

package object

import (
	"context"
	"errors"

	"github.com/cofferstore/coffer/internal/core/iam"
)

// replicate is Replicate.
func (o *Objects) replicate(context.Context, iam.Caller, Replicate) (Replica, error) {
	return Replica{}, errors.New("object: replicas are not made")
}
