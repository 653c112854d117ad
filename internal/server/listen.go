// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// maxHeader bounds a request's head. S3's bound is 8 KiB of headers; session
// tokens and long presigned URLs come on top.
const maxHeader = 32 << 10

// headTimeout bounds how long a request's head may take.
const headTimeout = 15 * time.Second

// Listen opens the configured addresses, and returns the one of every API. Serve or Close
// closes the other one.
func (s *Server) Listen() (net.Listener, error) {
	l, err := net.Listen("tcp", s.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w: choose another address by --listen", s.cfg.Listen, err)
	}
	if err := s.listenForWebsites(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Serve answers on the listener until ctx is done, and then finishes what is in
// flight, for as long as the configuration allows. It also runs the upkeep.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	background, stop := context.WithCancel(ctx)
	upkeepDone := make(chan struct{})
	go func() { defer close(upkeepDone); s.upkeep(background) }()
	defer func() { stop(); <-upkeepDone }()

	if s.certificate != nil {
		go s.certificate.watch(background, s.log)
	}
	servers := []*http.Server{s.httpServer()}
	listeners := []net.Listener{l}
	if s.websites != nil {
		servers, listeners = append(servers, forWebsites(s.httpServer())), append(listeners, s.websites)
	}
	failed := make(chan error, len(servers))
	for i, hs := range servers {
		go func() {
			if hs.TLSConfig != nil {
				failed <- hs.ServeTLS(listeners[i], "", "")
			} else {
				failed <- hs.Serve(pipeline.Gather(listeners[i]))
			}
		}()
	}
	select {
	case err := <-failed:
		for _, hs := range servers {
			hs.Close()
		}
		return err
	case <-ctx.Done():
	}
	close(s.stopping)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.ShutdownTimeout)
	defer cancel()
	var ended errgroup.Group
	for _, hs := range servers {
		ended.Go(func() error {
			if err := hs.Shutdown(grace); err != nil {
				return errors.Join(fmt.Errorf("some requests did not end within %v: %w", s.cfg.ShutdownTimeout, err), hs.Close())
			}
			return nil
		})
	}
	return ended.Wait()
}

// httpServer returns a server for a listener.
func (s *Server) httpServer() *http.Server {
	hs := &http.Server{
		Handler: s.road, ReadHeaderTimeout: headTimeout, IdleTimeout: s.cfg.IdleTimeout, MaxHeaderBytes: maxHeader,
		ConnContext: pipeline.Gathering,
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	if s.certificate != nil {
		hs.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.certificate.get}
	}
	return hs
}

// Scheme is the scheme of the server's URLs.
func (s *Server) Scheme() string {
	if s.cfg.TLSCert != "" {
		return "https"
	}
	return "http"
}

// certificate is a TLS certificate that follows its files.
type certificate struct {
	cert, key string
	current   atomic.Pointer[tls.Certificate]
	changed   [2]time.Time
}

func newCertificate(cert, key string) (*certificate, error) {
	c := &certificate{cert: cert, key: key}
	if _, err := c.reload(); err != nil {
		return nil, fmt.Errorf("load TLS certificate: %w", err)
	}
	return c, nil
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

// reload reads the files if they changed.
func (c *certificate) reload() (bool, error) {
	var changed [2]time.Time
	for i, name := range []string{c.cert, c.key} {
		info, err := os.Stat(name)
		if err != nil {
			return false, err
		}
		changed[i] = info.ModTime()
	}
	if changed == c.changed {
		return false, nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return false, err
	}
	c.changed = changed
	c.current.Store(&pair)
	return true, nil
}

// certificateEvery is how often the files are looked at. A watch would miss the
// symlink swaps with which certificates are often renewed.
const certificateEvery = 5 * time.Second

// watch follows the files until ctx is done. A pair that does not load leaves the
// one in use.
func (c *certificate) watch(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(certificateEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		switch reloaded, err := c.reload(); {
		case err != nil:
			log.Error("TLS certificate not reloaded", "error", err)
		case reloaded:
			log.Info("TLS certificate reloaded")
		}
	}
}
