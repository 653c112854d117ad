// SPDX-License-Identifier: Apache-2.0

// Command minio is the suite of the functional tests of MinIO's client for Go. They are
// a program of their own in that module's directory; this builds it there, runs it, and
// puts what it says into the runner's words.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	// What the program imports, so that this module has it.
	_ "github.com/dustin/go-humanize"
	_ "github.com/google/uuid"
	_ "github.com/minio/minio-go/v7"
	_ "github.com/minio/minio-go/v7/pkg/cors"
	_ "github.com/minio/minio-go/v7/pkg/credentials"
	_ "github.com/minio/minio-go/v7/pkg/encrypt"
	_ "github.com/minio/minio-go/v7/pkg/notification"
	_ "github.com/minio/minio-go/v7/pkg/tags"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "minio:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	program, err := build(ctx)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program)
	proxy, err := newProxy()
	if err != nil {
		return err
	}
	defer proxy.Close()
	mode := "full"
	if os.Getenv("SUITE_SHORT") != "" {
		mode = "core" // two tests, of most operations
	}
	cmd.Env = append(os.Environ(), "MINT_MODE="+mode, "SERVER_ENDPOINT="+strings.TrimPrefix(proxy.URL, "https://"), "ACCESS_KEY="+os.Getenv("AWS_ACCESS_KEY_ID"), "SECRET_KEY="+os.Getenv("AWS_SECRET_ACCESS_KEY"),
		"ENABLE_HTTPS=1", "ENABLE_KMS=1", "SKIP_CERT_VALIDATION=1", "RUN_ON_FAIL=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(stdout)
	for {
		line, readErr := lines.ReadString('\n')
		if said := translate(line); said != "" {
			fmt.Println(said)
		}
		os.Stderr.WriteString(line)
		if readErr != nil {
			break
		}
	}
	err = cmd.Wait()
	os.Stderr.Write(stderr.Bytes())
	if err != nil {
		return fmt.Errorf("%w: %s", err, oneLine(stderr.String()))
	}
	return nil
}

// build makes the program. Its file is named, because the rest of its directory is
// another package.
func build(ctx context.Context) (string, error) {
	module := os.Getenv("SUITE_MODULE")
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/minio/minio-go/v7")
	list.Dir, list.Stderr = module, os.Stderr
	dir, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	program, err := filepath.Abs("functional_tests")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, filepath.Join(strings.TrimSpace(string(dir)), "functional_tests.go"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = module, os.Stderr, os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build the tests: %w", err)
	}
	return program, nil
}

// translate returns what a line of the tests' log says of a test, "" for nothing.
func translate(line string) string {
	var said struct {
		Name, Status, Alert, Message string
		Error                        any
	}
	if json.Unmarshal([]byte(line), &said) != nil {
		return ""
	}
	name := oneLine(strings.TrimPrefix(said.Name, "minio-go: "))
	switch said.Status {
	case "PASS":
		return "ok " + name
	case "NA":
		return fmt.Sprintf("skip %s: %s", name, oneLine(said.Alert))
	case "FAIL":
		why := said.Message
		if said.Error != nil {
			why += fmt.Sprintf(": %v", said.Error)
		}
		return fmt.Sprintf("FAIL %s: %s", name, oneLine(why+" "+said.Alert))
	}
	return ""
}

var space = regexp.MustCompile(`\s+`)

func oneLine(s string) string { return strings.TrimSpace(space.ReplaceAllString(s, " ")) }
