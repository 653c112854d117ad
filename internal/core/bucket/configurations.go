// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/policy"
	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault of configurations with ids: [Analytics], [Tiering], [Metrics], [Inventory].
const (
	// NoSuchConfiguration: the bucket has none with that id.
	NoSuchConfiguration fault.Kind = "bucket: no such configuration"
	// InvalidConfiguration: a configuration that cannot be.
	InvalidConfiguration fault.Kind = "bucket: invalid configuration"
	// InvalidConfigurationValue: a member has a value that it cannot have. Details
	// ArgumentName and ArgumentValue.
	InvalidConfigurationValue fault.Kind = "bucket: invalid value in a configuration"
	// OtherConfiguration: the configuration's id is not the one it is put under.
	OtherConfiguration fault.Kind = "bucket: id of another configuration"
	// InvalidDestination: what is to be written cannot go to that bucket.
	InvalidDestination fault.Kind = "bucket: invalid destination bucket"
)

// Configuration is a document of which a bucket has up to 1 000, by their ids. They are
// values: what is read from the service is shared and must not be changed.
type Configuration interface {
	// ConfigurationID is the id that the document itself says.
	ConfigurationID() string
	// kind names the rows, action is what comes behind Get and Put in names of permissions.
	kind() DocumentKind
	action() string
	// mismatch is the fault for a document that is put under another id than its own.
	mismatch() error
	check() error
}

// maxConfigurationID bounds the id of a configuration, in bytes.
const maxConfigurationID = 64

// ConfigurationPage is how many configurations a page of a listing has.
const ConfigurationPage = 100

// Configurations are the configurations of one type.
type Configurations[C Configuration] struct{ buckets *Buckets }

// ConfigurationsOf returns the service for the configurations of one type.
func ConfigurationsOf[C Configuration](s *Buckets) Configurations[C] { return Configurations[C]{s} }

func configurationNeeds[C Configuration](verb, bucket string) []policy.Need {
	var c C
	return []policy.Need{{Action: "s3:" + verb + c.action(), Resource: aws.BucketARN(bucket)}}
}

// PutConfiguration stores a configuration under its id.
type PutConfiguration[C Configuration] struct {
	Ref
	ID            string
	Configuration C
}

// Needs says what the request must be allowed.
func (in PutConfiguration[C]) Needs() []policy.Need { return configurationNeeds[C]("Put", in.Bucket) }

// Values is policy.Context's: the fields that an inventory asks for.
func (in PutConfiguration[C]) Values(key string) ([]string, bool) {
	if i, ok := any(in.Configuration).(Inventory); ok && key == "s3:inventoryaccessibleoptionalfields" && len(i.Fields) > 0 {
		return i.Fields, true
	}
	return nil, false
}

// Put stores a configuration. Faults: NoSuchBucket, InvalidConfiguration,
// InvalidConfigurationValue, OtherConfiguration, InvalidDestination, InvalidTag, TooManyDocuments.
func (s Configurations[C]) Put(ctx context.Context, _ iam.Caller, in PutConfiguration[C]) (struct{}, error) {
	if _, err := s.buckets.Find(ctx, in.Ref); err != nil {
		return struct{}{}, err
	}
	c := in.Configuration
	if !validConfigurationID(c.ConfigurationID()) {
		return struct{}{}, fault.New(InvalidConfiguration, "").Because(errors.New("the id"))
	}
	if c.ConfigurationID() != in.ID {
		return struct{}{}, c.mismatch()
	}
	if err := c.check(); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, s.buckets.putDocument(ctx, in.Ref, c.kind(), in.ID, c)
}

// validConfigurationID reports whether s has 1 to 64 letters, digits, dots, dashes and
// underscores.
func validConfigurationID(s string) bool {
	if s == "" || len(s) > maxConfigurationID {
		return false
	}
	for i := range len(s) {
		switch b := s[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '.', b == '-', b == '_':
		default:
			return false
		}
	}
	return true
}

// GetConfiguration asks for a configuration.
type GetConfiguration[C Configuration] struct {
	Ref
	ID string
}

// Needs says what the request must be allowed.
func (in GetConfiguration[C]) Needs() []policy.Need { return configurationNeeds[C]("Get", in.Bucket) }

