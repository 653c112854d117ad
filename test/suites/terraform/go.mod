module github.com/cofferstore/coffer/test/suites/terraform

go 1.16

// The newest release of Terraform's provider for AWS that can be had as a Go module. Its SDK is from early 2019:
// what it sends and leaves out is what old clients do.
require (
	github.com/hashicorp/terraform v0.12.29 // its own speaks a protocol that Terraform has forgotten
	github.com/terraform-providers/terraform-provider-aws v1.60.0
)

replace (
	github.com/aws/aws-sdk-go => github.com/aws/aws-sdk-go v1.17.0 // that of the provider, not that of Terraform
	github.com/terraform-providers/terraform-provider-aws => github.com/hashicorp/terraform-provider-aws v1.60.0
)
