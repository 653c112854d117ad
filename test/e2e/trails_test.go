// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/cofferstore/coffer/test/coffertest"
)

// trailBucket makes a bucket that trails of the person's account may deliver to, below a
// prefix, which ends with a slash unless it is empty.
func (p *person) trailBucket(bucket, prefix string) {
	p.s.T.Helper()
	do(p.s.T, p.S3.CreateBucket, &s3.CreateBucketInput{Bucket: &bucket})
	p.bucketPolicy(bucket, forTrails(p.Account, bucket, prefix))
}

// forTrails is what CloudTrail's User Guide has a bucket's owner allow.
func forTrails(account, bucket, prefix string) string {
	const service = `"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"}`
	source := `"aws:SourceArn":"arn:aws:cloudtrail:us-east-1:` + account + `:trail/main"`
	return `{` + service + `,"Action":"s3:GetBucketAcl","Resource":"arn:aws:s3:::` + bucket + `","Condition":{"StringEquals":{` + source + `}}},` +
		`{` + service + `,"Action":"s3:PutObject","Resource":"arn:aws:s3:::` + bucket + `/` + prefix + `AWSLogs/` + account + `/*",` +
		`"Condition":{"StringEquals":{"s3:x-amz-acl":"bucket-owner-full-control",` + source + `}}}`
}