// Get returns a configuration. Faults: NoSuchBucket, NoSuchConfiguration.
func (s Configurations[C]) Get(ctx context.Context, _ iam.Caller, in GetConfiguration[C]) (*C, error) {
	b, err := s.buckets.Find(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	c, err := s.read(ctx, b, in.ID)
	if err == nil && c == nil {
		err = fault.New(NoSuchConfiguration, "")
	}
	return c, err
}

func (s Configurations[C]) read(ctx context.Context, b *Bucket, id string) (*C, error) {
	var c C
	if !validConfigurationID(id) {
		return nil, nil
	}
	return document[C](ctx, s.buckets, b, c.kind(), id)
}

// DeleteConfiguration removes a configuration.
type DeleteConfiguration[C Configuration] struct {
	Ref
	ID string
}

// Needs says what the request must be allowed: S3 has no permission of its own for it.
func (in DeleteConfiguration[C]) Needs() []policy.Need {
	return configurationNeeds[C]("Put", in.Bucket)
}

// Delete removes a configuration. Faults: NoSuchBucket, NoSuchConfiguration.
func (s Configurations[C]) Delete(ctx context.Context, _ iam.Caller, in DeleteConfiguration[C]) (struct{}, error) {
	var c C
	found := false
	if b, err := s.buckets.Find(ctx, in.Ref); err != nil {
		return struct{}{}, err
	} else if validConfigurationID(in.ID) && b.Has(c.kind()) {
		if found, err = s.buckets.deleteDocument(ctx, in.Ref, c.kind(), in.ID); err != nil {
			return struct{}{}, err
		}
	}
	if !found {
		return struct{}{}, fault.New(NoSuchConfiguration, "")
	}
	return struct{}{}, nil
}

// ListConfigurations asks for a page of configurations.
type ListConfigurations[C Configuration] struct {
	Ref
	After string // the id behind which the page begins
}

// Needs says what the request must be allowed.
func (in ListConfigurations[C]) Needs() []policy.Need { return configurationNeeds[C]("Get", in.Bucket) }

// ConfigurationListing is a page, in the order of the ids.
type ConfigurationListing[C Configuration] struct {
	Configurations []*C
	Next           string // what After must be for the next page; "" after the last
}

// List returns up to [ConfigurationPage] configurations.
func (s Configurations[C]) List(ctx context.Context, _ iam.Caller, in ListConfigurations[C]) (out ConfigurationListing[C], err error) {
	var none C
	b, err := s.buckets.Find(ctx, in.Ref)
	if err != nil || !b.Has(none.kind()) {
		return out, err
	}
	ids, err := s.buckets.documentIDs(ctx, b.UID, none.kind())
	if err != nil {
		return out, err
	}
	from, found := slices.BinarySearch(ids, in.After)
	if found {
		from++
	}
	last := ""
	for _, id := range ids[from:] {
		if len(out.Configurations) == ConfigurationPage {
			out.Next = last
			break
		}
		c, err := s.read(ctx, b, id)
		if err != nil {
			return out, err
		}
		if c != nil { // deleted meanwhile
			out.Configurations = append(out.Configurations, c)
		}
		last = id
	}
	return out, nil
}

// Filter says which objects a configuration is about. It is kept as it was written, so that
// a client finds what it sent.
type Filter struct {
	// And says that the predicates were joined explicitly, which takes at least two.
	And         bool    `json:"and,omitempty"`
	Prefix      *string `json:"prefix,omitempty"`
	Tags        []Tag   `json:"tags,omitempty"`
	AccessPoint *string `json:"accessPoint,omitempty"`
}

// maxFilterPrefix bounds the prefix of a filter, in bytes: that of a key.
const maxFilterPrefix = 1024

// check holds a filter against what one can be; nil is no filter. Faults:
// InvalidConfiguration, InvalidConfigurationValue, InvalidTag.
func (f *Filter) check() error {
	if f == nil {
		return nil
	}
	predicates := len(f.Tags)
	if f.Prefix != nil {
		predicates++
		if len(*f.Prefix) > maxFilterPrefix {
			return invalidValue("Prefix", *f.Prefix, "The maximum size of a prefix is 1024.")
		}
	}
	if f.AccessPoint != nil {
		return invalidValue("AccessPointArn", *f.AccessPoint, "The access point does not exist.")
	}
	if predicates == 0 || f.And != (predicates > 1) {
		return fault.New(InvalidConfiguration, "").Because(errors.New("not one predicate, or a conjunction of several"))
	}
	seen := map[string]bool{}
	for _, t := range f.Tags {
		switch {
		case t.Key == "" || utf8.RuneCountInString(t.Key) > 128:
			return fault.New(InvalidTag, "The TagKey you have provided is invalid").With("TagKey", t.Key)
		case utf8.RuneCountInString(t.Value) > 256:
			return fault.New(InvalidTag, "The TagValue you have provided is invalid").With("TagKey", t.Key).With("TagValue", t.Value)
		case seen[t.Key]:
			return fault.New(InvalidTag, "Duplicate Tag Keys are not allowed.").With("TagKey", t.Key)
		}
		seen[t.Key] = true
	}
	return nil
}

func invalidValue(name, value, text string) error {
	return fault.New(InvalidConfigurationValue, "%s", text).With("ArgumentName", name).With("ArgumentValue", value)
}

// destination holds the bucket against what reports can be written to. Whether it exists is
// for who writes to find out, as on S3. Faults: InvalidDestination, InvalidConfigurationValue.
func destination(arn string, account *string) error {
	a, ok := aws.ParseARN(arn)
	switch {
	case !ok || a.Service != "s3" || !aws.ValidBucketName(a.Resource):
		return fault.New(InvalidDestination, "Invalid bucket ARN.")
	case a.Account != "" || a.Region != "":
		return fault.New(InvalidDestination, "Bucket ARN should not specify a namespace.")
	case account != nil && !aws.ValidAccount(*account):
		return invalidValue("AccountId", *account, "Invalid account ID.")
	}
	return nil
}

// oneOf reports whether s is one of the words.
func oneOf(s, words string) bool { return s != "" && slices.Contains(strings.Fields(words), s) }
