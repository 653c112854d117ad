// SPDX-License-Identifier: Apache-2.0

// Package preflight finds what policies would do differently once a bucket has Bucket
// Keys. With one, S3 asks KMS in the encryption context of the bucket
// (arn:aws:s3:::BUCKET) and no longer in that of the object (arn:aws:s3:::BUCKET/KEY),
// and less often, so that a condition written for objects does not match any more (S3 User Guide,
// "Reducing the cost of SSE-KMS with Amazon S3 Bucket Keys").
//
// It is pure: it reads documents and writes a report. Objects that exist keep their own
// context, so an edit never takes a value away; it adds the bucket's ARN beside it.
package preflight

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
)

// Kind is where a document stands.
type Kind string

// The kinds.
const (
	KeyPolicy      Kind = "key policy"
	BucketPolicy   Kind = "bucket policy"
	Inline         Kind = "inline policy"
	Managed        Kind = "managed policy"
	Boundary       Kind = "permissions boundary"
	ServiceControl Kind = "service control policy"
	GrantOf        Kind = "grant"
)

// Document is a policy where it stands.
type Document struct {
	Kind Kind
	// Name tells it from others: the ARN of a managed policy, "user alice, inline
	// policy p", the ARN of a KMS key, the name of a bucket.
	Name string
	// Resource is the ARN of what a key or bucket policy belongs to; "" if unknown.
	Resource string
	// Concerns are the ARNs of those whom a policy without principals is attached to.
	Concerns []string
	Text     string
}

// Grant is a KMS grant, as ListGrants shows it.
type Grant struct {
	Name              string           `json:"Name,omitempty"`
	KeyID             string           `json:"KeyId"`
	GrantID           string           `json:"GrantId"`
	GranteePrincipal  string           `json:"GranteePrincipal"`
	RetiringPrincipal string           `json:"RetiringPrincipal,omitempty"`
	Operations        []string         `json:"Operations"`
	Constraints       GrantConstraints `json:"Constraints,omitzero"`
}

// GrantConstraints are the encryption contexts that a grant is for.
type GrantConstraints struct {
	Equals map[string]string `json:"EncryptionContextEquals,omitempty"`
	Subset map[string]string `json:"EncryptionContextSubset,omitempty"`
}

// Input is what is looked through.
type Input struct {
	Bucket string
	// Key is the ARN of a KMS key; only what concerns requests under it is looked at.
	// "" is every key.
	Key       string
	Documents []Document
	Grants    []Grant
	// Attached says of managed policies, by their ARN, to whom they are attached. It
	// completes Concerns.
	Attached map[string][]Attachment
	// Members says which groups users are in, and so whose policies are whose: the
	// group's ARN → ARNs of users.
	Members map[string][]string

	// Owner is the account of the bucket; "" if unknown: then the trails are those of the
	// accounts concerned.
	Owner string
	// Trails are those of CloudTrail. nil: they are not known, and nothing is said of them.
	Trails []Consumer
	// Sinks are where else audit records go.
	Sinks []Sink
}

// Attachment is where a managed policy is in use.
type Attachment struct {
	Entity   string // ARN of a user, group or role
	Boundary bool   // as its permissions boundary
}

// Effect is what changes when Bucket Keys are turned on.
type Effect string

// The effects.
const (
	StopsAllowing  Effect = "stops allowing"
	StartsDenying  Effect = "starts denying"
	StopsDenying   Effect = "stops denying"   // it weakens
	StartsAllowing Effect = "starts allowing" // it weakens
	NoEffect       Effect = "no effect"       // the condition does nothing, with Bucket Keys or without
)

// Finding is a statement, or a grant, that would mean something else.
type Finding struct {
	Kind     Kind     `json:"kind"`
	Policy   string   `json:"policy"`
	Key      string   `json:"key,omitempty"` // of a key policy or grant
	Sid      string   `json:"sid,omitempty"`
	Index    int      `json:"index"` // of the statement, from 0
	Concerns []string `json:"concerns"`
	Effect   Effect   `json:"effect"`
	// Weakens says that something would be allowed that is refused now.
	Weakens bool `json:"weakens"`
	// Covered says that the same policy allows it by another statement, or the same
	// key by another grant, so that nothing would break.
	Covered bool   `json:"covered,omitempty"`
	Why     string `json:"why"`
	// Statement is the statement, or the grant, as it is.
	Statement json.RawMessage `json:"statement"`
	// Edited is the statement, or the CreateGrant request of a second grant, that does
	// for both contexts what Statement does; empty when there is none such.
	Edited json.RawMessage `json:"edited,omitempty"`
	// Widens says that the edit allows KMS requests that were refused before.
	Widens bool `json:"widens,omitempty"`
	// Proven says that the edit is accepted as a policy, leaves every decision on
	// objects' contexts as it is, and allows on the bucket's what was allowed on any
	// object's. Unproven says why it could not be shown.
	Proven   bool   `json:"proven,omitempty"`
	Unproven string `json:"unproven,omitempty"`
	// Instead is a statement for the policy of the bucket that keeps what a Bucket Key
	// cannot: a restriction to some objects.
	Instead json.RawMessage `json:"instead,omitempty"`
	Advice  []string        `json:"advice,omitempty"`
}

