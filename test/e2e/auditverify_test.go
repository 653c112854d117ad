// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
	"github.com/cofferstore/coffer/test/coffertest"
)

// verified has a server verify its trail.
func verified(s *coffertest.Server) (last audit.Verification, found []audit.Finding) {
	s.T.Helper()
	err := operator(s, coffertest.SecretAccessKey).VerifyAudit(s.T.Context(), func(line []byte) error {
		var l opsapi.VerifyLine
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		if l.Progress != nil {
			last = *l.Progress
		}
		if l.Finding != nil {
			found = append(found, *l.Finding)
		}
		return nil
	})
	if err != nil || !last.Done {
		s.T.Errorf("verify: %+v, %v", last, err)
	}
	return last, found
}

// TestAuditVerify verifies the trail of a server that runs, of one that was stopped, and
// after somebody has been at its files.
func TestAuditVerify(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Bucket("vault", "aws:kms", s.Key(), true)
	s.Put("vault", "k", "body")
	s.Restart()
	s.Get("vault", "k")
	if v, found := verified(s); v.Files != 2 || v.Records < 4 || v.Faults != 0 || !v.HeadKnown || len(found) > 0 {
		t.Errorf("a whole trail: %+v, %+v", v, found)
	}
	raw, err := operator(s, coffertest.SecretAccessKey).AuditStatus(t.Context())
	var status audit.Status
	if err == nil {
		err = json.Unmarshal(raw, &status)
	}
	if err != nil || status.Files != 2 || status.Bytes == 0 || status.Oldest == nil || !status.Required || status.Next != nil {
		t.Errorf("status: %s, %v", raw, err)
	}

	stop := func() []string {
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(server.AuditDir(s.Dir), "*.jsonl"))
		if err != nil || len(files) < 2 {
			t.Fatalf("files %q, %v", files, err)
		}
		return files
	}
	files := stop()
	cfg := coffertest.Config(t, s.Dir)
	offline := func() (text []string) {
		t.Helper()
		v, unknown, err := server.VerifyAudit(t.Context(), cfg, nil, func(f audit.Finding) { text = append(text, string(f.Kind)) })
		if err != nil || unknown != nil || !v.HeadKnown || v.Faults != int64(len(text)) {
			t.Errorf("verify the files: %+v, head %v, %v", v, unknown, err)
		}
		return text
	}
	if found := offline(); len(found) > 0 {
		t.Errorf("found %q", found)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		content []byte
		want    string
	}{
		{bytes.Replace(whole, []byte("PutObject"), []byte("GetObject"), 1), "changed"},
		{whole[:bytes.LastIndexByte(whole[:len(whole)-1], '\n')+1], "missing"},
		{whole, ""},
	} {
		if err := os.WriteFile(files[0], test.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(offline(), " "); got != test.want {
			t.Errorf("found %q, want %q", got, test.want)
		}
	}
	// Without the metadata store the end is not known.
	rows := filepath.Join(s.Dir, "meta")
	if err := os.Rename(rows, rows+".away"); err != nil {
		t.Fatal(err)
	}
	if v, unknown, err := server.VerifyAudit(t.Context(), cfg, nil, func(f audit.Finding) { t.Errorf("%+v", f) }); err != nil || unknown == nil || v.HeadKnown {
		t.Errorf("without rows: %+v, head %v, %v", v, unknown, err)
	}
	if err := os.Rename(rows+".away", rows); err != nil {
		t.Fatal(err)
	}
}

// TestAuditTrailThatWasCutOff starts a server whose trail has lost its end.
func TestAuditTrailThatWasCutOff(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := coffertest.Start(t, coffertest.Log(&log))
	s.Bucket("vault", "", "", false)
	s.Put("vault", "k", "body")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(server.AuditDir(s.Dir), "*.jsonl"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %q, %v", files, err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	s.Restart()
	s.Get("vault", "k")
	if v, found := verified(s); v.Faults != 1 || len(found) != 1 || found[0].Kind != audit.Head {
		t.Errorf("%+v, %+v", v, found)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "do not have its head") {
		t.Errorf("log: %s", log.String())
	}
}
