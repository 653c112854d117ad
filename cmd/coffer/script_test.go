// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/store/meta/pebble"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"coffer": main})
}

// TestScripts runs the stories of testdata. In them "exec coffer" is the program,
// and:
//
//	serve ARG...           starts "coffer serve ARG..." on some port, waits until it is ready, writes its
//	                       standard output to the file "out", and sets the variables that it
//	                       tells a user to set; standard error goes to the file "log"
//	shutdown               stops it as an operator does; it must exit with 0
//	refused REGEXP         the last command said one line, which begins "coffer: " and matches
//	put KEY TEXT           stores an object in the bucket "photos", and makes that if need be
//	get KEY TEXT           the object has that text; "! get KEY STATUS" means that it cannot be read
//	copy DIR DIR           copies a data directory whose objects are all kept inline
//	mode FILE MODE         the file has these permissions
//	damage-row DIR PREFIX  changes a row of a stopped server's metadata
//	overwrite OFFSET FILE  writes garbage into the files that the pattern matches
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true,
		Deadline: time.Now().Add(5 * time.Minute), // a server that should not have started would run on
		Setup: func(env *testscript.Env) error {
			// What the tests run under, their programs do too.
			env.Setenv("GODEBUG", os.Getenv("GODEBUG"))
			b := new(background)
			env.Values[background{}] = b
			env.Defer(b.kill)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": scriptServe, "shutdown": scriptShutdown, "refused": scriptRefused, "put": scriptPut, "get": scriptGet,
			"copy": scriptCopy, "mode": scriptMode, "damage-row": scriptDamageRow, "overwrite": scriptOverwrite,
		},
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
	})
}

// background is a script's server.
type background struct {
	cmd *exec.Cmd // nil when none runs
}

func (b *background) kill() {
	if b.cmd != nil {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait()
	}
}

// given are the variables that a script may set for its server.
var given = []string{
	"HOME", "TMPDIR", "GODEBUG", "COFFER_ROOT_ACCESS_KEY_ID", "COFFER_ROOT_SECRET_ACCESS_KEY", "COFFER_ROOT_KEY_PASSPHRASE",
}

func scriptServe(ts *testscript.TestScript, neg bool, args []string) {
	b := ts.Value(background{}).(*background)
	if neg || b.cmd != nil {
		ts.Fatalf("serve: it cannot be negated, and one server runs at a time")
	}
	program, err := exec.LookPath("coffer")
	ts.Check(err)
	cmd := exec.Command(program, append([]string{"serve", "--listen", "127.0.0.1:0", "--min-free", "0%"}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range given {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	log, err := os.Create(ts.MkAbs("log"))
	ts.Check(err)
	defer log.Close()
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	b.cmd = cmd
	told := readHow(ts, out)
	ts.Check(os.WriteFile(ts.MkAbs("out"), []byte(told), 0o600))
	if !strings.Contains(told, "AWS_ENDPOINT_URL") || !isReady(ts.Getenv("AWS_ENDPOINT_URL")) {
		ts.Fatalf("the server does not serve:\n%s%s", told, ts.ReadFile("log"))
	}
}

// readHow reads what a server tells of how to reach it, up to the remark about the
// secret, and does as told.
func readHow(ts *testscript.TestScript, r io.Reader) string {
	var told strings.Builder
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		fmt.Fprintln(&told, line)
		if name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "="); ok && strings.HasPrefix(line, "export ") {
			ts.Setenv(name, value)
		}
		if strings.HasPrefix(line, "# The secret") || strings.HasPrefix(line, "# AWS_SECRET") {
			break
		}
	}
	return told.String()
}

func isReady(endpoint string) bool {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get(endpoint + "/-/readyz")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return true
		}
	}
	return false
}

func scriptShutdown(ts *testscript.TestScript, _ bool, _ []string) {
	b := ts.Value(background{}).(*background)
	if b.cmd == nil {
		ts.Fatalf("no server runs")
	}
	cmd := b.cmd
	b.cmd = nil
	ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	if err := cmd.Wait(); err != nil {
		ts.Fatalf("the server ended with %v:\n%s", err, ts.ReadFile("log"))
	}
}

// logLine is a line of the server's log, which may come before its last words.
var logLine = regexp.MustCompile(`(?m)^time=.*\n`)

