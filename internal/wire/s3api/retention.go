// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/core/access"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) retentionOps() []pipeline.Op {
	return []pipeline.Op{
		pipeline.Define("PutObjectRetention", pipeline.Data, objectRoute("PUT", "retention"), a.decodePutRetention, a.Objects.PutRetention, ok),
		pipeline.Define("GetObjectRetention", pipeline.Read|pipeline.Data, objectRoute("GET", "retention"), decodeGetRetention, a.Objects.GetRetention, encodeRetention),
		pipeline.Define("PutObjectLegalHold", pipeline.Data, objectRoute("PUT", "legal-hold"), decodePutLegalHold, a.Objects.PutLegalHold, ok),
		pipeline.Define("GetObjectLegalHold", pipeline.Read|pipeline.Data, objectRoute("GET", "legal-hold"), decodeGetLegalHold, a.Objects.GetLegalHold, encodeLegalHold),
	}
}

// Headers of locks.
const (
	lockModeHeader  = "x-amz-object-lock-mode"
	lockUntilHeader = "x-amz-object-lock-retain-until-date"
	lockHoldHeader  = "x-amz-object-lock-legal-hold"
)

// lockHeaders reads the lock that a request asks for of a new object.
func lockHeaders(c *pipeline.Call) (l object.Lock, err error) {
	mode, until, hold := value(c, lockModeHeader), value(c, lockUntilHeader), value(c, lockHoldHeader)
	if missing := lockModeHeader; (mode == "") != (until == "") {
		if until == "" {
			missing = lockUntilHeader
		}
		return l, fault.New(InvalidArgument, "%s and %s must both be supplied", lockUntilHeader, lockModeHeader).With("ArgumentName", missing)
	}
	if mode != "" {
		if l.Mode = bucket.RetentionMode(mode); !l.Mode.Valid() {
			return l, invalidArgument(lockModeHeader, mode, "Unknown wormMode directive.")
		}
		if l.Until, err = lockDate(until); err != nil {
			return l, invalidArgument(lockUntilHeader, until, "The retain until date must be provided in ISO 8601 format")
		}
	}
	if l.Hold = object.LegalHold(hold); hold != "" && !validHold(l.Hold) {
		return l, invalidArgument(lockHoldHeader, hold, "Legal Hold must be either of 'ON' or 'OFF'")
	}
	return l, nil
}

func validHold(h object.LegalHold) bool { return h == object.HoldOn || h == object.HoldOff }

// lastYear is the last one that can be written as four digits in every zone.
const lastYear = 9998

// lockDate reads when a retention ends, which counts to the millisecond.
func lockDate(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, strings.TrimSpace(text))
	if err != nil {
		return t, err
	}
	t = t.UTC().Truncate(time.Millisecond)
	if t.Year() < 1970 || t.Year() > lastYear {
		return t, errors.New("no year for a retention to end in")
	}
	return t, nil
}

// writeLockDate is how S3 writes it.
func writeLockDate(t time.Time) string { return t.UTC().Format(timestampLayout) }

// setLock sets the headers of an object's lock.
func setLock(h http.Header, l object.Lock) {
	if l.Mode != "" {
		setHeader(h, lockModeHeader, string(l.Mode))
		setHeader(h, lockUntilHeader, writeLockDate(l.Until))
	}
	setHeader(h, lockHoldHeader, string(l.Hold))
}

// hideLock takes from what is told of an object those parts of its lock that the caller may
// not read (S3 API Reference, HeadObject, x-amz-object-lock-*).
func (a *API) hideLock(c *pipeline.Call, out *object.Object) {
	if out.Lock == (object.Lock{}) || a.Access == nil {
		return
	}
	ref := object.VersionRef{Ref: objectRef(c), VersionID: c.Query.Get("versionId")}
	may := func(in any) bool {
		return a.Access.Authorize(c.Request.Context(), access.Request{By: c.Caller, In: in, Keys: (*conditionKeys)(c)}) == nil
	}
	if out.Lock.Mode != "" && !may(object.GetRetention{VersionRef: ref}) {
		out.Lock = object.Lock{Hold: out.Lock.Hold}
	}
	if out.Lock.Hold != "" && !may(object.GetLegalHold{VersionRef: ref}) {
		out.Lock.Hold = ""
	}
}

