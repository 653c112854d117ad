// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/s3api"
)

// sites returns the family of websites, if there are any: it is asked first, as nothing else
// may answer at their addresses.
func (s *Server) sites(s3 *s3api.API) []*pipeline.Family {
	if len(s.cfg.WebsiteDomain) == 0 && s.cfg.WebsiteListen == "" {
		return nil
	}
	return []*pipeline.Family{s3.Websites()}
}

// listenForWebsites opens the address of websites, if they have one of their own.
func (s *Server) listenForWebsites() (err error) {
	if s.cfg.WebsiteListen == "" {
		return nil
	}
	if s.websites, err = net.Listen("tcp", s.cfg.WebsiteListen); err != nil {
		return fmt.Errorf("listen on %s: %w: choose another address by --website-listen", s.cfg.WebsiteListen, err)
	}
	s.onClose(func() error { s.websites.Close(); return nil }) // which Serve may have done
	return nil
}

// WebsiteAddr returns the address of websites alone, nil for none. It is known from Listen on.
func (s *Server) WebsiteAddr() net.Addr {
	if s.websites == nil {
		return nil
	}
	return s.websites.Addr()
}

// forWebsites marks what comes over a server's connections as meant for websites.
func forWebsites(hs *http.Server) *http.Server {
	hs.BaseContext = func(net.Listener) context.Context { return s3api.OnWebsites(context.Background()) }
	return hs
}
