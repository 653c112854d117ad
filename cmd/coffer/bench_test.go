// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

func TestBenchRefuses(t *testing.T) {
	for _, test := range []struct {
		args, says string
	}{
		{"--concurrency 0", "--concurrency is a number"},
		{"--rounds -1", "--rounds is a number"},
		{"--only (", "--only: error parsing regexp"},
		{"--only zzz", "no cell matches"},
		{"--endpoint localhost:9000 --only list", "is no URL like http://127.0.0.1:9000"},
		{"--endpoint http://127.0.0.1:1 --kms-latency 5ms", "only for the server that bench starts itself"},
	} {
		leadTo(t, "http://127.0.0.1:1")
		exit, stdout, stderr := command(t, append([]string{"bench"}, strings.Fields(test.args)...)...)
		if exit != 1 || stdout != "" || !strings.Contains(stderr, test.says) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("bench %s: exit %d, %q, %q; want %q", test.args, exit, stdout, stderr, test.says)
		}
	}
}
