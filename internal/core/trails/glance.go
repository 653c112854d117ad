// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/jsonscan"
)

// glancer reads of a record what selectors ask for. Every record of the audit trail goes
// through here for every trail that logs, so it takes hardly any time or memory: it passes
// over what nobody asks for, and texts that are the same as in the record before are not
// copied again.
type glancer struct {
	audit.Record
	stamp string // of EventTime, as it was read
	odd   bool   // a member is not what it is in a record
}

// read reads a record. It reports false for what is none; what the members hold that it
// passes over is not checked.
func (g *glancer) read(line []byte) bool {
	resources := g.Resources[:0]
	id := g.UserIdentity
	g.Record = audit.Record{
		EventSource: g.EventSource, EventName: g.EventName, EventType: g.EventType, EventCategory: g.EventCategory,
		RecipientAccountID: g.RecipientAccountID, EventTime: g.EventTime, Resources: resources,
	}
	g.UserIdentity = audit.Identity{Type: id.Type, ARN: id.ARN, InvokedBy: id.InvokedBy}
	g.odd = false
	seen := seenMembers{}
	s := jsonscan.New(line)
	s.Object(func(name []byte) {
		switch string(name) {
		case "userIdentity":
			g.identity(&s, &seen)
		case "eventTime":
			g.time(&s)
		case "eventSource":
			g.noted(&s, &g.EventSource, &seen.source)
		case "eventName":
			g.noted(&s, &g.EventName, &seen.name)
		case "eventType":
			g.noted(&s, &g.EventType, &seen.kind)
		case "eventCategory":
			g.noted(&s, &g.EventCategory, &seen.category)
		case "recipientAccountId":
			g.noted(&s, &g.RecipientAccountID, &seen.recipient)
		case "readOnly":
			g.ReadOnly = string(s.Value()) == "true"
		case "managementEvent":
			g.ManagementEvent = string(s.Value()) == "true"
		case "resources":
			s.Array(func() { g.resource(&s) })
		}
	})
	seen.clear(&g.Record)
	return !g.odd && s.Whole()
}

// text reads a text. One that is as before stays as it is.
func (g *glancer) text(s *jsonscan.Scanner, into *string) {
	text := s.Text()
	if text == nil {
		g.odd = true
	} else if *into != string(text) {
		*into = string(text)
	}
}

func (g *glancer) noted(s *jsonscan.Scanner, into *string, seen *bool) {
	*seen = true
	g.text(s, into)
}

func (g *glancer) time(s *jsonscan.Scanner) {
	was := g.stamp
	if g.text(s, &g.stamp); was == g.stamp && !g.EventTime.IsZero() {
		return
	}
	at, err := time.Parse(time.RFC3339, g.stamp)
	g.EventTime, g.odd = at, g.odd || err != nil
}

func (g *glancer) identity(s *jsonscan.Scanner, seen *seenMembers) {
	i := &g.UserIdentity
	s.Object(func(name []byte) {
		switch string(name) {
		case "type":
			g.noted(s, &i.Type, &seen.who)
		case "arn":
			g.noted(s, &i.ARN, &seen.arn)
		case "invokedBy":
			g.noted(s, &i.InvokedBy, &seen.invoker)
		}
	})
}

// resource reads a resource into what there is room for from before.
func (g *glancer) resource(s *jsonscan.Scanner) {
	n := len(g.Resources)
	if n == cap(g.Resources) {
		g.Resources = append(g.Resources, audit.Resource{})
	} else {
		g.Resources = g.Resources[:n+1]
	}
	r := &g.Resources[n]
	was := *r
	*r = audit.Resource{}
	s.Object(func(name []byte) {
		switch string(name) {
		case "type":
			r.Type = was.Type
			g.text(s, &r.Type)
		case "ARN":
			r.ARN = was.ARN
			g.text(s, &r.ARN)
		case "accountId":
			r.AccountID = was.AccountID
			g.text(s, &r.AccountID)
		}
	})
}

// seenMembers are those that a record has: the others keep nothing of the record before.
type seenMembers struct{ source, name, kind, category, recipient, who, arn, invoker bool }

func (s *seenMembers) clear(r *audit.Record) {
	for _, m := range []struct {
		seen bool
		text *string
	}{
		{s.source, &r.EventSource}, {s.name, &r.EventName}, {s.kind, &r.EventType}, {s.category, &r.EventCategory},
		{s.recipient, &r.RecipientAccountID}, {s.who, &r.UserIdentity.Type}, {s.arn, &r.UserIdentity.ARN}, {s.invoker, &r.UserIdentity.InvokedBy},
	} {
		if !m.seen {
			*m.text = ""
		}
	}
}
