// SPDX-License-Identifier: Apache-2.0

package sigv4

import (
	"encoding/hex"
	"fmt"
	"sync"
	"testing"

	"github.com/cofferstore/coffer/internal/secret"
)

func TestDerivedKey(t *testing.T) {
	// The example of AWS's General Reference.
	key := derive(secret.New([]byte("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")), "20120215", "us-east-1", "iam")
	if got := hex.EncodeToString(key.Reveal()); got != "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d" {
		t.Errorf("signing key %s", got)
	}
}

func TestKeyCache(t *testing.T) {
	var k keyCache
	first := secret.New([]byte("a secret access key"))
	key := k.get(first, "20130524", "us-east-1", "s3")
	if &k.get(secret.Copy(first.Reveal()), "20130524", "us-east-1", "s3").key.Reveal()[0] != &key.key.Reveal()[0] {
		t.Error("the key is derived again")
	}
	for _, other := range []*signingKey{
		k.get(secret.New([]byte("another secret key!")), "20130524", "us-east-1", "s3"),
		k.get(first, "20130525", "us-east-1", "s3"),
		k.get(first, "20130524", "eu-west-1", "s3"),
		k.get(first, "20130524", "us-east-1", "kms"),
	} {
		if other.key.Equal(key.key) {
			t.Error("another scope has the same key")
		}
	}
	for i := range 5 * generation {
		k.get(first, "20130524", fmt.Sprint("region-", i), "s3")
		if i%500 == 0 { // in use, so it stays
			if &k.get(first, "20130524", "us-east-1", "s3").key.Reveal()[0] != &key.key.Reveal()[0] {
				t.Fatalf("dropped while in use, after %d others", i)
			}
		}
		if n := len(k.young) + len(k.old); n > 2*generation {
			t.Fatalf("%d keys are kept", n)
		}
	}
}

func TestKeyCacheConcurrently(t *testing.T) {
	var k keyCache
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 300 {
				region := fmt.Sprint("region-", i%50)
				s := secret.New([]byte("a secret access key"))
				if !k.get(s, "20130524", region, "s3").key.Equal(derive(s, "20130524", region, "s3")) {
					t.Errorf("wrong key for %s", region)
				}
			}
		})
	}
	wg.Wait()
}
