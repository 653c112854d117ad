// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/config"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/preflight"
)

// preflight collects the policies of all accounts, and has them looked through.
func (s *Server) preflight(ctx context.Context, name, keyARN string) (*preflight.Report, error) {
	b, err := s.buckets.Find(ctx, bucket.Ref{Bucket: name})
	if err != nil {
		return nil, err
	}
	in := &preflight.Input{Bucket: b.Name, Key: keyARN, Attached: map[string][]preflight.Attachment{}, Members: map[string][]string{}, Owner: b.Owner, Trails: []preflight.Consumer{}, Sinks: watchers(s.cfg)}
	err = s.kms.EachPolicy(ctx, func(arn, text string) error {
		in.Documents = append(in.Documents, preflight.Document{Kind: preflight.KeyPolicy, Name: arn, Resource: arn, Text: text})
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = s.kms.EachGrant(ctx, func(g kms.GrantListEntry) error {
		in.Grants = append(in.Grants, grantOf(g))
		return nil
	})
	if err != nil {
		return nil, err
	}
	all, err := s.trails.Trails(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		in.Trails = append(in.Trails, preflight.Consumer{ARN: t.ARN(s.cfg.Region), Trail: t})
	}
	placed, err := s.iam.Placed(ctx)
	if err != nil {
		return nil, err
	}
	addPlaced(in, placed)
	text, err := s.buckets.PolicyText(ctx, iam.Caller{}, bucket.GetPolicy{Ref: bucket.Ref{Bucket: name}})
	switch {
	case err == nil:
		in.Documents = append(in.Documents, preflight.Document{Kind: preflight.BucketPolicy, Name: b.Name, Resource: b.ARN(), Text: text})
	case !errors.Is(err, bucket.NoSuchPolicy):
		return nil, err
	}
	return preflight.Run(ctx, in)
}

func grantOf(g kms.GrantListEntry) preflight.Grant {
	out := preflight.Grant{
		Name: g.Name, KeyID: g.KeyId, GrantID: g.GrantId, GranteePrincipal: g.GranteePrincipal, RetiringPrincipal: g.RetiringPrincipal, Operations: g.Operations,
	}
	if c := g.Constraints; c != nil {
		out.Constraints = preflight.GrantConstraints{Equals: c.EncryptionContextEquals, Subset: c.EncryptionContextSubset}
	}
	return out
}

// addPlaced adds IAM's policies.
func addPlaced(in *preflight.Input, placed *iam.Placed) {
	for _, e := range placed.Entities {
		for _, p := range e.Inline {
			in.Documents = append(in.Documents, preflight.Document{
				Kind: preflight.Inline, Name: shortName(e.ARN) + ", inline policy " + p.Name, Concerns: []string{e.ARN}, Text: p.Text,
			})
		}
		for _, arn := range e.Attached {
			in.Attached[arn] = append(in.Attached[arn], preflight.Attachment{Entity: e.ARN})
		}
		if e.Boundary != "" {
			in.Attached[e.Boundary] = append(in.Attached[e.Boundary], preflight.Attachment{Entity: e.ARN, Boundary: true})
		}
		if strings.Contains(e.ARN, ":group/") {
			in.Members[e.ARN] = e.Members
		}
	}
	for _, p := range placed.Managed {
		in.Documents = append(in.Documents, preflight.Document{Kind: preflight.Managed, Name: p.Name, Text: p.Text})
	}
	for _, p := range placed.Controls {
		in.Documents = append(in.Documents, preflight.Document{
			Kind: preflight.ServiceControl, Name: "account " + p.Account + ", " + p.Name, Concerns: []string{"every principal of account " + p.Account}, Text: p.Text,
		})
	}
}

// watchers are the sinks, with what they get.
func watchers(cfg *config.Config) (out []preflight.Sink) {
	for _, kind := range []struct {
		name, setting string
		sinks         []config.AuditSink
		events        []string
	}{
		{"webhook", "audit-webhook-events", cfg.AuditWebhooks, cfg.AuditWebhookEvents},
		{"syslog server", "audit-syslog-events", cfg.AuditSyslogs, cfg.AuditSyslogEvents},
	} {
		gets := func(c audit.Category) bool { return slices.Contains(kind.events, c.String()) }
		for _, s := range kind.sinks {
			out = append(out, preflight.Sink{Name: kind.name + " " + s.Name, Setting: kind.setting, KMS: gets(audit.OfKMS), Data: gets(audit.OfData)})
		}
	}
	return out
}

// shortName says "role NAME" of a role's ARN, and so on.
func shortName(arn string) string {
	resource := arn[strings.LastIndexByte(arn, ':')+1:]
	kind, _, _ := strings.Cut(resource, "/")
	return kind + " " + resource[strings.LastIndexByte(resource, '/')+1:]
}
