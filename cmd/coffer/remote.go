// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"github.com/cofferstore/coffer/internal/wire/opsapi"
)

const (
	defaultEndpoint = "http://127.0.0.1:9000"
	defaultRegion   = "us-east-1"
)

// remote returns a client of the server that the AWS CLI would talk to: variables
// and profiles mean the same here.
func remote(ctx context.Context) (*opsapi.Client, error) {
	// An instance's own role cannot be an account's root, and asking for it takes
	// seconds where there is none.
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithEC2IMDSClientEnableState(imds.ClientDisabled))
	if err != nil {
		return nil, fmt.Errorf("read the AWS configuration: %w", err)
	}
	c := &opsapi.Client{
		Endpoint: aws.ToString(cfg.BaseEndpoint), Region: cfg.Region, Credentials: cfg.Credentials, HTTP: cfg.HTTPClient,
	}
	if c.Endpoint == "" {
		c.Endpoint = defaultEndpoint
	}
	if c.Region == "" {
		c.Region = defaultRegion
	}
	return c, nil
}
