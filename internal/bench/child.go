// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// child is a process of Coffer's executable that serves HTTP.
type child struct {
	URL    string
	cmd    *exec.Cmd
	end    context.CancelFunc
	stderr bytes.Buffer  // to be read after the end
	quiet  chan struct{} // closed at the end of its standard output
	ended  bool
}

// address finds where a child says that it serves.
var address = regexp.MustCompile(`https?://\S+`)

// childGrace is how long a child may take to end.
const childGrace = 40 * time.Second

// startChild starts the program and waits until it says where it serves. The
// child has this process's environment, but none of Coffer's settings in it.
func startChild(ctx context.Context, env []string, program string, args ...string) (*child, error) {
	ctx, end := context.WithCancel(ctx)
	c := &child{cmd: exec.CommandContext(ctx, program, args...), end: end, quiet: make(chan struct{})}
	c.cmd.Env = slices.DeleteFunc(c.cmd.Environ(), func(pair string) bool { return strings.HasPrefix(pair, "COFFER_") })
	c.cmd.Env = append(c.cmd.Env, env...)
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) }
	c.cmd.WaitDelay = childGrace
	c.cmd.Stderr = &c.stderr
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		end()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	lines := bufio.NewScanner(out)
	for c.URL == "" && lines.Scan() {
		c.URL = address.FindString(lines.Text())
	}
	go func() { defer close(c.quiet); _, _ = io.Copy(io.Discard, out) }()
	if c.URL == "" {
		_ = c.stop()
		return nil, fmt.Errorf("%s %s did not begin to serve: %s", program, args[0], bytes.TrimSpace(c.stderr.Bytes()))
	}
	return c, nil
}

// stop ends the child and waits for it.
func (c *child) stop() error {
	if c.ended {
		return nil
	}
	c.ended = true
	c.end()
	<-c.quiet // Wait would close it
	var exit *exec.ExitError
	err := c.cmd.Wait()
	if errors.Is(err, context.Canceled) || errors.As(err, &exit) {
		return nil // it was told to end; what it got done is of no interest
	}
	return err
}

// complaint ends the child and returns the last lines that it wrote to standard
// error. A nil child has none.
func (c *child) complaint() string {
	if c == nil {
		return ""
	}
	_ = c.stop()
	lines := strings.Split(strings.TrimSpace(c.stderr.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}
