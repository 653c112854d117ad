// SPDX-License-Identifier: Apache-2.0

package notification

import (
	"testing"

	"github.com/cofferstore/coffer/internal/fips/fipstest"
)

func TestMain(m *testing.M) { fipstest.Main(m) }
