// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
)

// glancer reads of a record what selectors ask for. Every record of the audit trail goes
// through here for every trail that logs, so it takes hardly any time or memory: it passes
// over what nobody asks for, and texts that are the same as in the record before are not
// copied again.
type glancer struct {
	audit.Record
	stamp string // of EventTime, as it was read
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
	seen := seenMembers{}
	p := peeker{b: line}
	ok := p.members(func(name []byte) bool {
		switch string(name) {
		case "userIdentity":
			return p.identity(&g.UserIdentity, &seen)
		case "eventTime":
			was := g.stamp
			if !p.text(&g.stamp) {
				return false
			}
			if was != g.stamp || g.EventTime.IsZero() {
				at, err := time.Parse(time.RFC3339, g.stamp)
				g.EventTime = at
				return err == nil
			}
			return true
		case "eventSource":
			return p.noted(&g.EventSource, &seen.source)
		case "eventName":
			return p.noted(&g.EventName, &seen.name)
		case "eventType":
			return p.noted(&g.EventType, &seen.kind)
		case "eventCategory":
			return p.noted(&g.EventCategory, &seen.category)
		case "recipientAccountId":
			return p.noted(&g.RecipientAccountID, &seen.recipient)
		case "readOnly":
			return p.bool(&g.ReadOnly)
		case "managementEvent":
			return p.bool(&g.ManagementEvent)
		case "resources":
			return p.resources(&g.Resources)
		}
		return p.skip()
	})
	seen.clear(&g.Record)
	return ok && p.ended()
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

// peeker goes through JSON that audit wrote: without white space between tokens.
type peeker struct {
	b  []byte
	at int
}

func (p *peeker) next(c byte) bool {
	if p.at < len(p.b) && p.b[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *peeker) ended() bool { return p.at == len(p.b) }

// members calls f at the value of each member of an object; f goes to its end.
func (p *peeker) members(f func(name []byte) bool) bool {
	if !p.next('{') {
		return false
	}
	if p.next('}') {
		return true
	}
	for {
		name, plain := p.quoted()
		if name == nil || !plain || !p.next(':') || !f(name) {
			return false
		}
		if p.next('}') {
			return true
		}
		if !p.next(',') {
			return false
		}
	}
}

// quoted returns what is between quotation marks, nil when there is nothing that is.
// plain says that it means itself.
func (p *peeker) quoted() (inside []byte, plain bool) {
	if !p.next('"') {
		return nil, false
	}
	from := p.at
	plain = true
	for {
		end := bytes.IndexByte(p.b[p.at:], '"')
		if end < 0 {
			return nil, false
		}
		escaped := bytes.IndexByte(p.b[p.at:p.at+end], '\\')
		if escaped < 0 {
			inside = p.b[from : p.at+end : p.at+end]
			p.at += end + 1
			return inside, plain
		}
		plain = false
		if p.at += escaped + 2; p.at > len(p.b) {
			return nil, false
		}
	}
}

// text reads a text. One that is as before stays as it is.
func (p *peeker) text(into *string) bool {
	from := p.at
	inside, plain := p.quoted()
	switch {
	case inside == nil:
		return false
	case !plain:
		return json.Unmarshal(p.b[from:p.at], into) == nil
	case *into != string(inside):
		*into = string(inside)
	}
	return true
}

func (p *peeker) noted(into *string, seen *bool) bool {
	*seen = true
	return p.text(into)
}

func (p *peeker) bool(into *bool) bool {
	from := p.at
	ok := p.skip()
	*into = string(p.b[from:p.at]) == "true"
	return ok
}

// skip passes over a value.
func (p *peeker) skip() bool {
	depth := 0
	for p.at < len(p.b) {
		switch c := p.b[p.at]; c {
		case '"':
			if inside, _ := p.quoted(); inside == nil {
				return false
			}
			if depth == 0 {
				return true
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return true // that of what the value is in
			}
			if depth--; depth == 0 {
				p.at++
				return true
			}
		case ',':
			if depth == 0 {
				return true
			}
		}
		p.at++
	}
	return false
}

func (p *peeker) identity(i *audit.Identity, seen *seenMembers) bool {
	return p.members(func(name []byte) bool {
		switch string(name) {
		case "type":
			return p.noted(&i.Type, &seen.who)
		case "arn":
			return p.noted(&i.ARN, &seen.arn)
		case "invokedBy":
			return p.noted(&i.InvokedBy, &seen.invoker)
		}
		return p.skip()
	})
}

// resources reads an array of resources into what there is room for from before.
func (p *peeker) resources(into *[]audit.Resource) bool {
	if !p.next('[') {
		return p.skip() // null
	}
	for !p.next(']') {
		if len(*into) > 0 && !p.next(',') {
			return false
		}
		n := len(*into)
		if n == cap(*into) {
			*into = append(*into, audit.Resource{})
		} else {
			*into = (*into)[:n+1]
		}
		r := &(*into)[n]
		was := *r
		*r = audit.Resource{}
		ok := p.members(func(name []byte) bool {
			switch string(name) {
			case "type":
				r.Type = was.Type
				return p.text(&r.Type)
			case "ARN":
				r.ARN = was.ARN
				return p.text(&r.ARN)
			case "accountId":
				r.AccountID = was.AccountID
				return p.text(&r.AccountID)
			}
			return p.skip()
		})
		if !ok {
			return false
		}
	}
	return true
}
