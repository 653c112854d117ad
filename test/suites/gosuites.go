// SPDX-License-Identifier: Apache-2.0

package main

// goSuites are the suites that are Go packages of this module. versitygw takes its
// account to be the one with this number.
var goSuites = []suite{
	{name: "minio-go", pkg: "./minio", tls: true, serve: []string{"--new-bucket-defaults", "legacy"}, minimum: 108},
	{name: "sdk-go", pkg: "./sdkgo"},
	{name: "versitygw", pkg: "./versitygw", args: []string{"s3"}, serve: []string{"--account-id", "000000000000"}, fraction: 0.95},
}
