// SPDX-License-Identifier: Apache-2.0

// Package bucketkey keeps time-limited bucket-level keys, so that a million
// reads and writes of SSE-KMS objects cost a handful of KMS requests.
//
// A generation is one bucket key: made by the KMS for one (bucket, KMS key,
// encryption context), stored as KMS ciphertext in a row that objects refer to,
// and used for wrapping for about a day by every requester and node
// (docs/formats.md, "CBK1"). Its plaintext is never stored: a [Cache] holds what
// is derived from it for as long as a requester's proof lasts.
//
// What it promises:
//   - Each requester proves its permission with a KMS request of its own, once
//     per TTL, generation and class: [kms.Generate] to write, [kms.Decrypt] to
//     read. What one may do never serves another, nor the other class.
//   - Policy and key state are checked on every call, warm or cold. An answer
//     from the cache saves the KMS request, not the decision. Who is refused
//     without holding a proof is refused by a KMS request, which records it.
//   - A proof's deadline is fixed when it is made. Use does not extend it, nothing
//     is fetched ahead of it, and nothing is served after it.
//   - A generation's row is durable before the first wrap under it.
//
// It does not audit (the KMS does, for each request that it gets) and does not
// know what it wraps.
package bucketkey

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/spending"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/secret"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// Kinds of fault.
const (
	// Damaged: a stored generation is not what was written, or not this bucket's,
	// or its key is not the one it was made with.
	Damaged fault.Kind = "bucketkey: damaged bucket key"
	// NoGeneration: there is no such generation. Whoever read its id from an
	// object's row reads that row once more before calling it damage: the object
	// may have been re-wrapped meanwhile.
	NoGeneration fault.Kind = "bucketkey: no such generation"
	// Unavailable: the key service or the store did not answer in time, or the
	// cache was closed. Retrying may help.
	Unavailable fault.Kind = "bucketkey: unavailable"
	// Throttled: the key service told this account a moment ago to slow down, and
	// was not asked again.
	Throttled fault.Kind = "bucketkey: throttled"
)

// ErrTooManyContexts says that the bucket already has [MaxContexts] generations
// with pairs of callers under this KMS key. The object then gets a KMS data key of
// its own, under the same encryption context.
var ErrTooManyContexts = errors.New("bucketkey: too many encryption contexts in use")

// How long things last.
const (
	DefaultTTL = 5 * time.Minute
	MaxTTL     = time.Hour

	// Window is how long a generation takes new wraps, give or take a tenth.
	Window = 24 * time.Hour

	// Of the stages of a generation with that window.
	windowSlack = 5 * time.Minute
	staleAfter  = time.Hour
	closing     = staleAfter + windowSlack + time.Hour

	patience = 10 * time.Second // for one request to the key service, and for a caller's whole wait
	breakFor = time.Second      // after the key service said to slow down
)

// Bounds.
const (
	// MaxContexts is how many contexts with pairs of callers may be in use per
	// bucket and KMS key. The context with the bucket's ARN alone is not counted,
	// so nobody can push another off its bucket key.
	MaxContexts = 64

	// maxWraps is how often one node wraps under one generation. 256 nodes stay
	// within the 2^32 that AES-GCM with random nonces allows per key.
	maxWraps = 1 << 24

	entryCapacity      = 8192 // at about 1.3 KiB, most of it the AES schedule: 11 MiB
	generationCapacity = 4096 // at about 700 bytes: 3 MiB
	windowCapacity     = 4096 // a pointer into the former, and a counter
)

// KeyService is what the cache asks of the KMS: Coffer's own in the role of S3
// (kms.ViaS3), or the service-owned key behind SSE-S3 (kms.Owned). It must be safe
// for concurrent use and must not change or keep the contexts it is given.
type KeyService interface {
	// Resolve returns the ARN of the key that a client named; "" is the service's
	// choice. It is not a KMS request.
	Resolve(ctx context.Context, by iam.Caller, key string) (keyARN string, err error)
	// Check decides from local state whether by may use the key for class now.
	// It is not a KMS request.
	Check(ctx context.Context, by iam.Caller, class kms.Class, keyARN string, ec kms.Context) error
	// GenerateDataKey makes a bucket key for the generation gen.
	GenerateDataKey(ctx context.Context, by iam.Caller, keyARN string, ec kms.Context, gen string) (plaintext secret.Bytes, blob []byte, err error)
	// OpenBucketKey opens a bucket key for a requester who proves class.
	OpenBucketKey(ctx context.Context, by iam.Caller, class kms.Class, keyARN string, blob []byte, ec kms.Context, gen string) (secret.Bytes, error)
}

