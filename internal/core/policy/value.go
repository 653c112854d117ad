// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// number is an integer or a decimal. Integers are compared exactly.
type number struct {
	whole bool
	i     int64
	f     float64
}

// parseNumber reads an optional sign and digits, with at most one point.
func parseNumber(s string) (n number, ok bool) {
	if len(s) == 0 || len(s) > 64 {
		return n, false
	}
	digits := false
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits = true
		case c == '.', i == 0 && (c == '-' || c == '+'):
		default:
			return n, false
		}
	}
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return number{true, i, float64(i)}, true
	}
	f, err := strconv.ParseFloat(s, 64)
	return number{f: f}, digits && err == nil && !math.IsInf(f, 0)
}

// compare returns -1, 0 or 1.
func (n number) compare(m number) int {
	switch {
	case n.whole && m.whole && n.i < m.i, !(n.whole && m.whole) && n.f < m.f:
		return -1
	case n.whole && m.whole && n.i > m.i, !(n.whole && m.whole) && n.f > m.f:
		return 1
	}
	return 0
}

// The forms of a date: those of the W3C's profile of ISO 8601. Fractions of seconds are
// read though not named.
var dates = []string{
	time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02", "2006-01",
	"2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z0700",
}

// parseDate reads an ISO 8601 date, of UTC unless it says otherwise, or seconds since 1970.
func parseDate(s string) (time.Time, bool) {
	if len(s) > 64 {
		return time.Time{}, false
	}
	if n, ok := parseNumber(s); ok {
		if n.whole {
			return time.Unix(n.i, 0), true
		}
		if math.Abs(n.f) > 1e15 {
			return time.Time{}, false
		}
		seconds, fraction := math.Modf(n.f)
		return time.Unix(int64(seconds), int64(fraction*1e9)), true
	}
	s = strings.ToUpper(s)
	for _, form := range dates {
		if t, err := time.Parse(form, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// parseNetwork reads a CIDR block or a single address.
func parseNetwork(s string) (netip.Prefix, bool) {
	if !strings.Contains(s, "/") {
		a, ok := parseAddress(s)
		if !ok {
			return netip.Prefix{}, false
		}
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

func parseAddress(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	return a.Unmap().WithZone(""), err == nil
}

// parseBool reads true and false, in any case.
func parseBool(s string) (value, ok bool) {
	switch {
	case strings.EqualFold(s, "true"):
		return true, true
	case strings.EqualFold(s, "false"):
		return false, true
	}
	return false, false
}
