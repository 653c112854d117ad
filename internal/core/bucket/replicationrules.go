// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/fault"
)

// Bounds of replication.
const (
	maxReplicationRules  = 1000
	maxReplicationRuleID = 255
	replicationMinutes   = 15
)

func malformedRule(why string) error {
	return fault.New(InvalidConfiguration, "").Because(errors.New(why))
}

// FirstVersion reports whether the rules are of the first version of the schema: one rule
// without a filter makes all of them so.
func (r *Replication) FirstVersion() bool {
	return slices.ContainsFunc(r.Rules, func(r ReplicationRule) bool { return r.Filter == nil })
}

// check holds a configuration against what one can be, that a caller of an account puts, for
// a bucket of another one or the same.
func (r *Replication) check(caller, owner string) error {
	if len(r.Rules) == 0 {
		return malformedRule("no rule")
	}
	if len(r.Rules) > maxReplicationRules {
		return fault.New(InvalidReplication, "The number of replication rules must not exceed the allowed limit of %d rules.", maxReplicationRules)
	}
	if err := checkReplicationRole(r.Role, caller, owner); err != nil {
		return err
	}
	second := !r.FirstVersion()
	ids, priorities := map[string]bool{}, map[int]bool{}
	for i := range r.Rules {
		rule := &r.Rules[i]
		if err := rule.check(second); err != nil {
			return err
		}
		if rule.ID != nil && *rule.ID != "" {
			if ids[*rule.ID] {
				return invalidValue("ID", *rule.ID, "Rule Id must be unique")
			}
			ids[*rule.ID] = true
		}
		if rule.Priority != nil {
			if priorities[*rule.Priority] {
				return fault.New(InvalidReplication, "Found duplicate priority %d.", *rule.Priority)
			}
			priorities[*rule.Priority] = true
		}
	}
	return nil
}

func checkReplicationRole(role, caller, owner string) error {
	a, ok := aws.ParseARN(role)
	switch {
	case !ok || a.Partition != "aws" || a.Service != "iam" || a.Region != "" || !aws.ValidAccount(a.Account):
		return invalidValue("Role", role, "Invalid Role specified in replication configuration")
	case !strings.HasPrefix(a.Resource, "role/"):
		return invalidValue("Role", role, "The relative id should start with role")
	case a.Account != caller, a.Account != owner:
		return fault.New(OtherAccount, "")
	}
	return nil
}

const schemaText = " for this version of Cross Region Replication configuration schema. Please refer to S3 Developer Guide for more information."

// check holds a rule against the version of the schema that it is of.
func (r *ReplicationRule) check(second bool) error {
	switch {
	case !oneOf(r.Status, "Enabled Disabled"), r.Existing,
		r.DeleteMarkers != "" && !oneOf(r.DeleteMarkers, "Enabled Disabled"),
		r.KMSObjects != "" && !oneOf(r.KMSObjects, "Enabled Disabled"),
		r.Modifications != "" && !oneOf(r.Modifications, "Enabled Disabled"),
		second && r.Prefix != nil, !second && r.Filter != nil && r.Prefix != nil, !second && r.Filter == nil && r.Prefix == nil:
		return malformedRule("a rule with an unknown status, or with a prefix in the wrong place")
	}
	if r.ID != nil {
		if len(*r.ID) > maxReplicationRuleID {
			return invalidValue("ID", *r.ID, "Rule Id cannot be greater than 255")
		}
		if strings.ContainsFunc(*r.ID, func(c rune) bool { return c > '~' }) {
			return invalidValue("ID", *r.ID, "Rule Id must be ASCII")
		}
	}
	for _, f := range []struct {
		name  string
		given bool
	}{{"Priority", r.Priority != nil}, {"DeleteMarkerReplication", r.DeleteMarkers != ""}} {
		if second && !f.given {
			return fault.New(InvalidReplication, "%s must be specified%s", f.name, schemaText)
		}
		if !second && f.given {
			return fault.New(InvalidReplication, "%s cannot be used%s", f.name, schemaText)
		}
	}
	if r.Priority != nil && (*r.Priority < 0 || *r.Priority > math.MaxInt32) {
		return fault.New(InvalidReplication, "Priority must be between 0 and %d.", math.MaxInt32)
	}
	if err := r.checkFilter(); err != nil {
		return err
	}
	if r.Criteria && r.KMSObjects == "" && r.Modifications == "" {
		return fault.New(InvalidReplication, "SourceSelectionCriteria cannot be empty.")
	}
	if !second && r.Modifications != "" {
		return fault.New(InvalidReplication, "ReplicaModifications cannot be used%s", schemaText)
	}
	key := r.Destination.KMSKey
	if key != nil && r.KMSObjects == "" {
		return fault.New(InvalidReplication, "SseKmsEncryptedObjects must be specified if EncryptionConfiguration is present.")
	}
	if r.KMSObjects != "" && (key == nil || *key == "") {
		return fault.New(InvalidReplication, "ReplicaKmsKeyID must be specified if SseKmsEncryptedObjects tag is present.")
	}
	return r.Destination.check()
}

