// SPDX-License-Identifier: Apache-2.0

package trails

// Toucher is a result that says which trails the request touched.
type Toucher interface {
	// Touches returns their ARNs.
	Touches() []string
}

// Done is the result of an operation on a trail that has no other.
type Done struct{ arn string }

func done(ref trailRef) Done { return Done{ref.arn()} }

// Touches is Toucher's.
func (d Done) Touches() []string { return []string{d.arn} }
