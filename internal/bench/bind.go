// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// verifyEvery is how many answers there are to one whose bytes are compared. The
// length of each is.
const verifyEvery = 16

// open starts what the plan needs, stores what it reads, and tells each cell what
// to do.
func (r *run) open(ctx context.Context) error {
	if err := r.openServer(ctx); err != nil {
		return err
	}
	if err := r.openYardsticks(ctx); err != nil {
		return err
	}
	own := newOwn()
	buckets := map[contender]bool{}
	stored := map[string]bool{}
	for _, g := range r.groups {
		for _, c := range g.cells {
			if !c.who.yardstick() && !buckets[c.who] {
				buckets[c.who] = true
				if err := r.prepare(ctx, c.who); err != nil {
					return r.blame(err)
				}
				if c.who.users() {
					if err := r.server.makeUsers(ctx, c.who); err != nil {
						return r.blame(err)
					}
				}
			}
			if err := r.bind(ctx, c, own, stored); err != nil {
				return r.blame(fmt.Errorf("%s: %w", c.name(), err))
			}
		}
	}
	return nil
}

// prepare makes what a contender needs.
func (r *run) prepare(ctx context.Context, who contender) error {
	if who.byAudit() {
		if err := r.openAudit(ctx, who); err != nil {
			return err
		}
	}
	return r.serverOf(who).makeBucket(ctx, who)
}

// serverOf returns the server that a contender is measured at.
func (r *run) serverOf(who contender) *server {
	if s := r.audits[who]; s != nil {
		return s
	}
	return r.server
}

// openYardsticks starts those that the plan has.
func (r *run) openYardsticks(ctx context.Context) (err error) {
	needs := func(who ...contender) bool {
		return slices.ContainsFunc(r.groups, func(g *group) bool {
			return slices.ContainsFunc(g.cells, func(c *cell) bool { return slices.Contains(who, c.who) })
		})
	}
	if needs(rows, file) {
		if r.disk, err = openDisk(r.dir); err != nil {
			return err
		}
		r.onClose(r.disk.rows.Close)
	}
	if !needs(bare, sealed) {
		return nil
	}
	r.bare = &httpYardsticks{}
	url := ""
	if r.cfg.Program != "" {
		if r.bare.process, err = startChild(ctx, nil, r.cfg.Program, "bench", "yardsticks", "--dir", r.dir); err != nil {
			return err
		}
		r.onClose(r.bare.process.stop)
		url = r.bare.process.URL
	} else if url, err = r.serveHere(ctx); err != nil {
		return err
	}
	// They are sent the same signatures, and do not look at them.
	r.bare.client, err = newClient(url, r.server.client.signer.identity, r.cfg.Concurrency)
	if err == nil {
		r.onClose(r.bare.client.close)
	}
	return err
}

