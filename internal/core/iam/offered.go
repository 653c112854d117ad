// SPDX-License-Identifier: Apache-2.0

package iam

import "time"

// offeredPolicies are the managed policies that every account has, by ARN. Their texts
// are Coffer's own; what they allow is what those of AWS with these names allow of what
// there is here.
var offeredPolicies = offer(
	offered{"AdministratorAccess", "Everything.", `"*"`},
	offered{"ReadOnlyAccess", "Reading everything in S3, KMS, IAM and CloudTrail.",
		`["s3:Get*","s3:List*","kms:Describe*","kms:Get*","kms:List*","cloudtrail:Describe*","cloudtrail:Get*","cloudtrail:List*","cloudtrail:LookupEvents","iam:Get*","iam:List*","iam:Simulate*","iam:GenerateServiceLastAccessedDetails","sts:Get*"]`},
	offered{"AmazonS3FullAccess", "Everything in S3.", `["s3:*"]`},
	offered{"AmazonS3ReadOnlyAccess", "Reading everything in S3.", `["s3:Get*","s3:List*","s3:Describe*"]`},
	offered{"AWSKeyManagementServicePowerUser", "Making and describing KMS keys, but not using them.",
		`["kms:CreateAlias","kms:CreateKey","kms:DeleteAlias","kms:Describe*","kms:GenerateRandom","kms:Get*","kms:List*","kms:TagResource","kms:UntagResource","iam:ListGroups","iam:ListRoles","iam:ListUsers"]`},
	offered{"AWSCloudTrail_FullAccess", "Everything in CloudTrail, and making the bucket and naming the key that trails deliver to.",
		`["cloudtrail:*","s3:CreateBucket","s3:PutBucketPolicy","s3:GetBucketPolicy","s3:GetBucketLocation","s3:ListAllMyBuckets","kms:ListAliases","kms:ListKeys"]`},
	offered{"AWSCloudTrail_ReadOnlyAccess", "Reading everything in CloudTrail.",
		`["cloudtrail:Describe*","cloudtrail:Get*","cloudtrail:List*","cloudtrail:LookupEvents"]`},
	offered{"IAMFullAccess", "Everything in IAM.", `["iam:*"]`},
	offered{"IAMReadOnlyAccess", "Reading everything in IAM.", `["iam:Get*","iam:List*","iam:Simulate*","iam:GenerateServiceLastAccessedDetails"]`},
)

type offered struct{ name, description, actions string }

// offeredBy is the account part of their ARNs.
const offeredBy = "aws"

func offer(all ...offered) map[string]*managed {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	out := make(map[string]*managed, len(all))
	for _, o := range all {
		p := &managed{
			Version: formatOfRows, Account: offeredBy, ID: offeredID(o.name), Name: o.name, Path: "/",
			Created: at, Updated: at, Description: o.description, Default: 1, Last: 1,
			Versions: []policyVersion{{Number: 1, Created: at,
				Text: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":` + o.actions + `,"Resource":"*"}]}`}},
		}
		out[p.arn()] = p
	}
	return out
}

// offeredID makes a unique id that is the same everywhere.
func offeredID(name string) string {
	id := prefixPolicy
	for _, c := range canonicalID("policy/" + name)[:17] {
		id += string(idAlphabet[(c*7)%36])
	}
	return id
}
