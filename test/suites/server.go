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

// server is a running `coffer serve` on an empty directory.
type server struct {
	cmd     *exec.Cmd
	log     *os.File
	exports map[string]string // the variables that it printed
	ca      string            // file with the certificate; "" without TLS
	ended   chan error
}

// startTime and stopTime are how long a server may take.
const (
	startTime = time.Minute
	stopTime  = time.Minute
)

// serve starts a server for a suite.
func (o options) serve(ctx context.Context, s suite) (*server, error) {
	log, err := os.Create(filepath.Join(o.logs, s.name+".server.log"))
	if err != nil {
		return nil, err
	}
	srv := &server{log: log, exports: map[string]string{}, ended: make(chan error, 1)}
	args := []string{"serve", "--data", filepath.Join(o.scratch, "data"), "--listen", "127.0.0.1:0", "--min-free", "64MiB", "--log-level", "warn"}
	if s.tls {
		cert, key, err := writeCertificate(o.scratch)
		if err != nil {
			return nil, err
		}
		srv.ca = cert
		args = append(args, "--tls-cert", cert, "--tls-key", key)
	}
	srv.cmd = exec.Command(o.coffer, append(args, s.serve...)...)
	srv.cmd.Env = hermetic(os.Environ())
	srv.cmd.Stderr = log
	// A signal to the runner's group is not for the server: it is stopped when its suite is.
	srv.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := srv.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := srv.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			name, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "=")
			if ok && strings.HasPrefix(lines.Text(), "export ") {
				srv.exports[name] = value
			}
			// The secret is the last that is printed.
			if name == "AWS_SECRET_ACCESS_KEY" {
				ready <- true
				break
			}
		}
		io.Copy(io.Discard, stdout)
		srv.ended <- srv.cmd.Wait()
	}()
	select {
	case <-ready:
		return srv, nil
	case err := <-srv.ended:
		log.Close()
		return nil, fmt.Errorf("the server did not start: %w; see %s", err, log.Name())
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(startTime):
		err = errors.New("the server did not say where it is")
	}
	return nil, errors.Join(err, srv.stop())
}

// stop ends the server. It is an error if it had ended before, or does not end well.
func (s *server) stop() error {
	defer s.log.Close()
	select {
	case err := <-s.ended:
		return fmt.Errorf("the server ended before its suite: %w", err)
	default:
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-s.ended:
		if err != nil {
			return fmt.Errorf("the server: %w", err)
		}
		return nil
	case <-time.After(stopTime):
		return errors.Join(errors.New("the server did not stop when told to"), s.cmd.Process.Kill())
	}
}

// hermetic leaves out what tells clients and servers of other places, and a make
// inside one of the make around.
func hermetic(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		return strings.HasPrefix(v, "AWS_") || strings.HasPrefix(v, "COFFER_") || strings.HasPrefix(v, "SUITE_") ||
			strings.HasPrefix(v, "MAKEFLAGS=") || strings.HasPrefix(v, "MFLAGS=")
	})
}

// environ is what a suite is told.
func (s *server) environ(tmp string, o options) []string {
	endpoint := s.exports["AWS_ENDPOINT_URL"]
	env := append(hermetic(os.Environ()),
		"COFFER_ENDPOINT="+endpoint,
		"COFFER_METRICS="+endpoint+"/-/metrics",
		"COFFER_BIN="+o.coffer,
		"AWS_ENDPOINT_URL="+endpoint,
		"AWS_ACCESS_KEY_ID="+s.exports["AWS_ACCESS_KEY_ID"],
		"AWS_SECRET_ACCESS_KEY="+s.exports["AWS_SECRET_ACCESS_KEY"],
		"AWS_DEFAULT_REGION="+s.exports["AWS_DEFAULT_REGION"],
		"AWS_REGION="+s.exports["AWS_DEFAULT_REGION"],
		// Nobody's profiles, and no instance to ask.
		"AWS_CONFIG_FILE="+filepath.Join(tmp, "aws-config"),
		"AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(tmp, "aws-credentials"),
		"AWS_EC2_METADATA_DISABLED=true",
		"SUITE_TMP="+tmp,
		"SUITE_CLIENTS="+o.clients,
		"SUITE_MODULE="+filepath.Dir(o.clients),
		"TMPDIR="+tmp,
	)
	if o.short {
		env = append(env, "SUITE_SHORT=1")
	}
	if s.ca != "" {
		env = append(env, "SUITE_CA="+s.ca, "AWS_CA_BUNDLE="+s.ca)
	}
	return env
}
