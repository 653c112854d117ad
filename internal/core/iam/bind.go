// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// InvalidPrincipal: a policy names a user, role or account that there is none of. The
// fault's detail "Principal" is the ARN.
const InvalidPrincipal fault.Kind = "iam: no such principal"

// Bind finds the unique ids of the users and roles that a resource's policy names, for
// [policy.Document.Bind]: ARN → id. It is asked when the policy is put, and the ids are
// kept with it. A role's session has its role's id, and a canonical user id is bound to
// its account. Fault: InvalidPrincipal.
func (s *Service) Bind(ctx context.Context, d *policy.Document) (map[string]string, error) {
	ids, err := bind(ctx, s, d)
	if err != nil {
		return nil, err
	}
	for _, canonical := range d.CanonicalUsers() {
		account, err := s.AccountOf(ctx, canonical)
		if err != nil {
			return nil, err
		}
		if account == "" {
			return nil, fault.New(InvalidPrincipal, "").With("Principal", canonical)
		}
		if ids == nil {
			ids = map[string]string{}
		}
		ids[canonical] = account
	}
	return ids, nil
}

func bind(ctx context.Context, r reader, d *policy.Document) (map[string]string, error) {
	var ids map[string]string
	for _, arn := range append(d.Accounts(), d.Named()...) {
		id, known, err := principalID(ctx, r, arn)
		if err != nil {
			return nil, err
		}
		if !known {
			return nil, fault.New(InvalidPrincipal, "").With("Principal", arn)
		}
		if id == "" {
			continue
		}
		if ids == nil {
			ids = map[string]string{}
		}
		ids[arn] = id
	}
	return ids, nil
}

// principalID returns the unique id of who a policy names. An account, and what has no
// id of its own, has none, but is known.
func principalID(ctx context.Context, r reader, arn string) (id string, known bool, err error) {
	if aws.ValidAccount(arn) {
		err = accountKnown(ctx, r, arn, &known)
		return "", known, err
	}
	a, ok := aws.ParseARN(arn)
	kind, rest, _ := strings.Cut(a.Resource, "/")
	switch {
	case !ok || a.Partition != "aws" || !aws.ValidAccount(a.Account):
	case a.Service == "iam" && a.Resource == "root":
		err = accountKnown(ctx, r, a.Account, &known)
	case a.Service == "iam" && kind == kindUser:
		u, err := userByARN(ctx, r, arn)
		if err == nil && u != nil {
			return u.ID, true, nil
		}
		return "", false, err
	case a.Service == "iam" && kind == kindRole:
		found, err := roleByARN(ctx, r, arn)
		if err == nil && found != nil {
			return found.ID, true, nil
		}
		return "", false, err
	case a.Service == "sts" && kind == "assumed-role":
		name, _, _ := strings.Cut(rest, "/")
		found, err := roleNamed(ctx, r, a.Account, name)
		if err == nil && found != nil && found.Name == name {
			return found.ID, true, nil
		}
		return "", false, err
	case a.Service == "sts" && kind == "federated-user":
		err = accountKnown(ctx, r, a.Account, &known)
	}
	return "", known, err
}

func accountKnown(ctx context.Context, r reader, id string, known *bool) error {
	a, err := found[account](ctx, r, accountRow(id))
	*known = a != nil
	return err
}

// Show returns the text of a resource's policy as it is now read: a principal that was
// deleted since stands there by its unique id, and one that was renamed by its new ARN.
func (s *Service) Show(ctx context.Context, text string, ids map[string]string) (string, error) {
	now := map[string]string{} // how to show an ARN; only where that changed
	for arn, id := range ids {
		shown, err := s.shownARN(ctx, arn, id)
		if err != nil {
			return "", err
		}
		if shown != arn {
			now[arn] = shown
		}
	}
	if len(now) == 0 {
		return text, nil
	}
	return rename(text, now), nil
}

// shownARN returns the ARN that a principal with this id has now, or else its id. What
// kind of ARN it is, the old one says.
func (s *Service) shownARN(ctx context.Context, arn, id string) (string, error) {
	switch {
	case strings.HasPrefix(id, prefixUser):
		u, err := userByID(ctx, s, id)
		if err != nil || u == nil {
			return id, err
		}
		return u.arn(), nil
	case strings.HasPrefix(id, prefixRole):
		found, err := roleByID(ctx, s, id)
		if err != nil || found == nil {
			return id, err
		}
		if strings.Contains(arn, ":assumed-role/") { // roles keep their names
			return arn, nil
		}
		return found.arn(), nil
	}
	return arn, nil
}

// place is an object or a list of a document that is being read.
type place struct {
	object bool
	named  string // the key that it stands under, through lists
	depth  int    // of objects
	key    string // the key whose value comes next
	within bool   // it is part of a statement's principals
}

// principals reports whether what comes next is, or belongs to, a statement's principals.
func (p *place) principals() bool {
	return p.within || p.object && p.depth == 2 && p.named == "Statement" && (p.key == "Principal" || p.key == "NotPrincipal")
}

// rename changes the principals of a policy's text and nothing else.
func rename(text string, to map[string]string) string {
	var out strings.Builder
	kept := 0 // up to where text has been taken over
	d := json.NewDecoder(strings.NewReader(text))
	at := []place{{}} // a list around the document
	for {
		start := int(d.InputOffset())
		token, err := d.Token()
		if err != nil {
			break // the end; it was a document when it was put
		}
		here := &at[len(at)-1]
		delim, isDelim := token.(json.Delim)
		value, isString := token.(string)
		switch {
		case isDelim && (delim == '}' || delim == ']'):
			at = at[:len(at)-1]
		case isDelim:
			next := place{object: delim == '{', named: here.named, depth: here.depth, within: here.principals()}
			if here.object {
				next.named, here.key = here.key, ""
			}
			if next.object {
				next.depth++
			}
			at = append(at, next)
		case isString && here.object && here.key == "":
			here.key = value
			if value == "" {
				here.key = "\x00" // it has been read all the same
			}
		default:
			if shown, ok := to[value]; ok && isString && here.principals() {
				quoted, _ := json.Marshal(shown) // a string always encodes
				out.WriteString(text[kept : start+strings.IndexByte(text[start:], '"')])
				out.Write(quoted)
				kept = int(d.InputOffset())
			}
			here.key = ""
		}
	}
	out.WriteString(text[kept:])
	return out.String()
}
