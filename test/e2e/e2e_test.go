// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"testing"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// wantCode fails unless err is an API error with that status and code.
func wantCode(t testing.TB, err error, status int, code string) smithy.APIError {
	t.Helper()
	var api smithy.APIError
	var resp *smithyhttp.ResponseError
	if !errors.As(err, &api) || !errors.As(err, &resp) {
		t.Errorf("got %v, want %d %s", err, status, code)
		return nil
	}
	if resp.HTTPStatusCode() != status || api.ErrorCode() != code {
		t.Errorf("got %d %s (%s), want %d %s", resp.HTTPStatusCode(), api.ErrorCode(), api.ErrorMessage(), status, code)
	}
	return api
}
