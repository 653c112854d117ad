// SPDX-License-Identifier: Apache-2.0

package fault_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/fault"
)

const (
	noSuchBucket fault.Kind = "bucket: no such bucket"
	keyDisabled  fault.Kind = "kms: key disabled"
)

func TestPrivateDetailsAreNotLogged(t *testing.T) {
	err := fault.New("test: kind", "").With("Shown", "a").WithPrivate("Signature", "b")
	if text := err.Error(); strings.Contains(text, "Signature") || !strings.Contains(text, `Shown="a"`) || len(err.Details) != 2 {
		t.Errorf("%s, %v", text, err.Details)
	}
}

func TestIsFindsKindAndCause(t *testing.T) {
	err := fmt.Errorf("get photos: %w", fault.New(noSuchBucket, "").Because(io.ErrUnexpectedEOF))
	for _, test := range []struct {
		target error
		want   bool
	}{{noSuchBucket, true}, {io.ErrUnexpectedEOF, true}, {keyDisabled, false}, {fault.Kind("bucket: no such bucket"), true}} {
		if got := errors.Is(err, test.target); got != test.want {
			t.Errorf("errors.Is(%v, %v) = %t, want %t", err, test.target, got, test.want)
		}
	}
	if errors.Is(fault.New(noSuchBucket, ""), io.EOF) {
		t.Error("a fault without a cause is io.EOF")
	}
}

func TestAs(t *testing.T) {
	inner := fault.New(keyDisabled, "key is off")
	for _, test := range []struct {
		name    string
		err     error
		ok      bool
		kind    fault.Kind
		message string
	}{
		{"a fault", inner, true, keyDisabled, "key is off"},
		{"a wrapped fault", fmt.Errorf("read: %w", inner), true, keyDisabled, "key is off"},
		{"the outermost of two", fault.New(noSuchBucket, "gone").Because(inner), true, noSuchBucket, "gone"},
		{"a bare kind", fmt.Errorf("read: %w", keyDisabled), true, keyDisabled, ""},
		{"another error", io.EOF, false, "", ""},
		{"hidden by %v", fmt.Errorf("read: %v", inner), false, "", ""},
		{"nil", nil, false, "", ""},
	} {
		e, ok := fault.As(test.err)
		if ok != test.ok || ok && (e.Kind != test.kind || e.Message != test.message) {
			t.Errorf("%s: As = %+v, %t; want %s %q, %t", test.name, e, ok, test.kind, test.message, test.ok)
		}
	}
}

func TestErrorTellsTheLogEverything(t *testing.T) {
	err := fault.New(noSuchBucket, "no %s here", "bucket").With("BucketName", `a"b`).Because(io.EOF)
	if got, want := err.Error(), `bucket: no such bucket: no bucket here BucketName="a\"b": EOF`; got != want {
		t.Errorf("Error() = %s, want %s", got, want)
	}
	if got := fault.New(noSuchBucket, "").Error(); got != string(noSuchBucket) {
		t.Errorf("Error() = %s, want the kind alone", got)
	}
}
