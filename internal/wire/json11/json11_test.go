// SPDX-License-Identifier: Apache-2.0

package json11

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cofferstore/coffer/internal/secret"
)

type encrypt struct {
	KeyId             string
	Plaintext         secret.Bytes
	EncryptionContext map[string]string
	GrantTokens       []string
	DryRun            bool
}

type dataKey struct {
	CiphertextBlob []byte
	KeyId          string
	KeyMaterialId  string
	Plaintext      secret.Bytes
}

// TestAnswersDoNotGrow holds the encoder to its estimate: an answer with key
// material that outgrew its buffer would leave a copy in the old one.
func TestAnswersDoNotGrow(t *testing.T) {
	for _, n := range []int{1, 1024, 4096} {
		answer := dataKey{
			CiphertextBlob: make([]byte, 6144), KeyId: strings.Repeat("k", 2048), KeyMaterialId: strings.Repeat("m", 64), Plaintext: secret.Random(n),
		}
		estimate := 4096 + blobLength(reflect.ValueOf(answer))
		if text := Encode(answer); len(text) > estimate || cap(text) < estimate || cap(text) > 2*estimate {
			t.Errorf("an answer of %d bytes took a buffer of %d, estimated at %d", len(text), cap(text), estimate)
		}
	}
}

// Times that cannot be written again are none.
func TestTimes(t *testing.T) {
	for text, ok := range map[string]bool{
		"0": true, "-1.5": true, "137438953472": true, "-62135596800": true,
		"-62135596801": false, "-100000000000": false, "137438953473": false, "1e400": false, "true": false, `"0"`: false,
	} {
		var in struct{ At time.Time }
		err := Decode([]byte(`{"At":`+text+`}`), &in)
		if _, unwritten := in.At.MarshalJSON(); (err == nil) != ok || unwritten != nil {
			t.Errorf("%s: %v, %v, %v", text, in.At, err, unwritten)
		}
	}
}

type Settings struct {
	Bucket *string
	Flag   *bool
}

type settingsOf struct {
	Name string
	Settings
	List  []string `wire:"nameList"`
	Count *int
	At    time.Time
}

func TestEmbeddedAndNamedMembers(t *testing.T) {
	var in settingsOf
	document := `{"Name":"n","Bucket":"","Flag":false,"nameList":["a"],"List":["b"],"Count":0,"At":1.5}`
	if err := Decode([]byte(document), &in); err != nil {
		t.Fatal(err)
	}
	if in.Bucket == nil || *in.Bucket != "" || in.Flag == nil || *in.Flag || len(in.List) != 1 || in.List[0] != "a" || in.Count == nil || in.At.UnixMilli() != 1500 {
		t.Errorf("decoded %+v", in)
	}
	want := map[string]any{"name": "n", "bucket": "", "flag": false, "nameList": []any{"a"}, "count": 0, "at": in.At}
	if diff := cmp.Diff(want, Parameters(in, "Hidden")); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
	if p := Parameters(in, "Name"); p["name"] != nil {
		t.Errorf("shows what is hidden: %v", p)
	}
	if got := string(Encode(struct {
		List []string `wire:"nameList"`
		Text string
		Note string
	}{[]string{}, "", ""}, "Note")); got != `{"nameList":[],"Note":""}` {
		t.Errorf("encoded %s", got)
	}
}
