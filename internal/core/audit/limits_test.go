// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/secret"
)

func textLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func mustEncode(t *testing.T, r Record) Record {
	t.Helper()
	line, err := encode(&r)
	if err != nil {
		t.Fatal(err)
	}
	if len(line) > maxEvent {
		t.Errorf("event of %d bytes", len(line))
	}
	if strings.Count(string(line), "\n") != 1 || line[len(line)-1] != '\n' {
		t.Error("the event is not one line")
	}
	var back Record
	if err := json.Unmarshal(line, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

func TestLimitsOfTheFormat(t *testing.T) {
	text := func(n int) map[string]any { return map[string]any{"key": strings.Repeat("k", n)} }
	tests := []struct {
		name       string
		change     func(*Record)
		parameters bool // requestParameters kept
		response   bool
		additional bool
	}{
		{"within all", func(r *Record) {}, true, true, true},
		{"parameters of 99 KB", func(r *Record) { r.RequestParameters = text(99 << 10) }, true, true, true},
		{"parameters of 101 KB", func(r *Record) { r.RequestParameters = text(101 << 10) }, false, true, true},
		{"response of 101 KB", func(r *Record) { r.ResponseElements = text(101 << 10) }, true, false, true},
		{"additional data of 29 KB", func(r *Record) { r.AdditionalEventData = text(29 << 10) }, true, true, false},
		{"each within its limit, together over 256 KB", func(r *Record) {
			r.RequestParameters, r.ResponseElements, r.AdditionalEventData = text(99<<10), text(99<<10), text(27<<10)
			r.ServiceEventDetails = json.RawMessage(`"` + strings.Repeat("d", 90<<10) + `"`)
		}, true, true, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := putObject("A")
			r.RequestParameters, r.ResponseElements, r.AdditionalEventData = text(1), text(1), text(1)
			test.change(&r)
			back := mustEncode(t, r)
			for _, member := range []struct {
				name string
				got  map[string]any
				kept bool
			}{
				{"requestParameters", back.RequestParameters, test.parameters},
				{"responseElements", back.ResponseElements, test.response},
				{"additionalEventData", back.AdditionalEventData, test.additional},
			} {
				if _, kept := member.got["key"]; kept != member.kept {
					t.Errorf("%s kept: %t, want %t", member.name, kept, member.kept)
				}
			}
		})
	}
}

func TestLongTextIsCutBetweenCharacters(t *testing.T) {
	r := putObject("A")
	r.UserAgent = strings.Repeat("ü", 1000)
	r.ErrorMessage = "x" + strings.Repeat("ü", 1000)
	back := mustEncode(t, r)
	if len(back.UserAgent) != 1024 || len(back.ErrorMessage) != 1023 {
		t.Errorf("user agent of %d bytes and message of %d, want 1024 and 1023", len(back.UserAgent), len(back.ErrorMessage))
	}
	if !utf8.ValidString(back.ErrorMessage) {
		t.Error("the message was cut within a character")
	}
}

func TestLinesAreReadableAndWhole(t *testing.T) {
	r := putObject("A")
	r.UserAgent = "[aws-cli/2.30 <a&b>\n]"
	line, err := encode(&r)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(line), `[aws-cli/2.30 <a&b>\n]`) {
		t.Errorf("line %s", line)
	}
	mustEncode(t, r)
}

func TestKeyMaterialCannotBeRecorded(t *testing.T) {
	r := putObject("A")
	r.RequestParameters = map[string]any{"plaintext": secret.Random(32)}
	if line, err := encode(&r); err == nil {
		t.Errorf("encoded key material: %s", line)
	}
}

func TestBytesOfNoCharacter(t *testing.T) {
	for _, bytes := range []string{"\x80", "\xff", "a\xc3"} {
		r := putObject("A")
		r.UserAgent = strings.Repeat(bytes, 1500/len(bytes))
		if got := mustEncode(t, r).UserAgent; len(got) > maxText || len(got) < maxText-utf8.UTFMax {
			t.Errorf("of %q are %d bytes kept, want %d", bytes, len(got), maxText)
		}
		r.UserAgent = strings.Repeat(bytes, 900/len(bytes))
		if got := mustEncode(t, r).UserAgent; len(got) > maxText {
			t.Errorf("of %q are %d bytes kept, want at most %d", bytes, len(got), maxText)
		}
	}
}
