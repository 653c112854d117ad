// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// yardstickClient serves the HTTP yardsticks.
func yardstickClient(t *testing.T) (cl *client, dir string) {
	r := &run{dir: t.TempDir()}
	url, err := r.serveHere(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if cl, err = newClient(url, someone, 1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cl.close()
		if err := r.close(); err != nil {
			t.Error(err)
		}
	})
	return cl, r.dir
}

func TestYardsticksServeWhatWasStored(t *testing.T) {
	cl, dir := yardstickClient(t)
	const size = 3*segment + 100
	all := content(size)
	w := newWorker(t.Context())
	for _, kind := range []string{"/bare/", "/sealed/"} {
		path := kind + "196708"
		if err := cl.do(w, call{method: "GET", path: path, length: size, want: all}); err != nil {
			t.Error(err)
		}
		for rng, want := range map[string][]byte{
			"bytes=0-0":           all[:1],
			"bytes=65535-65536":   all[segment-1 : segment+1],
			"bytes=65536-131071":  all[segment : 2*segment],
			"bytes=196000-196707": all[196000:],
		} {
			if err := cl.do(w, call{method: "GET", path: path, rng: rng, length: int64(len(want)), want: want}); err != nil {
				t.Errorf("%s: %v", rng, err)
			}
		}
		if err := cl.do(w, call{method: "GET", path: path, rng: "bytes=196707-196708", length: -1}); err == nil || !strings.Contains(err.Error(), "416") {
			t.Errorf("a range beyond the end: %v", err)
		}
	}
	if err := cl.do(w, call{method: "PUT", path: "/bare/x", body: all}); err != nil {
		t.Error(err)
	}
	if u, err := cl.metrics(w); err != nil || !u.ok {
		t.Errorf("metrics %+v, %v", u, err)
	}

	stored, err := os.ReadFile(filepath.Join(dir, "196708.sealed"))
	if err != nil || len(stored) != size+4*28 || bytes.Contains(stored, all[:16]) {
		t.Errorf("the sealed file has %d bytes, %v", len(stored), err)
	}
	// A segment that was changed is not served: the yardstick does decrypt.
	stored[segment+500] ^= 1
	if err := os.WriteFile(filepath.Join(dir, "196708.sealed"), stored, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := cl.do(w, call{method: "GET", path: "/sealed/196708", length: size}); err == nil {
		t.Error("a changed file is served")
	}
}

func TestDiskYardsticksLeaveNoFiles(t *testing.T) {
	d, err := openDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.rows.Close()
	if err := d.commit(t.Context(), 1, []byte("value")); err != nil {
		t.Error(err)
	}
	if err := d.write(1, []byte("content")); err != nil {
		t.Error(err)
	}
	if err := d.clear(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(d.files); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestChildren(t *testing.T) {
	t.Setenv("COFFER_REGION", "leaked")
	c, err := startChild(t.Context(), []string{"GIVEN=given"}, "/bin/sh", "-c",
		`echo complaint >&2; echo "# no address"; echo "export X=http://$GIVEN/${COFFER_REGION:-clean}"; exec sleep 600`)
	if err != nil {
		t.Fatal(err)
	}
	if c.URL != "http://given/clean" {
		t.Errorf("the child's URL is %q", c.URL)
	}
	if got := c.complaint(); got != "complaint" {
		t.Errorf("it complained %q", got)
	}
	if c.cmd.ProcessState == nil {
		t.Error("it still runs")
	}
	if err := c.stop(); err != nil {
		t.Errorf("stop again: %v", err)
	}
	if _, err := startChild(t.Context(), nil, "/bin/sh", "-c", "echo data directory is in use >&2; exit 1"); err == nil || !strings.Contains(err.Error(), "data directory is in use") {
		t.Errorf("a child that does not serve: %v", err)
	}
	if _, err := startChild(t.Context(), nil, "/no/such/program", "serve"); err == nil {
		t.Error("a program that is not there was started")
	}
}