// testTrails leads a trail through its life.
func testTrails(t *testing.T, s *coffertest.Server) {
	p := accountOf(s, "000000000301")
	p.trailBucket("trails-life", "")
	do(t, p.S3.CreateBucket, &s3.CreateBucketInput{Bucket: aws.String("trails-life-2")})
	p.bucketPolicy("trails-life-2", forTrails(p.Account, "trails-life-2", "logs/"))
	arn := "arn:aws:cloudtrail:us-east-1:" + p.Account + ":trail/main"
	name := aws.String("main")

	made := do(t, p.Trails.CreateTrail, &cloudtrail.CreateTrailInput{
		Name: name, S3BucketName: aws.String("trails-life"), TagsList: []types.Tag{{Key: aws.String("team"), Value: aws.String("a")}},
	})
	if *made.TrailARN != arn || *made.Name != "main" || *made.S3BucketName != "trails-life" || made.S3KeyPrefix != nil || made.KmsKeyId != nil ||
		!*made.IncludeGlobalServiceEvents || *made.IsMultiRegionTrail || *made.LogFileValidationEnabled || *made.IsOrganizationTrail {
		t.Errorf("made %+v", made)
	}
	fails(t, p.Trails.CreateTrail, &cloudtrail.CreateTrailInput{Name: name, S3BucketName: aws.String("trails-life")},
		400, "TrailAlreadyExistsException", "Trail main already exists for customer: "+p.Account)

	status := do(t, p.Trails.GetTrailStatus, &cloudtrail.GetTrailStatusInput{Name: name})
	if *status.IsLogging || status.StartLoggingTime != nil || status.LatestDeliveryTime != nil || *status.TimeLoggingStarted != "" || *status.LatestDeliveryAttemptTime != "" {
		t.Errorf("a new trail: %+v", status)
	}
	began := time.Now().Add(-time.Second)
	do(t, p.Trails.StartLogging, &cloudtrail.StartLoggingInput{Name: &arn})
	do(t, p.Trails.StartLogging, &cloudtrail.StartLoggingInput{Name: name}) // once more is no error
	status = do(t, p.Trails.GetTrailStatus, &cloudtrail.GetTrailStatusInput{Name: &arn})
	if !*status.IsLogging || status.StartLoggingTime.Before(began) || status.StopLoggingTime != nil || *status.TimeLoggingStarted != status.StartLoggingTime.UTC().Format(time.RFC3339) {
		t.Errorf("a trail that logs: %+v", status)
	}
	do(t, p.Trails.StopLogging, &cloudtrail.StopLoggingInput{Name: name})
	status = do(t, p.Trails.GetTrailStatus, &cloudtrail.GetTrailStatusInput{Name: name})
	if *status.IsLogging || status.StopLoggingTime.Before(began) || *status.TimeLoggingStopped == "" {
		t.Errorf("a trail that was stopped: %+v", status)
	}

	key := *do(t, p.KMS.CreateKey, &kms.CreateKeyInput{Policy: aws.String(document(
		`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + p.Account + `:root"},"Action":"kms:*","Resource":"*"},` +
			`{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"kms:GenerateDataKey*","Resource":"*","Condition":{` +
			`"StringEquals":{"aws:SourceArn":"` + arn + `"},"StringLike":{"kms:EncryptionContext:aws:cloudtrail:arn":"arn:aws:cloudtrail:*:` + p.Account + `:trail/*"}}}`))}).KeyMetadata.Arn
	do(t, p.KMS.CreateAlias, &kms.CreateAliasInput{AliasName: aws.String("alias/logs"), TargetKeyId: &key})
	changed := do(t, p.Trails.UpdateTrail, &cloudtrail.UpdateTrailInput{
		Name: name, S3BucketName: aws.String("trails-life-2"), S3KeyPrefix: aws.String("logs"), KmsKeyId: aws.String("alias/logs"),
		EnableLogFileValidation: aws.Bool(true), IsMultiRegionTrail: aws.Bool(true),
	})
	if *changed.S3BucketName != "trails-life-2" || *changed.S3KeyPrefix != "logs" || *changed.KmsKeyId != key || !*changed.LogFileValidationEnabled || !*changed.IsMultiRegionTrail {
		t.Errorf("changed to %+v", changed)
	}
	got := do(t, p.Trails.GetTrail, &cloudtrail.GetTrailInput{Name: name}).Trail
	if *got.TrailARN != arn || *got.HomeRegion != "us-east-1" || *got.HasCustomEventSelectors || *got.HasInsightSelectors || *got.KmsKeyId != key || *got.S3KeyPrefix != "logs" {
		t.Errorf("got %+v", got)
	}
	for _, names := range [][]string{nil, {"main"}, {arn}, {"main", "another", "arn:aws:cloudtrail:eu-west-1:" + p.Account + ":trail/main"}} {
		list := do(t, p.Trails.DescribeTrails, &cloudtrail.DescribeTrailsInput{TrailNameList: names, IncludeShadowTrails: aws.Bool(false)}).TrailList
		if len(list) != 1 || *list[0].TrailARN != arn {
			t.Errorf("%v describes %+v", names, list)
		}
	}
	if list := do(t, p.Trails.DescribeTrails, &cloudtrail.DescribeTrailsInput{TrailNameList: []string{"another"}}).TrailList; len(list) != 0 {
		t.Errorf("describes %+v", list)
	}
	list := do(t, p.Trails.ListTrails, &cloudtrail.ListTrailsInput{}).Trails
	if len(list) != 1 || *list[0].TrailARN != arn || *list[0].Name != "main" || *list[0].HomeRegion != "us-east-1" {
		t.Errorf("lists %+v", list)
	}

	do(t, p.Trails.AddTags, &cloudtrail.AddTagsInput{ResourceId: &arn, TagsList: []types.Tag{{Key: aws.String("team"), Value: aws.String("b")}, {Key: aws.String("bare")}}})
	do(t, p.Trails.RemoveTags, &cloudtrail.RemoveTagsInput{ResourceId: &arn, TagsList: []types.Tag{{Key: aws.String("bare")}, {Key: aws.String("none")}}})
	tags := do(t, p.Trails.ListTags, &cloudtrail.ListTagsInput{ResourceIdList: []string{arn}}).ResourceTagList
	if len(tags) != 1 || *tags[0].ResourceId != arn || len(tags[0].TagsList) != 1 || *tags[0].TagsList[0].Key != "team" || *tags[0].TagsList[0].Value != "b" {
		t.Errorf("tags %+v", tags)
	}
	if keys := do(t, p.Trails.ListPublicKeys, &cloudtrail.ListPublicKeysInput{}); len(keys.PublicKeyList) != 1 {
		t.Errorf("no list of public keys: %+v", keys)
	}

	do(t, p.Trails.DeleteTrail, &cloudtrail.DeleteTrailInput{Name: name})
	fails(t, p.Trails.GetTrail, &cloudtrail.GetTrailInput{Name: name}, 400, "TrailNotFoundException", "Unknown trail: "+arn+" for the user: "+p.Account)

	var records []flat
	for _, r := range trail(s) {
		if r["recipientAccountId"] == p.Account && r["eventSource"] == "cloudtrail.amazonaws.com" {
			records = append(records, r)
		}
	}
	first, last := records[0], records[len(records)-2]
	for path, want := range map[string]string{
		"eventName": "CreateTrail", "requestParameters.name": "main", "requestParameters.s3BucketName": "trails-life",
		"requestParameters.tagsList.0.key": "team", "responseElements.trailARN": arn, "responseElements.isOrganizationTrail": "false",
		"responseElements.logFileValidationEnabled": "false", "responseElements.includeGlobalServiceEvents": "true",
		"readOnly": "false", "managementEvent": "true", "eventCategory": "Management",
	} {
		if first[path] != want {
			t.Errorf("the first record has %s %q, want %q", path, first[path], want)
		}
	}
	if last["eventName"] != "DeleteTrail" || last["requestParameters.name"] != "main" || last["responseElements"] != "<nil>" {
		t.Errorf("the record of the deletion: %v", last)
	}
}

