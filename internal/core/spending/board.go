// SPDX-License-Identifier: Apache-2.0

package spending

import (
	"cmp"
	"errors"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// board counts for many of a kind, and shows metrics of those with most requests.
//
// What is shown only grows, as counters must: what one counted before it was shown stays
// with the others, and one that is shown no more leaves with its count. Who comes back
// begins at zero, which readers of counters take for a restart.
type board struct {
	most, counted int
	made, avoided *prometheus.Desc

	mu    sync.Mutex
	items map[string]*item
	other item     // beyond what is counted by itself
	rest  readings // what is not shown by itself
}

type item struct {
	name  string
	tally Tally
	shown bool
	value readings // since it is shown

	before, read readings // of the tally, at the last two collections
}

// readings are counts: made and avoided, by operation.
type readings [2 * operations]int64

func (r *readings) sum() (n int64) {
	for _, v := range r {
		n += v
	}
	return n
}

func newBoard(subject, label string, most, counted int) *board {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("coffer_"+subject+"_kms_requests_"+name, help, []string{label, "operation"}, nil)
	}
	return &board{
		most: most, counted: counted, items: map[string]*item{},
		made:    desc("total", "KMS requests that S3 made, those that failed too, by "+subject+": of those with most requests, the others are \"(other)\"."),
		avoided: desc("avoided_total", "KMS requests that objects would have cost without a bucket key and did not, by "+subject+": of those with most requests, the others are \"(other)\"."),
	}
}

// register registers the board, or returns the one that is.
func (b *board) register(reg prometheus.Registerer) *board {
	var registered prometheus.AlreadyRegisteredError
	if err := reg.Register(b); errors.As(err, &registered) {
		return registered.ExistingCollector.(*board)
	} else if err != nil {
		panic(err) // names that are not one's own: a mistake in the program
	}
	return b
}

// tally returns the tally of a name.
func (b *board) tally(name string) *Tally {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i, ok := b.items[name]; ok {
		return &i.tally
	}
	if len(b.items) >= b.counted {
		return &b.other.tally
	}
	i := &item{name: name}
	b.items[name] = i
	return &i.tally
}

// Describe is prometheus.Collector's.
func (b *board) Describe(ch chan<- *prometheus.Desc) {
	ch <- b.made
	ch <- b.avoided
}

// Collect is prometheus.Collector's.
func (b *board) Collect(ch chan<- prometheus.Metric) {
	b.mu.Lock()
	shown := b.read()
	rest := b.rest
	b.mu.Unlock()
	send := func(name string, values readings) {
		for op, operation := range operationNames {
			for kind, desc := range []*prometheus.Desc{b.made, b.avoided} {
				v := values[kind*int(operations)+op]
				ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(v), name, operation)
			}
		}
	}
	for _, i := range shown {
		send(i.name, i.value)
	}
	send(Other, rest)
}

// shownItem is what is sent of an item.
type shownItem struct {
	name  string
	value readings
}

// read reads all tallies, chooses who is shown, and returns them. b.mu is held.
func (b *board) read() (out []shownItem) {
	all := make([]*item, 0, len(b.items))
	for _, i := range b.items {
		i.before, i.read = i.read, i.tally.readings()
		all = append(all, i)
	}
	slices.SortFunc(all, func(x, y *item) int {
		return cmp.Or(cmp.Compare(y.weight(), x.weight()), cmp.Compare(x.name, y.name))
	})
	for n, i := range all {
		if show := n < b.most; show != i.shown {
			i.shown, i.value = show, readings{}
		}
		if i.shown {
			i.value.grow(i.read, i.before)
			out = append(out, shownItem{i.name, i.value})
		} else {
			b.rest.grow(i.read, i.before)
		}
	}
	b.other.before, b.other.read = b.other.read, b.other.tally.readings()
	b.rest.grow(b.other.read, b.other.before)
	return out
}

// weight is how many requests an item had; a tenth more for one that is shown, so that two
// that are alike do not take turns.
func (i *item) weight() int64 {
	n := i.read.sum()
	if i.shown {
		n += n/10 + 1
	}
	return n
}

// grow adds what was counted between two readings.
func (r *readings) grow(now, before readings) {
	for n := range r {
		r[n] += now[n] - before[n]
	}
}

func (t *Tally) readings() (r readings) {
	for op := range operations {
		r[op], r[operations+op] = t.made[op].Load(), t.avoided[op].Load()
	}
	return r
}
