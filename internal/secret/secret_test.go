// SPDX-License-Identifier: Apache-2.0

package secret_test

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/secret"
)

const material = "sixteen letters!and as many more"

// shows reports whether text gives the material away.
func shows(text string) bool {
	list := strings.Trim(fmt.Sprint([]byte(material)[:8]), "[]") // 115 105 …
	for _, form := range []string{
		"sixteen",
		hex.EncodeToString([]byte("sixteen")), strings.ToUpper(hex.EncodeToString([]byte("sixteen"))),
		base64.StdEncoding.EncodeToString([]byte("sixteen l"))[:9],
		list, "0x73, 0x69",
	} {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

type holder struct {
	Name   string
	Public secret.Bytes
	hidden secret.Bytes
	at     *secret.Bytes
	all    []secret.Bytes
	named  map[string]secret.Bytes
	any    any
}

func newHolder() *holder {
	key := secret.Copy([]byte(material))
	return &holder{"key", key, key, &key, []secret.Bytes{key}, map[string]secret.Bytes{"k": key}, key}
}

func TestNoVerbShowsTheMaterial(t *testing.T) {
	key := secret.Copy([]byte(material))
	for _, verb := range "vsqxXdobeEfFgGtTUpcw" {
		for _, flags := range []string{"", "+", "#", " ", "-50", ".3", "0"} {
			format := "%" + flags + string(verb)
			for _, v := range []any{key, &key, newHolder(), *newHolder(), []secret.Bytes{key}, map[string]any{"k": key}, struct{ k secret.Bytes }{key}} {
				if text := fmt.Sprintf(format, v); shows(text) {
					t.Errorf("%s of %T shows %s", format, v, text)
				}
			}
		}
	}
	if got := fmt.Sprintf("%x", key); got != "[secret]" {
		t.Errorf("%%x writes %q, want the placeholder", got)
	}
	if err := fmt.Errorf("bad key %v", key); shows(err.Error()) {
		t.Error(err)
	}
}

func TestNoLoggerShowsTheMaterial(t *testing.T) {
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		log := slog.New(handler)
		h := newHolder()
		log.Info("key", "key", h.Public, "pointer", h.at, "holder", h, "slice", h.all, "map", h.named, slog.Group("g", "key", h.Public))
		log.With("key", h.Public).Info("more")
	}
	if shows(out.String()) {
		t.Errorf("logged %s", out.String())
	}
	if !strings.Contains(out.String(), `key=[secret]`) || !strings.Contains(out.String(), `"key":"[secret]"`) {
		t.Errorf("logged %s, want placeholders", out.String())
	}
}

func TestNoEncoderTakesTheMaterial(t *testing.T) {
	key := secret.Copy([]byte(material))
	type public struct{ Key secret.Bytes }
	var text encoding.TextMarshaler = key
	var binary encoding.BinaryMarshaler = key
	for name, encode := range map[string]func() ([]byte, error){
		"text":        text.MarshalText,
		"binary":      binary.MarshalBinary,
		"JSON":        func() ([]byte, error) { return json.Marshal(public{key}) },
		"JSON of map": func() ([]byte, error) { return json.Marshal(map[string]any{"k": []any{&key}}) },
		"XML":         func() ([]byte, error) { return xml.Marshal(public{key}) },
		"gob": func() ([]byte, error) {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(public{key})
			return b.Bytes(), err
		},
	} {
		out, err := encode()
		if err == nil || shows(string(out)) || shows(err.Error()) {
			t.Errorf("%s: %q, %v; want a refusal", name, out, err)
		}
	}
}

func TestCopiesShareAndClear(t *testing.T) {
	raw := []byte(material)
	key := secret.Copy(raw)
	same := key
	clear(raw)
	if string(same.Reveal()) != material {
		t.Error("Copy kept the caller's slice")
	}
	key.Clear()
	if !bytes.Equal(same.Reveal(), make([]byte, len(material))) {
		t.Error("Clear left material in a copy of the value")
	}
	owned := []byte(material)
	secret.New(owned).Clear()
	if !bytes.Equal(owned, make([]byte, len(material))) {
		t.Error("New did not take ownership")
	}
}

func TestZeroValueIsEmpty(t *testing.T) {
	var none secret.Bytes
	none.Clear()
	if none.Len() != 0 || none.Reveal() != nil || fmt.Sprint(none) != "[secret]" || !none.Equal(secret.New(nil)) {
		t.Error("the zero value is not an empty secret")
	}
}

func TestEqual(t *testing.T) {
	key := secret.Copy([]byte(material))
	if !key.Equal(secret.Copy([]byte(material))) {
		t.Error("equal material is not Equal")
	}
	for _, other := range []string{"", material[:31], material + "!", "S" + material[1:]} {
		if key.Equal(secret.Copy([]byte(other))) {
			t.Errorf("Equal to %q", other)
		}
	}
}

func TestRandomDiffers(t *testing.T) {
	a, b := secret.Random(secret.Size), secret.Random(secret.Size)
	if a.Len() != secret.Size || a.Equal(b) {
		t.Error("random secrets have a wrong length or are equal")
	}
}
