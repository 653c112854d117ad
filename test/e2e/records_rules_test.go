// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/internal/wire/opsapi"
	"github.com/cofferstore/coffer/test/coffertest"
)

// TestRecordsOverTLS: what records say of a connection, and what only S3's do.
func TestRecordsOverTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certify(t, 1, certFile, keyFile))
	s := start(t, coffertest.Flags("--tls-cert", certFile, "--tls-key", keyFile))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	objects, keys := coffertest.Clients(strings.Replace(s.URL, "http://", "https://", 1))
	objects = s3.New(objects.Options(), func(o *s3.Options) { o.HTTPClient = client })
	keys = kms.New(keys.Options(), func(o *kms.Options) { o.HTTPClient = client })
	g := records(s, "tls")
	g.row("CreateBucket", func() { do(t, objects.CreateBucket, &s3.CreateBucketInput{Bucket: aws.String("vault")}) })
	g.row("PutObject", func() {
		do(t, objects.PutObject, &s3.PutObjectInput{Bucket: aws.String("vault"), Key: aws.String("k"), Body: strings.NewReader("hello")})
	})
	g.row("ListAliases", func() { do(t, keys.ListAliases, &kms.ListAliasesInput{}) })
	g.done()
}

// TestRecordsOfTheOperator: the operator's own calls.
func TestRecordsOfTheOperator(t *testing.T) {
	t.Parallel()
	s := start(t)
	g := records(s, "operator")
	g.row("ReadAudit", func() {
		if err := s.Operator().Audit(t.Context(), opsapi.AuditQuery{Limit: 1}, func([]byte) error { return nil }); err != nil {
			t.Error(err)
		}
	})
	user := s.Root().NewUser("app")
	g.row("ReadAudit, refused", func() {
		c := s.Operator()
		c.Credentials = credentials.NewStaticCredentialsProvider(user.Keys.AccessKeyID, user.Keys.SecretAccessKey, "")
		if c.Audit(t.Context(), opsapi.AuditQuery{}, func([]byte) error { return nil }) == nil {
			t.Error("a user reads the audit trail")
		}
	})
	g.done()
}

// rule is what a detection for CloudTrail asks of a record: members by their paths, and
// what they match. "" asks for a member that is not there.
type rule struct {
	name  string
	where map[string]string
	hits  []string // the keys of the objects whose records it is to find, in order
}

// TestDetectionsMatch: rules that were written for CloudTrail find Coffer's records by the
// documented paths, unmodified, and only those that they are for.
func TestDetectionsMatch(t *testing.T) {
	t.Parallel()
	s := start(t)
	key := s.Key()
	s.Bucket("vault", "", "", false)
	unblock(s, "vault")
	trio := customerOf([]byte("0123456789abcdef0123456789abcdef")).headers(customerHeader)
	tenant := s.NewAccount(tenantAccount, "tenant")
	theirs := do(t, tenant.KMS.CreateKey, &kms.CreateKeyInput{}).KeyMetadata.Arn
	lent := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["` + coffertest.Account + `","` + tenantAccount + `"]},"Action":"kms:*","Resource":"*"}]}`
	do(t, tenant.KMS.PutKeyPolicy, &kms.PutKeyPolicyInput{KeyId: theirs, Policy: &lent})
	send := func(key string, headers ...string) {
		t.Helper()
		if a := (request{method: "PUT", target: "/vault/" + key, headers: headers}).do(s); a.status != 200 {
			t.Fatalf("%s: %d %s", key, a.status, a.body)
		}
	}
	send("plain")
	send("ransomed", trio...)
	send("copied", append([]string{"X-Amz-Copy-Source", "/vault/plain"}, trio...)...)
	send("kms", sseHeader, "aws:kms", keyHeader, key)
	send("foreign", sseHeader, "aws:kms", keyHeader, *theirs)
	send("foreign-copy", "X-Amz-Copy-Source", "/vault/plain", sseHeader, "aws:kms", keyHeader, *theirs)
	request{method: "PUT", target: "/vault/refused", key: tenant.Keys.AccessKeyID, secret: tenant.Keys.SecretAccessKey, headers: trio}.do(s)
	encryption := fmt.Sprintf(`<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>%s</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`, *theirs)
	request{method: "PUT", target: "/vault?encryption", body: encryption, headers: md5Header(encryption)}.do(s)
	do(t, s.KMS.ScheduleKeyDeletion, &kms.ScheduleKeyDeletionInput{KeyId: &key})

	s3Source := `^s3\.amazonaws\.com$`
	rules := []rule{
		{"objects are encrypted with SSE-C: by what was applied", map[string]string{
			"eventSource": s3Source, "eventName": "^(PutObject|CopyObject)$", "additionalEventData.SSEApplied": "^SSE_C$", "errorCode": "",
		}, []string{"ransomed", "copied"}},
		{"objects are encrypted with SSE-C: by what was asked", map[string]string{
			"eventSource": s3Source, "requestParameters.x-amz-server-side-encryption-customer-algorithm": "^AES256$", "errorCode": "",
		}, []string{"ransomed", "copied"}},
		{"SSE-C is tried and refused", map[string]string{
			"eventSource": s3Source, "requestParameters.x-amz-server-side-encryption-customer-algorithm": ".", "errorCode": "^AccessDenied$", "sharedEventID": ".", "userIdentity.arn": ".",
		}, []string{"refused"}},
		{"objects are copied under SSE-C", map[string]string{
			"eventName": "^CopyObject$", "requestParameters.x-amz-copy-source": ".", "requestParameters.x-amz-server-side-encryption-customer-algorithm": ".",
		}, []string{"copied"}},
		{"objects are encrypted with a key of another account", map[string]string{
			"eventSource": s3Source, "eventName": "^(PutObject|CopyObject)$", "additionalEventData.SSEApplied": "^SSE_KMS$",
			"requestParameters.x-amz-server-side-encryption-aws-kms-key-id": "^arn:aws:kms:[a-z0-9-]+:" + tenantAccount + ":",
		}, []string{"foreign", "foreign-copy"}},
		{"a bucket's default encryption is changed", map[string]string{
			"eventName": "^PutBucketEncryption$", "requestParameters.encryption": "^$",
			"requestParameters.ServerSideEncryptionConfiguration.Rule.ApplyServerSideEncryptionByDefault.KMSMasterKeyID": ":" + tenantAccount + ":",
		}, []string{""}},
		{"a key is to be deleted", map[string]string{
			"eventSource": `^kms\.amazonaws\.com$`, "eventName": "^(ScheduleKeyDeletion|DisableKey)$", "resources.0.ARN": "^" + regexp.QuoteMeta(key) + "$", "errorCode": "",
		}, []string{""}},
	}
	found := trail(s)
	for _, r := range rules {
		var hits []string
		for _, record := range found {
			if r.matches(record) {
				hits = append(hits, record["requestParameters.key"])
			}
		}
		if !slices.Equal(hits, r.hits) {
			t.Errorf("%s: finds %q, want %q", r.name, hits, r.hits)
		}
	}
	for _, record := range found {
		if record["requestParameters.x-amz-server-side-encryption-customer-key"] != "" || record["requestParameters.x-amz-server-side-encryption-customer-key-MD5"] != "" {
			text, _ := json.Marshal(record)
			t.Errorf("a record has a customer's key: %s", text)
		}
	}
}

func (r rule) matches(record flat) bool {
	for path, pattern := range r.where {
		value, there := record[path]
		if pattern == "" && there || pattern != "" && (!there || !regexp.MustCompile(pattern).MatchString(value)) {
			return false
		}
	}
	return true
}
