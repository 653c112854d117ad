// SPDX-License-Identifier: Apache-2.0

package lifecycle

import "time"

// Calendar is how long a day is. The zero value is that of the world; tests have little
// time.
type Calendar struct{ Day time.Duration }

func (c Calendar) day() int64 {
	if c.Day < time.Millisecond {
		return (24 * time.Hour).Milliseconds()
	}
	return c.Day.Milliseconds()
}

// After returns the midnight at which something is so many days old: its age is rounded
// up to whole days of the calendar. At a midnight nothing is rounded.
func (c Calendar) After(base int64, days int) int64 {
	day := c.day()
	at := base + int64(days)*day
	if rest := at % day; rest > 0 {
		at += day - rest
	}
	return at
}

// Midnight returns the beginning of the day that a time is in.
func (c Calendar) Midnight(t int64) int64 { return t - t%c.day() }
