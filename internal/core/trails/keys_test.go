// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/fault"
)

// lockers are the KMS keys of two accounts. None of the other's lets the service use it.
type lockers struct{}

func (lockers) Resolve(_ context.Context, by iam.Caller, name string) (string, error) {
	switch name {
	case "arn:aws:kms:us-east-1:444455556666:alias/there":
		return "arn:aws:kms:us-east-1:444455556666:key/closed", nil
	case "arn:aws:kms:us-east-1:444455556666:alias/none":
		return "", fault.New(kms.AccessDenied, "")
	}
	return name, nil
}

func (lockers) Check(_ context.Context, by iam.Caller, _ kms.Class, arn string, _ kms.Context) error {
	if strings.Contains(arn, ":444455556666:") {
		return fault.New(kms.AccessDenied, "")
	}
	return nil
}

func (lockers) Usable(_ context.Context, arn string) error {
	switch arn[strings.LastIndexByte(arn, '/')+1:] {
	case "none":
		return fault.New(kms.NotFound, "")
	case "disabled":
		return fault.New(kms.Disabled, "")
	}
	return nil
}

// Who names another account's key learns neither whether there is such a key nor its state.
func TestKeysOfOthers(t *testing.T) {
	for name, want := range map[string]error{
		"arn:aws:kms:us-east-1:" + home + ":key/open":     nil,
		"arn:aws:kms:us-east-1:" + home + ":key/none":     KeyNotFound,
		"arn:aws:kms:us-east-1:" + home + ":key/disabled": KeyDisabled,
		"arn:aws:kms:us-east-1:444455556666:key/closed":   InsufficientKeyPolicy,
		"arn:aws:kms:us-east-1:444455556666:key/none":     InsufficientKeyPolicy,
		"arn:aws:kms:us-east-1:444455556666:key/disabled": InsufficientKeyPolicy,
		"arn:aws:kms:us-east-1:444455556666:alias/there":  InsufficientKeyPolicy,
		"arn:aws:kms:us-east-1:444455556666:alias/none":   InsufficientKeyPolicy,
	} {
		s := newService()
		s.Keys = lockers{}
		in := creation("main")
		in.KmsKeyId = &name
		_, err := s.Create(t.Context(), asker, in)
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if f, ok := fault.As(err); ok && want == InsufficientKeyPolicy && f.Message != "Insufficient permissions to access S3 bucket logs or KMS key "+name+"." {
			t.Errorf("%s: %s", name, f.Message)
		}
	}
}