func (r *ReplicationRule) checkFilter() error {
	f := r.Filter
	if f == nil || !f.And && f.Prefix == nil && len(f.Tags) == 0 {
		if r.Prefix != nil && len(*r.Prefix) > maxFilterPrefix {
			return invalidValue("Prefix", *r.Prefix, "The maximum size of a prefix is 1024.")
		}
		return nil
	}
	seen := map[string]bool{}
	for _, t := range f.Tags {
		if seen[t.Key] {
			return fault.New(InvalidReplication, "Duplicate Tag Keys are not allowed.")
		}
		seen[t.Key] = true
	}
	if r.DeleteMarkers == Enabled && len(f.Tags) > 0 {
		return fault.New(InvalidReplication, "Delete marker replication is not supported if any Tag filter is specified. Please refer to S3 Developer Guide for more information.")
	}
	return f.check()
}

// replicaClasses are the storage classes that replicas may have: those that objects can have
// here, of S3's.
const replicaClasses = "STANDARD REDUCED_REDUNDANCY STANDARD_IA ONEZONE_IA INTELLIGENT_TIERING GLACIER DEEP_ARCHIVE GLACIER_IR"

func (d *ReplicationDestination) check() error {
	a, ok := aws.ParseARN(d.Bucket)
	switch {
	case !ok || a.Partition != "aws" || a.Service != "s3" || a.Region != "" || a.Account != "":
		return invalidValue("Bucket", d.Bucket, "Invalid bucket ARN")
	case !aws.ValidBucketName(a.Resource):
		return invalidValue("Bucket", d.Bucket, "The specified bucket is not valid.")
	case d.StorageClass != nil && !oneOf(*d.StorageClass, replicaClasses), d.Owner != "" && d.Owner != "Destination":
		return malformedRule("unknown storage class or owner")
	case d.Owner != "" && d.Account == nil:
		return fault.New(InvalidReplication, "Account must be specified if the Owner in AccessControlTranslation has a value")
	case d.Account != nil && !aws.ValidAccount(*d.Account):
		return invalidValue("Account", *d.Account, "Invalid account ID.")
	}
	if d.KMSKey != nil {
		if k, ok := aws.ParseARN(*d.KMSKey); !ok || k.Partition != "aws" || k.Service != "kms" || !strings.HasPrefix(k.Resource, "key/") && !strings.HasPrefix(k.Resource, "alias/") {
			return invalidValue("ReplicaKmsKeyID", *d.KMSKey, "Invalid ReplicaKmsKeyID ARN.")
		}
	}
	return checkReplicationTime(d.Time, d.Metrics)
}

// checkReplicationTime decides whether replication time control and its metrics go together.
func checkReplicationTime(rtc, metrics *ReplicationTime) error {
	for _, t := range []*ReplicationTime{rtc, metrics} {
		if t != nil && !oneOf(t.Status, "Enabled Disabled") {
			return malformedRule("unknown status")
		}
	}
	minutes := func(t *ReplicationTime) string {
		if t.Minutes == nil {
			return ""
		}
		return strconv.Itoa(*t.Minutes)
	}
	if rtc != nil {
		switch {
		case metrics == nil:
			return fault.New(InvalidReplication, "Replication destination must contain both ReplicationTime and Metrics or neither.")
		case rtc.Minutes == nil:
			return malformedRule("no minutes")
		case *rtc.Minutes != replicationMinutes:
			return invalidValue("ReplicationTime", minutes(rtc), "Invalid time minute value")
		case rtc.Status != metrics.Status:
			return fault.New(InvalidReplication, "ReplicationTime and Metrics must have the same status.")
		case rtc.Status == Enabled && metrics.Minutes == nil:
			return invalidValue("ReplicationMetrics", "", "ReplicationMetrics must contain an event threshold")
		}
	}
	if metrics == nil || metrics.Minutes == nil {
		return nil
	}
	if rtc == nil || rtc.Status != Enabled {
		return invalidValue("Metrics", minutes(metrics), "Metrics cannot contain an event threshold when ReplicationTime is not specified or Disabled")
	}
	if *metrics.Minutes != replicationMinutes {
		return invalidValue("ReplicationMetrics", minutes(metrics), "Invalid event threshold minute value")
	}
	return nil
}
