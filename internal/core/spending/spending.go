// SPDX-License-Identifier: Apache-2.0

// Package spending counts the KMS requests that S3 makes, and those that Bucket Keys
// avoid, by account, bucket and KMS key, for metrics of bounded size.
//
// Whoever counts often takes a Tally once and adds to it: an atomic addition. All are
// counted exactly; metrics show those with most requests, and the others as one.
package spending

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Operation is a KMS request that S3 makes.
type Operation int

// The operations.
const (
	GenerateDataKey Operation = iota
	Decrypt
	operations
)

var operationNames = [operations]string{"GenerateDataKey", "Decrypt"}

// Tally counts for one account, bucket or key. It is safe for concurrent use. A nil one
// counts nothing.
type Tally struct {
	made, avoided [operations]atomic.Int64
}

// Made counts a request that was made, whether it succeeded or not.
func (t *Tally) Made(op Operation) {
	if t != nil {
		t.made[op].Add(1)
	}
}

// Avoided counts a request that was not made.
func (t *Tally) Avoided(op Operation) {
	if t != nil {
		t.avoided[op].Add(1)
	}
}

// Bounds.
const (
	// Shown is how many accounts, buckets and keys metrics show each; the others are
	// "(other)".
	Shown = 100
	// counted is how many of each are counted by themselves, in some 200 bytes each. What
	// comes beyond is "(other)" until the process ends.
	counted = 16384
)

// Names of what is not shown by itself. They are no names of buckets.
const (
	Other   = "(other)"
	Unknown = "(unknown)"
)

// Book has the tallies. It is safe for concurrent use. A nil one counts nothing.
type Book struct{ accounts, buckets, keys *board }

// New returns an empty book, and registers its metrics; nil leaves them unregistered. Where
// a book's are registered already it counts in that book.
func New(reg prometheus.Registerer) *Book {
	b := &Book{
		accounts: newBoard("account", "account", Shown, counted),
		buckets:  newBoard("bucket", "bucket", Shown, counted),
		keys:     newBoard("key", "key", Shown, counted),
	}
	if reg != nil {
		b.accounts, b.buckets, b.keys = b.accounts.register(reg), b.buckets.register(reg), b.keys.register(reg)
	}
	return b
}

// Account returns the tally of the account of requesters; "" is that of those who have none.
func (b *Book) Account(id string) *Tally {
	if b == nil {
		return nil
	}
	if id == "" {
		id = Unknown
	}
	return b.accounts.tally(id)
}

// Bucket returns the tally of a bucket, by its name.
func (b *Book) Bucket(name string) *Tally {
	if b == nil {
		return nil
	}
	return b.buckets.tally(name)
}

// Key returns the tally of a KMS key, by its ARN.
func (b *Book) Key(arn string) *Tally {
	if b == nil {
		return nil
	}
	return b.keys.tally(arn)
}
