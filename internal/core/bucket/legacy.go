// SPDX-License-Identifier: Apache-2.0

package bucket

import "context"

// Legacy describes a bucket's legacy mode.
type Legacy struct {
	On bool
	// Default is the default encryption that was put for the bucket, "" for none.
	// Objects have that one while there is one, and legacy mode has no effect.
	Default string
}

// SetLegacy switches a bucket's legacy mode. While it is on, objects that are written
// without naming an encryption are reported as not encrypted, as S3 did before 2023,
// unless a default encryption was put for the bucket. They are sealed as under
// SSE-S3 all the same. What is stored already stays as it is reported, and so does an
// upload under way. Fault: NoSuchBucket.
func (s *Buckets) SetLegacy(ctx context.Context, name string, on bool) (Legacy, error) {
	b, err := s.Find(ctx, Ref{Bucket: name})
	if err != nil {
		return Legacy{}, err
	}
	out := Legacy{On: on}
	err = s.update(ctx, b.UID, func(r *record) error {
		r.Legacy, out.Default = on, ""
		if r.Encryption.Explicit {
			out.Default = r.Encryption.Algorithm
		}
		return nil
	})
	return out, err
}