// Bucket names a bucket: by the id that is never reused, and as the request did.
type Bucket struct {
	UID  [16]byte
	Name string
}

// ForWrite says under what to wrap. Context is complete: {"aws:s3:arn": the
// bucket's ARN} and the caller's own pairs.
type ForWrite struct {
	Bucket  Bucket
	KeyARN  string
	Context kms.Context
}

// ForRead names the generation that an object's wrapped key refers to.
type ForRead struct {
	Bucket     Bucket
	Generation uuid.UUID
}

// Config is a cache's settings. The zero value works, and keeps nothing between
// requests.
type Config struct {
	// TTL is how long a requester's proof lasts at most, 0 to MaxTTL. At 0 every
	// request makes a KMS request; generations are shared all the same.
	TTL time.Duration
	// Window is how long a generation takes new wraps, give or take a tenth; 0 is
	// [Window]. Tests shorten it, and with it what is reckoned from it.
	Window time.Duration
	// Throttled recognises the key service's demand to slow down. nil: none does.
	Throttled func(error) bool
	// Spending counts the requests that are avoided; nil counts them nowhere.
	Spending *spending.Book
	// Metrics takes the cache's metrics; nil leaves them unregistered.
	Metrics prometheus.Registerer
}

// Check reports the mistakes in the settings.
func (c Config) Check() error {
	if c.TTL < 0 || c.TTL > MaxTTL {
		return fmt.Errorf("bucket key TTL %v is not within 0 to %v", c.TTL, MaxTTL)
	}
	return nil
}

// Cache hands out bucket keys for wrapping and for unwrapping. It is safe for
// concurrent use, and shares generations with every Cache over the same store. It
// holds no lock while it waits for the key service or the store.
type Cache struct {
	keys    KeyService
	store   meta.Store
	cfg     Config
	metrics metrics

	wraps  int64 // maxWraps, but for tests
	stages stages

	life   context.Context // done when the cache is closed
	end    context.CancelFunc
	flying sync.WaitGroup

	mu          sync.Mutex
	closed      bool
	entries     lru[entryID, *entry]
	windows     lru[pointerID, *window]
	generations lru[generationID, *Generation]
	tallies     lru[tallyID, *tally]
	unwrapping  map[entryID]*flight
	resolving   map[pointerID]*flight
	rotated     map[string]time.Time // by key ARN: older generations take no new wraps
	slowUntil   map[string]time.Time // by account: the breaker
}

// New returns a cache. A TTL out of bounds is brought to the nearest bound. Close
// it to wipe it.
func New(keys KeyService, store meta.Store, cfg Config) *Cache {
	cfg.TTL = min(max(cfg.TTL, 0), MaxTTL)
	c := &Cache{
		keys: keys, store: store, cfg: cfg, wraps: maxWraps, stages: stagesOf(cfg.Window),
		entries:     newLRU[entryID, *entry](entryCapacity),
		windows:     newLRU[pointerID, *window](windowCapacity),
		generations: newLRU[generationID, *Generation](generationCapacity),
		tallies:     newLRU[tallyID, *tally](tallyCapacity),
		unwrapping:  make(map[entryID]*flight),
		resolving:   make(map[pointerID]*flight),
		rotated:     make(map[string]time.Time),
		slowUntil:   make(map[string]time.Time),
	}
	c.life, c.end = context.WithCancel(context.Background())
	c.metrics = newMetrics(cfg.Metrics, c.held)
	return c
}

// Close drops all keys, stops the requests under way and waits for them. Later
// calls return Unavailable. Sealers and Openers already handed out keep working.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	c.evict(byClose, func(*entry) bool { return true })
	c.mu.Unlock()
	c.end()
	c.flying.Wait()
}

// Resolve returns the ARN, for use in a ForWrite, of the key that a client named. It
// is the key service's Resolve.
func (c *Cache) Resolve(ctx context.Context, by iam.Caller, key string) (keyARN string, err error) {
	return c.keys.Resolve(ctx, by, key)
}