// serveHere serves the HTTP yardsticks in this process.
func (r *run) serveHere(ctx context.Context) (url string, err error) {
	ctx, end := context.WithCancel(ctx)
	said, done := make(chan []byte, 1), make(chan error, 1)
	go func() { done <- ServeYardsticks(ctx, r.dir, writerFunc(func(p []byte) { said <- bytes.Clone(p) })) }()
	r.onClose(func() error { end(); return <-done })
	select {
	case line := <-said:
		return string(bytes.TrimSpace(line)), nil
	case err := <-done:
		done <- err
		return "", err
	}
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

// bind tells a cell what a request is. Objects to be read are stored first, once.
func (r *run) bind(ctx context.Context, c *cell, own own, stored map[string]bool) error {
	c.client = own.usage
	switch c.who {
	case rows, file:
		c.client = nil
		c.usage = func(context.Context) (usage, error) { return own.usage(), nil }
		r.bindDisk(c)
		return nil
	case bare, sealed:
		c.usage = metricsOf(r.bare.client)
		r.bindYardstick(c)
		return nil
	}
	c.usage = metricsOf(r.serverOf(c.who).client)
	return r.bindServer(ctx, c, stored)
}

func metricsOf(cl *client) func(context.Context) (usage, error) {
	return func(ctx context.Context) (usage, error) { return cl.metrics(newWorker(ctx)) }
}

func (r *run) bindDisk(c *cell) {
	body := r.content[:c.group.size]
	if c.who == rows {
		c.do = func(w *worker, n int64) error { return r.disk.commit(w.request.Context(), n, body) }
		return
	}
	c.do = func(_ *worker, n int64) error { return r.disk.write(n, body) }
	c.after = r.disk.clear
}

// bindYardstick sends requests that are as those for the server, in number and
// size of bytes.
func (r *run) bindYardstick(c *cell) {
	g, cl := c.group, r.bare.client
	path := func(size int64) string {
		if c.who == sealed {
			return "/sealed/" + strconv.FormatInt(size, 10)
		}
		return "/bare/" + strconv.FormatInt(size, 10)
	}
	store := call{method: http.MethodPut, path: path(g.size), body: r.content[:g.size], length: 0}
	read := func(n int64) call { return r.reading(path(g.size), g.size, n) }
	switch g.verb {
	case put:
		c.do = func(w *worker, _ int64) error { return cl.do(w, store) }
	case ranged:
		c.do = func(w *worker, n int64) error {
			return cl.do(w, r.reading(path(g.size), g.size, n).part(g.moved, n, r.content))
		}
	case mixed:
		c.do = mix(func(w *worker, n int64) error { return cl.do(w, read(n)) }, func(w *worker, _ int64) error { return cl.do(w, store) })
	case list:
		c.do = func(w *worker, n int64) error {
			return cl.do(w, r.reading(path(r.listed), r.listed, n))
		}
	default:
		c.do = func(w *worker, n int64) error { return cl.do(w, read(n)) }
	}
}

func (r *run) bindServer(ctx context.Context, c *cell, stored map[string]bool) error {
	g, at := c.group, r.serverOf(c.who)
	cl, bucket := at.client, "/"+at.bucket(c.who)
	body := r.content[:g.size]
	fresh := fmt.Sprintf("%s/%d-%d/", bucket, slices.Index(r.groups, g), c.who)
	store := func(w *worker, n int64) error {
		return cl.do(w, call{method: http.MethodPut, path: fresh + strconv.FormatInt(n, 10), body: body, length: 0, by: at.by(c.who, n)})
	}
	if g.verb == put {
		c.do = store
		return nil
	}
	set, count := bucket+"/set/"+strconv.FormatInt(g.size, 10)+"/", r.cfg.Scale.objects(g.size)
	if g.verb == list {
		set, count = bucket+"/list/", int64(r.cfg.Scale.Listed)
	}
	if !stored[set] {
		stored[set] = true
		if err := r.store(ctx, cl, set, count, body); err != nil {
			return err
		}
	}
	name := func(n int64) string { return set + object(n%count) }
	read := func(w *worker, n int64) error {
		o := r.reading(name(n), g.size, n)
		o.by = at.by(c.who, n)
		return cl.do(w, o)
	}
	switch g.verb {
	case ranged:
		c.do = func(w *worker, n int64) error {
			return cl.do(w, r.reading(name(n), g.size, n).part(g.moved, n, r.content))
		}
	case mixed:
		c.do = mix(read, store)
	case list:
		return r.bindList(ctx, c, bucket)
	case copies:
		c.do = func(w *worker, n int64) error {
			o := call{method: http.MethodPut, path: fresh + strconv.FormatInt(n, 10), source: name(n), length: -1, keep: true}
			if err := cl.do(w, o); err != nil {
				return err
			}
			// An answer that began as a success may yet tell of a failure.
			if !bytes.Contains(w.text, []byte("<CopyObjectResult")) {
				return fmt.Errorf("copy: %s", w.text)
			}
			return nil
		}
	default:
		c.do = read
	}
	return nil
}

// bindList takes the first answer as what all must be. Its length is also the
// yardstick's.
func (r *run) bindList(ctx context.Context, c *cell, bucket string) error {
	o := call{
		method: http.MethodGet, path: bucket, query: "list-type=2&max-keys=" + strconv.Itoa(r.cfg.Scale.Listed) + "&prefix=list%2F", length: -1, keep: true,
	}
	w := newWorker(ctx)
	if err := r.server.client.do(w, o); err != nil {
		return err
	}
	if got := bytes.Count(w.text, []byte("<Key>")); got != r.cfg.Scale.Listed {
		return fmt.Errorf("the listing has %d keys, want %d", got, r.cfg.Scale.Listed)
	}
	first := bytes.Clone(w.text)
	r.listed = int64(len(first))
	o.keep, o.length = false, int64(len(first))
	c.do = func(w *worker, n int64) error {
		o := o
		if n%verifyEvery == 0 {
			o.want = first
		}
		return r.server.client.do(w, o)
	}
	return nil
}

// reading is a GET of so many bytes of content; one in some is compared.
func (r *run) reading(path string, size, n int64) call {
	o := call{method: http.MethodGet, path: path, length: size}
	if n%verifyEvery == 0 && size <= int64(len(r.content)) {
		o.want = r.content[:size]
	}
	return o
}

// part makes a GET that of a range somewhere in the object.
func (o call) part(size, n int64, content []byte) call {
	at := n * 7919 % (o.length / size) * size // a prime: all over the object
	o.rng = "bytes=" + strconv.FormatInt(at, 10) + "-" + strconv.FormatInt(at+size-1, 10)
	o.length = size
	if o.want != nil {
		o.want = content[at : at+size]
	}
	return o
}

// mix calls read seven times in ten and write three times, in turn.
func mix(read, write func(*worker, int64) error) func(*worker, int64) error {
	return func(w *worker, n int64) error {
		if n*3%10 < 7 {
			return read(w, n)
		}
		return write(w, n)
	}
}

// objects is how many objects of a size there are to read from.
func (s Scale) objects(size int64) int64 {
	switch {
	case size >= s.Large:
		return 2
	case size >= s.Medium:
		return int64(max(s.Kept/8, 2))
	}
	return int64(s.Kept)
}

// object names the n-th of a set.
func object(n int64) string { return fmt.Sprintf("object-%05d", n) }

// store puts a set of objects.
func (r *run) store(ctx context.Context, cl *client, set string, count int64, body []byte) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(int64(r.cfg.Concurrency), count) {
		all.Go(func() {
			w := newWorker(ctx)
			for n := next.Add(1) - 1; n < count && ctx.Err() == nil; n = next.Add(1) - 1 {
				o := call{method: http.MethodPut, path: set + object(n), body: body}
				err := cl.do(w, o)
				for errors.Is(err, errThrottled) && pause(ctx, backOff) == nil {
					err = cl.do(w, o)
				}
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return ctx.Err()
}
