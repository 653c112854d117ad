// SPDX-License-Identifier: Apache-2.0

package trailapi

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/google/go-cmp/cmp"

	"github.com/cofferstore/coffer/internal/core/audit/index"
	"github.com/cofferstore/coffer/internal/core/trails"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/fault/faulttest"
)

// TestEveryKindHasACode reads the kinds that the packages below raise from their
// sources.
func TestEveryKindHasACode(t *testing.T) {
	found := 0
	for _, dir := range []string{
		"../json11", "../pipeline", "../sigv4", "../../core/trails", "../../core/audit", "../../core/audit/index", "../../store/meta",
	} {
		for kind := range faulttest.Declared(t, dir) {
			if kind == index.NoSuchEvent { // of an operation that is the operator's alone
				continue
			}
			found++
			if _, known := codes[kind]; !known {
				t.Errorf("no code for %q", kind)
			}
		}
	}
	if found < 50 {
		t.Errorf("found %d kinds: the sources were not read", found)
	}
}

// TestCodesAreCloudTrails compares what is said of trails with the exceptions that the
// SDK knows.
func TestCodesAreCloudTrails(t *testing.T) {
	for kind, code := range codes {
		if !strings.HasPrefix(string(kind), "trails: ") {
			continue
		}
		if code.Status != 400 || !exceptions[code.Code] {
			t.Errorf("%s is %d %s", kind, code.Status, code.Code)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(faulttest.Declared(t, "../../core/trails"))) {
		if !strings.HasPrefix(string(kind), "trails: ") {
			t.Errorf("a kind of another name: %q", kind)
		}
	}
	if codes[trails.OrganizationsNotInUse].Message == "" || codes[fault.Kind("trails: no such trail")].Message != "" {
		t.Error("texts")
	}
}

// exceptions are some of those of the SDK: the compiler sees that they are its.
var exceptions = func() map[string]bool {
	names := map[string]bool{}
	for _, e := range []interface{ ErrorCode() string }{
		&types.TrailNotFoundException{}, &types.TrailAlreadyExistsException{}, &types.InvalidTrailNameException{}, &types.CloudTrailARNInvalidException{},
		&types.InvalidHomeRegionException{}, &types.MaximumNumberOfTrailsExceededException{}, &types.S3BucketDoesNotExistException{},
		&types.InvalidS3BucketNameException{}, &types.InvalidS3PrefixException{}, &types.InsufficientS3BucketPolicyException{}, &types.InvalidKmsKeyIdException{},
		&types.KmsKeyNotFoundException{}, &types.KmsKeyDisabledException{}, &types.KmsException{}, &types.InsufficientEncryptionPolicyException{},
		&types.InvalidParameterCombinationException{}, &types.InvalidParameterException{}, &types.InvalidEventSelectorsException{},
		&types.InvalidTagParameterException{}, &types.TagsLimitExceededException{}, &types.ResourceNotFoundException{},
		&types.ResourceTypeNotSupportedException{}, &types.InvalidTokenException{}, &types.UnsupportedOperationException{},
		&types.OrganizationsNotInUseException{}, &types.InvalidLookupAttributesException{}, &types.InvalidTimeRangeException{},
		&types.InvalidMaxResultsException{}, &types.InvalidNextTokenException{}, &types.InvalidEventCategoryException{}, &types.ThrottlingException{},
	} {
		names[e.ErrorCode()] = true
	}
	return names
}()

// TestOperationsAreCloudTrails compares the table with the operations that the SDK has,
// and the members of requests and answers with its.
func TestOperationsAreCloudTrails(t *testing.T) {
	var want, got []string
	client := reflect.TypeFor[*sdk.Client]()
	for i := range client.NumMethod() {
		if name := client.Method(i).Name; name != "Options" {
			want = append(want, name)
		}
	}
	for _, op := range (&API{}).ops() {
		got = append(got, op.Name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("operations (-SDK +table):\n%s", diff)
	}
	for _, pair := range []struct{ ours, theirs reflect.Type }{
		{reflect.TypeFor[trails.CreateTrail](), reflect.TypeFor[sdk.CreateTrailInput]()}, {reflect.TypeFor[trails.Saved](), reflect.TypeFor[sdk.CreateTrailOutput]()},
		{reflect.TypeFor[trails.UpdateTrail](), reflect.TypeFor[sdk.UpdateTrailInput]()}, {reflect.TypeFor[trails.NameOnly](), reflect.TypeFor[sdk.DeleteTrailInput]()},
		{reflect.TypeFor[trails.DescribeTrails](), reflect.TypeFor[sdk.DescribeTrailsInput]()}, {reflect.TypeFor[trails.Descriptions](), reflect.TypeFor[sdk.DescribeTrailsOutput]()},
		{reflect.TypeFor[trails.Described](), reflect.TypeFor[sdk.GetTrailOutput]()}, {reflect.TypeFor[trails.TrailList](), reflect.TypeFor[sdk.ListTrailsOutput]()},
		{reflect.TypeFor[trails.Status](), reflect.TypeFor[sdk.GetTrailStatusOutput]()}, {reflect.TypeFor[trails.PutEventSelectors](), reflect.TypeFor[sdk.PutEventSelectorsInput]()},
		{reflect.TypeFor[trails.EventSelectors](), reflect.TypeFor[sdk.GetEventSelectorsOutput]()}, {reflect.TypeFor[trails.LookupEvents](), reflect.TypeFor[sdk.LookupEventsInput]()},
		{reflect.TypeFor[trails.Events](), reflect.TypeFor[sdk.LookupEventsOutput]()}, {reflect.TypeFor[trails.ListPublicKeys](), reflect.TypeFor[sdk.ListPublicKeysInput]()},
		{reflect.TypeFor[trails.PublicKeyList](), reflect.TypeFor[sdk.ListPublicKeysOutput]()}, {reflect.TypeFor[trails.AddTags](), reflect.TypeFor[sdk.AddTagsInput]()},
		{reflect.TypeFor[trails.RemoveTags](), reflect.TypeFor[sdk.RemoveTagsInput]()}, {reflect.TypeFor[trails.ListTags](), reflect.TypeFor[sdk.ListTagsInput]()},
		{reflect.TypeFor[trails.TagLists](), reflect.TypeFor[sdk.ListTagsOutput]()},
	} {
		known(t, pair.ours, pair.theirs)
	}
}

// known checks that each member of a type of ours is one of theirs.
func known(t *testing.T, ours, theirs reflect.Type) {
	for ours.Kind() == reflect.Pointer || ours.Kind() == reflect.Slice {
		ours = ours.Elem()
	}
	for theirs.Kind() == reflect.Pointer || theirs.Kind() == reflect.Slice {
		theirs = theirs.Elem()
	}
	if ours.Kind() != reflect.Struct || ours.PkgPath() == "time" {
		return
	}
	for i := range ours.NumField() {
		f := ours.Field(i)
		if f.Anonymous {
			known(t, f.Type, theirs)
			continue
		}
		their, ok := theirs.FieldByName(f.Name)
		if !ok {
			t.Errorf("the SDK's %s has no member %s", theirs.Name(), f.Name)
			continue
		}
		known(t, f.Type, their.Type)
	}
}
