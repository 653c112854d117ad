// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package terraform names the provider that the suite "terraform" builds, for go.mod.
package terraform

import _ "github.com/terraform-providers/terraform-provider-aws"
