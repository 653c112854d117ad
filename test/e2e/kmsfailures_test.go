// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/server"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/pebble"
	"github.com/cofferstore/coffer/test/coffertest"
)

// TestKMSFailuresAsS3TellsThem: the codes of KMS with a prefix, and its texts.
func TestKMSFailuresAsS3TellsThem(t *testing.T) {
	s := choices(t)
	const id = "11111111-2222-3333-4444-555555555555"
	here := "arn:aws:kms:us-east-1:" + coffertest.Account + ":"
	s.Put("vault", "k", "body")
	deleted := s.Key()
	if _, err := s.KMS.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &deleted}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, key string
		want      rejection
	}{
		{"no key id at all", "fake-key-id", kmsFault("NotFoundException", "Invalid keyId")},
		{"the managed key without alias/", "aws/s3", kmsFault("NotFoundException", "Invalid keyId")},
		{"missing id", id, kmsFault("NotFoundException", "Key '"+here+"key/"+id+"' does not exist")},
		{"missing ARN", here + "key/" + id, kmsFault("NotFoundException", "Key '"+here+"key/"+id+"' does not exist")},
		{"other Region", "arn:aws:kms:eu-west-1:" + coffertest.Account + ":key/" + id, kmsFault("NotFoundException", "Invalid arn eu-west-1")},
		{"missing alias", "alias/none", kmsFault("NotFoundException", "Alias "+here+"alias/none is not found")},
		{"alias of another Region", "arn:aws:kms:eu-west-1:" + coffertest.Account + ":alias/aws/s3", kmsFault("NotFoundException", "Invalid arn eu-west-1")},
		{"pending deletion", deleted, kmsFault("KMSInvalidStateException", deleted+" is pending deletion")},
	} {
		for op, create := range creating {
			create(s, sseHeader, "aws:kms", keyHeader, c.key).isRejected(op+", "+c.what, false, c.want)
		}
	}
	s.DisableKey(s.k1)
	disabled := kmsFault("DisabledException", s.k1+" is disabled")
	for op, create := range creating {
		create(s).isRejected(op+", disabled", false, disabled)
	}
	s.refuses("GetObject, disabled", disabled, "GET", "/vault/k", "")
	s.refuses("GetObjectAttributes, disabled", disabled, "GET", "/vault/k?attributes", "", "x-amz-object-attributes", "ETag")
	s.refuses("CopyObject, source disabled", disabled, "PUT", "/plain/copy", "", "x-amz-copy-source", "vault/k")
	s.refuses("CopyObject, key asked for disabled", disabled, "PUT", "/plain/copy", "", "x-amz-copy-source", "plain/src", sseHeader, "aws:kms", keyHeader, s.k1)
	s.accepts("HeadObject, disabled", "HEAD", "/vault/k", "")
	s.refuses("HeadObject with the checksum, disabled", disabled, "HEAD", "/vault/k", "", "x-amz-checksum-mode", "ENABLED")
}

// TestDamagedKeysAreInternalErrors takes away what the server needs to open a key:
// rows of the store, whose absence nothing else shows.
func TestDamagedKeysAreInternalErrors(t *testing.T) {
	for what, row := range map[string]string{"key material": "k/m/", "bucket key": "g/"} {
		t.Run(what, func(t *testing.T) {
			s := &stage{Server: coffertest.Start(t)}
			s.Bucket("vault", "aws:kms", s.Key(), true)
			s.Put("vault", "k", "body")
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
			if n := dropRows(t, s.Dir, row); n == 0 {
				t.Fatalf("no rows %s", row)
			}
			s.Restart()
			s.refuses("GetObject", internalError, "GET", "/vault/k", "")
		})
	}
}

