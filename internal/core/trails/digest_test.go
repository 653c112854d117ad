// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The signature's text is that of the documentation.
func TestDigestVector(t *testing.T) {
	const vector = `{"awsAccountId":"111122223333","digestStartTime":"2026-03-04T05:00:00Z","digestEndTime":"2026-03-04T06:00:00Z","digestS3Bucket":"trail-logs","digestS3Object":"AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/03/04/111122223333_CloudTrail-Digest_us-east-1_main_us-east-1_20260304T060000Z.json.gz","digestPublicKeyFingerprint":"0123456789abcdef0123456789abcdef","digestSignatureAlgorithm":"SHA256withRSA","newestEventTime":null,"oldestEventTime":null,"previousDigestS3Bucket":null,"previousDigestS3Object":null,"previousDigestHashValue":null,"previousDigestHashAlgorithm":null,"previousDigestSignature":null,"logFiles":[]}`
	var d digestText
	if err := json.Unmarshal([]byte(vector), &d); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(&d)
	if err != nil || string(text) != vector || len(text) != 625 {
		t.Fatalf("written as %s, %v", text, err)
	}
	sum := sha256.Sum256(text)
	if got := hex.EncodeToString(sum[:]); got != "ab5518d04d18add2b171055bbb696cc97bf66b9bd0f146b2de6e364bf245d149" {
		t.Errorf("hash %s", got)
	}
	sum = sha256.Sum256(d.toSign(text))
	if got := hex.EncodeToString(sum[:]); got != "271e44055aaf0e185d789064952e12619891aadeb5678c7df4098ed8c29b6fd8" {
		t.Errorf("hash of what is signed %s", got)
	}
	at, err := time.Parse(time.RFC3339, d.End)
	l := &loop{Courier: &Courier{service: &Service{Config: Config{Region: region}}}}
	if name := l.digestName(&Trail{Account: account, Name: "main"}, at); err != nil || name != d.Object {
		t.Errorf("named %s, %v", name, err)
	}
}

// readDigest returns a digest that came.
func (p *post) readDigest(name string) (d digestText) {
	p.t.Helper()
	if err := json.Unmarshal(unzip(p.t, p.stored(name).body), &d); err != nil {
		p.t.Fatal(err)
	}
	return d
}

// Digests come hourly, also without files, and each continues the one before.
func TestDigestsAreHourly(t *testing.T) {
	inPost(t, func(p *post) {
		p.begin(true)
		p.happen(20, 6*time.Minute)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		digests := p.came("/CloudTrail-Digest/")
		if len(digests) != 5 {
			t.Fatalf("came: %v", digests)
		}
		files := 0
		for i, name := range digests {
			d := p.readDigest(name)
			files += len(d.Files)
			start, _ := time.Parse(time.RFC3339, d.Start)
			end, err := time.Parse(time.RFC3339, d.End)
			if err != nil || end.Sub(start) != time.Hour || !p.stored(name).at.Before(end.Add(time.Minute)) || d.Head == nil {
				t.Errorf("%s covers %s to %s", name, d.Start, d.End)
			}
			if (d.PreviousObject == nil) != (i == 0) || i > 0 && "logs/"+*d.PreviousObject != digests[i-1] {
				t.Errorf("%s follows %v", name, d.PreviousObject)
			}
			if empty := len(d.Files) == 0; (d.Newest == nil) != empty || (d.Oldest == nil) != empty || d.Files == nil {
				t.Errorf("%s: %d files, newest %v", name, len(d.Files), d.Newest)
			}
		}
		if files != len(p.came("/CloudTrail/")) {
			t.Errorf("%d files in digests, %d delivered", files, len(p.came("/CloudTrail/")))
		}
		if v := p.verify(p.delivery().Digest); v.Digests != 5 || v.Files != files || len(v.Findings) != 0 {
			t.Errorf("verified: %+v", v)
		}
	})
}

// A chain ends, with everything that was delivered, where logging stops, and another
// begins where it starts again.
func TestStartingDigests(t *testing.T) {
	inPost(t, func(p *post) {
		p.begin(true)
		p.happen(2, 10*time.Minute)
		p.happen(1, time.Second)
		p.logging(false)
		time.Sleep(time.Second)
		synctest.Wait()
		first := p.came("/CloudTrail-Digest/")
		if len(first) != 1 || len(p.readDigest(first[0]).Files) != 3 {
			t.Fatalf("came when it stopped: %v", p.shop)
		}
		p.happen(1, 5*time.Hour)
		if n := len(p.came("/CloudTrail-Digest/")); n != 1 {
			t.Fatalf("%d digests while it did not log", n)
		}
		p.logging(true)
		synctest.Wait()
		p.happen(1, 2*time.Hour)
		synctest.Wait()
		if all := p.came("/CloudTrail-Digest/"); len(all) != 3 || p.readDigest(all[1]).PreviousObject != nil || p.readDigest(all[2]).PreviousObject == nil {
			t.Errorf("came: %v", all)
		}
		// Off and on again before anybody looks.
		p.end()
		p.logging(false)
		time.Sleep(time.Second)
		p.logging(true)
		p.run()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		all := p.came("/CloudTrail-Digest/")
		starting := 0
		for _, name := range all {
			if p.readDigest(name).PreviousObject == nil {
				starting++
			}
		}
		if starting != 3 {
			t.Errorf("%d digests start chains: %v", starting, all)
		}
		// Without validation there are none.
		p.change(func(t *Trail) { t.Validate = false })
		p.happen(1, 3*time.Hour)
		if n := len(p.came("/CloudTrail-Digest/")); n != len(all) {
			t.Errorf("%d digests came without validation", n-len(all))
		}
	})
}

