// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// TestUpdatesWhileObjectsChange: updates, overwrites, deletions and tags of the same
// keys at once. Each ends in one of its own results, and what is there can be read.
func TestUpdatesWhileObjectsChange(t *testing.T) {
	s := newStage(t)
	for _, versioning := range []types.BucketVersioningStatus{"", types.BucketVersioningStatusEnabled, types.BucketVersioningStatusSuspended} {
		t.Run("versioning "+string(versioning), func(t *testing.T) {
			bucket := "vault" + strings.ToLower(string(versioning))
			if versioning != "" {
				s.Bucket(bucket, "aws:kms", s.k1, true)
				s.Versioning(bucket, versioning)
			}
			keys := []string{"a", "b", "c"}
			for _, key := range keys {
				s.Put(bucket, key, key)
			}
			rounds := 40
			if testing.Short() {
				rounds = 8
			}
			var updated, gone atomic.Int64
			var all sync.WaitGroup
			work := func(do func(i int, key string) error) {
				all.Go(func() {
					for i := range rounds {
						key := keys[i%len(keys)]
						if err := do(i, key); err != nil {
							t.Errorf("%s: %v", key, err)
							return
						}
					}
				})
			}
			for _, arn := range []string{s.k1, s.k2} {
				work(func(i int, key string) error {
					switch err := tryUpdate(s.Server, bucket+"/"+key, "", arn, i%2 == 0); {
					case err == nil:
						updated.Add(1)
					case codeOf(err) == "NoSuchKey", codeOf(err) == "MethodNotAllowed": // deleted before, or meanwhile
						gone.Add(1)
					default:
						return err
					}
					return nil
				})
			}
			work(func(i int, key string) error {
				_, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(key)})
				return err
			})
			work(func(i int, key string) error {
				if i%4 != 0 {
					return nil
				}
				_, err := s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
				return err
			})
			work(func(i int, key string) error {
				out, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
				if codeOf(err) == "NoSuchKey" {
					return nil
				}
				if err == nil {
					var b bytes.Buffer
					if _, err = b.ReadFrom(out.Body); err == nil && b.String() != key {
						err = fmt.Errorf("reads %q", b.String())
					}
					out.Body.Close()
				}
				return err
			})
			all.Wait()
			if updated.Load() == 0 {
				t.Errorf("no update met an object, %d met none", gone.Load())
			}
			list, err := s.S3.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &bucket})
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range list.Versions {
				if got, _ := s.Get(bucket, *v.Key, func(in *s3.GetObjectInput) { in.VersionId = v.VersionId }); got != *v.Key {
					t.Errorf("version %s of %s reads %q", *v.VersionId, *v.Key, got)
				}
			}
			t.Logf("%d updated, %d gone, %d versions", updated.Load(), gone.Load(), len(list.Versions))
		})
	}
}

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// TestUpdatesFollowAVersionThatMoves: an update of the current version ends on that
// version, although newer ones come all the time.
func TestUpdatesFollowAVersionThatMoves(t *testing.T) {
	s := newStage(t)
	s.Versioning("vault", types.BucketVersioningStatusEnabled)
	stop := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("vault"), Key: aws.String("k"), Body: strings.NewReader("newer")}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	var moved []string
	for i := range 10 {
		version := *s.Put("vault", "k", "mine").VersionId
		arn := []string{s.k1, s.k2}[i%2]
		if err := tryUpdate(s.Server, "vault/k", version, arn, false); err != nil {
			t.Errorf("update of a version that moved: %v", err)
			continue
		}
		moved = append(moved, version+" "+arn)
	}
	close(stop)
	all.Wait()
	for _, m := range moved {
		version, arn, _ := strings.Cut(m, " ")
		got, out := s.Get("vault", "k", func(in *s3.GetObjectInput) { in.VersionId = &version })
		if is := of(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled); got != "mine" || is != (applied{"aws:kms", arn, false}) {
			t.Errorf("version %s reads %q under %v", version, got, is)
		}
	}
	list, err := s.S3.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String("vault")})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range list.Versions { // nothing else was updated
		out, err := s.S3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("vault"), Key: v.Key, VersionId: v.VersionId})
		if err != nil {
			t.Fatal(err)
		}
		if aws.ToBool(out.BucketKeyEnabled) == strings.Contains(strings.Join(moved, "\n"), *v.VersionId) {
			t.Errorf("version %s has bucket key %t", *v.VersionId, aws.ToBool(out.BucketKeyEnabled))
		}
	}
}