// Sealer returns the current generation for k, for wrapping alone, once it is
// proven that by may generate data keys. It makes the generation if there is none.
// ctx bounds the caller's wait; a request begun goes on for others.
//
// Errors: those of the key service for this caller; Throttled, Unavailable,
// Damaged; ErrTooManyContexts.
func (c *Cache) Sealer(ctx context.Context, by iam.Caller, k ForWrite) (*Sealer, error) {
	id, err := pointerTo(k)
	if err != nil {
		return nil, err
	}
	denial := c.keys.Check(ctx, by, kms.Generate, k.KeyARN, k.Context)
	held := c.warmSealer(id, by.Requester())
	if denial == nil && held != nil {
		c.avoid(kms.Generate, held.gen, held.account)
		return held, nil
	}
	return c.coldSealer(ctx, by, id, k, denial, held != nil)
}

// Opener returns the generation for unwrapping alone, once it is proven that by
// may decrypt. ctx bounds the caller's wait; a request begun goes on for others.
//
// Errors: those of the key service for this caller; NoGeneration; Damaged, also
// for a generation that is another bucket's; Throttled, Unavailable.
func (c *Cache) Opener(ctx context.Context, by iam.Caller, k ForRead) (*Opener, error) {
	gen, err := c.generation(ctx, k.Bucket.UID, k.Generation)
	if err != nil {
		return nil, err
	}
	if !gen.Names(k.Bucket.Name) {
		return nil, fault.New(Damaged, "").Because(fmt.Errorf("generation %v is not bound to bucket %q", gen.ID, k.Bucket.Name))
	}
	denial := c.keys.Check(ctx, by, kms.Decrypt, gen.KeyARN, gen.Context)
	held := c.warmOpener(entryID{gen.ID, by.Requester(), kms.Decrypt})
	if denial == nil && held != nil {
		c.avoid(kms.Decrypt, held.gen, held.account)
		return held, nil
	}
	return c.coldOpener(ctx, by, gen, denial, held != nil)
}

// Sealer wraps data keys under one generation and can do nothing else. It is safe
// for concurrent use. Hold it for one request, not longer.
type Sealer struct {
	*window
	aead    *secret.AEAD
	event   string
	account *spending.Tally // the requester's
}

// Event returns the id of the audit event of the KMS request by which the requester
// proved the permission.
func (s *Sealer) Event() string { return s.event }

// Generation returns the generation's id.
func (s *Sealer) Generation() uuid.UUID { return s.gen.ID }

// Seal appends the sealed plaintext to dst.
func (s *Sealer) Seal(dst, plaintext, aad []byte) []byte {
	s.wraps.Add(1)
	return s.aead.Seal(dst, plaintext, aad)
}

// Stale reports that the generation's window closed so long ago that the request
// should take a new Sealer before it wraps.
func (s *Sealer) Stale() bool { return time.Now().After(s.gen.NotAfter.Add(s.stale)) }

// Opener unwraps data keys of one generation and can do nothing else. It is safe
// for concurrent use. Hold it for one request, not longer.
type Opener struct {
	gen     *Generation
	aead    *secret.AEAD
	event   string
	account *spending.Tally // the requester's
}

// Event returns the id of the audit event of the KMS request by which the requester
// proved the permission.
func (o *Opener) Event() string { return o.event }

// Generation returns the generation's id.
func (o *Opener) Generation() uuid.UUID { return o.gen.ID }

// Open appends the plaintext to dst, or returns dst and secret.ErrOpen.
func (o *Opener) Open(dst, sealed, aad []byte) ([]byte, error) {
	return o.aead.Open(dst, sealed, aad)
}

// window is a generation while it takes wraps, and how often this node wrapped.
type window struct {
	gen   *Generation
	stale time.Duration // stages.stale
	wraps atomic.Int64
}

// usable reports whether new requests may wrap under w. c.mu is held.
func (c *Cache) usable(w *window, now time.Time) bool {
	if now.After(w.gen.NotAfter.Add(c.stages.slack)) || w.wraps.Load() >= c.wraps {
		return false
	}
	rotated, ok := c.rotated[w.gen.KeyARN]
	return !ok || w.gen.Created.After(rotated)
}