func dropRows(t *testing.T, dir, prefix string) int {
	store, err := pebble.Open(filepath.Join(dir, "meta"), pebble.Config{Logger: coffertest.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	page, err := store.Scan(t.Context(), meta.Range{Start: []byte(prefix), End: meta.PrefixEnd([]byte(prefix))})
	if err != nil {
		t.Fatal(err)
	}
	var batch meta.Batch
	for _, item := range page.Items {
		batch.Delete(item.Key)
	}
	if _, err := store.Commit(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	return len(page.Items)
}

// TestKeysThatFailUnderADefault: a default encryption takes a key as it is named, and
// it is writing that fails, as KMS says; so does what was written while the key was
// well.
func TestKeysThatFailUnderADefault(t *testing.T) {
	s := choices(t)
	const id = "11111111-2222-3333-4444-555555555555"
	here := "arn:aws:kms:us-east-1:" + coffertest.Account + ":"
	elsewhere := "arn:aws:kms:eu-west-1:" + coffertest.Account + ":key/" + id
	leaving, disabled := s.Key(), s.Key()
	for object, key := range map[string]string{"leaving": leaving, "disabled": disabled} {
		s.accepts(object, "PUT", "/plain/"+object, "x", sseHeader, "aws:kms", keyHeader, key)
	}
	s.DisableKey(disabled)
	if _, err := s.KMS.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &leaving}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, key string
		want      rejection
	}{
		{"disabled", disabled, kmsFault("DisabledException", disabled+" is disabled")},
		{"pending deletion", leaving, kmsFault("KMSInvalidStateException", leaving+" is pending deletion")},
		{"missing id", id, kmsFault("NotFoundException", "Key '"+here+"key/"+id+"' does not exist")},
		{"another Region's", elsewhere, kmsFault("NotFoundException", "Invalid arn eu-west-1")},
		{"missing alias", "alias/none", kmsFault("NotFoundException", "Alias "+here+"alias/none is not found")},
	} {
		for _, algorithm := range []string{sseKMS, sseDSSE} {
			config := defaultXML(algorithm+"<KMSMasterKeyID>"+c.key+"</KMSMasterKeyID>", flagOn)
			s.accepts(c.what, "PUT", "/vault?encryption", config, digested(config)...)
			if got := s.accepts(c.what, "GET", "/vault?encryption", "").body; !strings.Contains(got, "<KMSMasterKeyID>"+c.key+"</KMSMasterKeyID>") {
				t.Errorf("%s: reads back as %s", c.what, got)
			}
			for op, create := range creating {
				create(s).isRejected(op+", "+c.what, false, c.want)
			}
		}
		if object := map[string]string{disabled: "disabled", leaving: "leaving"}[c.key]; object != "" {
			s.refuses("GetObject, "+c.what, c.want, "GET", "/plain/"+object, "")
			s.accepts("HeadObject, "+c.what, "HEAD", "/plain/"+object, "")
		}
		if strings.HasPrefix(c.key, "arn:") {
			update := updateXML(c.key, "true")
			s.refuses("UpdateObjectEncryption, "+c.what, c.want, "PUT", "/plain/src?encryption", update, digested(update)...)
		}
	}
}

// TestReadingUnderAKeyThatIsGone: when the waiting period is over, the key is as if it
// had never been.
func TestReadingUnderAKeyThatIsGone(t *testing.T) {
	s := newStage(t)
	s.Put("vault", "own", "x", func(in *s3.PutObjectInput) { in.BucketKeyEnabled = new(false) })
	s.Put("vault", "shared", "x")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	id := s.k1[strings.LastIndex(s.k1, "/")+1:]
	for _, row := range []string{"k/k/" + coffertest.Account + "/" + id, "k/i/" + id, "k/m/" + id} {
		if dropRows(t, s.Dir, row) == 0 {
			t.Fatalf("no row %s", row)
		}
	}
	s.Restart()
	for _, key := range []string{"own", "shared"} {
		s.refuses(key, kmsFault("NotFoundException", "Key '"+s.k1+"' does not exist"), "GET", "/vault/"+key, "")
	}
	s.refuses("PutObject", kmsFault("NotFoundException", "Key '"+s.k1+"' does not exist"), "PUT", "/vault/new", "x")
}

// cut is a metadata store of which some rows cannot be reached while it is cut off.
type cut struct {
	meta.Store
	off *atomic.Pointer[string] // begins the rows' keys; nil for none
}

func (c cut) Get(ctx context.Context, keys ...[]byte) ([]meta.Item, error) {
	if prefix := c.off.Load(); prefix != nil {
		for _, k := range keys {
			if strings.HasPrefix(string(k), *prefix) {
				return nil, fault.New(meta.Unavailable, "")
			}
		}
	}
	return c.Store.Get(ctx, keys...)
}

// TestKeyMaterialOutOfReach: what needs it fails and may be tried again, under no
// other key; the rest goes on.
func TestKeyMaterialOutOfReach(t *testing.T) {
	var off atomic.Pointer[string]
	s := &stage{Server: start(t, coffertest.Tune(server.Tuning{Rows: func(rows meta.Store) meta.Store { return cut{rows, &off} }}))}
	key, cold := s.Key(), s.Key()
	s.Bucket("vault", "aws:kms", key, true)
	s.Bucket("own", "aws:kms", cold, false)
	s.Bucket("plain", "", "", false)
	s.Put("own", "k", "own")
	s.Put("vault", "k", "shared")
	s.Put("plain", "k", "plain")
	s.Restart()
	s.Put("vault", "warm", "shared")
	s.Get("vault", "warm")
	s.Put("plain", "warm", "plain")
	s.Get("plain", "k")
	material := "k/m/" + cold[strings.LastIndex(cold, "/")+1:]
	off.Store(&material)
	s.refuses("GetObject", unavailable, "GET", "/own/k", "")
	s.refuses("PutObject", unavailable, "PUT", "/own/new", "x")
	s.refuses("CopyObject", unavailable, "PUT", "/own/new", "", "x-amz-copy-source", "plain/k")
	s.refuses("copy source", unavailable, "PUT", "/plain/new", "", "x-amz-copy-source", "own/k")
	s.refuses("CreateMultipartUpload", unavailable, "POST", "/own/new?uploads", "")
	s.refuses("first of a bucket key", unavailable, "PUT", "/vault/new", "x", sseHeader, "aws:kms", keyHeader, cold)
	s.accepts("HeadObject", "HEAD", "/own/k", "")
	s.accepts("PutObject under another key", "PUT", "/vault/new", "x")
	s.accepts("GetObject under another key", "GET", "/vault/k", "")
	s.accepts("SSE-S3", "PUT", "/own/k2", "x", sseHeader, "AES256")
	s.accepts("SSE-S3", "GET", "/plain/k", "")
	off.Store(nil)
	if got, _ := s.Get("own", "k"); got != "own" {
		t.Errorf("afterwards it reads %q", got)
	}
	s.refuses("what was refused", noSuchKey, "GET", "/own/new", "")
}
