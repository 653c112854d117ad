// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// suite is a program that tests a server.
type suite struct {
	name    string
	pkg     string // of this module; "" when it is a file
	args    []string
	path    string        // executable; "" when it is built
	serve   []string      // flags of `coffer serve` beside the usual
	tls     bool          // the server speaks TLS
	timeout time.Duration // 0 is defaultTimeout
	// What has to pass of what counts; see report.good.
	minimum  int
	fraction float64
}

// defaultTimeout is long enough for a suite that has stopped to be told from one
// that works.
const defaultTimeout = time.Hour

// build makes the suite's executable.
func (s suite) build(ctx context.Context, dir string) (string, error) {
	if s.path != "" {
		return filepath.Abs(s.path)
	}
	program := filepath.Join(dir, s.name)
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, s.pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, text)
	}
	return program, nil
}

// clientLines is how far into a client's text its directives may be.
const clientLines = 30

// findClients returns the executables of a directory as suites. Comments at their
// beginning say what they want of the server:
//
//	# coffer tls
//	# coffer serve: --new-bucket-defaults legacy
//	# coffer timeout: 20m
func findClients(dir string) ([]suite, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []suite
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() || info.Mode().Perm()&0o100 == 0 {
			continue
		}
		s := suite{name: strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())), path: filepath.Join(dir, e.Name())}
		text, err := os.ReadFile(s.path)
		if err != nil {
			return nil, err
		}
		if err := s.directives(string(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", s.path, err)
		}
		found = append(found, s)
	}
	return found, nil
}

func (s *suite) directives(text string) error {
	for i, line := range slices.Collect(strings.Lines(text)) {
		if i == clientLines {
			break
		}
		directive, ok := strings.CutPrefix(strings.TrimSpace(strings.TrimLeft(line, "#/ ")), "coffer ")
		if !ok || !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "//") {
			continue
		}
		what, value, _ := strings.Cut(directive, ":")
		value = strings.TrimSpace(value)
		var err error
		switch what {
		case "tls":
			s.tls = true
		case "serve":
			s.serve = append(s.serve, strings.Fields(value)...)
		case "timeout":
			s.timeout, err = time.ParseDuration(value)
		default:
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// execute runs the suite's program and returns what it says, and why it did not
// finish if it did not.
func (o options) execute(ctx context.Context, s suite, program string, server *server, out io.Writer) ([]result, string, error) {
	limit := s.timeout
	if limit == 0 {
		limit = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	log, err := os.Create(filepath.Join(o.logs, s.name+".log"))
	if err != nil {
		return nil, "", err
	}
	defer log.Close()
	tmp := filepath.Join(o.scratch, "tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return nil, "", err
	}

	cmd := exec.CommandContext(ctx, program, s.args...)
	cmd.Dir = tmp
	cmd.Env = server.environ(tmp, o)
	// The client and all that it started end together.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	var found []result
	lines := bufio.NewReader(stdout)
	for {
		line, readErr := lines.ReadString('\n')
		if line != "" {
			io.WriteString(log, line)
			if o.verbose {
				io.WriteString(out, line)
			}
			if r, ok := parseResult(line); ok {
				found = append(found, r)
			}
		}
		if readErr != nil {
			break
		}
	}
	err = cmd.Wait()
	switch {
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return found, fmt.Sprintf("did not end within %v", limit), nil
	case ctx.Err() != nil:
		return nil, "", ctx.Err()
	case err != nil:
		return found, fmt.Sprintf("did not finish: %v", err), nil
	}
	return found, "", nil
}
