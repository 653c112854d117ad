// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cofferstore/coffer/internal/core/access"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// ServiceName is the principal that trails deliver as, and their event source.
const ServiceName = "cloudtrail.amazonaws.com"

// Authority decides what callers may do with trails (iam.Service).
type Authority interface {
	Authorize(ctx context.Context, by iam.Caller, needs []policy.Need) error
}

// Buckets decides what the service may do with a bucket (access.Authorizer).
type Buckets interface {
	Authorize(ctx context.Context, r access.Request) error
}

// Keys are the KMS keys that files are encrypted under.
type Keys interface {
	// Resolve turns what a caller calls a key into its ARN (kms.ViaS3).
	Resolve(ctx context.Context, by iam.Caller, key string) (arn string, err error)
	// Check decides whether a key may be used through S3 (kms.ViaS3).
	Check(ctx context.Context, by iam.Caller, class kms.Class, arn string, ec kms.Context) error
	// Usable says whether there is such a key, and its state (kms.ForService).
	Usable(ctx context.Context, arn string) error
}

// Config is what a Service needs besides the store.
type Config struct {
	Region  string
	Policy  Authority
	Buckets Buckets
	Keys    Keys
	// Head is where the audit trail ends now (audit.Trail.End).
	Head func() audit.Position
	// Index is what LookupEvents searches.
	Index Searcher
	// PublicKeys returns the keys that digests are signed with at some time from one to
	// another, both included.
	PublicKeys func(ctx context.Context, from, to time.Time) ([]PublicKey, error)
}

// Service keeps the trails of all accounts. It is safe for concurrent use.
type Service struct {
	store meta.Store
	Config
	lookups lookups
}

// New returns a service over its rows.
func New(store meta.Store, cfg Config) *Service { return &Service{store: store, Config: cfg} }

// Rows. A trail has two, so that its delivery does not get in the way of its settings.
const (
	trailRows    = "ct/t/"
	deliveryRows = "ct/d/"
	countRows    = "ct/n/" // a row an account: how many trails it has
)

func trailRow(account, name string) []byte    { return []byte(trailRows + account + "/" + name) }
func deliveryRow(account, name string) []byte { return []byte(deliveryRows + account + "/" + name) }
func countRow(account string) []byte          { return []byte(countRows + account) }

// formatOfRows is the version of all rows.
const formatOfRows = 1

// row is a row with its version.
type row[T any] struct {
	Version int `json:"version"`
	Row     T   `json:"row"`
}

func encode[T any](v T) []byte {
	b, err := json.Marshal(row[T]{formatOfRows, v})
	if err != nil {
		panic("trails: encode row: " + err.Error()) // they hold nothing that does not encode
	}
	return b
}

func decode[T any](item meta.Item) (T, error) {
	var r row[T]
	err := json.Unmarshal(item.Value, &r)
	if err == nil && r.Version != formatOfRows {
		err = fmt.Errorf("version %d", r.Version)
	}
	if err != nil {
		err = fault.New(meta.Damaged, "").Because(fmt.Errorf("row %q: %w", item.Key, err))
	}
	return r.Row, err
}

// Trails returns the trails of all accounts, also those that do not log, by account and
// name. With the fault meta.Damaged it returns those that can be read.
func (s *Service) Trails(ctx context.Context) ([]Trail, error) { return s.scan(ctx, trailRows) }

// Of returns the trails of an account, by name.
func (s *Service) Of(ctx context.Context, account string) ([]Trail, error) {
	return s.scan(ctx, trailRows+account+"/")
}

func (s *Service) scan(ctx context.Context, prefix string) ([]Trail, error) {
	var out []Trail
	var damaged []error
	r := meta.Range{Start: []byte(prefix), End: meta.PrefixEnd([]byte(prefix))}
	for {
		page, err := s.store.Scan(ctx, r)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			t, err := decode[Trail](item)
			if err != nil {
				damaged = append(damaged, err)
				continue
			}
			out = append(out, t)
		}
		if !page.More {
			return out, errors.Join(damaged...)
		}
		r.Start = page.Next
	}
}

// Changed returns a channel that receives a value some time after a trail was made,
// changed or deleted. It is a hint, as meta.Store.Watch gives: callers also poll.
func (s *Service) Changed(ctx context.Context) <-chan struct{} {
	return s.store.Watch(ctx, []byte(trailRows))
}

// Find returns a trail. Fault: NotFound.
func (s *Service) Find(ctx context.Context, account, name string) (Trail, error) {
	t, _, err := s.find(ctx, account, name)
	return t, err
}

func (s *Service) find(ctx context.Context, account, name string) (Trail, uint64, error) {
	item, err := meta.Get1(ctx, s.store, trailRow(account, name))
	if err != nil {
		return Trail{}, 0, err
	}
	if item.Ver == 0 {
		t := Trail{Account: account, Name: name}
		return t, 0, fault.New(NotFound, "Unknown trail: %s for the user: %s", t.ARN(s.Region), account)
	}
	t, err := decode[Trail](item)
	return t, item.Ver, err
}

// change edits a trail that there is. Faults: NotFound, and edit's.
func (s *Service) change(ctx context.Context, account, name string, edit func(t *Trail) error) (Trail, error) {
	for {
		t, ver, err := s.find(ctx, account, name)
		if err != nil {
			return t, err
		}
		if err := edit(&t); err != nil {
			return t, err
		}
		var b meta.Batch
		b.PutIf(trailRow(account, name), encode(t), ver)
		if _, err = s.store.Commit(ctx, &b); !isConflict(err) {
			return t, err
		}
	}
}

func isConflict(err error) bool {
	var c *meta.ConflictError
	return errors.As(err, &c)
}

// Delivery returns how far the delivery of a trail has come; the zero value before there
// was any.
func (s *Service) Delivery(ctx context.Context, t *Trail) (Delivery, error) {
	item, err := meta.Get1(ctx, s.store, deliveryRow(t.Account, t.Name))
	if err != nil || item.Ver == 0 {
		return Delivery{}, err
	}
	return decode[Delivery](item)
}

// SaveDelivery keeps how far the delivery of a trail has come, and what else goes with
// it, in one commit. One process writes it for a trail. Fault: NotFound, also when the
// trail was deleted and made again since.
func (s *Service) SaveDelivery(ctx context.Context, t *Trail, d Delivery, more ...func(*meta.Batch)) error {
	for {
		now, ver, err := s.find(ctx, t.Account, t.Name)
		if err != nil {
			return err
		}
		if now.ID != t.ID {
			return fault.New(NotFound, "Unknown trail: %s for the user: %s", t.ARN(s.Region), t.Account)
		}
		var b meta.Batch
		b.Cond(trailRow(t.Account, t.Name), ver)
		b.Put(deliveryRow(t.Account, t.Name), encode(d))
		for _, add := range more {
			add(&b)
		}
		if _, err = s.store.Commit(ctx, &b); !isConflict(err) {
			return err
		}
	}
}

// arn is the trail's.
func (s *Service) arn(account, name string) string {
	return (&Trail{Account: account, Name: name}).ARN(s.Region)
}

// prefixed returns where a trail's files are in its bucket.
func (t *Trail) prefixed(rest string) string {
	return strings.TrimPrefix(t.Prefix+"/", "/") + "AWSLogs/" + t.Account + "/" + rest
}
