// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/fault"
)

// maxRetry bounds the time between two tries.
const maxRetry = time.Hour

// deliver delivers the batches that are due; with now, all. Of one route they go in their
// order: behind one that fails none is tried. A route does not wait for another.
func (l *Log) deliver(ctx context.Context, now bool) error {
	names, err := listFiles(l.fs, l.dir, batchPrefix)
	if err != nil {
		return err
	}
	var errs []error
	waits := map[string]bool{}
	for _, name := range names {
		id := routeIn(name)
		r := l.retries[id]
		if waits[id] || r != nil && !now && time.Now().Before(r.at) {
			continue
		}
		err := l.deliverFile(ctx, name)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			delete(l.retries, id)
			continue
		}
		waits[id] = true
		if r == nil {
			r = &retry{delay: l.cfg.Retry}
			l.retries[id] = r
		} else {
			r.delay = min(2*r.delay, maxRetry)
		}
		r.at = time.Now().Add(r.delay)
		l.metrics.failures.Inc()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// routeIn returns the id of a batch's route.
func routeIn(name string) string {
	if parts := strings.Split(strings.TrimSuffix(name, suffix), "-"); len(parts) > 2 {
		return parts[2]
	}
	return name
}

func (l *Log) deliverFile(ctx context.Context, name string) error {
	path := l.fs.PathJoin(l.dir, name)
	text, err := readFile(l.fs, path)
	if err != nil {
		return fmt.Errorf("accesslog: read %s: %w", name, err)
	}
	h, lines, err := parseBatch(text)
	if err != nil {
		l.log.Error("a batch of access log lines is damaged and left out", "file", name, "error", err)
		l.dropped("damaged", bytes.Count(text, []byte("\n")))
		return l.fs.Remove(path)
	}
	if err := l.put(ctx, h, lines); err != nil {
		hint := ""
		if errors.Is(err, iam.AccessDenied) {
			hint = ": its policy must allow s3:PutObject to " + acl.LogService
		}
		return fmt.Errorf("log of bucket %q to bucket %q: %w%s", h.Route.Source, h.Route.Target, err, hint)
	}
	l.metrics.objects.Inc()
	return l.fs.Remove(path)
}

// put writes a batch into its target.
func (l *Log) put(ctx context.Context, h head, lines []byte) error {
	target, err := l.buckets.Access(ctx, h.Route.Target)
	if err != nil {
		return err
	}
	// It may be another bucket than the one that was named.
	if target.Owner != h.Route.Owner || !bucket.LogsUnder(target.Bucket) {
		return fault.New(bucket.InvalidLogTarget, "the target bucket for logging must have the owner of the logged bucket, and SSE-S3 (AES256) as default encryption")
	}
	in := object.Put{
		Ref:  object.Ref{Ref: bucket.Ref{Bucket: h.Route.Target}, Key: h.Key},
		Body: bytes.NewReader(lines), Size: int64(len(lines)),
		Attributes: object.Attributes{Headers: []object.Header{{Name: "content-type", Value: "text/plain"}}},
	}
	if len(h.Route.Grants) > 0 && target.HasACLs() {
		owner := acl.Grant{ID: l.buckets.CanonicalID(target.Owner), Permission: acl.FullControl}
		in.ACL.Grants = append(acl.List{owner}, h.Route.Grants...)
	}
	by := iam.ServiceCaller(acl.LogService, aws.BucketARN(h.Route.Source), h.Route.Owner)
	began := time.Now()
	out, err := l.writer.Put(ctx, by, in, nil)
	if err != nil {
		return err
	}
	if of := l.buckets.Logged(h.Route.Target); of != nil {
		l.Append(of, delivered(by, h, out, began))
	}
	return nil
}

// delivered is the entry of a delivery into a bucket that is itself logged.
func delivered(by iam.Caller, h head, out object.Stored, began time.Time) *Entry {
	took := time.Since(began)
	path := url.URL{Path: "/" + h.Route.Target + "/" + h.Key}
	return &Entry{
		Time: began, Requester: "svc:" + by.ARN, RequestID: by.RequestID, Operation: "REST.PUT.OBJECT", Key: h.Key,
		URI: "PUT " + path.EscapedPath() + " HTTP/1.1", Status: 200, Size: out.Size, Total: took, Turnaround: took,
		HostID: aws.NewHostID(), ofDelivery: true,
	}
}

// bound drops what is older than it may be, and, when there is more than there may be, the
// oldest of the route that has most: a target that cannot be written must not cost others
// their logs.
func (l *Log) bound() error {
	names, err := listFiles(l.fs, l.dir, batchPrefix)
	if err != nil {
		return err
	}
	sizes, byRoute, total := map[string]int64{}, map[string]int64{}, int64(0)
	drop := func(name, reason string) error {
		path := l.fs.PathJoin(l.dir, name)
		lines := 0
		if text, err := readFile(l.fs, path); err == nil {
			if h, _, err := parseBatch(text); err == nil {
				lines = h.Lines
				l.log.Warn("undelivered access log lines are dropped", "reason", reason, "bucket", h.Route.Source, "target", h.Route.Target, "lines", lines)
			}
		}
		l.dropped(reason, lines)
		return l.fs.Remove(path)
	}
	kept := names[:0]
	for _, name := range names {
		if time.Since(begun(name)) > l.cfg.MaxAge {
			if err := drop(name, "age"); err != nil {
				return err
			}
			continue
		}
		kept = append(kept, name)
		sizes[name] = fileSize(l.fs, l.fs.PathJoin(l.dir, name))
		byRoute[routeIn(name)] += sizes[name]
		total += sizes[name]
	}
	for total > l.cfg.Limit/4*3 && len(kept) > 0 {
		most := ""
		for _, name := range kept {
			if most == "" || byRoute[routeIn(name)] > byRoute[routeIn(most)] {
				most = name // the first of its route: the oldest
			}
		}
		if err := drop(most, "size"); err != nil {
			return err
		}
		total -= sizes[most]
		byRoute[routeIn(most)] -= sizes[most]
		for i, name := range kept {
			if name == most {
				kept = append(kept[:i], kept[i+1:]...)
				break
			}
		}
	}
	// What comes later by a route of which all was dropped has not failed.
	maps.DeleteFunc(l.retries, func(id string, _ *retry) bool { return byRoute[id] == 0 })
	return nil
}

// count notes for the metrics what is not delivered.
func (l *Log) count() error {
	names, err := listFiles(l.fs, l.dir, batchPrefix)
	if err != nil {
		return err
	}
	var bytes, oldest int64
	for _, name := range names {
		bytes += fileSize(l.fs, l.fs.PathJoin(l.dir, name))
		if at := begun(name).UnixNano(); oldest == 0 || at < oldest {
			oldest = at
		}
	}
	l.backlog.Store(bytes)
	l.oldest.Store(oldest)
	return nil
}
