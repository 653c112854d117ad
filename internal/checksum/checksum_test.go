// SPDX-License-Identifier: Apache-2.0

package checksum_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cofferstore/coffer/internal/checksum"
	"github.com/cofferstore/coffer/internal/fault"
)

func sum(a checksum.Algorithm, b []byte) []byte {
	h := a.New()
	h.Write(b)
	return h.Sum(nil)
}

func TestCheckValues(t *testing.T) {
	// The catalogued check values: each algorithm over "123456789".
	for a, want := range map[checksum.Algorithm]string{
		checksum.CRC32:     "cbf43926",
		checksum.CRC32C:    "e3069283",
		checksum.CRC64NVME: "ae8b14860a799888",
		checksum.SHA1:      "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
		checksum.SHA256:    "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
		checksum.SHA512:    "d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274ad27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85",
		checksum.MD5:       "25f9e794323b453885f5181f1b624d0b",
		checksum.XXHash64:  "8cb841db40e6ae83",
	} {
		got := sum(a, []byte("123456789"))
		if hex.EncodeToString(got) != want {
			t.Errorf("%s of 123456789 = %x, want %s", a, got, want)
		}
		if len(got) != a.Size() {
			t.Errorf("%s.Size() = %d, a digest has %d bytes", a, a.Size(), len(got))
		}
	}
}

