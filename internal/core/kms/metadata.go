// SPDX-License-Identifier: Apache-2.0

package kms

import "time"

// KeyMetadata describes a key. Members that no key of Coffer has are left out.
type KeyMetadata struct {
	AWSAccountId             string
	Arn                      string
	CreationDate             time.Time
	CurrentKeyMaterialId     string
	CustomerMasterKeySpec    string
	DeletionDate             *time.Time // while PendingDeletion
	Description              string
	Enabled                  bool
	EncryptionAlgorithms     []string
	ExpirationModel          string // of imported material
	KeyAgreementAlgorithms   []string
	KeyId                    string
	KeyManager               string
	KeySpec                  string
	KeyState                 State
	KeyUsage                 string
	MacAlgorithms            []string
	MultiRegion              bool
	MultiRegionConfiguration *MultiRegionConfiguration
	Origin                   string
	SigningAlgorithms        []string
	ValidTo                  *time.Time // when imported material expires
}

// MultiRegionConfiguration says where a multi-Region key is. Coffer has one Region:
// each is a primary key without replicas.
type MultiRegionConfiguration struct {
	MultiRegionKeyType string
	PrimaryKey         MultiRegionKey
	ReplicaKeys        []MultiRegionKey
}

// MultiRegionKey is a multi-Region key in one Region.
type MultiRegionKey struct{ Arn, Region string }

// Touches returns the key's ARN.
func (m KeyMetadata) Touches() []string { return []string{m.Arn} }

// primaryKey is the MultiRegionKeyType of all multi-Region keys.
const primaryKey = "PRIMARY"

// metadata describes a key.
func (s *Service) metadata(k *key) KeyMetadata {
	m := KeyMetadata{
		AWSAccountId: k.Account, Arn: k.ref().arn(s.region), CreationDate: k.Created,
		CustomerMasterKeySpec: k.Spec, Description: k.Description, Enabled: k.State == Enabled,
		KeyId: k.name(), KeyManager: k.Manager, KeySpec: k.Spec,
		KeyState: k.State, KeyUsage: k.Usage, Origin: k.Origin,
	}
	if k.Spec == SymmetricDefault {
		m.CurrentKeyMaterialId = k.current().ID
	}
	if k.MultiRegion {
		m.MultiRegion = true
		m.MultiRegionConfiguration = &MultiRegionConfiguration{primaryKey, MultiRegionKey{m.Arn, s.region}, []MultiRegionKey{}}
	}
	names := algorithmsOf(k.Spec, k.Usage)
	switch k.Usage {
	case EncryptDecrypt:
		m.EncryptionAlgorithms = names
	case SignVerify:
		m.SigningAlgorithms = names
	case GenerateVerifyMAC:
		m.MacAlgorithms = names
	case KeyAgreement:
		m.KeyAgreementAlgorithms = names
	}
	if now := k.current(); k.external() && now.ID != "" && now.usable(time.Now()) {
		m.ExpirationModel, m.ValidTo = now.expiration()
	}
	if k.Deletion != nil {
		date := k.Deletion.Date
		m.DeletionDate = &date
	}
	return m
}
