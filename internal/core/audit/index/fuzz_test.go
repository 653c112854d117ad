// SPDX-License-Identifier: Apache-2.0

package index

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/secret"
)

// FuzzFile reads index files of any content, whose pages are whole: no more than
// errDamaged comes of it.
func FuzzFile(f *testing.F) {
	b := newBuilder(0)
	var of facts
	for i := range 40 {
		of.of([]byte(`{"eventTime":"2026-03-04T05:12:0` + string(rune('0'+i%10)) + `Z","eventName":"` + string(rune('a'+i%7)) + `","eventID":"` + string(rune('A'+i)) + `"}`))
		b.add(int64(i*100), int64(i*100+90), &of)
	}
	m, data := b.block()
	good := &file{segment: "audit-20260304T051201.000000000Z.jsonl", covers: 4000, blocks: []block{m}}
	f.Add(append(good.encode(), data...), EventName.hash("a"))
	f.Add([]byte(magic), uint64(0))
	f.Fuzz(func(t *testing.T, data []byte, h uint64) {
		src := inPages(data)
		got, err := decodeFile(bytes.NewReader(src), int64(len(src)))
		if err != nil {
			if !errors.Is(err, errDamaged) {
				t.Fatal(err)
			}
			return
		}
		for _, m := range got.blocks {
			r := blockReader{m, pages{bytes.NewReader(src), got.size}}
			for _, hashes := range [][]uint64{nil, {h}, {h, EventName.hash("a")}} {
				records, err := r.candidates(hashes)
				if err == nil {
					var places []place
					if places, err = r.places(records); err == nil && len(places) != len(records) {
						t.Errorf("%d places of %d records", len(places), len(records))
					}
				}
				if err != nil && !errors.Is(err, errDamaged) {
					t.Fatal(err)
				}
			}
		}
	})
}

// FuzzPages reads files of any content.
func FuzzPages(f *testing.F) {
	f.Add(inPages([]byte(strings.Repeat("data", 3000))))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := decodeFile(bytes.NewReader(b), int64(len(b))); err != nil && !errors.Is(err, errDamaged) {
			t.Fatal(err)
		}
	})
}

// FuzzToken takes any token: it is refused, or one of ours.
func FuzzToken(f *testing.F) {
	x := &Index{tokenKey: secret.New(bytes.Repeat([]byte{7}, 32))}
	q := Query{Terms: []Term{{Field: EventName, Value: "GetObject"}}}
	f.Add(x.token(q, audit.Position{Segment: "audit-20260304T051201.000000000Z.jsonl", Offset: 77}))
	f.Add("")
	f.Add(base64.RawURLEncoding.EncodeToString(make([]byte, 40)))
	f.Fuzz(func(t *testing.T, token string) {
		q := q
		q.Token = token
		at, err := x.parseToken(q)
		if err != nil {
			if !errors.Is(err, BadToken) {
				t.Fatal(err)
			}
			return
		}
		if again := x.token(q, at); again != token {
			t.Errorf("%q is %v, whose token is %q", token, at, again)
		}
	})
}

// FuzzRecord reads lines of any content.
func FuzzRecord(f *testing.F) {
	for _, line := range []string{
		`{"eventTime":"2026-03-04T05:12:01Z","userIdentity":{"type":"Root","sessionContext":{"sessionIssuer":{"arn":"a"}}},"resources":[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::b/k"},1]}`,
		`{"requestParameters":{"x-amz-copy-source":"b/k%20?versionId=1","encryptionContext":{"aws:s3:arn":"arn:aws:s3:::b"}}}`,
		`{"a`, "",
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var once, twice facts
		whole := once.of(line)
		twice.of([]byte(`{"eventName":"before","resources":[{"type":"t","ARN":"a"}]}`))
		if twice.of(line) != whole || len(twice.list) != len(once.list) || len(twice.resources) != len(once.resources) {
			t.Errorf("%q: %d facts, and %d after another record", line, len(once.list), len(twice.list))
		}
		if json.Valid(line) && len(bytes.TrimLeft(line, " \t\r\n")) > 0 && bytes.TrimLeft(line, " \t\r\n")[0] == '{' && !whole {
			t.Errorf("%q is taken for no record", line)
		}
	})
}

// hash is that of a term, for tests.
func (f Field) hash(value string) uint64 { return f.space().hashString(value) }
