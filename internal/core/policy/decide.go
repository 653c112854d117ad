// SPDX-License-Identifier: Apache-2.0

package policy

// Document is a parsed policy. It does not change.
type Document struct{ text string }

type rightsIndex struct{}

// Parse reads a document of a kind. own is the ARN of the resource that a Bucket or
// Key policy belongs to, "" for other kinds. Fault: Malformed.
func Parse(kind Kind, own, text string) (*Document, error) { return &Document{text}, nil }

// Text returns the document as it was written.
func (d *Document) Text() string { return d.text }

// Named returns the ARNs of the users and roles that Principal and NotPrincipal name,
// each once. A resource's policy is bound to their unique ids when it is put.
func (d *Document) Named() []string { return nil }

// Bind returns the document with the unique ids of principals: an ARN in ids matches
// only the principal with that id. An ARN that maps to "" matches nobody.
func (d *Document) Bind(ids map[string]string) *Document { return d }

// Public reports whether a bucket's policy is public in the sense of Block Public
// Access (S3 User Guide, "The meaning of public").
func (d *Document) Public() bool { return false }

// NewRights puts a principal's policies together.
func NewRights(c RightsConfig) *Rights { return &Rights{RightsConfig: c} }

// Decide answers a question. The context may be asked for keys in any order, and for
// one key more than once.
func Decide(q *Question) Decision { return Decision{} }

// Reason says why not, as AWS's denials end: "because no identity-based policy allows
// the s3:GetObject action", "with an explicit deny in a resource-based policy".
func (d Decision) Reason(action string) string { return "" }
