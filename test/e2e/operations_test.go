// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/test/coffertest"
)

// TestMain fails when an operation that the server offers was called by no test
// with success.
func TestMain(m *testing.M) {
	code := m.Run()
	if programDir != "" {
		_ = os.RemoveAll(programDir)
	}
	if missing := coffertest.Uncalled(); code == 0 && allTestsRan() && len(missing) > 0 {
		fmt.Fprintf(os.Stderr, "FAIL: no test calls with success: %s\n", strings.Join(missing, ", "))
		code = 1
	}
	os.Exit(code)
}

func allTestsRan() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list"} {
		if f := flag.Lookup(name); f == nil || f.Value.String() != "" {
			return false
		}
	}
	return true
}

// start starts a server. An error in its log is an error of the test, unless the
// options say where to log.
func start(t testing.TB, options ...coffertest.Option) *coffertest.Server {
	t.Helper()
	return coffertest.Start(t, append([]coffertest.Option{coffertest.Log(noErrors{t})}, options...)...)
}

// noErrors is a log in which nothing may be an error.
type noErrors struct{ t testing.TB }

func (l noErrors) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("level=ERROR")) {
		l.t.Errorf("the server logs: %s", line)
	}
	return len(line), nil
}

// do makes a call that must succeed.
func do[In, Out, Opt any](t testing.TB, call func(context.Context, *In, ...func(*Opt)) (*Out, error), in *In) *Out {
	t.Helper()
	out, err := call(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// fails makes a call that must be answered with that error; text is a part of its
// message.
func fails[In, Out, Opt any](t testing.TB, call func(context.Context, *In, ...func(*Opt)) (*Out, error), in *In, status int, code, text string) {
	t.Helper()
	_, err := call(t.Context(), in)
	if e := wantCode(t, err, status, code); e != nil && !strings.Contains(e.ErrorMessage(), text) {
		t.Errorf("%s says %q, want %q", code, e.ErrorMessage(), text)
	}
}

// testRefusedOperations calls what the server knows and does not offer: each is
// refused by its name, S3's with 501, KMS's and CloudTrail's in their own way.
func testRefusedOperations(t *testing.T, s *coffertest.Server) {
	s.Bucket("not-offered", "", "", false)
	s.Put("not-offered", "k", "x")
	refused := 0
	for _, f := range s.Core.Handler().Families() {
		for _, op := range f.Ops {
			if !op.Refused {
				continue
			}
			refused++
			switch f.Name {
			case "kms":
				kmsCall(s, op.Name, "{}").refused(t, op.Name, 400, "UnsupportedOperationException", "not supported by Coffer")
				continue
			case "cloudtrail":
				trailCall(s, op.Name, "{}").refused(t, op.Name, 400, "UnsupportedOperationException", "not supported by Coffer")
				continue
			}
			a := request{method: op.Route.Method, target: target(op.Route, "not-offered")}.do(s)
			if op.Answer != "" { // as S3 answers: its own tests say how
				if a.status < 400 || a.get("Code") == "" {
					t.Errorf("%s: %d %s", op.Name, a.status, a.body)
				}
				continue
			}
			text := "The operation " + op.Name + " is not implemented."
			if a.status != 501 || a.get("Code") != "NotImplemented" || a.get("Message") != text {
				t.Errorf("%s: %d %s", op.Name, a.status, a.body)
			}
		}
	}
	if refused < 50 {
		t.Errorf("only %d operations are refused", refused)
	}
	if body, _ := s.Get("not-offered", "k"); body != "x" {
		t.Errorf("reads %q", body)
	}
}

// target is a request target that an operation's route matches.
func target(r pipeline.Route, bucket string) string {
	path := strings.NewReplacer("{bucket}", bucket, "{key}", "k").Replace(r.Path)
	return path + "?" + strings.Join(r.Query, "&")
}
