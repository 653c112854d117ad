// SPDX-License-Identifier: Apache-2.0

package trails

import "github.com/cofferstore/coffer/internal/fault"

// Kinds of fault, each an exception of CloudTrail's.
const (
	NotFound                 fault.Kind = "trails: no such trail"
	AlreadyExists            fault.Kind = "trails: trail already exists"
	InvalidName              fault.Kind = "trails: invalid trail name"
	InvalidARN               fault.Kind = "trails: invalid trail ARN"
	InvalidHomeRegion        fault.Kind = "trails: not the trail's home region"
	TooMany                  fault.Kind = "trails: too many trails"
	NoSuchBucket             fault.Kind = "trails: the bucket does not exist"
	InvalidBucketName        fault.Kind = "trails: invalid bucket name"
	InvalidPrefix            fault.Kind = "trails: invalid prefix"
	InsufficientBucketPolicy fault.Kind = "trails: the bucket's policy is not sufficient"
	InvalidKey               fault.Kind = "trails: invalid KMS key"
	KeyNotFound              fault.Kind = "trails: no such KMS key"
	KeyDisabled              fault.Kind = "trails: the KMS key is disabled"
	KeyUnusable              fault.Kind = "trails: the KMS key cannot be used"
	InsufficientKeyPolicy    fault.Kind = "trails: the KMS key's policy is not sufficient"
	InvalidCombination       fault.Kind = "trails: invalid combination of parameters"
	InvalidParameter         fault.Kind = "trails: invalid parameter"
	InvalidSelectors         fault.Kind = "trails: invalid event selectors"
	InvalidTag               fault.Kind = "trails: invalid tag"
	TooManyTags              fault.Kind = "trails: too many tags"
	ResourceNotFound         fault.Kind = "trails: no such resource"
	UnsupportedResource      fault.Kind = "trails: resources of this type have no tags"
	InvalidToken             fault.Kind = "trails: invalid token"
	Unsupported              fault.Kind = "trails: not supported"
	OrganizationsNotInUse    fault.Kind = "trails: there are no organizations"
	InvalidLookupAttributes  fault.Kind = "trails: invalid lookup attributes"
	InvalidTimeRange         fault.Kind = "trails: invalid time range"
	InvalidMaxResults        fault.Kind = "trails: invalid number of results"
	InvalidNextToken         fault.Kind = "trails: invalid next token"
	InvalidEventCategory     fault.Kind = "trails: invalid event category"
	Throttled                fault.Kind = "trails: too many requests"
)
