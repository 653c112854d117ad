// SPDX-License-Identifier: Apache-2.0

package sigv4_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
)

func BenchmarkVerifyHeader(b *testing.B) {
	at, err := time.Parse("20060102T150405Z", timestamp)
	if err != nil {
		b.Fatal(err)
	}
	r := request(b, "GET", "http://x.test/photos/2024/cat.jpg?partNumber=3&uploadId=abc", "X-Amz-Checksum-Mode: ENABLED")
	r.Header.Set("X-Amz-Content-Sha256", emptyHash)
	sign(b, r, emptyHash, "s3", at, "")
	got, v := received(b, r), timeless()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(got, "s3"); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkChunks(b *testing.B, s stream) {
	data := strings.Repeat("a", 64<<10)
	for range 64 {
		s.chunks = append(s.chunks, data)
	}
	open := s.open(b, "", len(s.payload()))
	wire, p := s.encode(), make([]byte, 64<<10)
	b.SetBytes(int64(len(s.payload())))
	b.ReportAllocs()
	for b.Loop() {
		body, err := open(bytes.NewReader(wire))
		for err == nil {
			_, err = body.Read(p)
		}
		if err != io.EOF {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignedChunks(b *testing.B)   { benchmarkChunks(b, stream{seed: "?"}) }
func BenchmarkUnsignedChunks(b *testing.B) { benchmarkChunks(b, stream{}) }
