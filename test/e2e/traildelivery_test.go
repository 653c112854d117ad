// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cofferstore/coffer/internal/core/trails"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/test/coffertest"
)

// soon makes a server deliver at once what others wait for.
func soon() coffertest.Option {
	return coffertest.Tune(server.Tuning{Trails: trails.CourierConfig{Every: 50 * time.Millisecond, DigestEvery: time.Second}})
}

// await asks again and again until it is so. The test's own deadline is the only one.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for !is() {
		select {
		case <-t.Context().Done():
			t.Fatalf("%s: not until the test's end", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// delivered is a file that was delivered.
type delivered struct {
	key      string
	body     []byte // as it is stored
	text     []byte // uncompressed
	metadata map[string]string
}

// deliveredTo returns the files below a prefix in a bucket, by name.
func (p *person) deliveredTo(bucket, prefix string) (files []delivered) {
	t := p.s.T
	t.Helper()
	list := do(t, p.S3.ListObjectsV2, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
	if *list.IsTruncated {
		t.Fatal("more files than fit on a page")
	}
	for _, o := range list.Contents {
		out := do(t, p.S3.GetObject, &s3.GetObjectInput{Bucket: &bucket, Key: o.Key})
		body, err := io.ReadAll(out.Body)
		out.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, delivered{*o.Key, body, gunzip(t, body), out.Metadata})
	}
	return files
}

func gunzip(t testing.TB, body []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func zipped(text []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(text)
	_ = z.Close()
	return b.Bytes()
}

// store puts a file where one was delivered.
func (p *person) store(bucket, key string, f delivered) {
	p.s.T.Helper()
	do(p.s.T, p.S3.PutObject, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(f.body), Metadata: f.metadata})
}

func (p *person) remove(bucket, key string) {
	p.s.T.Helper()
	do(p.s.T, p.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
}

// delivering reports whether a server is at work on a trail.
func delivering(s *coffertest.Server, account, name string) bool {
	s.T.Helper()
	families, err := s.Core.Metrics().Gather()
	if err != nil {
		s.T.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == "coffer_audit_sink_backlog_bytes" && l.GetValue() == "trail/"+account+"/"+name {
					return true
				}
			}
		}
	}
	return false
}

// TestValidateLogs lets `aws cloudtrail validate-logs` judge what is delivered, and finds
// with it whatever is done to that.
func TestValidateLogs(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("the AWS CLI is not on the path; TestTamperingIsFound of core/trails tells the same story")
	}
	s := start(t, soon())
	p := accountOf(s, "000000000401")
	p.trailBucket("validated", "")
	arn := "arn:aws:cloudtrail:us-east-1:" + p.Account + ":trail/main"
	do(t, p.Trails.CreateTrail, &cloudtrail.CreateTrailInput{Name: aws.String("main"), S3BucketName: aws.String("validated"), EnableLogFileValidation: aws.Bool(true)})
	do(t, p.Trails.StartLogging, &cloudtrail.StartLoggingInput{Name: aws.String("main")})
	logs, digests := "AWSLogs/"+p.Account+"/CloudTrail/", "AWSLogs/"+p.Account+"/CloudTrail-Digest/"
	made := 0
	await(t, "four digests", func() bool { // with files in between
		made++
		do(t, p.S3.CreateBucket, &s3.CreateBucketInput{Bucket: aws.String(fmt.Sprint("validated-", made))})
		return len(do(t, p.S3.ListObjectsV2, &s3.ListObjectsV2Input{Bucket: aws.String("validated"), Prefix: &digests}).Contents) >= 4
	})
	do(t, p.Trails.StopLogging, &cloudtrail.StopLoggingInput{Name: aws.String("main")})
	await(t, "the last digest", func() bool { return !delivering(s, p.Account, "main") })

	logFiles, digestFiles := p.deliveredTo("validated", logs), p.deliveredTo("validated", digests)
	var created []string
	for _, f := range logFiles {
		var file struct{ Records []map[string]any }
		if err := json.Unmarshal(f.text, &file); err != nil {
			t.Fatal(err)
		}
		for _, r := range file.Records {
			if r["eventName"] == "CreateBucket" {
				created = append(created, fmt.Sprint(r["requestParameters"].(map[string]any)["bucketName"]))
			}
		}
	}
	if slices.Sort(created); len(created) != made || len(slices.Compact(created)) != made {
		t.Errorf("%d buckets were made, the log files tell of %d", made, len(created))
	}

	// Coffer's own verifier has nothing to say against it.
	var keys []trails.PublicKey
	for _, k := range do(t, p.Trails.ListPublicKeys, &cloudtrail.ListPublicKeysInput{}).PublicKeyList {
		keys = append(keys, trails.PublicKey{DER: k.Value, From: *k.ValidityStartTime, To: *k.ValidityEndTime, Fingerprint: *k.Fingerprint})
	}
	own := trails.Verifier{Keys: keys, Get: func(ctx context.Context, bucket, object string) ([]byte, map[string]string, error) {
		i := slices.IndexFunc(slices.Concat(logFiles, digestFiles), func(f delivered) bool { return f.key == object })
		if i < 0 {
			return nil, nil, fs.ErrNotExist
		}
		f := slices.Concat(logFiles, digestFiles)[i]
		headers := map[string]string{}
		for name, value := range f.metadata {
			headers["x-amz-meta-"+name] = value
		}
		return f.body, headers, nil
	}}
	found, err := own.Verify(t.Context(), "validated", digestFiles[len(digestFiles)-1].key, "")
	if err != nil || len(found.Findings) != 0 || found.Digests != len(digestFiles) || found.Files != len(logFiles) {
		t.Errorf("%d digests and %d log files verified as %+v, %v", len(digestFiles), len(logFiles), found, err)
	}

	validate := func(fails bool, want ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "aws", "cloudtrail", "validate-logs", "--trail-arn", arn,
			"--start-time", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), "--verbose")
		for _, v := range os.Environ() {
			if !strings.HasPrefix(v, "AWS_") {
				cmd.Env = append(cmd.Env, v)
			}
		}
		cmd.Env = append(cmd.Env, "AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL="+s.URL, "AWS_DEFAULT_REGION="+coffertest.Region,
			"AWS_ACCESS_KEY_ID="+p.Keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+p.Keys.SecretAccessKey)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) || (err != nil) != fails {
			t.Errorf("it ended with %v, and printed\n%s", err, out)
		}
		for _, w := range want {
			if !strings.Contains(string(out), w) {
				t.Errorf("it does not say %q, but\n%s", w, out)
			}
		}
	}
	n, m := len(digestFiles), len(logFiles)
	validate(false, fmt.Sprintf("%d/%d digest files valid", n, n), fmt.Sprintf("%d/%d log files valid", m, m))

	flipped := logFiles[0]
	flipped.text = bytes.Clone(flipped.text)
	flipped.text[len(flipped.text)/2] ^= 1
	flipped.body = zipped(flipped.text)
	p.store("validated", flipped.key, flipped)
	p.remove("validated", logFiles[1].key)
	validate(true, fmt.Sprintf("%d/%d digest files valid", n, n), fmt.Sprintf("%d/%d log files valid", m-2, m),
		"INVALID: hash value doesn't match", "INVALID: not found")
	p.store("validated", logFiles[0].key, logFiles[0])
	p.store("validated", logFiles[1].key, logFiles[1])

	p.remove("validated", digestFiles[1].key)
	p.store("validated", digestFiles[3].key, p.resigned(digestFiles[3]))
	validate(true, "INVALID: not found", "INVALID: signature verification failed", digestFiles[1].key, digestFiles[3].key)

	p.store("validated", digestFiles[1].key, digestFiles[3])
	p.store("validated", digestFiles[3].key, digestFiles[1])
	validate(true, "INVALID: has been moved from its original location")
}

