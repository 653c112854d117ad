// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"errors"

	"github.com/cofferstore/coffer/internal/fault"
)

// Analytics is a configuration of storage class analysis (S3 API Reference,
// AnalyticsConfiguration).
type Analytics struct {
	ID     string           `json:"id"`
	Filter *Filter          `json:"filter,omitempty"`
	Export *AnalyticsExport `json:"export,omitempty"` // nil: nothing is exported
}

// AnalyticsExport says where the results go.
type AnalyticsExport struct {
	Schema  string  `json:"schema"`
	Format  string  `json:"format"`
	Account *string `json:"account,omitempty"`
	Bucket  string  `json:"bucket"` // ARN
	Prefix  *string `json:"prefix,omitempty"`
}

// ConfigurationID returns the configuration's id.
func (a Analytics) ConfigurationID() string { return a.ID }

func (Analytics) kind() DocumentKind { return "analytics" }
func (Analytics) action() string     { return "AnalyticsConfiguration" }
func (Analytics) mismatch() error    { return otherID() }

// otherID is the fault for an id that is not the document's, where S3 calls it malformed.
func otherID() error {
	return fault.New(InvalidConfiguration, "").Because(errors.New("the id is not the document's"))
}

func (a Analytics) check() error {
	if err := a.Filter.check(); err != nil || a.Export == nil {
		return err
	}
	if a.Export.Schema != "V_1" || a.Export.Format != "CSV" {
		return fault.New(InvalidConfiguration, "").Because(errors.New("unknown schema or format"))
	}
	return destination(a.Export.Bucket, a.Export.Account)
}
