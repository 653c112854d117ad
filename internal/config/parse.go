// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/secret"
)

func asIs(s string) string              { return s }
func anything(s string) (string, error) { return s, nil }

func notEmpty(s string) (string, error) {
	if s == "" {
		return "", errors.New("is empty")
	}
	return s, nil
}

func hostPort(s string) (string, error) {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", fmt.Errorf("%q is not an address like 127.0.0.1:9000", s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("%q has no port from 0 to 65535", s)
	}
	return s, nil
}

var (
	labelForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	hostForm  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)
)

func label(s string) (string, error) {
	if !labelForm.MatchString(s) {
		return "", fmt.Errorf("%q is not a name of lower-case letters, digits and dashes", s)
	}
	return s, nil
}

// hostPortOrNone is hostPort for what may be left out.
func hostPortOrNone(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	return hostPort(s)
}

func hostName(s string) (string, error) {
	if !hostForm.MatchString(s) {
		return "", fmt.Errorf("%q is not a host name in lower case", s)
	}
	return s, nil
}

func account(s string) (string, error) {
	if !aws.ValidAccount(s) {
		return "", fmt.Errorf("%q is not twelve digits", s)
	}
	return s, nil
}

func oneOf(allowed ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		for _, a := range allowed {
			if s == a {
				return s, nil
			}
		}
		return "", fmt.Errorf("%q is not %s", s, strings.Join(allowed, " or "))
	}
}

// list parses elements between commas; spaces around them do not count.
func list[T any](parse func(string) (T, error)) func(string) ([]T, error) {
	return func(s string) ([]T, error) {
		if strings.TrimSpace(s) == "" {
			return nil, nil
		}
		var out []T
		for element := range strings.SplitSeq(s, ",") {
			v, err := parse(strings.TrimSpace(element))
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	}
}

func unlist[T any](format func(T) string) func([]T) string {
	return func(all []T) string {
		texts := make([]string, len(all))
		for i, v := range all {
			texts[i] = format(v)
		}
		return strings.Join(texts, ",")
	}
}

// prefix parses a CIDR, or an address, which is the CIDR of that address alone.
func prefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not a CIDR like 10.0.0.0/8", s)
	}
	return p.Masked(), nil
}

// countOf parses a whole number within bounds.
func countOf(least, most int) func(string) (int, error) {
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < least || n > most {
			return 0, fmt.Errorf("%q is not a whole number from %d to %d", s, least, most)
		}
		return n, nil
	}
}

func durationOf(least, most time.Duration) func(string) (time.Duration, error) {
	return func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, fmt.Errorf("%q is not a duration like 90s or 5m", s)
		}
		if d < least || d > most {
			return 0, fmt.Errorf("%s is not from %s to %s", s, showDuration(least), showDuration(most))
		}
		return d, nil
	}
}

// showDuration leaves out the zero units that Duration.String writes: 5m, not
// 5m0s.
func showDuration(d time.Duration) string {
	s := d.String()
	if s == "0s" {
		return "0"
	}
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

const day = 24 * time.Hour

// spanOf is durationOf for long ones: it takes days, like 30d or 1d12h, and 0 for none.
func spanOf(least, most time.Duration) func(string) (time.Duration, error) {
	return func(s string) (d time.Duration, err error) {
		bad := fmt.Errorf("%q is not a duration like 90d, 36h or 1d12h", s)
		days, rest, found := strings.Cut(s, "d")
		if !found {
			days, rest = "0", s
		}
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil {
			return 0, bad
		}
		if rest != "" {
			if d, err = time.ParseDuration(rest); err != nil || d < 0 {
				return 0, bad
			}
		} else if !found {
			return 0, bad
		}
		if n > uint64(most/day) {
			d = most + 1
		} else {
			d += time.Duration(n) * day
		}
		if d != 0 && (d < least || d > most) {
			return 0, fmt.Errorf("%s is neither 0 nor from %s to %s", s, showSpan(least), showSpan(most))
		}
		return d, nil
	}
}

// showSpan writes whole days as such.
func showSpan(d time.Duration) string {
	if d > 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	return showDuration(d)
}

// units are those a size may have, largest first.
var units = []struct {
	name  string
	bytes int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

func parseSize(s string) (int64, error) {
	number, unit := s, int64(1)
	for _, u := range units {
		if front, ok := strings.CutSuffix(s, u.name); ok {
			number, unit = strings.TrimSpace(front), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/unit {
		return 0, fmt.Errorf("%q is not a size like 16KiB or 1GiB", s)
	}
	return n * unit, nil
}

func sizeOf(least, most int64) func(string) (int64, error) {
	return func(s string) (int64, error) {
		n, err := parseSize(s)
		if err == nil && (n < least || n > most) {
			err = fmt.Errorf("%s is not from %s to %s", s, showSize(least), showSize(most))
		}
		return n, err
	}
}

// sizeOrNone is sizeOf that also takes 0.
func sizeOrNone(least, most int64) func(string) (int64, error) {
	return func(s string) (int64, error) {
		n, err := parseSize(s)
		if err == nil && n != 0 && (n < least || n > most) {
			err = fmt.Errorf("%s is neither 0 nor from %s to %s", s, showSize(least), showSize(most))
		}
		return n, err
	}
}

func showSize(n int64) string {
	for _, u := range units {
		if n >= u.bytes && n%u.bytes == 0 && u.bytes > 1 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

func minFree(s string) (MinFree, error) {
	var m MinFree
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		number, isPercent := strings.CutSuffix(part, "%")
		if !isPercent {
			n, err := parseSize(part)
			if err != nil {
				return MinFree{}, fmt.Errorf("%q is neither a size like 1GiB nor a percentage like 2%%", part)
			}
			m.Bytes = n
			continue
		}
		p, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(p >= 0 && p < 100) {
			return MinFree{}, fmt.Errorf("%q is not a percentage under 100", part)
		}
		m.Percent = p
	}
	return m, nil
}

func showMinFree(m MinFree) string {
	return showSize(m.Bytes) + "," + strconv.FormatFloat(m.Percent, 'g', -1, 64) + "%"
}

func truth(s string) (bool, error) {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, fmt.Errorf("%q is not true or false", s)
	}
	return b, nil
}

func showBool(b bool) string { return strconv.FormatBool(b) }

func level(s string) (slog.Level, error) {
	for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if s == showLevel(l) {
			return l, nil
		}
	}
	return 0, fmt.Errorf("%q is not debug, info, warn or error", s)
}

func showLevel(l slog.Level) string { return strings.ToLower(l.String()) }

// secretOf does not repeat its value in an error.
func secretOf(least int) func(string) (secret.Bytes, error) {
	return func(s string) (secret.Bytes, error) {
		if len(s) < least {
			return secret.Bytes{}, fmt.Errorf("has %d characters; it needs at least %d", len(s), least)
		}
		return secret.New([]byte(s)), nil
	}
}

func hide(secret.Bytes) string { return "" }