// bypass reads whether a request says that retentions in governance mode are to be bypassed,
// and if they are, who decides whether the caller may. to is the lock that the request asks for.
func (a *API) bypass(c *pipeline.Call, to object.Lock) (b object.BypassRetention) {
	text, said := field(c, bypassHeader)
	b.Asked = said
	if !strings.EqualFold(text, "true") {
		return b
	}
	b.May = func(ctx context.Context, in object.VersionRef) error {
		if a.Access == nil {
			return nil
		}
		return a.Access.Authorize(ctx, access.Request{By: c.Caller, In: object.MayBypass{VersionRef: in, Lock: to}, Keys: (*conditionKeys)(c)})
	}
	return b
}

// retentionXML is Retention. Without any element it removes what there is.
type retentionXML struct {
	Mode, RetainUntilDate []string
	Unknown               []unknownXML `xml:",any"`
}

// parseRetention reads the document of a retention.
func parseRetention(b []byte) (l object.Lock, err error) {
	var doc retentionXML
	if err := parseXML(b, "Retention", &doc); err != nil {
		return l, err
	}
	if len(doc.Unknown) > 0 || len(doc.Mode) > 1 || len(doc.Mode) != len(doc.RetainUntilDate) {
		return l, malformedXML(errors.New("not one mode and one date"))
	}
	if len(doc.Mode) == 0 {
		return l, nil
	}
	if l.Mode = bucket.RetentionMode(strings.TrimSpace(doc.Mode[0])); !l.Mode.Valid() {
		return l, malformedXML(errors.New("unknown mode"))
	}
	if l.Until, err = lockDate(doc.RetainUntilDate[0]); err != nil {
		return l, malformedXML(err)
	}
	return l, nil
}

func (a *API) decodePutRetention(c *pipeline.Call) (in object.PutRetention, err error) {
	if in.VersionRef, err = versionRef(c); err != nil {
		return in, err
	}
	b, err := digested(c)
	if err != nil {
		return in, err
	}
	l, err := parseRetention(b)
	if err != nil {
		return in, err
	}
	in.Mode, in.Until, in.May = l.Mode, l.Until, a.bypass(c, l).May
	document := map[string]any{}
	if l.Mode != "" {
		document["Mode"], document["RetainUntilDate"] = string(l.Mode), writeLockDate(l.Until)
	}
	auditDocument(c, "Retention", document)
	return in, nil
}

func decodeGetRetention(c *pipeline.Call) (object.GetRetention, error) {
	ref, err := versionRef(c)
	return object.GetRetention{VersionRef: ref}, err
}

func encodeRetention(_ *pipeline.Call, l object.Lock) (*pipeline.Response, error) {
	var x markup
	x.root("Retention")
	x.element("Mode", string(l.Mode))
	x.raw("RetainUntilDate", writeLockDate(l.Until))
	x.close("Retention")
	return xmlResponse(http.StatusOK, x.buf), nil
}

// legalHoldXML is LegalHold.
type legalHoldXML struct {
	Status  []string
	Unknown []unknownXML `xml:",any"`
}

// parseLegalHold reads the document of a legal hold.
func parseLegalHold(b []byte) (object.LegalHold, error) {
	var doc legalHoldXML
	if err := parseXML(b, "LegalHold", &doc); err != nil {
		return "", err
	}
	if len(doc.Unknown) > 0 || len(doc.Status) != 1 {
		return "", malformedXML(errors.New("not one status"))
	}
	h := object.LegalHold(strings.TrimSpace(doc.Status[0]))
	if !validHold(h) {
		return "", malformedXML(errors.New("unknown status"))
	}
	return h, nil
}

func decodePutLegalHold(c *pipeline.Call) (in object.PutLegalHold, err error) {
	if in.VersionRef, err = versionRef(c); err != nil {
		return in, err
	}
	b, err := digested(c)
	if err != nil {
		return in, err
	}
	if in.Hold, err = parseLegalHold(b); err != nil {
		return in, err
	}
	auditDocument(c, "LegalHold", map[string]any{"Status": string(in.Hold)})
	return in, nil
}

func decodeGetLegalHold(c *pipeline.Call) (object.GetLegalHold, error) {
	ref, err := versionRef(c)
	return object.GetLegalHold{VersionRef: ref}, err
}

func encodeLegalHold(_ *pipeline.Call, l object.Lock) (*pipeline.Response, error) {
	var x markup
	x.root("LegalHold")
	x.element("Status", string(l.Hold))
	x.close("LegalHold")
	return xmlResponse(http.StatusOK, x.buf), nil
}
