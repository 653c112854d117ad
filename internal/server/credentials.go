// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// credentials makes access keys what the verifier looks up.
type credentials struct{ keys *iam.Service }

// Credential finds an access key. Those that are stored have no session token; those
// of a session are in their token.
func (c credentials) Credential(ctx context.Context, accessKeyID, token string) (sigv4.Credential, error) {
	look := c.keys.Lookup
	if token != "" {
		look = func(ctx context.Context, accessKeyID string) (secret.Bytes, iam.Principal, error) {
			return c.keys.LookupSession(ctx, accessKeyID, token)
		}
	}
	secretKey, principal, err := look(ctx, accessKeyID)
	return sigv4.Credential{Secret: secretKey, Principal: principal}, err
}

// credentialsFile holds generated root credentials after a first start.
const credentialsFile = "credentials"

// Generated reports whether this start made the root credentials: only then they
// are shown.
func (s *Server) Generated() bool {
	return s.rootState == iam.RootCreated && s.cfg.RootSecretAccessKey.Len() == 0
}

// CredentialsFile returns where generated credentials were written.
func (s *Server) CredentialsFile() string { return filepath.Join(s.cfg.Data, credentialsFile) }

// noteCredentials writes generated credentials to a file that only its owner
// reads, and records a change of the root's access key.
func (s *Server) noteCredentials(ctx context.Context) error {
	if s.Generated() {
		secretKey, _, err := s.rootKeys.Lookup(ctx, s.rootKeys.AccessKeyID())
		if err != nil {
			return err
		}
		text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", s.rootKeys.AccessKeyID(), secretKey.Reveal())
		if err := writeOwnerOnly(s.CredentialsFile(), []byte(text)); err != nil {
			return fmt.Errorf("write credentials: %w", err)
		}
	}
	if s.rootState != iam.RootChanged {
		return nil
	}
	s.log.Warn("root access key changed", "access_key_id", s.rootKeys.AccessKeyID())
	p := s.rootKeys.Principal()
	return s.trail.Append(ctx, audit.Record{
		UserIdentity: audit.Identity{AccountID: p.Account, InvokedBy: "coffer"},
		EventTime:    time.Now().UTC().Truncate(time.Second),
		EventSource:  "iam.amazonaws.com", EventName: "UpdateAccessKey", AWSRegion: s.cfg.Region,
		SourceIPAddress: "coffer", UserAgent: "coffer",
		RequestParameters: map[string]any{"userName": "root", "accessKeyId": p.AccessKeyID},
		EventType:         audit.TypeServiceEvent, ManagementEvent: true, EventCategory: audit.Management,
		RecipientAccountID: p.Account,
	}, true)
}

func writeOwnerOnly(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}
