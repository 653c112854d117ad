// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"strings"

	"github.com/cofferstore/coffer/internal/core/bucket"
)

var inventoryForm = configurationForm[bucket.Inventory]{
	noun: "Inventory", subresource: "inventory",
	root: "InventoryConfiguration", listing: "ListInventoryConfigurationsResult",
	parse: parseInventory, write: writeInventory,
}

func parseInventory(s *schema, n *node) (i bucket.Inventory) {
	s.only(n, "Destination", "IsEnabled", "Filter", "Id", "IncludedObjectVersions", "OptionalFields", "Schedule")
	i.ID = s.word(n, "Id")
	enabled, err := xmlBool(s.word(n, "IsEnabled"))
	if err != nil {
		s.fail("IsEnabled: %w", err)
	}
	i.Enabled = enabled
	i.Versions = s.word(n, "IncludedObjectVersions")
	schedule := s.one(n, "Schedule")
	s.only(schedule, "Frequency")
	i.Frequency = s.word(schedule, "Frequency")
	if f := s.maybe(n, "Filter"); f != nil {
		s.only(f, "Prefix")
		prefix := s.text(f, "Prefix")
		i.Prefix = &prefix
	}
	if f := s.maybe(n, "OptionalFields"); f != nil {
		s.only(f, "Field")
		i.HasFields = true
		for _, field := range s.all(f, "Field") {
			s.only(field)
			i.Fields = append(i.Fields, strings.TrimSpace(field.Text))
		}
	}
	to := s.one(n, "Destination")
	s.only(to, "S3BucketDestination")
	to = s.one(to, "S3BucketDestination")
	s.only(to, "AccountId", "Bucket", "Format", "Prefix", "Encryption")
	i.Destination = bucket.InventoryDestination{
		Account: s.optional(to, "AccountId"), Bucket: s.word(to, "Bucket"),
		Format: s.word(to, "Format"), Prefix: s.optional(to, "Prefix"),
		Encryption: s.inventoryEncryption(to),
	}
	return i
}

func (s *schema) inventoryEncryption(n *node) *bucket.InventoryEncryption {
	e := s.maybe(n, "Encryption")
	if e == nil {
		return nil
	}
	s.only(e, "SSE-S3", "SSE-KMS")
	if len(e.Children) != 1 {
		s.fail("not one encryption")
		return nil
	}
	kms := s.maybe(e, "SSE-KMS")
	if kms == nil {
		s.only(s.one(e, "SSE-S3"))
		return new(bucket.InventoryEncryption)
	}
	s.only(kms, "KeyId")
	key := s.word(kms, "KeyId")
	if key == "" {
		s.fail("no key")
	}
	return &bucket.InventoryEncryption{Key: key}
}

func writeInventory(x *markup, i *bucket.Inventory) {
	to := &i.Destination
	x.open("Destination")
	x.open("S3BucketDestination")
	x.optional("AccountId", to.Account)
	x.element("Bucket", to.Bucket)
	x.element("Format", to.Format)
	x.optional("Prefix", to.Prefix)
	switch e := to.Encryption; {
	case e == nil:
	case e.Key == "":
		x.buf = append(x.buf, "<Encryption><SSE-S3></SSE-S3></Encryption>"...)
	default:
		x.open("Encryption")
		x.open("SSE-KMS")
		x.element("KeyId", e.Key)
		x.close("SSE-KMS")
		x.close("Encryption")
	}
	x.close("S3BucketDestination")
	x.close("Destination")
	x.flag("IsEnabled", i.Enabled)
	if i.Prefix != nil {
		x.open("Filter")
		x.element("Prefix", *i.Prefix)
		x.close("Filter")
	}
	x.element("Id", i.ID)
	x.element("IncludedObjectVersions", i.Versions)
	if i.HasFields {
		x.open("OptionalFields")
		for _, f := range i.Fields {
			x.element("Field", f)
		}
		x.close("OptionalFields")
	}
	x.open("Schedule")
	x.element("Frequency", i.Frequency)
	x.close("Schedule")
}
