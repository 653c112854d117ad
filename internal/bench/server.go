// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// server is the server under test: the one client that sends the load, and the
// SDK's for what comes before and after.
type server struct {
	child  *child // nil if it is not ours
	client *client
	s3     *s3.Client
	kms    *kms.Client
	iam    *iam.Client
	trails *cloudtrail.Client
	region string

	prefix  string // of the buckets' names
	key     string // ARN of the KMS key, if one was made
	buckets []string
	users   map[contender][]*user
}

const (
	ownRegion = "us-east-1"
	ownAccess = "AKIACOFFERBENCH00001"
)

// startServer starts a server of the run's own, over a directory of that name.
func (r *run) startServer(ctx context.Context, data string, more ...string) (*child, Remote, error) {
	secretKey := rand.Text() + rand.Text()
	c, err := startChild(ctx, []string{"COFFER_ROOT_SECRET_ACCESS_KEY=" + secretKey}, r.cfg.Program, append([]string{"serve",
		"--data", filepath.Join(r.dir, data), "--listen", "127.0.0.1:0", "--region", ownRegion, "--root-access-key-id", ownAccess,
		"--log-level", "warn", "--kms-latency", r.cfg.KMSLatency.String(), "--kms-request-quota", strconv.Itoa(r.cfg.KMSQuota)}, more...)...)
	if err != nil {
		return nil, Remote{}, err
	}
	return c, Remote{Endpoint: c.URL, Region: ownRegion, Credentials: credentials.NewStaticCredentialsProvider(ownAccess, secretKey, "")}, nil
}

// openServer starts the server, or connects to the one that was named.
func (r *run) openServer(ctx context.Context) (err error) {
	if r.cfg.Remote != nil {
		r.server, err = r.connect(ctx, nil, *r.cfg.Remote)
		return err
	}
	r.server, err = r.ownServer(ctx, "data")
	return err
}

// ownServer starts a server and connects to it.
func (r *run) ownServer(ctx context.Context, data string, more ...string) (*server, error) {
	c, at, err := r.startServer(ctx, data, more...)
	if err != nil {
		return nil, err
	}
	r.onClose(c.stop)
	return r.connect(ctx, c, at)
}

// connect makes the clients of a server; c is nil if it is not ours.
func (r *run) connect(ctx context.Context, c *child, at Remote) (*server, error) {
	s := &server{child: c}
	have, err := at.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("no credentials for %s: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: %w", at.Endpoint, err)
	}
	s.client, err = newClient(at.Endpoint, identity{
		accessKeyID: have.AccessKeyID, secretKey: have.SecretAccessKey, token: have.SessionToken, region: at.Region,
	}, r.cfg.Concurrency)
	if err != nil {
		return nil, err
	}
	r.onClose(s.client.close)
	common := aws.Config{Region: at.Region, BaseEndpoint: &at.Endpoint, Credentials: at.Credentials}
	s.s3 = s3.NewFromConfig(common, func(o *s3.Options) { o.UsePathStyle = true })
	s.kms = kms.NewFromConfig(common)
	s.iam = iam.NewFromConfig(common)
	s.trails = cloudtrail.NewFromConfig(common)
	s.region = at.Region
	random := make([]byte, 4)
	rand.Read(random)
	s.prefix = "coffer-bench-" + hex.EncodeToString(random)
	if s.child == nil {
		r.onClose(func() error { return s.remove(context.WithoutCancel(ctx)) })
	}
	return s, nil
}

// bucket returns the name of the bucket that encrypts so, or that the users use.
func (s *server) bucket(mode contender) string {
	if mode.users() || mode.byAudit() {
		mode = bucketKey
	}
	return s.prefix + [...]string{sseS3: "-s3", sseKMS: "-kms", bucketKey: "-bucketkey"}[mode]
}

// makeBucket makes it, and before the first that needs one the KMS key.
func (s *server) makeBucket(ctx context.Context, mode contender) error {
	name := s.bucket(mode)
	if slices.Contains(s.buckets, name) {
		return nil
	}
	in := &s3.CreateBucketInput{Bucket: &name}
	if s.region != "us-east-1" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(s.region)}
	}
	if _, err := s.s3.CreateBucket(ctx, in); err != nil {
		return fmt.Errorf("make bucket: %w", err)
	}
	s.buckets = append(s.buckets, name)
	rule := types.ServerSideEncryptionRule{
		ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAes256},
		BucketKeyEnabled:                   aws.Bool(mode == bucketKey || mode.users() || mode.byAudit()),
	}
	if mode != sseS3 {
		if s.key == "" {
			out, err := s.kms.CreateKey(ctx, &kms.CreateKeyInput{Description: aws.String(s.prefix)})
			if err != nil {
				return fmt.Errorf("make KMS key: %w", err)
			}
			s.key = aws.ToString(out.KeyMetadata.Arn)
		}
		rule.ApplyServerSideEncryptionByDefault.SSEAlgorithm = types.ServerSideEncryptionAwsKms
		rule.ApplyServerSideEncryptionByDefault.KMSMasterKeyID = &s.key
	}
	_, err := s.s3.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{
		Bucket:                            &name,
		ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{rule}},
	})
	if err != nil {
		return fmt.Errorf("set the bucket's encryption: %w", err)
	}
	return nil
}

// removeWithin bounds how long a server may take to have everything removed.
const removeWithin = 5 * time.Minute

// remove takes buckets and key out of a server that is not ours.
func (s *server) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, removeWithin)
	defer cancel()
	if err := s.removeUsers(ctx); err != nil {
		return fmt.Errorf("remove the users that the run made: %w", err)
	}
	for _, bucket := range s.buckets {
		if err := s.empty(ctx, bucket); err != nil {
			return fmt.Errorf("remove what the run left in bucket %s: %w", bucket, err)
		}
		if _, err := s.s3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket}); err != nil {
			return fmt.Errorf("delete bucket %s: %w", bucket, err)
		}
	}
	if s.key == "" {
		return nil
	}
	if _, err := s.kms.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: &s.key, PendingWindowInDays: aws.Int32(7)}); err != nil {
		return fmt.Errorf("schedule deletion of KMS key %s: %w", s.key, err)
	}
	return nil
}

func (s *server) empty(ctx context.Context, bucket string) error {
	pages := s3.NewListObjectsV2Paginator(s.s3, &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		if len(page.Contents) == 0 {
			continue
		}
		gone := &types.Delete{Quiet: aws.Bool(true)}
		for _, o := range page.Contents {
			gone.Objects = append(gone.Objects, types.ObjectIdentifier{Key: o.Key})
		}
		out, err := s.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &bucket, Delete: gone})
		if err != nil {
			return err
		}
		if len(out.Errors) > 0 {
			return fmt.Errorf("%s: %s", aws.ToString(out.Errors[0].Key), aws.ToString(out.Errors[0].Message))
		}
	}
	return nil
}