// testEventSelectors sets selectors of both kinds.
func testEventSelectors(t *testing.T, s *coffertest.Server) {
	p := accountOf(s, "000000000302")
	p.trailBucket("trails-selectors", "")
	name := aws.String("main")
	do(t, p.Trails.CreateTrail, &cloudtrail.CreateTrailInput{Name: name, S3BucketName: aws.String("trails-selectors")})
	get := func() *cloudtrail.GetEventSelectorsOutput {
		return do(t, p.Trails.GetEventSelectors, &cloudtrail.GetEventSelectorsInput{TrailName: name})
	}
	if e := get().EventSelectors; len(e) != 1 || e[0].ReadWriteType != types.ReadWriteTypeAll || !*e[0].IncludeManagementEvents || len(e[0].DataResources) != 0 {
		t.Errorf("a new trail has %+v", e)
	}
	do(t, p.Trails.PutEventSelectors, &cloudtrail.PutEventSelectorsInput{TrailName: name, EventSelectors: []types.EventSelector{{
		ReadWriteType: types.ReadWriteTypeWriteOnly, ExcludeManagementEventSources: []string{"kms.amazonaws.com"},
		DataResources: []types.DataResource{{Type: aws.String("AWS::S3::Object"), Values: []string{"arn:aws:s3:::trails-data/"}}},
	}}})
	if e := get(); len(e.EventSelectors) != 1 || len(e.AdvancedEventSelectors) != 0 || e.EventSelectors[0].DataResources[0].Values[0] != "arn:aws:s3:::trails-data/" ||
		e.EventSelectors[0].ExcludeManagementEventSources[0] != "kms.amazonaws.com" || !*e.EventSelectors[0].IncludeManagementEvents {
		t.Errorf("basic selectors: %+v", e)
	}
	put := do(t, p.Trails.PutEventSelectors, &cloudtrail.PutEventSelectorsInput{TrailName: name, AdvancedEventSelectors: []types.AdvancedEventSelector{{
		Name: aws.String("writes"), FieldSelectors: []types.AdvancedFieldSelector{
			{Field: aws.String("eventCategory"), Equals: []string{"Data"}}, {Field: aws.String("resources.type"), Equals: []string{"AWS::S3::Object"}},
			{Field: aws.String("readOnly"), Equals: []string{"false"}}, {Field: aws.String("resources.ARN"), NotStartsWith: []string{"arn:aws:s3:::private/"}},
		},
	}}})
	if len(put.EventSelectors) != 0 || len(put.AdvancedEventSelectors) != 1 || *put.AdvancedEventSelectors[0].Name != "writes" || len(put.AdvancedEventSelectors[0].FieldSelectors) != 4 {
		t.Errorf("advanced selectors: %+v", put)
	}
	if e := get(); len(e.EventSelectors) != 0 || len(e.AdvancedEventSelectors) != 1 {
		t.Errorf("advanced selectors: %+v", e)
	}
	if got := do(t, p.Trails.GetTrail, &cloudtrail.GetTrailInput{Name: name}).Trail; !*got.HasCustomEventSelectors {
		t.Errorf("no custom selectors: %+v", got)
	}
}

