// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// eventVersion is the version of CloudTrail's record format that is written.
const eventVersion = "1.11"

// Limits of CloudTrail's record format (CloudTrail User Guide, "CloudTrail
// record contents"), in bytes of JSON, or of text for the last.
const (
	maxEvent      = 256 << 10
	maxParameters = 100 << 10 // requestParameters, responseElements, serviceEventDetails
	maxAdditional = 28 << 10  // additionalEventData
	maxText       = 1 << 10   // userAgent, errorCode, errorMessage
)

// encode fills in what the trail itself knows, applies the limits, and returns
// the record as a line.
func encode(r *Record) ([]byte, error) { return encodeIn(nil, r) }

// encodeIn is encode in memory that is given, as far as it reaches; without any, in its own.
func encodeIn(b []byte, r *Record) ([]byte, error) {
	if b == nil {
		b = make([]byte, 0, typicalLine)
	}
	return encodeBehind(b[:0], r)
}

// encodeBehind appends the line to what is there already.
func encodeBehind(b []byte, r *Record) ([]byte, error) {
	r.EventVersion = eventVersion
	if r.EventID == "" {
		r.EventID = NewEventID()
	}
	if r.EventTime.IsZero() {
		r.EventTime = time.Now()
	}
	r.EventTime = r.EventTime.UTC().Truncate(time.Second)
	r.UserAgent = cut(r.UserAgent)
	r.ErrorCode = cut(r.ErrorCode)
	r.ErrorMessage = cut(r.ErrorMessage)

	begun := len(b)
	b, err := r.appendLine(b)
	if err != nil {
		return nil, err
	}
	// A record shorter than the smallest limit breaks none of them, and nearly
	// all are: the members need not be measured one by one.
	if len(b)-begun <= maxAdditional {
		return b, nil
	}
	line, err := shorten(*r)
	if err != nil {
		return nil, err
	}
	return append(b[:begun], line...), nil
}

// shorten omits the members that are over their own limits, and then as many
// others as it takes, in the order that CloudTrail documents. The request id,
// first in that order, stays: it saves nothing and joins a client's log to this
// one.
func shorten(r Record) ([]byte, error) {
	r = r.Plain()
	var err error
	if r.RequestParameters, err = bound("requestParameters", r.RequestParameters, maxParameters); err != nil {
		return nil, err
	}
	if r.ResponseElements, err = bound("responseElements", r.ResponseElements, maxParameters); err != nil {
		return nil, err
	}
	if r.AdditionalEventData, err = bound("additionalEventData", r.AdditionalEventData, maxAdditional); err != nil {
		return nil, err
	}
	if n := len(r.ServiceEventDetails); n > maxParameters {
		if r.ServiceEventDetails, err = marshal(omitted("serviceEventDetails", n)); err != nil {
			return nil, err
		}
	}
	none := func() {}
	for _, omit := range []func(){
		none,
		func() { r.AdditionalEventData = nil },
		func() { r.ServiceEventDetails = nil },
		func() { r.UserAgent = "" },
		func() { r.ResponseElements = nil },
		func() { r.RequestParameters = nil },
		func() { r.ErrorMessage = "" },
		func() { r.Resources = nil },
	} {
		omit()
		line, err := r.line()
		if err != nil {
			return nil, err
		}
		if len(line) <= maxEvent {
			return line, nil
		}
	}
	return nil, fmt.Errorf("audit: record of %s is over %d bytes without any of its parameters", r.EventName, maxEvent)
}

// bound returns members, or a note of what was there when they are over max.
func bound(name string, members map[string]any, max int) (map[string]any, error) {
	text, err := marshal(members)
	if err != nil {
		return nil, err
	}
	if len(text) <= max {
		return members, nil
	}
	return omitted(name, len(text)), nil
}

// omitted is what CloudTrail writes in the place of a member that is too large.
func omitted(name string, size int) map[string]any {
	return map[string]any{"omitted": true, "originalSize": size, "reason": name + " too large"}
}

// marshal is json.Marshal and a newline, with <, > and & as they are, so that
// URLs and user agents can be searched for.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("audit: encode record: %w", err)
	}
	return b.Bytes(), nil
}

// cut shortens s to maxText bytes without splitting a character. A byte that is of no
// character counts as what is written for it.
func cut(s string) string {
	if len(s) <= maxText/utf8.UTFMax {
		return s
	}
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