// resigned is a digest with the signature of a key that nobody knows.
func (p *person) resigned(f delivered) delivered {
	t := p.s.T
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	var d struct{ DigestEndTime, DigestS3Bucket, DigestS3Object, PreviousDigestSignature string }
	if err := json.Unmarshal(f.text, &d); err != nil {
		t.Fatal(err)
	}
	text := sha256.Sum256(f.text)
	sum := sha256.Sum256([]byte(d.DigestEndTime + "\n" + d.DigestS3Bucket + "/" + d.DigestS3Object + "\n" + hex.EncodeToString(text[:]) + "\n" + d.PreviousDigestSignature))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	f.metadata = map[string]string{"signature": hex.EncodeToString(signature), "signature-algorithm": "SHA256withRSA"}
	return f
}

// TestTrailUnderTheBlogsPolicy is vector B19: the policy that denies what is not
// encrypted under a KMS key denies it to a trail's delivery, too, until the trail or the
// bucket names a key. Nothing of what happens meanwhile is lost. The bucket and the key
// are another account's.
func TestTrailUnderTheBlogsPolicy(t *testing.T) {
	t.Parallel()
	s := start(t, soon())
	p, owner := accountOf(s, "000000000411"), accountOf(s, "000000000412")
	do(t, owner.S3.CreateBucket, &s3.CreateBucketInput{Bucket: aws.String("blog")})
	allowed := forTrails(p.Account, "blog", "")
	owner.bucketPolicy("blog", allowed)
	name := aws.String("main")
	arn := *do(t, p.Trails.CreateTrail, &cloudtrail.CreateTrailInput{Name: name, S3BucketName: aws.String("blog")}).TrailARN
	do(t, p.Trails.StartLogging, &cloudtrail.StartLoggingInput{Name: name})
	key := *do(t, owner.KMS.CreateKey, &kms.CreateKeyInput{Policy: aws.String(document(
		`{"Effect":"Allow","Principal":{"AWS":"` + owner.arn + `"},"Action":"kms:*","Resource":"*"},` +
			`{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"kms:GenerateDataKey*","Resource":"*","Condition":{"StringEquals":{"aws:SourceArn":"` + arn + `"}}}`,
	))}).KeyMetadata.Arn

	made := 0
	happen := func() {
		t.Helper()
		for range 3 {
			made++
			do(t, p.S3.CreateBucket, &s3.CreateBucketInput{Bucket: aws.String(fmt.Sprint("blog-", made))})
		}
	}
	told := func() (buckets []string) {
		t.Helper()
		for _, f := range owner.deliveredTo("blog", "AWSLogs/"+p.Account+"/CloudTrail/") {
			var file struct {
				Records []struct {
					EventName         string
					RequestParameters struct{ BucketName string }
				}
			}
			if err := json.Unmarshal(f.text, &file); err != nil {
				t.Fatal(err)
			}
			for _, r := range file.Records {
				if r.EventName == "CreateBucket" {
					buckets = append(buckets, r.RequestParameters.BucketName)
				}
			}
		}
		slices.Sort(buckets)
		return buckets
	}
	failsWith := func(code string) {
		t.Helper()
		await(t, "LatestDeliveryError "+code, func() bool {
			return aws.ToString(do(t, p.Trails.GetTrailStatus, &cloudtrail.GetTrailStatusInput{Name: name}).LatestDeliveryError) == code
		})
	}
	everything := func() {
		t.Helper()
		failsWith("")
		await(t, "all events", func() bool { return len(told()) >= made })
		if got := told(); len(got) != made || len(slices.Compact(got)) != made {
			t.Errorf("%d buckets were made, the log files tell of %v", made, got)
		}
	}
	encrypt := func(by types.ServerSideEncryptionByDefault) {
		t.Helper()
		do(t, owner.S3.PutBucketEncryption, &s3.PutBucketEncryptionInput{Bucket: aws.String("blog"), ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
			Rules: []types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &by}},
		}})
	}
	happen()
	everything()

	owner.bucketPolicy("blog", allowed+`,{"Sid":"DenyObjectsThatAreNotSSEKMS","Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::blog/*",`+
		`"Condition":{"Null":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"true"}}}`)
	happen()
	failsWith("AccessDenied")
	happen()
	encrypt(types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAwsKms, KMSMasterKeyID: &key})
	everything()

	encrypt(types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAes256})
	happen()
	failsWith("AccessDenied")
	do(t, p.Trails.UpdateTrail, &cloudtrail.UpdateTrailInput{Name: name, KmsKeyId: &key})
	everything()
	happen()
	everything()

	denied, wrote := 0, 0
	for _, r := range trail(s) {
		if r["eventName"] != "PutObject" || r["userIdentity.invokedBy"] != "cloudtrail.amazonaws.com" || r["requestParameters.bucketName"] != "blog" {
			continue
		}
		if r["recipientAccountId"] != owner.Account || r["userIdentity.type"] != "AWSService" || r["sourceIPAddress"] != "cloudtrail.amazonaws.com" {
			t.Errorf("recorded as %v", r)
		}
		switch r["errorCode"] {
		case "AccessDenied":
			denied++
		case "":
			wrote++
		}
	}
	if files := len(owner.deliveredTo("blog", "AWSLogs/")); denied != 2 || wrote != files {
		t.Errorf("%d denials and %d writes of %d files are recorded", denied, wrote, files)
	}
}