// Whatever is changed of what was delivered is found.
func TestTamperingIsFound(t *testing.T) {
	inPost(t, func(p *post) {
		p.begin(true)
		p.happen(30, 6*time.Minute)
		synctest.Wait()
		last := p.delivery().Digest
		p.end()
		whole := p.shop.copy()
		logs, digests := p.came("/CloudTrail/"), p.came("/CloudTrail-Digest/")
		if len(digests) != 3 || len(logs) < 10 {
			t.Fatalf("came: %v", p.shop)
		}
		if v := p.verify(last); v.Digests != 3 || len(v.Findings) != 0 {
			t.Fatalf("verified: %+v", v)
		}
		zip := func(text []byte) []byte {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			_, _ = z.Write(text)
			_ = z.Close()
			return b.Bytes()
		}
		change := func(name string, edit func(text []byte) []byte) {
			o := p.shop.objects[name]
			o.body = zip(edit(unzip(t, o.body)))
			p.shop.objects[name] = o
		}
		flip := func(text []byte) []byte { text[len(text)/2] ^= 1; return text }
		resign := func(name string) {
			key, err := rsa.GenerateKey(rand.Reader, signingBits)
			if err != nil {
				t.Fatal(err)
			}
			o := p.shop.objects[name]
			text := unzip(t, o.body)
			d := p.readDigest(name)
			signed, err := (&pair{private: key}).sign(d.toSign(text))
			if err != nil {
				t.Fatal(err)
			}
			o.headers = maps.Clone(o.headers)
			o.headers[signatureHeader] = hex.EncodeToString(signed)
			p.shop.objects[name] = o
		}
		for what, c := range map[string]struct {
			tamper func()
			found  string // object
		}{
			"a byte of a log file":    {func() { change(logs[3], flip) }, logs[3]},
			"a log file that is cut":  {func() { o := p.shop.objects[logs[3]]; o.body = o.body[:20]; p.shop.objects[logs[3]] = o }, logs[3]},
			"a log file is removed":   {func() { delete(p.shop.objects, logs[4]) }, logs[4]},
			"log files change places": {func() { o := p.shop.objects; o[logs[0]], o[logs[1]] = o[logs[1]], o[logs[0]] }, logs[0]},
			"a byte of a digest": {func() {
				change(digests[1], func(b []byte) []byte { return bytes.Replace(b, []byte("SHA-256"), []byte("SHA-257"), 1) })
			}, digests[1]},
			"a digest without a file": {func() {
				change(digests[0], func(b []byte) []byte {
					i := bytes.Index(b, []byte(`"logFiles":`))
					return append(b[:i:i], `"logFiles":[]}`...)
				})
			}, digests[0]},
			"a digest is removed":             {func() { delete(p.shop.objects, digests[1]) }, digests[1]},
			"the newest digest is removed":    {func() { delete(p.shop.objects, digests[2]) }, digests[2]},
			"digests change places":           {func() { o := p.shop.objects; o[digests[0]], o[digests[1]] = o[digests[1]], o[digests[0]] }, digests[1]},
			"a digest is signed by another":   {func() { resign(digests[1]) }, digests[1]},
			"the oldest is signed by another": {func() { resign(digests[0]) }, digests[0]},
		} {
			p.shop.objects = maps.Clone(whole)
			c.tamper()
			v := p.verify(last)
			if !slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Bucket+"/"+f.Object == c.found }) {
				t.Errorf("%s: found %+v, want %s", what, v.Findings, c.found)
			}
		}
		// Of a chain that its own signer made new, the hash in the row behind it is left.
		p.shop.objects = maps.Clone(whole)
		v := Verifier{Get: p.shop.get}
		if out, err := v.Verify(context.Background(), last.Bucket, last.Object, last.Hash); err != nil || len(out.Findings) != 3 || !strings.Contains(out.Findings[0].Problem, "not known") {
			t.Errorf("without keys: %+v, %v", out, err)
		}
	})
}
