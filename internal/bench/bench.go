// SPDX-License-Identifier: Apache-2.0

// Package bench measures a Coffer server as its clients meet it: over HTTP, with
// signed requests and many connections. Beside it, under the same client and in
// the same minutes, it measures yardsticks: what the machine could do if a server
// did nothing, or nothing but decrypt, and what the disk takes.
//
// Cells that are compared run in turn, in short slices, so that a machine which
// is now fast and now slow is so to all of them. A cell's figure is the median of
// its slices, and a ratio is the median of the ratios within rounds.
//
// The load generator runs beside the server and takes its share of the machine.
// It says how large that share is; what it cannot say is what the server would do
// without it.
package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Config is what a run can be told.
type Config struct {
	// Program is Coffer's executable, which is started for the server and for the
	// yardsticks, so that each has a process of its own. Without it this process
	// serves the yardsticks, and Remote must be set.
	Program string
	// Remote is a running server to measure. Yardsticks are measured only when it
	// is on this machine.
	Remote *Remote
	// Dir is where a directory for the run is made, and removed after it; "" is
	// the system's place for such. What is written there should meet the disk that
	// matters.
	Dir string
	// Concurrency is how many requests are under way at a time; default 16. For
	// large objects it is less: see Scale.InFlight.
	Concurrency int
	// KMSLatency is what the server that Program starts adds to each KMS request.
	KMSLatency time.Duration
	// KMSQuota is how many KMS requests per second the server that Program starts
	// allows; 0 is no limit.
	KMSQuota int
	// Only chooses cells by their names, which are like "PUT 4 KiB: SSE-S3".
	Only *regexp.Regexp
	// Scale is how much is done; default Full.
	Scale Scale
	// Progress, if set, is called before each step of the run.
	Progress func(done, total int, doing string)
}

// Remote is a running server and the credentials to use there.
type Remote struct {
	Endpoint    string
	Region      string
	Credentials aws.CredentialsProvider
}

// Scale is how much a run does.
type Scale struct {
	Small, Medium, Large int64 // sizes of objects, ascending

	Slice       time.Duration // no request starts later in a slice; those under way are waited for
	WarmUp      time.Duration // the same, before the first round
	Rounds      int           // slices of each cell
	LargeRounds int           // the same of cells that move large objects
	InFlight    int64         // bytes under way at most, where one object is less
	Kept        int           // small objects to read from; fewer of larger ones
	Listed      int           // keys in a listing, at most 1000
}

// Full is the scale that figures should be quoted from: some three minutes.
func Full() Scale {
	return Scale{
		Small: 4 << 10, Medium: 1 << 20, Large: 64 << 20,
		Slice: 500 * time.Millisecond, WarmUp: 150 * time.Millisecond, Rounds: 5, LargeRounds: 3, InFlight: 256 << 20, Kept: 256, Listed: 1000,
	}
}

// Quick is Full in some twenty seconds, for a first look.
func Quick() Scale {
	s := Full()
	s.Slice, s.WarmUp, s.Rounds, s.LargeRounds, s.InFlight = 60*time.Millisecond, 20*time.Millisecond, 3, 1, 128<<20
	return s
}

// Run measures and reports. What it makes, it removes: a directory for its own
// server, buckets and a KMS key in a remote one. A request that fails ends the
// run with an error, unless it was throttled (503): those are counted.
func Run(ctx context.Context, cfg Config) (_ *Report, err error) {
	if cfg.Concurrency == 0 {
		cfg.Concurrency = 16
	}
	if cfg.Scale == (Scale{}) {
		cfg.Scale = Full()
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	groups := plan(cfg.Scale, cfg.Concurrency, cfg.Only)
	if cfg.Remote != nil {
		groups = without(groups, contender.byAudit) // they take servers of the run's own
		if !local(cfg.Remote.Endpoint) {
			groups = without(groups, contender.yardstick)
		}
	}
	if len(groups) == 0 {
		return nil, fmt.Errorf("no cell matches %s", cfg.Only)
	}
	dir, err := os.MkdirTemp(cfg.Dir, "coffer-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	r := &run{cfg: cfg, dir: dir, machine: machine(dir), content: content(cfg.Scale.Large), listed: typicalEntry * int64(cfg.Scale.Listed), groups: groups}
	defer func() {
		if closeErr := r.close(); err == nil {
			err = closeErr
		}
	}()
	start := time.Now()
	if err := r.open(ctx); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	if err := r.measure(ctx); err != nil {
		return nil, r.blame(fmt.Errorf("bench: %w", err))
	}
	return r.report(start), nil
}

func (cfg *Config) check() error {
	s := cfg.Scale
	switch {
	case cfg.Program == "" && cfg.Remote == nil:
		return errors.New("bench: there is neither a program to start nor a server to measure")
	case cfg.Remote != nil && cfg.KMSLatency != 0:
		return errors.New("the latency of KMS can be set only for the server that bench starts itself")
	case cfg.Remote != nil && cfg.KMSQuota != 0:
		return errors.New("the quota of KMS requests can be set only for the server that bench starts itself")
	case cfg.KMSQuota < 0:
		return errors.New("the quota of KMS requests is a number per second, or 0 for none")
	case cfg.Concurrency < 1:
		return errors.New("concurrency is a number of requests, at least 1")
	case s.Small < 1 || s.Medium <= s.Small || s.Large <= s.Medium || s.Rounds < 1 || s.LargeRounds < 1 || s.Kept < 1 || s.Listed < 1 || s.Listed > 1000:
		return fmt.Errorf("bench: impossible scale %+v", s)
	}
	return nil
}

// local reports whether an endpoint is on this machine.
func local(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// run is a run under way.
type run struct {
	cfg     Config
	dir     string
	content []byte // what objects hold: its first bytes, as many as they have
	listed  int64  // length of a listing
	machine Machine
	groups  []*group

	server  *server
	audits  map[contender]*server // those with and without audit
	bare    *httpYardsticks
	disk    *diskYardsticks
	closers []func() error
	done    int // steps
}

// typicalEntry is about how long a key is in a listing.
const typicalEntry = 256

func (r *run) onClose(f func() error) { r.closers = append(r.closers, f) }

func (r *run) close() error {
	var errs []error
	for i := len(r.closers) - 1; i >= 0; i-- {
		errs = append(errs, r.closers[i]())
	}
	return errors.Join(errs...)
}

// blame adds to an error what a process that was started for the run has
// complained of.
func (r *run) blame(err error) error {
	children := []*child{r.server.child, r.bare.child()}
	for _, s := range r.audits {
		children = append(children, s.child)
	}
	for _, c := range children {
		if said := c.complaint(); said != "" {
			err = fmt.Errorf("%w\n%s", err, said)
		}
	}
	return err
}
