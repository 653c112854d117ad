// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// What the trail says of itself is in it: service events of source "coffer".
const (
	ownSource = "coffer"

	recoverEvent = "RecoverAuditTrail" // a start found what a crash had taken that was not durable
	headEvent    = "AuditHeadNotFound" // a start did not find the head in the files
	dropEvent    = "DropAuditSegment"  // a file is removed, because of its age or the size of all
	gapEvent     = "AuditGap"          // calls were served without a record

	timeText = time.RFC3339
)

// ownEvent is in every line of such an event: the encoder writes the members in this order.
var ownEvent = []byte(`"eventSource":"` + ownSource + `","eventName":"`)

// recovered is serviceEventDetails of recoverEvent.
type recovered struct {
	Gaps []place `json:"gaps"`
	More int     `json:"more,omitempty"` // gaps that are not listed
}

type place struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Kind   Kind   `json:"kind"`
}

// maxPlaces bounds the places in an event.
const maxPlaces = 200

// dropped is serviceEventDetails of dropEvent.
type dropped struct {
	File    string     `json:"file"`
	Bytes   int64      `json:"bytes"`
	Records int64      `json:"records"`
	First   *time.Time `json:"firstEventTime,omitempty"`
	Last    *time.Time `json:"lastEventTime,omitempty"`
	Chain   Chain      `json:"chain"`            // of its last line
	Faults  int64      `json:"faults,omitempty"` // in it
	Reason  string     `json:"reason"`           // age or size
}

// gap is serviceEventDetails of gapEvent.
type gap struct {
	Calls int64     `json:"calls"`
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
}

// own returns a record of the trail's own.
func (t *Trail) own(event string, details any) (Record, error) {
	text, err := json.Marshal(details)
	return Record{
		UserIdentity: Identity{Type: "AWSService", InvokedBy: ownSource},
		EventSource:  ownSource, EventName: event, AWSRegion: t.region, SourceIPAddress: ownSource, UserAgent: ownSource,
		RequestID: uuid.NewString(), EventType: TypeServiceEvent, ManagementEvent: true, EventCategory: Management,
		RecipientAccountID: t.account, ServiceEventDetails: text,
	}, err
}
