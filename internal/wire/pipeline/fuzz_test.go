// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// FuzzForwarded: who is no listed proxy says nothing of others; a listed one names the
// last hop that is none.
func FuzzForwarded(f *testing.F) {
	f.Add("10.0.0.1:1", "https", "6.6.6.6, 1.2.3.4, 10.0.0.9")
	f.Add("[::ffff:10.0.0.1]:1", "https,http", "::ffff:1.2.3.4")
	f.Add("192.0.2.1:1", "https", "1.2.3.4")
	f.Add("127.0.0.1:1", "", ",")
	f.Add("[::1]:1", "http", "1.2.3.4")
	f.Add("10.0.0.1:1", " HTTPS ,https", "fe80::1%eth0")
	f.Add("@", "https", "10.0.0.1")
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8")}
	isProxy := func(a netip.Addr) bool { return a.Is4() && (a.As4()[0] == 10 || a.As4()[0] == 127) }
	road := &Road{cfg: Config{Proxies: proxies}}
	f.Fuzz(func(t *testing.T, remote, proto, hops string) {
		c := &Call{Request: &http.Request{RemoteAddr: remote, Header: http.Header{
			"X-Forwarded-Proto": {proto}, "X-Forwarded-For": strings.SplitN(hops, ";", 2),
		}}}
		road.connection(c)
		peer := peerOf(remote)
		if !isProxy(peer) {
			if c.Caller.Secure != peer.IsLoopback() || c.Caller.SourceIP != peer.String() {
				t.Errorf("from %s: %s, secure %t", remote, c.Caller.SourceIP, c.Caller.Secure)
			}
			return
		}
		secure := proto != ""
		for hop := range strings.SplitSeq(proto, ",") {
			secure = secure && strings.EqualFold(strings.TrimSpace(hop), "https")
		}
		want := peer
		for hop := range strings.SplitSeq(strings.ReplaceAll(hops, ";", ","), ",") {
			at, err := netip.ParseAddr(strings.TrimSpace(hop))
			switch {
			case err != nil:
				want = peer // what stands before it was written by who knows whom
			case !isProxy(at.Unmap()):
				want = at.Unmap()
			}
		}
		if c.Caller.Secure != secure || c.Caller.SourceIP != want.String() {
			t.Errorf("%q, %q: %s, secure %t; want %s, %t", proto, hops, c.Caller.SourceIP, c.Caller.Secure, want, secure)
		}
	})
}
