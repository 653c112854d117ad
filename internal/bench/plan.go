// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"regexp"
	"slices"
)

// verb is what a request does.
type verb int

const (
	put    verb = iota
	get         // a whole object
	ranged      // Small bytes somewhere in a Large object
	mixed       // seven get, three put
	list
	copies
)

// contender is who does it.
type contender int

// The first are the server: by how the bucket encrypts, and with whose permission.
const (
	sseS3 contender = iota
	sseKMS
	bucketKey
	oneUser   // the same, for a user with a policy
	manyUsers // the same, for many users with many policies
	audited   // the same, on a server of its own, with a trail of all events
	unaudited // the same, on one that records nothing
	bare      // an HTTP server that discards, or serves memory
	sealed    // an HTTP server that opens segments of AES-GCM from a file
	rows      // the metadata store: a durable batch with a value of that size
	file      // a file: write, fsync
)

var contenders = [...]struct{ name, short string }{
	sseS3:     {"SSE-S3", "SSE-S3"},
	sseKMS:    {"SSE-KMS", "SSE-KMS"},
	bucketKey: {"SSE-KMS, Bucket Key", "Bucket Key"},
	oneUser:   {"1 user, 1 policy", "1 user"},
	manyUsers: {fmt.Sprintf("%d users, %d policies", manyUsersHave, manyUsersHave*policiesPerUser), "users"},
	audited:   {"audit, with a trail", "audit"},
	unaudited: {"no audit", "no audit"},
	bare:      {"bare HTTP", "bare"},
	sealed:    {"HTTP, AES-GCM file", "AES-GCM"},
	rows:      {"Pebble batch, synced", "Pebble"},
	file:      {"file, write + fsync", "file"},
}

func (c contender) name() string    { return contenders[c].name }
func (c contender) users() bool     { return c == oneUser || c == manyUsers }
func (c contender) byAudit() bool   { return c == audited || c == unaudited }
func (c contender) yardstick() bool { return c >= bare }

// group is cells that are compared and therefore run interleaved.
type group struct {
	name    string
	verb    verb
	size    int64 // of an object
	moved   int64 // bytes that a request moves
	workers int
	rounds  int
	cells   []*cell
}

// plan returns the groups of a run, without cells that only does not name and
// groups without cells.
func plan(s Scale, concurrency int, only *regexp.Regexp) []*group {
	modes := []contender{sseS3, sseKMS, bucketKey}
	var out []*group
	add := func(name string, v verb, size, moved int64, beside ...contender) {
		g := &group{name: name, verb: v, size: size, moved: moved, workers: concurrency, rounds: s.Rounds}
		if moved > 0 {
			g.workers = int(max(1, min(int64(concurrency), s.InFlight/moved)))
		}
		if moved == s.Large {
			g.rounds = s.LargeRounds
		}
		for _, who := range beside {
			c := &cell{group: g, who: who}
			if only == nil || only.MatchString(c.name()) {
				g.cells = append(g.cells, c)
			}
		}
		if len(g.cells) > 0 {
			out = append(out, g)
		}
	}
	with := func(more ...contender) []contender { return append(slices.Clone(modes), more...) }
	for _, size := range []int64{s.Small, s.Medium, s.Large} {
		beside := with(bare, file)
		if size == s.Small {
			// Larger bodies are not kept there, and its compactions would disturb
			// the cells that come after.
			beside = with(bare, rows, file)
		}
		add("PUT "+sizeName(size), put, size, size, beside...)
		add("GET "+sizeName(size), get, size, size, with(bare, sealed)...)
	}
	add(fmt.Sprintf("GET %s of %s", sizeName(s.Small), sizeName(s.Large)), ranged, s.Large, s.Small, with(bare, sealed)...)
	add("70 % GET, 30 % PUT "+sizeName(s.Small), mixed, s.Small, s.Small, with(bare)...)
	add("PUT "+sizeName(s.Small)+" by users", put, s.Small, s.Small, oneUser, manyUsers)
	add("GET "+sizeName(s.Small)+" by users", get, s.Small, s.Small, oneUser, manyUsers)
	add("PUT "+sizeName(s.Small)+" by audit", put, s.Small, s.Small, audited, unaudited)
	add("GET "+sizeName(s.Small)+" by audit", get, s.Small, s.Small, audited, unaudited)
	add(fmt.Sprintf("LIST %d keys", s.Listed), list, s.Small, 0, sseS3, bare)
	add("COPY "+sizeName(s.Medium), copies, s.Medium, s.Medium, with(file)...)
	return out
}

// without leaves out cells of some contenders.
func without(groups []*group, leave func(contender) bool) []*group {
	for _, g := range groups {
		g.cells = slices.DeleteFunc(g.cells, func(c *cell) bool { return leave(c.who) })
	}
	return slices.DeleteFunc(groups, func(g *group) bool { return len(g.cells) == 0 })
}

func (c *cell) name() string { return c.group.name + ": " + c.who.name() }

// sizeName writes a size in the largest unit that divides it.
func sizeName(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// order is the order of a round over n cells. Every second round goes backwards,
// so that no cell always follows the same one and drift within a round cancels.
func order(n, round int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	if round%2 == 1 {
		slices.Reverse(out)
	}
	return out
}
