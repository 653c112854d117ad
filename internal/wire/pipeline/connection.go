// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"net/http"
	"net/netip"
	"strings"
)

// maxHead bounds a request's headers. It is S3's bound (S3 API Reference, PutObject).
const maxHead = 8 << 10

// headSize returns how much the headers take, but for the session token: it is
// the server's own making, and its length no fault of the client.
func headSize(h http.Header) int {
	size := 0
	for name, values := range h {
		if name == "X-Amz-Security-Token" {
			continue
		}
		for _, v := range values {
			size += len(name) + len(": ") + len(v) + len("\r\n")
		}
	}
	return size
}

// connection sets what the transport says of the caller: where it is, and whether
// the way there counts as secure. That is TLS, a loopback peer, or the word of a
// listed proxy.
func (road *Road) connection(c *Call) {
	r := c.Request
	peer := peerOf(r.RemoteAddr)
	c.Caller.RequestID, c.Caller.HostID = c.ID, c.HostID
	c.Caller.SourceIP = peer.String()
	c.Caller.UserAgent = r.UserAgent()
	c.Caller.Secure = r.TLS != nil || peer.IsLoopback()
	if !within(peer, road.cfg.Proxies) {
		return
	}
	// A listed proxy stands before the client: what it says replaces what the
	// connection shows, also when it says that the client came in the clear.
	c.Caller.Secure = r.TLS != nil
	if proto := forwarded(r, "X-Forwarded-Proto"); proto != "" {
		c.Caller.Secure = allHTTPS(proto)
	}
	if client, ok := forwardedFor(forwarded(r, "X-Forwarded-For"), road.cfg.Proxies); ok {
		c.Caller.SourceIP = client.String()
	}
}

// forwarded returns a header of which a proxy may have added a line of its own behind
// the client's, as one list.
func forwarded(r *http.Request, name string) string { return strings.Join(r.Header.Values(name), ",") }

// allHTTPS reports whether every hop came by HTTPS; the client may have written some.
func allHTTPS(protos string) bool {
	for proto := range strings.SplitSeq(protos, ",") {
		if !strings.EqualFold(strings.TrimSpace(proto), "https") {
			return false
		}
	}
	return true
}

func peerOf(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

func within(a netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// forwardedFor returns the last address that is not a listed proxy's: those before
// it are the client's own claims.
func forwardedFor(header string, proxies []netip.Prefix) (netip.Addr, bool) {
	hops := strings.Split(header, ",")
	for i := len(hops) - 1; i >= 0; i-- {
		a, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return netip.Addr{}, false
		}
		if a = a.Unmap(); !within(a, proxies) {
			return a, true
		}
	}
	return netip.Addr{}, false
}