// Breaks reports whether something would break.
func (f *Finding) Breaks() bool { return f.Effect != NoEffect && !f.Covered }

// Warning is what should be looked at, and is not known to break.
type Warning struct {
	Concerns string   `json:"concerns"`
	Policy   string   `json:"policy,omitempty"` // or the ARN of a trail
	Text     string   `json:"text"`
	Advice   []string `json:"advice,omitempty"`
	// Of a trail: Now are its selectors, Edited the PutEventSelectors request that it
	// takes. Proven says that CloudTrail takes it, that the trail then gets all data
	// events of the bucket, and that it loses nothing. Unproven says why not.
	Now      json.RawMessage `json:"now,omitempty"`
	Edited   json.RawMessage `json:"edited,omitempty"`
	Proven   bool            `json:"proven,omitempty"`
	Unproven string          `json:"unproven,omitempty"`
}

// Edited is a whole document with all its edits.
type Edited struct {
	Kind   Kind            `json:"kind"`
	Policy string          `json:"policy"`
	Text   json.RawMessage `json:"text"`
}

// Looked says how much was looked through.
type Looked struct {
	Documents  int `json:"documents"`
	Statements int `json:"statements"`
	Grants     int `json:"grants"`
}

// Report is the answer.
type Report struct {
	Bucket   string    `json:"bucket"`
	Key      string    `json:"key,omitempty"`
	Breaks   bool      `json:"breaks"`
	Looked   Looked    `json:"looked"`
	Findings []Finding `json:"findings"`
	Edited   []Edited  `json:"edited"`
	Warnings []Warning `json:"warnings"`
}

// Run looks through the input. Of a document that is no policy it warns. Error: ctx's.
func Run(ctx context.Context, in *Input) (*Report, error) {
	e := &examiner{in: in, target: targetOf(in), out: &Report{
		Bucket: in.Bucket, Key: in.Key, Findings: []Finding{}, Edited: []Edited{}, Warnings: []Warning{},
	}}
	users := map[string]*requester{}
	for _, d := range in.inUse() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p, err := parseDocument(d)
		if err != nil {
			e.warn("whoever it is for", d.Name, "has a policy that cannot be read, and was not looked at")
			continue
		}
		e.out.Looked.Documents++
		e.out.Looked.Statements += len(p.statements)
		if d.Kind == KeyPolicy && !e.target.isKey(d.Resource) {
			continue
		}
		e.document(p)
		e.collect(users, p)
	}
	for i := range in.Grants {
		e.out.Looked.Grants++
		if g := &in.Grants[i]; e.target.isKey(g.KeyID) {
			e.grant(g)
			collectGrant(users, g)
		}
	}
	e.writers(users)
	e.consumers()
	for i := range e.out.Findings {
		e.out.Breaks = e.out.Breaks || e.out.Findings[i].Breaks()
	}
	// What breaks comes first; otherwise the order is that of the input.
	slices.SortStableFunc(e.out.Findings, func(a, b Finding) int { return cmp.Compare(rank(&a), rank(&b)) })
	return e.out, nil
}

// inUse returns the documents, a managed policy once for each use of it.
func (in *Input) inUse() (out []*Document) {
	for i := range in.Documents {
		d := &in.Documents[i]
		uses := in.Attached[d.Name]
		if d.Kind != Managed || len(uses) == 0 {
			out = append(out, d)
			continue
		}
		policy, boundary := *d, *d
		policy.Concerns, boundary.Concerns, boundary.Kind = slices.Clone(d.Concerns), nil, Boundary
		for _, use := range uses {
			if use.Boundary {
				boundary.Concerns = append(boundary.Concerns, use.Entity)
			} else {
				policy.Concerns = append(policy.Concerns, use.Entity)
			}
		}
		if len(policy.Concerns) > 0 {
			out = append(out, &policy)
		}
		if len(boundary.Concerns) > 0 {
			out = append(out, &boundary)
		}
	}
	return out
}

func rank(f *Finding) int {
	switch {
	case f.Breaks():
		return 0
	case f.Covered:
		return 1
	}
	return 2
}

// examiner is one run.
type examiner struct {
	in     *Input
	target target
	out    *Report
}

func (e *examiner) warn(concerns, policy, text string) {
	same := func(w Warning) bool { return w.Concerns == concerns && w.Policy == policy && w.Text == text }
	if !slices.ContainsFunc(e.out.Warnings, same) {
		e.out.Warnings = append(e.out.Warnings, Warning{Concerns: concerns, Policy: policy, Text: text})
	}
}
