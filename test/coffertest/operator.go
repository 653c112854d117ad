// SPDX-License-Identifier: Apache-2.0

package coffertest

import (
	"net/http"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/cofferstore/coffer/internal/wire/opsapi"
)

// Operator returns a client of the operator's API.
func (s *Server) Operator() *opsapi.Client {
	return &opsapi.Client{
		Endpoint: s.URL, Region: Region, Credentials: credentials.NewStaticCredentialsProvider(AccessKeyID, SecretAccessKey, ""),
		HTTP: &http.Client{Transport: s.http},
	}
}
