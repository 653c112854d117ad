// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"errors"

	"github.com/cofferstore/coffer/internal/fault"
)

// Inventory is a configuration of S3 Inventory (S3 API Reference, InventoryConfiguration).
type Inventory struct {
	ID          string               `json:"id"`
	Enabled     bool                 `json:"enabled"`
	Destination InventoryDestination `json:"destination"`
	Prefix      *string              `json:"prefix,omitempty"`    // of the keys that are listed; nil: no filter
	Versions    string               `json:"versions"`            // All, Current
	HasFields   bool                 `json:"hasFields,omitempty"` // an empty list was given in so many words
	Fields      []string             `json:"fields,omitempty"`
	Frequency   string               `json:"frequency"` // Daily, Weekly
}

// InventoryDestination says where lists are written to, and how.
type InventoryDestination struct {
	Account    *string              `json:"account,omitempty"`
	Bucket     string               `json:"bucket"` // ARN
	Format     string               `json:"format"`
	Prefix     *string              `json:"prefix,omitempty"`
	Encryption *InventoryEncryption `json:"encryption,omitempty"` // nil: the bucket's default
}

// InventoryEncryption is SSE-KMS under the key, or SSE-S3 if there is none.
type InventoryEncryption struct {
	Key string `json:"key,omitempty"` // ARN
}

const inventoryFields = `Size LastModifiedDate StorageClass ETag IsMultipartUploaded ReplicationStatus EncryptionStatus
	ObjectLockRetainUntilDate ObjectLockMode ObjectLockLegalHoldStatus ObjectLockEventHoldStatus ObjectLockEventHoldDuration
	IntelligentTieringAccessTier BucketKeyStatus ChecksumAlgorithm ObjectAccessControlList ObjectOwner
	LifecycleExpirationDate IntelligentTieringReferenceDate`

// ConfigurationID returns the configuration's id.
func (i Inventory) ConfigurationID() string { return i.ID }

func (Inventory) kind() DocumentKind { return "inventory" }
func (Inventory) action() string     { return "InventoryConfiguration" }
func (Inventory) mismatch() error    { return fault.New(OtherConfiguration, "") }

func (i Inventory) check() error {
	invalid := func(why string) error {
		return fault.New(InvalidConfiguration, "").Because(errors.New(why))
	}
	switch {
	case !oneOf(i.Destination.Format, "CSV ORC Parquet"):
		return invalid("unknown format")
	case !oneOf(i.Versions, "All Current"):
		return invalid("unknown versions")
	case !oneOf(i.Frequency, "Daily Weekly"):
		return invalid("unknown frequency")
	case i.Prefix != nil && len(*i.Prefix) > maxFilterPrefix:
		return invalidValue("Prefix", *i.Prefix, "The maximum size of a prefix is 1024.")
	}
	seen := map[string]bool{}
	for _, f := range i.Fields {
		if !oneOf(f, inventoryFields) || seen[f] {
			return invalid("unknown field, or one twice")
		}
		seen[f] = true
	}
	return destination(i.Destination.Bucket, i.Destination.Account)
}
