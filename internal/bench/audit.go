// SPDX-License-Identifier: Apache-2.0

package bench

import "context"

// openAudit starts the server of a contender that is measured by what it records. The two
// have directories of their own, so that neither pays for the other's trail.
func (r *run) openAudit(ctx context.Context, who contender) (err error) {
	if r.audits == nil {
		r.audits = map[contender]*server{}
	}
	if who == unaudited {
		r.audits[who], err = r.ownServer(ctx, "unaudited", "--audit=false")
		return err
	}
	r.audits[who], err = r.ownServer(ctx, "audited")
	return err
}
