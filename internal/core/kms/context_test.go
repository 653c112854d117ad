// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func TestCanonicalContext(t *testing.T) {
	got, err := Context{"dept": "x", "aws:s3:arn": "arn:aws:s3:::b"}.Canonical()
	want := "0002000a6177733a73333a61726e000e61726e3a6177733a73333a3a3a62000464657074000178"
	if err != nil || hex.EncodeToString(got) != want {
		t.Errorf("got %x, %v; want %s", got, err, want)
	}
	none, _ := Context(nil).Canonical()
	empty, _ := Context{}.Canonical()
	if !bytes.Equal(none, empty) || hex.EncodeToString(none) != "0000" {
		t.Errorf("nil is %x, empty %x, want 0000", none, empty)
	}
	one, _ := Context{"a": "bc"}.Canonical()
	other, _ := Context{"ab": "c"}.Canonical()
	if bytes.Equal(one, other) {
		t.Errorf(`{"a":"bc"} and {"ab":"c"} are both %x`, one)
	}
}

func TestCanonicalContextRefuses(t *testing.T) {
	for name, c := range map[string]Context{
		"invalid key":   {"a\xff": "b"},
		"invalid value": {"a": "b\xff"},
		"too long":      {"a": strings.Repeat("b", maxContext)},
	} {
		_, err := c.Canonical()
		refused(t, name, err, Validation, "")
	}
	if b, err := (Context{"a": strings.Repeat("b", maxContext-7)}).Canonical(); err != nil || len(b) != maxContext {
		t.Errorf("the longest context: %d bytes, %v", len(b), err)
	}
}