func TestXXH3IsWrittenInCanonicalOrder(t *testing.T) {
	// The published values of no bytes, high half first.
	for a, want := range map[checksum.Algorithm]string{
		checksum.XXHash64: "ef46db3751d8e999", checksum.XXHash3: "2d06800538d394c2", checksum.XXHash128: "99aa06d3014798d86001c324468d497f",
	} {
		if got := hex.EncodeToString(sum(a, nil)); got != want {
			t.Errorf("%s of nothing = %s, want %s", a, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, a := range checksum.Algorithms() {
		for _, name := range []string{string(a), strings.ToLower(string(a))} {
			if got, err := checksum.Parse(name); got != a || err != nil {
				t.Errorf("Parse(%q) = %q, %v", name, got, err)
			}
		}
		if got, ok := checksum.ParseHeader("X-Amz-Checksum-" + string(a)); got != a || !ok {
			t.Errorf("ParseHeader of %s = %q, %v", a, got, ok)
		}
		if got, ok := checksum.ParseHeader(a.Header()); got != a || !ok {
			t.Errorf("ParseHeader(%q) = %q, %v", a.Header(), got, ok)
		}
	}
	for _, header := range []string{"", "x-amz-checksum-", "x-amz-checksum-mode", "x-amz-checksum-type", "x-amz-crc32"} {
		if got, ok := checksum.ParseHeader(header); ok {
			t.Errorf("ParseHeader(%q) = %q", header, got)
		}
	}
	_, err := checksum.Parse("CRC16")
	f, _ := fault.As(err)
	want := "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512, MD5, XXHASH64, XXHASH3, XXHASH128]"
	if !errors.Is(err, checksum.Unsupported) || f.Message != want {
		t.Errorf("Parse(CRC16): %v", err)
	}
}

func TestDecode(t *testing.T) {
	for _, a := range checksum.Algorithms() {
		digest := sum(a, []byte("cat"))
		got, err := a.Decode(a.Encode(digest))
		if err != nil || !bytes.Equal(got, digest) {
			t.Errorf("%s does not survive encoding: %x, %v", a, got, err)
		}
	}
	for _, value := range []string{"", "y/Q5Jg", "y/Q5Jg=", "y/Q5Jgg=", "y_Q5Jg==", "y/Q5Jh==", "AAAAAAAA", "y/Q5\n==", " y/Q5Jg=="} {
		_, err := checksum.CRC32.Decode(value)
		f, ok := fault.As(err)
		if !ok || f.Kind != checksum.InvalidValue || f.Message != "Value for x-amz-checksum-crc32 header is invalid." {
			t.Errorf("Decode(%q): %v", value, err)
		}
	}
}

func TestVerify(t *testing.T) {
	a := checksum.CRC32C
	if err := a.Verify(sum(a, []byte("cat")), sum(a, []byte("cat"))); err != nil {
		t.Error(err)
	}
	err := a.Verify(sum(a, []byte("cat")), sum(a, []byte("dog")))
	f, ok := fault.As(err)
	if !ok || f.Kind != checksum.Mismatch || f.Message != "The CRC32C you specified did not match the calculated checksum." {
		t.Errorf("other data: %v", err)
	}
}

func TestParseUpload(t *testing.T) {
	const (
		composite = checksum.Composite
		full      = checksum.FullObject
	)
	for _, c := range []struct {
		algorithm, kind string
		want            checksum.Algorithm
		wantType        checksum.Type
		message         string
	}{
		{"", "", checksum.CRC64NVME, full, ""},
		{"crc32", "", checksum.CRC32, composite, ""},
		{"CRC32C", "", checksum.CRC32C, composite, ""},
		{"CRC64NVME", "", checksum.CRC64NVME, full, ""},
		{"SHA1", "", checksum.SHA1, composite, ""},
		{"SHA256", "", checksum.SHA256, composite, ""},
		{"CRC32", "FULL_OBJECT", checksum.CRC32, full, ""},
		{"CRC32C", "FULL_OBJECT", checksum.CRC32C, full, ""},
		{"SHA256", "COMPOSITE", checksum.SHA256, composite, ""},
		{"CRC64NVME", "COMPOSITE", "", "", "The COMPOSITE checksum type cannot be used with the crc64nvme checksum algorithm."},
		{"SHA1", "FULL_OBJECT", "", "", "The FULL_OBJECT checksum type cannot be used with the sha1 checksum algorithm."},
		{"SHA256", "FULL_OBJECT", "", "", "The FULL_OBJECT checksum type cannot be used with the sha256 checksum algorithm."},
		{"", "COMPOSITE", "", "", "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."},
		{"CRC32", "PARTIAL", "", "", "Value for x-amz-checksum-type header is invalid."},
		{"MD4", "", "", "", "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512, MD5, XXHASH64, XXHASH3, XXHASH128]"},
	} {
		a, kind, err := checksum.ParseUpload(c.algorithm, c.kind)
		message := ""
		if f, ok := fault.As(err); ok {
			message = f.Message
		}
		if a != c.want || kind != c.wantType || message != c.message {
			t.Errorf("ParseUpload(%q, %q) = %q, %q, %v", c.algorithm, c.kind, a, kind, err)
		}
	}
}

func TestComposite(t *testing.T) {
	for _, a := range checksum.Algorithms() {
		if !a.Allows(checksum.Composite) {
			continue
		}
		one, two := sum(a, []byte("one")), sum(a, []byte("two"))
		got := a.Composite([]checksum.Part{{Sum: one, Size: 3}, {Sum: two, Size: 3}})
		if want := sum(a, append(bytes.Clone(one), two...)); !bytes.Equal(got, want) {
			t.Errorf("%s of two parts = %x, want %x", a, got, want)
		}
		value := a.FormatComposite(got, 2)
		if value != a.Encode(got)+"-2" {
			t.Errorf("%s composite is written %q", a, value)
		}
		back, n, err := a.ParseComposite(value)
		if err != nil || n != 2 || !bytes.Equal(back, got) {
			t.Errorf("ParseComposite(%q) = %x, %d, %v", value, back, n, err)
		}
		if _, n, err := a.ParseComposite(a.Encode(got)); n != 0 || err != nil {
			t.Errorf("%s without a count: %d, %v", a, n, err)
		}
		for _, tail := range []string{"-", "-0", "-02", "-+2", "-x", "-2-2"} {
			if _, _, err := a.ParseComposite(a.Encode(got) + tail); !errors.Is(err, checksum.InvalidValue) {
				t.Errorf("%s with %q behind: %v", a, tail, err)
			}
		}
	}
}

func TestFullObjectOfPartsIsThatOfTheBytes(t *testing.T) {
	for _, a := range checksum.Algorithms() {
		if !a.Allows(checksum.FullObject) {
			continue
		}
		t.Run(string(a), rapid.MakeCheck(func(t *rapid.T) {
			var (
				parts []checksum.Part
				whole []byte
			)
			for i, size := range rapid.SliceOfN(rapid.IntRange(0, 3000), 0, 12).Draw(t, "sizes") {
				part := bytes.Repeat([]byte{byte(i*37 + size)}, size)
				copy(part, rapid.SliceOfN(rapid.Byte(), 0, size).Draw(t, "data"))
				parts = append(parts, checksum.Part{Sum: sum(a, part), Size: int64(size)})
				whole = append(whole, part...)
			}
			got, err := a.FullObject(parts)
			if err != nil || !bytes.Equal(got, sum(a, whole)) {
				t.Fatalf("%s of %d parts = %x, %v; of the bytes %x", a, len(parts), got, err, sum(a, whole))
			}
		}))
	}
}

func TestFullObjectIsAssociative(t *testing.T) {
	// Part sizes as large as S3 allows cannot be hashed here, but cutting the
	// same object elsewhere must not change its checksum.
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SampledFrom([]checksum.Algorithm{checksum.CRC32, checksum.CRC32C, checksum.CRC64NVME}).Draw(t, "algorithm")
		part := func() checksum.Part {
			return checksum.Part{
				Sum:  rapid.SliceOfN(rapid.Byte(), a.Size(), a.Size()).Draw(t, "sum"),
				Size: rapid.Int64Range(0, 5<<40).Draw(t, "size"),
			}
		}
		join := func(parts ...checksum.Part) checksum.Part {
			digest, err := a.FullObject(parts)
			if err != nil {
				t.Fatal(err)
			}
			joined := checksum.Part{Sum: digest}
			for _, p := range parts {
				joined.Size += p.Size
			}
			return joined
		}
		x, y, z := part(), part(), part()
		once, left, right := join(x, y, z), join(join(x, y), z), join(x, join(y, z))
		if !bytes.Equal(once.Sum, left.Sum) || !bytes.Equal(once.Sum, right.Sum) {
			t.Fatalf("%s: %x, %x, %x", a, once.Sum, left.Sum, right.Sum)
		}
	})
}

func TestFullObjectRefusesDamagedParts(t *testing.T) {
	for _, p := range []checksum.Part{{Sum: []byte{1, 2, 3}, Size: 1}, {Sum: []byte{1, 2, 3, 4}, Size: -1}, {}} {
		if got, err := checksum.CRC32.FullObject([]checksum.Part{p}); err == nil {
			t.Errorf("part %+v gives %x", p, got)
		}
	}
}

func BenchmarkFullObject(b *testing.B) {
	parts := make([]checksum.Part, 10_000)
	for i := range parts {
		parts[i] = checksum.Part{Sum: []byte{byte(i), 1, 2, 3, 4, 5, 6, 7}, Size: 8 << 20}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := checksum.CRC64NVME.FullObject(parts); err != nil {
			b.Fatal(err)
		}
	}
}
