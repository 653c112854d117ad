// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/internal/fips"
	"github.com/cofferstore/coffer/test/coffertest"
)

// Under GODEBUG=fips140=only servers of these tests run in that mode: those of this
// process, and the processes that it starts, which inherit its environment. The
// SDK's clients run in it too, but for what they hash with SHA-1: the mode forbids
// that to all but the one package that knows why it is used.

// hashingURL, hashingBucket and so on tell a process of [TestClientThatHashes] what
// to put where.
const (
	hashingURL       = "COFFERTEST_PUT_URL"
	hashingBucket    = "COFFERTEST_PUT_BUCKET"
	hashingKey       = "COFFERTEST_PUT_KEY"
	hashingBody      = "COFFERTEST_PUT_BODY"
	hashingAlgorithm = "COFFERTEST_PUT_ALGORITHM"
)

// putWithChecksum stores an object with a checksum that the SDK computes, in a
// process of its own where this one may not compute it.
func putWithChecksum(s *coffertest.Server, bucket, key, body string, algorithm types.ChecksumAlgorithm) {
	s.T.Helper()
	if _, _, enforced := fips.State(); !enforced || algorithm != types.ChecksumAlgorithmSha1 {
		mustPutWithChecksum(s.T, s.S3, bucket, key, body, algorithm)
		return
	}
	self, err := os.Executable()
	if err != nil {
		s.T.Fatal(err)
	}
	client := exec.CommandContext(s.T.Context(), self, "-test.run=^TestClientThatHashes$", "-test.v")
	client.Env = append(client.Environ(), "GODEBUG=fips140=off", hashingURL+"="+s.URL, hashingBucket+"="+bucket,
		hashingKey+"="+key, hashingBody+"="+body, hashingAlgorithm+"="+string(algorithm))
	out, err := client.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestClientThatHashes") {
		s.T.Errorf("put %s by another process: %v\n%s", key, err, out)
	}
}

// TestClientThatHashes is the process of putWithChecksum.
func TestClientThatHashes(t *testing.T) {
	url := os.Getenv(hashingURL)
	if url == "" {
		return // this is not that process
	}
	if _, _, enforced := fips.State(); enforced {
		t.Fatal("this process may not hash either")
	}
	client, _ := coffertest.Clients(url)
	mustPutWithChecksum(t, client, os.Getenv(hashingBucket), os.Getenv(hashingKey), os.Getenv(hashingBody),
		types.ChecksumAlgorithm(os.Getenv(hashingAlgorithm)))
}

func mustPutWithChecksum(t testing.TB, client *s3.Client, bucket, key, body string, algorithm types.ChecksumAlgorithm) {
	t.Helper()
	put, err := client.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &bucket, Key: &key, Body: strings.NewReader(body), ChecksumAlgorithm: algorithm,
	})
	if err != nil {
		t.Fatalf("put %s/%s: %v", bucket, key, err)
	}
	if put.ChecksumType != types.ChecksumTypeFullObject {
		t.Errorf("%s: type %q", key, put.ChecksumType)
	}
}
