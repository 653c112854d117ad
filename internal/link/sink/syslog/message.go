// SPDX-License-Identifier: Apache-2.0

package syslog

import (
	"encoding/json"
	"strconv"
	"time"
)

// Of every message (RFC 5424, 6.2.1): the facility "log audit", and the severity.
const (
	facility    = 13
	warning     = 4 // the call was refused or failed
	information = 6
)

// Bounds of fields, in characters (RFC 5424, 6).
const (
	maxHost  = 255
	maxMsgID = 32
)

// frame appends a record as a message of RFC 5424 with its length before it (RFC 5425,
// 4.3; RFC 6587, 3.4.1): the time is the event's, the message id its name, and the
// message the record itself.
func frame(to []byte, host string, record []byte) []byte {
	var r struct {
		Time  string `json:"eventTime"`
		Name  string `json:"eventName"`
		Error string `json:"errorCode"`
	}
	_ = json.Unmarshal(record, &r) // what is no record goes without its facts
	severity := information
	if r.Error != "" {
		severity = warning
	}
	at := "-"
	if t, err := time.Parse(time.RFC3339, r.Time); err == nil {
		at = t.UTC().Format("2006-01-02T15:04:05Z")
	}
	head := "<" + strconv.Itoa(facility*8+severity) + ">1 " + at + " " + field(host, maxHost) + " coffer - " + field(r.Name, maxMsgID) + " - "
	to = strconv.AppendInt(to, int64(len(head)+len(record)), 10)
	to = append(to, ' ')
	to = append(to, head...)
	return append(to, record...)
}

// field returns text as a field of a header, which has printable ASCII and no spaces.
func field(text string, most int) string {
	b := make([]byte, 0, min(len(text), most))
	for _, c := range []byte(text) {
		if c > ' ' && c < 0x7f && len(b) < most {
			b = append(b, c)
		}
	}
	if len(b) == 0 {
		return "-"
	}
	return string(b)
}
