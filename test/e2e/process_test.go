// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/test/coffertest"
)

const commandDir = "../../cmd/coffer"

// buildProgram builds the program as it is released and returns its path.
func buildProgram(t testing.TB) string {
	t.Helper()
	// What the compiler reads is unknown to the test cache; what the test itself
	// reads is not. The rest of the program is imported by these tests.
	sources, err := filepath.Glob(filepath.Join(commandDir, "*.go"))
	if err != nil || len(sources) == 0 {
		t.Fatalf("found no source of the program: %v", err)
	}
	for _, name := range sources {
		if _, err := os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// program builds the program once, in a directory that TestMain removes.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "coffer-e2e-")
	if err != nil {
		return "", err
	}
	programDir = dir
	path := filepath.Join(dir, "coffer")
	build := exec.Command("go", "build", "-o", path, commandDir)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
})

// programDir has the program; "" when no test has asked for it.
var programDir string

// process is a server in a process of its own, with the root credentials of test
// servers.
type process struct {
	t       testing.TB
	program string
	cmd     *exec.Cmd
	url     string
	s3      *s3.Client
	kms     *kms.Client
	log     *logBuffer
	drained chan struct{} // closed when standard output has ended
	ended   bool
}

// spawn starts a server on a data directory and does not wait for it.
func spawn(t testing.TB, program, dir string, args ...string) (*process, io.Reader) {
	t.Helper()
	p := &process{t: t, program: program, log: new(logBuffer), drained: make(chan struct{})}
	p.cmd = exec.Command(program, append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--min-free", "0%"}, args...)...)
	p.cmd.Env = append(os.Environ(), "COFFER_ROOT_ACCESS_KEY_ID="+coffertest.AccessKeyID, "COFFER_ROOT_SECRET_ACCESS_KEY="+coffertest.SecretAccessKey)
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p, out
}

// startProcess starts a server on a data directory and returns when it is ready.
func startProcess(t testing.TB, program, dir string, args ...string) *process {
	t.Helper()
	p, out := spawn(t, program, dir, args...)
	lines := bufio.NewScanner(out)
	for p.url == "" && lines.Scan() {
		p.url, _ = strings.CutPrefix(lines.Text(), "export AWS_ENDPOINT_URL=")
		if p.url == lines.Text() {
			p.url = ""
		}
	}
	go func() {
		defer close(p.drained)
		_, _ = io.Copy(io.Discard, out)
	}()
	if p.url == "" {
		p.kill()
		t.Fatalf("the server did not start:\n%s", p.log.bytes())
	}
	p.s3, p.kms = coffertest.Clients(p.url)
	coffertest.Eventually(t, "readiness", func() bool {
		resp, err := http.Get(p.url + "/-/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	if p.ended {
		return
	}
	p.ended = true
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Errorf("kill the server: %v", err)
	}
	if p.url != "" {
		<-p.drained
	}
	_ = p.cmd.Wait() // it says that the process was killed
}

// stop ends the process as an operator does.
func (p *process) stop() {
	p.t.Helper()
	p.ended = true
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Errorf("stop the server: %v", err)
	}
	<-p.drained
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("the server stopped with %v:\n%s", err, p.log.bytes())
	}
}

// run runs another command of the program, as a client of this server.
func (p *process) run(args ...string) (string, error) {
	cmd := exec.CommandContext(p.t.Context(), p.program, args...)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+p.url, "AWS_DEFAULT_REGION="+coffertest.Region,
		"AWS_ACCESS_KEY_ID="+coffertest.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+coffertest.SecretAccessKey)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// memory returns how much memory of the process is resident, by its own metric.
func (p *process) memory() (mebibytes float64) {
	p.t.Helper()
	resp, err := http.Get(p.url + "/-/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range bytes.Lines(page) {
		if value, ok := strings.CutPrefix(string(line), "process_resident_memory_bytes "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return n / (1 << 20)
		}
	}
	p.t.Fatal("no metric of resident memory")
	return 0
}

// lap returns how long f took.
func lap(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}

// perSecond shows a rate.
func perSecond(n int, d time.Duration) string { return fmt.Sprintf("%.0f/s", float64(n)/d.Seconds()) }