func scriptRefused(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: refused REGEXP")
	}
	said := logLine.ReplaceAllString(ts.ReadFile("stderr"), "")
	if !strings.HasPrefix(said, "coffer: ") || strings.Count(said, "\n") != 1 {
		ts.Fatalf("it said not one line:\n%s", said)
	}
	if !regexp.MustCompile(args[0]).MatchString(said) {
		ts.Fatalf("it said %swhich does not match %s", said, args[0])
	}
	if strings.Contains(ts.ReadFile("stderr"), "goroutine ") {
		ts.Fatalf("it panicked")
	}
}

func scriptClient(ts *testscript.TestScript) *s3.Client {
	return s3.New(s3.Options{
		Region: ts.Getenv("AWS_DEFAULT_REGION"), BaseEndpoint: aws.String(ts.Getenv("AWS_ENDPOINT_URL")), UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(ts.Getenv("AWS_ACCESS_KEY_ID"), ts.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
	})
}

const scriptBucket = "photos"

func scriptPut(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: put KEY TEXT")
	}
	ctx, c := context.Background(), scriptClient(ts)
	_, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(scriptBucket)})
	ts.Check(err) // one's own bucket may be made again
	_, err = c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(scriptBucket), Key: &args[0], Body: strings.NewReader(args[1])})
	ts.Check(err)
}

func scriptGet(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: get KEY TEXT, or ! get KEY STATUS")
	}
	got, err := readObject(scriptClient(ts), args[0])
	var refusal *awshttp.ResponseError
	switch {
	case neg && (!errors.As(err, &refusal) || strconv.Itoa(refusal.HTTPStatusCode()) != args[1]):
		ts.Fatalf("it reads %q, %v; want %s", got, err, args[1])
	case !neg && (err != nil || got != args[1]):
		ts.Fatalf("it reads %q, %v", got, err)
	}
}

func readObject(c *s3.Client, key string) (string, error) {
	out, err := c.GetObject(context.Background(), &s3.GetObjectInput{Bucket: aws.String(scriptBucket), Key: &key})
	if err != nil {
		return "", err
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	return string(b), err
}

// scriptCopy leaves the directories of streams out: there are thousands of them.
func scriptCopy(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: copy DIR DIR")
	}
	from, to := ts.MkAbs(args[0]), ts.MkAbs(args[1])
	ts.Check(filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && filepath.Dir(name) == "blobs":
			return fs.SkipDir
		case entry.IsDir():
			return os.Mkdir(filepath.Join(to, name), 0o700)
		}
		b, err := os.ReadFile(path)
		return errors.Join(err, os.WriteFile(filepath.Join(to, name), b, 0o600))
	}))
}

func scriptMode(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: mode FILE MODE")
	}
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
	}
}

func scriptDamageRow(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: damage-row DIR PREFIX")
	}
	ts.Check(damageRow(filepath.Join(ts.MkAbs(args[0]), "meta"), []byte(args[1])))
}

func damageRow(dir string, prefix []byte) (err error) {
	ctx := context.Background()
	rows, err := pebble.Open(dir, pebble.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	page, err := rows.Scan(ctx, meta.Range{Start: prefix, End: meta.PrefixEnd(prefix), Limit: 1})
	if err != nil || len(page.Items) == 0 {
		return fmt.Errorf("no row begins with %q: %v", prefix, err)
	}
	row := page.Items[0]
	row.Value[len(row.Value)/2] ^= 1
	var b meta.Batch
	b.Put(row.Key, row.Value)
	_, err = rows.Commit(ctx, &b)
	return err
}

func scriptOverwrite(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: overwrite OFFSET FILE")
	}
	offset, err := strconv.Atoi(args[0])
	ts.Check(err)
	names, err := filepath.Glob(ts.MkAbs(args[1]))
	ts.Check(err)
	if len(names) == 0 {
		ts.Fatalf("no file matches %s", args[1])
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		ts.Check(err)
		if n := copy(b[min(offset, len(b)):], bytes.Repeat([]byte{0xa5}, 64)); n == 0 {
			ts.Fatalf("%s ends before %d", name, offset)
		}
		ts.Check(os.WriteFile(name, b, 0o600))
	}
}
