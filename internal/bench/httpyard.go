// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/cofferstore/coffer/internal/secret"
)

// httpYardsticks is a client of the HTTP yardsticks.
type httpYardsticks struct {
	process *child // nil if this process serves them
	client  *client
}

func (y *httpYardsticks) child() *child {
	if y == nil {
		return nil
	}
	return y.process
}

// ServeYardsticks serves the HTTP yardsticks until ctx is done, with files in dir.
// It writes its URL to out. It is what the run starts in a process of its own.
//
// PUT reads and drops the body. GET /bare/N answers N bytes from memory, GET
// /sealed/N the same from a file of segments that it opens; both know Range.
// Neither authenticates anybody nor records anything: they are what a server
// cannot be faster than.
func ServeYardsticks(ctx context.Context, dir string, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	y := &yardsticks{dir: dir, key: secret.NewAEAD(secret.Random(secret.Size)), files: map[int64]string{}, own: newOwn()}
	y.buffers.New = func() any {
		return &[2][]byte{make([]byte, 0, segment+secret.Overhead), make([]byte, 0, segment+secret.Overhead)}
	}
	s := &http.Server{Handler: y, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	fmt.Fprintf(out, "http://%s\n", l.Addr())
	select {
	case err = <-failed:
		return err
	case <-ctx.Done():
	}
	err = s.Close()
	<-failed
	return err
}

// segment is how much plaintext is sealed at a time: as Coffer does.
const segment = 64 << 10

// yardsticks is the handler.
type yardsticks struct {
	dir     string
	key     *secret.AEAD
	buffers sync.Pool // of *[2][]byte
	own     own

	mu    sync.Mutex
	bytes []byte           // the longest content that was asked for
	files map[int64]string // sealed content, by its length
}

func (y *yardsticks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, size, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	n, err := strconv.ParseInt(size, 10, 64)
	switch {
	case r.URL.Path == "/-/metrics":
		fmt.Fprintf(w, "%s %f\n", cpuMetric, y.own.usage().cpu)
	case r.Method == http.MethodPut:
		y.drop(w, r)
	case err != nil || n < 1:
		http.Error(w, "no such yardstick", http.StatusNotFound)
	case kind == "sealed":
		y.serve(w, r, n, y.open)
	default:
		y.serve(w, r, n, y.memory)
	}
}

func (y *yardsticks) drop(w http.ResponseWriter, r *http.Request) {
	b := y.buffers.Get().(*[2][]byte)
	defer y.buffers.Put(b)
	for {
		_, err := r.Body.Read(b[0][:segment])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	w.WriteHeader(http.StatusOK)
}

// serve answers with the whole or a range, which write writes.
func (y *yardsticks) serve(w http.ResponseWriter, r *http.Request, size int64, write func(w io.Writer, size, from, to int64) error) {
	from, to, status := int64(0), size, http.StatusOK
	if rng, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok {
		first, last, _ := strings.Cut(rng, "-")
		a, errA := strconv.ParseInt(first, 10, 64)
		b, errB := strconv.ParseInt(last, 10, 64)
		if errA != nil || errB != nil || a > b || b >= size {
			http.Error(w, "no such range", http.StatusRequestedRangeNotSatisfiable)
			return
		}
		from, to, status = a, b+1, http.StatusPartialContent
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(to-from, 10))
	w.WriteHeader(status)
	if err := write(w, size, from, to); err != nil {
		panic(http.ErrAbortHandler) // breaks the answer off, and the client notices
	}
}

func (y *yardsticks) memory(w io.Writer, size, from, to int64) error {
	_, err := w.Write(y.content(size)[from:to])
	return err
}

func (y *yardsticks) content(n int64) []byte {
	y.mu.Lock()
	defer y.mu.Unlock()
	if int64(len(y.bytes)) < n {
		y.bytes = content(n)
	}
	return y.bytes[:n]
}

// open writes a part of the sealed file, by the segments that it touches.
func (y *yardsticks) open(w io.Writer, size, from, to int64) error {
	name, err := y.file(size)
	if err != nil {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	b := y.buffers.Get().(*[2][]byte)
	defer y.buffers.Put(b)
	for index := from / segment; index*segment < to; index++ {
		start := index * segment
		plain := min(segment, size-start)
		stored := b[0][:plain+secret.Overhead]
		if _, err := f.ReadAt(stored, index*(segment+secret.Overhead)); err != nil {
			return err
		}
		opened, err := y.key.Open(b[1][:0], stored, number(index))
		if err != nil {
			return err
		}
		if _, err := w.Write(opened[max(from-start, 0):min(to-start, plain)]); err != nil {
			return err
		}
	}
	return nil
}

// file returns the name of the file with that much sealed content, which the
// first call writes.
func (y *yardsticks) file(size int64) (string, error) {
	plain := y.content(size)
	y.mu.Lock()
	defer y.mu.Unlock()
	if name := y.files[size]; name != "" {
		return name, nil
	}
	var out []byte
	for index := int64(0); index*segment < size; index++ {
		out = y.key.Seal(out, plain[index*segment:min(size, (index+1)*segment)], number(index))
	}
	name := filepath.Join(y.dir, strconv.FormatInt(size, 10)+".sealed")
	err := os.WriteFile(name, out, 0o600)
	if err == nil {
		y.files[size] = name
	}
	return name, err
}

// number is what is authenticated with a segment.
func number(index int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(index)) }

// own tells what this process has used.
type own struct{ registry *prometheus.Registry }

func newOwn() own {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return own{r}
}

func (o own) usage() usage {
	families, err := o.registry.Gather()
	if err != nil {
		return usage{}
	}
	for _, f := range families {
		if f.GetName() == cpuMetric && len(f.GetMetric()) == 1 {
			return usage{cpu: f.GetMetric()[0].GetCounter().GetValue(), ok: true}
		}
	}
	return usage{}
}
