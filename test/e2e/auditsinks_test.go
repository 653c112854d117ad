// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/internal/link/sink/sinktest"
	"github.com/cofferstore/coffer/internal/wire/opsapi"
	"github.com/cofferstore/coffer/test/coffertest"
)

// recorded returns the trail's records as they are shown.
func recorded(s *coffertest.Server) (lines []string) {
	s.T.Helper()
	err := operator(s, coffertest.SecretAccessKey).Audit(s.T.Context(), opsapi.AuditQuery{}, func(line []byte) error {
		lines = append(lines, string(bytes.TrimSpace(line)))
		return nil
	})
	if err != nil {
		s.T.Fatal(err)
	}
	return lines
}

// TestAuditSinks: every event of a workload comes to a webhook and to a syslog server, in
// the order of the trail, although these fail and the server restarts in the middle; and
// nothing that is secret comes with them.
func TestAuditSinks(t *testing.T) {
	t.Parallel()
	hook := sinktest.NewWebhook(t, true)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	answered, strangers := 0, 0
	hook.Answer(func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer webhook-token-1" || !strings.HasPrefix(r.Header.Get("Coffer-Signature"), "t=") {
			strangers++
		}
		if answered++; answered%3 == 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return false
		}
		return true
	})
	logs := sinktest.NewSyslog(t, &tls.Config{Certificates: hook.TLS.Certificates})
	s := start(t, coffertest.Flags("--new-bucket-defaults", "legacy", "--audit-webhook", "siem="+hook.URL+"/in", "--audit-webhook-ca", ca, "--audit-webhook-gzip",
		"--audit-syslog", "logs=tls://"+logs.Address, "--audit-syslog-ca", ca, "--audit-sink-start", "oldest"),
		coffertest.Environ("COFFER_AUDIT_WEBHOOK_TOKEN=webhook-token-1", "COFFER_AUDIT_WEBHOOK_SIGNING_KEY=webhook-signing-key-1"))

	secrets := []string{coffertest.SecretAccessKey, "webhook-token-1", "webhook-signing-key-1", "X-Amz-Signature", *customerOf(keyA).key, *customerOf(keyA).md5}
	key := s.Key()
	s.Bucket("vault", "aws:kms", key, true)
	s.Bucket("plain", "", "", false)
	work := func(round string) {
		for i := range 5 {
			name := fmt.Sprint(round, i)
			s.Put("vault", name, "hello")
			s.Get("vault", name)
		}
		customer := customerOf(keyA)
		s.Put("plain", round, "hello", customer.put)
		presigned(s, "GET", "/vault/"+round+"0", nil, time.Now(), "60")("")
		plain := "plain text of " + round
		enc := do(t, s.KMS.Encrypt, &kms.EncryptInput{KeyId: &key, Plaintext: []byte(plain)})
		do(t, s.KMS.Decrypt, &kms.DecryptInput{CiphertextBlob: enc.CiphertextBlob})
		secrets = append(secrets, b64([]byte(plain)), b64(enc.CiphertextBlob))
		fails(t, s.S3.GetObject, &s3.GetObjectInput{Bucket: aws.String("vault"), Key: aws.String("missing")}, 404, "NoSuchKey", "")
		user := s.Root().NewUser("user-" + round)
		secrets = append(secrets, user.Keys.SecretAccessKey)
	}
	work("first")
	logs.Down(true)
	work("second")
	s.Restart()
	work("third")
	logs.Down(false)
	work("fourth")

	want := recorded(s)
	if len(want) < 60 {
		t.Fatalf("%d records", len(want))
	}
	for name, inbox := range map[string]*sinktest.Inbox{"webhook": &hook.Inbox, "syslog": &logs.Inbox} {
		came := inbox.Await(len(want))
		got := sinktest.FirstSeen(came)[:len(want)]
		if !slices.Equal(got, want) {
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%s: record %d is\n%s, want\n%s", name, i, got[i], want[i])
					break
				}
			}
		}
		all := strings.Join(came, "\n")
		for _, secret := range secrets {
			if strings.Contains(all, secret) {
				t.Errorf("%s has the secret %s", name, secret)
			}
		}
		if !strings.Contains(all, `"AddAuditSink"`) || !strings.Contains(all, `"webhook:siem"`) {
			t.Errorf("%s does not say that sinks were added", name)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if strangers > 0 {
		t.Errorf("%d posts without credentials", strangers)
	}
}