// testTrailsThatAreRefused: each with the name, and the text, that clients of CloudTrail
// look for.
func testTrailsThatAreRefused(t *testing.T, s *coffertest.Server) {
	p := accountOf(s, "000000000303")
	p.trailBucket("trails-refused", "")
	do(t, p.S3.CreateBucket, &s3.CreateBucketInput{Bucket: aws.String("trails-closed")})
	do(t, p.Trails.CreateTrail, &cloudtrail.CreateTrailInput{Name: aws.String("main"), S3BucketName: aws.String("trails-refused")})
	prefix := "arn:aws:cloudtrail:us-east-1:" + p.Account + ":"
	arn := prefix + "trail/main"
	newKey := func(edit func(id *string)) string {
		k := do(t, p.KMS.CreateKey, &kms.CreateKeyInput{}).KeyMetadata
		if edit != nil {
			edit(k.KeyId)
		}
		return *k.KeyId
	}
	closed := newKey(nil)
	disabled := newKey(func(id *string) { do(t, p.KMS.DisableKey, &kms.DisableKeyInput{KeyId: id}) })
	doomed := newKey(func(id *string) { do(t, p.KMS.ScheduleKeyDeletion, &kms.ScheduleKeyDeletionInput{KeyId: id}) })
	signs := *do(t, p.KMS.CreateKey, &kms.CreateKeyInput{KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY"}).KeyMetadata.KeyId

	create := func(members string) string { return `{"Name":"main","S3BucketName":"trails-refused",` + members + `}` }
	named := func(name string) string { return `{"Name":"` + name + `","S3BucketName":"trails-refused"}` }
	update := func(members string) string { return `{"Name":"main",` + members + `}` }
	basic := func(members string) string { return `{"TrailName":"main","EventSelectors":[{` + members + `}]}` }
	advanced := func(fields string) string {
		return `{"TrailName":"main","AdvancedEventSelectors":[{"FieldSelectors":[` + fields + `]}]}`
	}
	const data = `{"Field":"eventCategory","Equals":["Data"]},{"Field":"resources.type","Equals":["AWS::S3::Object"]},`
	const management = `{"Field":"eventCategory","Equals":["Management"]},`
	values := func(n int) string { return strings.TrimSuffix(strings.Repeat(`"arn:aws:s3:::b/",`, n), ",") }
	lookup := func(key, value string) string {
		return `{"LookupAttributes":[{"AttributeKey":"` + key + `","AttributeValue":"` + value + `"}]}`
	}
	tag := func(key, value string) string {
		return `{"ResourceId":"` + arn + `","TagsList":[{"Key":"` + key + `","Value":"` + value + `"}]}`
	}
	var many []string
	for i := range 51 {
		many = append(many, fmt.Sprintf(`{"Key":"k%d"}`, i))
	}
	for _, c := range []struct{ operation, body, code, text string }{
		{"CreateTrail", `{}`, "InvalidTrailNameException", "Trail name cannot be blank."},
		{"CreateTrail", named("ab"), "InvalidTrailNameException", "Trail name too short. Minimum allowed length: 3 characters. Specified name length: 2 characters."},
		{"CreateTrail", named(strings.Repeat("a", 129)), "InvalidTrailNameException", "Trail name too long. Maximum allowed length: 128 characters. Specified name length: 129 characters."},
		{"CreateTrail", named("a b"), "InvalidTrailNameException", "can only contain"},
		{"CreateTrail", named("-abc"), "InvalidTrailNameException", "Trail name must starts with a letter or number."},
		{"CreateTrail", named("abc."), "InvalidTrailNameException", "Trail name must ends with a letter or number."},
		{"CreateTrail", named("my-_trail"), "InvalidTrailNameException", "adjacent"},
		{"CreateTrail", named("192.168.5.4"), "InvalidTrailNameException", "IP address"},
		{"CreateTrail", named("main"), "TrailAlreadyExistsException", "Trail main already exists for customer: " + p.Account},
		{"CreateTrail", `{"Name":"fresh"}`, "InvalidS3BucketNameException", "blank"},
		{"CreateTrail", `{"Name":"fresh","S3BucketName":"No_Bucket"}`, "InvalidS3BucketNameException", "No_Bucket"},
		{"CreateTrail", `{"Name":"fresh","S3BucketName":"trails-nowhere"}`, "S3BucketDoesNotExistException", "S3 bucket trails-nowhere does not exist!"},
		{"CreateTrail", `{"Name":"fresh","S3BucketName":"trails-closed"}`, "InsufficientS3BucketPolicyException", "Incorrect S3 bucket policy is detected for bucket: trails-closed"},
		// The policy names the trail that it is for.
		{"CreateTrail", `{"Name":"fresh","S3BucketName":"trails-refused"}`, "InsufficientS3BucketPolicyException", "trails-refused"},
		{"CreateTrail", `{"Name":"fresh","S3BucketName":"trails-refused","TagsList":[{"Key":"a"},{"Key":"a"}]}`, "InvalidTagParameterException", "Duplicate"},
		{"CreateTrail", create(`"Name":7`), "SerializationException", "Name is not a string."},
		{"CreateTrail", create(`"IsMultiRegionTrail":"yes"`), "SerializationException", "IsMultiRegionTrail is neither true nor false."},
		{"UpdateTrail", update(`"S3KeyPrefix":"` + strings.Repeat("p", 201) + `"`), "InvalidS3PrefixException", "200"},
		{"UpdateTrail", update(`"S3KeyPrefix":"/p"`), "InvalidS3PrefixException", "slash"},
		{"UpdateTrail", update(`"S3KeyPrefix":"p\n"`), "InvalidS3PrefixException", "character"},
		{"UpdateTrail", update(`"S3KeyPrefix":"other"`), "InsufficientS3BucketPolicyException", "trails-refused"},
		{"UpdateTrail", update(`"IsMultiRegionTrail":true,"IncludeGlobalServiceEvents":false`), "InvalidParameterCombinationException", "Multi-Region trail must include global service events."},
		{"UpdateTrail", update(`"SnsTopicName":"topic"`), "UnsupportedOperationException", "SNS"},
		{"UpdateTrail", update(`"CloudWatchLogsRoleArn":"role"`), "UnsupportedOperationException", "CloudWatch"},
		{"UpdateTrail", update(`"IsOrganizationTrail":true`), "OrganizationsNotInUseException", "no organizations"},
		{"UpdateTrail", update(`"KmsKeyId":"nonsense"`), "InvalidKmsKeyIdException", "nonsense"},
		{"UpdateTrail", update(`"KmsKeyId":"arn:aws:s3:::bucket"`), "InvalidKmsKeyIdException", "arn:aws:s3:::bucket"},
		{"UpdateTrail", update(`"KmsKeyId":"` + signs + `"`), "InvalidKmsKeyIdException", signs},
		{"UpdateTrail", update(`"KmsKeyId":"alias/none"`), "KmsKeyNotFoundException", "alias/none"},
		{"UpdateTrail", update(`"KmsKeyId":"11111111-2222-3333-4444-555555555555"`), "KmsKeyNotFoundException", "11111111"},
		{"UpdateTrail", update(`"KmsKeyId":"` + disabled + `"`), "KmsKeyDisabledException", disabled},
		{"UpdateTrail", update(`"KmsKeyId":"` + doomed + `"`), "KmsException", doomed},
		{"UpdateTrail", update(`"KmsKeyId":"` + closed + `"`), "InsufficientEncryptionPolicyException", "Insufficient permissions to access S3 bucket trails-refused or KMS key"},
		{"UpdateTrail", `{"Name":"fresh"}`, "TrailNotFoundException", "Unknown trail: " + prefix + "trail/fresh for the user: " + p.Account},
		{"UpdateTrail", `{"Name":"arn:aws:cloudtrail:eu-west-1:` + p.Account + `:trail/main"}`, "InvalidHomeRegionException", "eu-west-1"},
		{"DeleteTrail", `{"Name":"arn:aws:cloudtrail:us-east-1:` + p.Account + `:channel/main"}`, "CloudTrailARNInvalidException", "channel/main"},
		{"DeleteTrail", `{"Name":"arn:aws:s3:::b"}`, "CloudTrailARNInvalidException", "arn:aws:s3:::b"},
		{"DeleteTrail", `{"Name":"fresh"}`, "TrailNotFoundException", "fresh"},
		{"StartLogging", `{"Name":"fresh"}`, "TrailNotFoundException", "fresh"},
		{"StopLogging", `{"Name":"f"}`, "InvalidTrailNameException", "too short"},
		{"GetTrail", `{"Name":"fresh"}`, "TrailNotFoundException", "fresh"},
		{"GetTrail", `{"Name":"arn:aws:cloudtrail:eu-west-1:` + p.Account + `:trail/main"}`, "TrailNotFoundException", "eu-west-1"},
		{"GetTrail", `{"Name":"arn:aws:cloudtrail:us-east-1:` + coffertest.Account + `:trail/main"}`, "AccessDeniedException", "is not authorized to perform: cloudtrail:GetTrail on resource: arn:aws:cloudtrail:us-east-1:" + coffertest.Account + ":trail/main"},
		{"GetTrailStatus", `{"Name":"fresh"}`, "TrailNotFoundException", "fresh"},
		{"DescribeTrails", `{"trailNameList":["a"]}`, "InvalidTrailNameException", "too short"},
		{"ListTrails", `{"NextToken":"x"}`, "InvalidNextTokenException", "Invalid token."},
		{"GetEventSelectors", `{"TrailName":"fresh"}`, "TrailNotFoundException", "fresh"},

		{"PutEventSelectors", `{"TrailName":"main"}`, "InvalidEventSelectorsException", "1 to 5"},
		{"PutEventSelectors", `{"TrailName":"main","EventSelectors":[]}`, "InvalidEventSelectorsException", "1 to 5"},
		{"PutEventSelectors", `{"TrailName":"main","EventSelectors":[{},{},{},{},{},{}]}`, "InvalidEventSelectorsException", "1 to 5"},
		{"PutEventSelectors", `{"TrailName":"main","EventSelectors":[{}],"AdvancedEventSelectors":[{}]}`, "InvalidEventSelectorsException", "not both"},
		{"PutEventSelectors", basic(`"ReadWriteType":"read-only"`), "InvalidEventSelectorsException", "Value read-only for ReadWriteType is invalid."},
		{"PutEventSelectors", basic(`"ExcludeManagementEventSources":["s3.amazonaws.com"]`), "InvalidEventSelectorsException", "s3.amazonaws.com"},
		{"PutEventSelectors", basic(`"DataResources":[{"Type":"AWS::S3::Bucket","Values":["arn:aws:s3"]}]`), "InvalidEventSelectorsException", "Value AWS::S3::Bucket for DataResources.Type is invalid."},
		{"PutEventSelectors", basic(`"DataResources":[{"Type":"AWS::S3::Object","Values":["arn:aws:s3:::bucket"]}]`), "InvalidEventSelectorsException", "Value arn:aws:s3:::bucket for DataResources.Values is invalid."},
		{"PutEventSelectors", basic(`"DataResources":[{"Type":"AWS::S3::Object","Values":["*"]}]`), "InvalidEventSelectorsException", "Value * for DataResources.Values is invalid."},
		{"PutEventSelectors", basic(`"DataResources":[{"Type":"AWS::S3::Object"}]`), "InvalidEventSelectorsException", "empty"},
		{"PutEventSelectors", basic(`"DataResources":[{"Type":"AWS::S3::Object","Values":[` + values(251) + `]}]`), "InvalidEventSelectorsException", "250"},
		{"PutEventSelectors", advanced(`{"Field":"readOnly","Equals":["true"]}`), "InvalidEventSelectorsException", "eventCategory"},
		{"PutEventSelectors", advanced(`{"Field":"eventCategory","Equals":["Insight"]}`), "InvalidEventSelectorsException", "eventCategory"},
		{"PutEventSelectors", advanced(`{"Field":"eventCategory","Equals":["Data"]}`), "InvalidEventSelectorsException", "resources.type"},
		{"PutEventSelectors", advanced(data + `{"Field":"resources.name","Equals":["a"]}`), "InvalidEventSelectorsException", "Field resources.name is not valid."},
		{"PutEventSelectors", advanced(data + `{"Field":"eventSource","NotEquals":["kms.amazonaws.com"]}`), "InvalidEventSelectorsException", "eventSource"},
		{"PutEventSelectors", advanced(management + `{"Field":"eventSource","Equals":["kms.amazonaws.com"]}`), "InvalidEventSelectorsException", "Operator Equals is not valid for field eventSource."},
		{"PutEventSelectors", advanced(management + `{"Field":"resources.ARN","Equals":["a"]}`), "InvalidEventSelectorsException", "resources.ARN"},
		{"PutEventSelectors", advanced(management + `{"Field":"readOnly","Equals":["maybe"]}`), "InvalidEventSelectorsException", "Value maybe for field readOnly is invalid."},
		{"PutEventSelectors", advanced(management + `{"Field":"readOnly","Equals":["true","false"]}`), "InvalidEventSelectorsException", "one value"},
		{"PutEventSelectors", advanced(management + `{"Field":"eventName"}`), "InvalidEventSelectorsException", "no operator"},
		{"PutEventSelectors", advanced(management + `{"Field":"eventName","Equals":[]}`), "InvalidEventSelectorsException", "no values"},
		{"PutEventSelectors", advanced(management + `{"Field":"eventName","Equals":["a"]},{"Field":"eventName","Equals":["b"]}`), "InvalidEventSelectorsException", "more than once"},
		{"PutEventSelectors", advanced(data + `{"Field":"resources.ARN","StartsWith":[` + values(499) + `]}`), "InvalidEventSelectorsException", "500"},
		{"PutEventSelectors", `{"TrailName":"fresh","EventSelectors":[{}]}`, "TrailNotFoundException", "fresh"},

		{"AddTags", tag("aws:x", "v"), "InvalidTagParameterException", "reserved"},
		{"AddTags", tag("", "v"), "InvalidTagParameterException", "blank"},
		{"AddTags", tag(strings.Repeat("k", 129), "v"), "InvalidTagParameterException", "128"},
		{"AddTags", tag("k", strings.Repeat("v", 257)), "InvalidTagParameterException", "256"},
		{"AddTags", tag("k!", "v"), "InvalidTagParameterException", "not valid"},
		{"AddTags", `{"ResourceId":"` + arn + `"}`, "InvalidTagParameterException", "empty"},
		{"AddTags", `{"ResourceId":"` + arn + `","TagsList":[` + strings.Join(many, ",") + `]}`, "TagsLimitExceededException", "50"},
		{"AddTags", `{"ResourceId":"main","TagsList":[{"Key":"k"}]}`, "CloudTrailARNInvalidException", "main"},
		{"AddTags", `{"ResourceId":"` + prefix + `trail/fresh","TagsList":[{"Key":"k"}]}`, "ResourceNotFoundException", "fresh"},
		{"RemoveTags", `{"ResourceId":"` + prefix + `channel/01234567890","TagsList":[{"Key":"k"}]}`, "ResourceTypeNotSupportedException", "channel"},
		{"ListTags", `{"ResourceIdList":["` + prefix + `trail/fresh"]}`, "ResourceNotFoundException", "fresh"},
		{"ListTags", `{}`, "CloudTrailARNInvalidException", "empty"},
		{"ListTags", `{"ResourceIdList":["` + arn + `"],"NextToken":"x"}`, "InvalidTokenException", "Invalid token."},
		{"ListPublicKeys", `{"NextToken":"x"}`, "InvalidTokenException", "Invalid token."},
		{"ListPublicKeys", `{"StartTime":1700000001,"EndTime":1700000000}`, "InvalidTimeRangeException", "start time"},
		{"ListPublicKeys", `{"StartTime":"now"}`, "SerializationException", "StartTime is not a timestamp."},

		{"LookupEvents", `{"LookupAttributes":[{"AttributeKey":"EventName","AttributeValue":"a"},{"AttributeKey":"EventName","AttributeValue":"b"}]}`, "InvalidLookupAttributesException", "one"},
		{"LookupEvents", lookup("Region", "us-east-1"), "InvalidLookupAttributesException", "Region"},
		{"LookupEvents", lookup("EventName", ""), "InvalidLookupAttributesException", "2000"},
		{"LookupEvents", lookup("EventName", strings.Repeat("x", 2001)), "InvalidLookupAttributesException", "2000"},
		{"LookupEvents", lookup("ReadOnly", "yes"), "InvalidLookupAttributesException", "true or false"},
		{"LookupEvents", `{"StartTime":1700000001,"EndTime":1700000000}`, "InvalidTimeRangeException", "start time"},
		{"LookupEvents", `{"MaxResults":0}`, "InvalidMaxResultsException", "50"},
		{"LookupEvents", `{"MaxResults":51}`, "InvalidMaxResultsException", "50"},
		{"LookupEvents", `{"EventCategory":"data"}`, "InvalidEventCategoryException", "data"},
		{"LookupEvents", `{"NextToken":""}`, "InvalidNextTokenException", "Invalid token."},

		{"FrobnicateTrail", `{}`, "UnknownOperationException", ""},
		{"GetTrail", `[]`, "SerializationException", "not a JSON object"},
	} {
		as := func(r *request) { r.key, r.secret = p.Keys.AccessKeyID, p.Keys.SecretAccessKey }
		trailCall(s, c.operation, c.body, as).refused(t, c.operation+" "+c.body[:min(len(c.body), 100)], 400, c.code, c.text)
	}
	if e := do(t, p.Trails.GetEventSelectors, &cloudtrail.GetEventSelectorsInput{TrailName: &arn}).EventSelectors; len(e) != 1 || e[0].ReadWriteType != "All" {
		t.Errorf("what was refused left %+v", e)
	}
}

// testTrailQuota: an account has five trails, and those of others do not count.
func testTrailQuota(t *testing.T, s *coffertest.Server) {
	p := accountOf(s, "000000000304")
	do(t, p.S3.CreateBucket, &s3.CreateBucketInput{Bucket: aws.String("trails-quota")})
	p.bucketPolicy("trails-quota", strings.ReplaceAll(strings.ReplaceAll(forTrails(p.Account, "trails-quota", ""), "StringEquals", "StringLike"), "trail/main", "trail/*"))
	create := func(name string) *cloudtrail.CreateTrailInput {
		return &cloudtrail.CreateTrailInput{Name: &name, S3BucketName: aws.String("trails-quota")}
	}
	for i := range 5 {
		do(t, p.Trails.CreateTrail, create(fmt.Sprintf("trail-%d", i)))
	}
	fails(t, p.Trails.CreateTrail, create("trail-5"), 400, "MaximumNumberOfTrailsExceededException", "User: "+p.Account+" already has 5 trails in us-east-1.")
	do(t, p.Trails.DeleteTrail, &cloudtrail.DeleteTrailInput{Name: aws.String("trail-2")})
	do(t, p.Trails.CreateTrail, create("trail-5"))
	var names []string
	for _, info := range do(t, p.Trails.ListTrails, &cloudtrail.ListTrailsInput{}).Trails {
		names = append(names, *info.Name)
	}
	if !slices.Equal(names, []string{"trail-0", "trail-1", "trail-3", "trail-4", "trail-5"}) {
		t.Errorf("lists %v", names)
	}
	if err := s.Core.IAM().DeleteAccount(t.Context(), p.Account); err == nil || !strings.Contains(err.Error(), "trail trail-0") && !strings.Contains(err.Error(), "bucket") {
		t.Errorf("an account with trails was deleted: %v", err)
	}
}

// testTrailPermissions: what users may do with trails follows their policies, by the
// trail's ARN and its tags.
func testTrailPermissions(t *testing.T, s *coffertest.Server) {
	p := accountOf(s, "000000000305")
	p.trailBucket("trails-rights", "")
	do(t, p.Trails.CreateTrail, &cloudtrail.CreateTrailInput{
		Name: aws.String("main"), S3BucketName: aws.String("trails-rights"), TagsList: []types.Tag{{Key: aws.String("team"), Value: aws.String("a")}},
	})
	arn := "arn:aws:cloudtrail:us-east-1:" + p.Account + ":trail/main"
	status := &cloudtrail.GetTrailStatusInput{Name: aws.String("main")}
	u := p.user("auditor", "")
	fails(t, u.Trails.GetTrailStatus, status, 400, "AccessDeniedException",
		"User: "+u.arn+" is not authorized to perform: cloudtrail:GetTrailStatus on resource: "+arn+" because no identity-based policy allows the cloudtrail:GetTrailStatus action")
	fails(t, u.Trails.DescribeTrails, &cloudtrail.DescribeTrailsInput{}, 400, "AccessDeniedException", "on resource: *")
	fails(t, u.Trails.LookupEvents, &cloudtrail.LookupEventsInput{}, 400, "AccessDeniedException", "cloudtrail:LookupEvents")
	// Who may do nothing does not learn whether there is a trail.
	fails(t, u.Trails.GetTrailStatus, &cloudtrail.GetTrailStatusInput{Name: aws.String("other")}, 400, "AccessDeniedException", "trail/other")

	p.may("auditor", `{"Effect":"Allow","Action":"cloudtrail:Get*","Resource":"`+arn+`"},{"Effect":"Allow","Action":"cloudtrail:StartLogging","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"a"}}},`+
		`{"Effect":"Allow","Action":"cloudtrail:AddTags","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["cost"]}}}`)
	do(t, u.Trails.GetTrailStatus, status)
	fails(t, u.Trails.GetTrailStatus, &cloudtrail.GetTrailStatusInput{Name: aws.String("other")}, 400, "AccessDeniedException", "trail/other")
	do(t, u.Trails.StartLogging, &cloudtrail.StartLoggingInput{Name: aws.String("main")})
	fails(t, u.Trails.StopLogging, &cloudtrail.StopLoggingInput{Name: aws.String("main")}, 400, "AccessDeniedException", "cloudtrail:StopLogging")
	tags := func(key string) *cloudtrail.AddTagsInput {
		return &cloudtrail.AddTagsInput{ResourceId: &arn, TagsList: []types.Tag{{Key: &key, Value: aws.String("x")}}}
	}
	do(t, u.Trails.AddTags, tags("cost"))
	fails(t, u.Trails.AddTags, tags("team"), 400, "AccessDeniedException", "cloudtrail:AddTags")

	denied := trail(s)
	for _, r := range denied {
		if r["errorCode"] == "AccessDenied" && r["eventName"] == "StopLogging" && r["userIdentity.arn"] == u.arn {
			return
		}
	}
	t.Error("the denial is not in the trail")
}
