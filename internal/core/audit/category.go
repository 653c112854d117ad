// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/json"
	"fmt"
)

// Category is what sort of event a record tells of. Unlike eventCategory it sets KMS
// events, which are of CloudTrail's category Management, apart: there are many.
type Category uint8

// The categories.
const (
	OfManagement Category = iota
	OfData
	OfKMS

	Categories // how many there are
)

// String returns its name, as in metrics and settings: management, data, kms.
func (c Category) String() string { return categories[c] }

// CategoryOf returns the category of an event by its members eventSource and
// eventCategory.
func CategoryOf(source, category string) Category {
	switch {
	case source == kmsSource:
		return OfKMS
	case category == Data:
		return OfData
	}
	return OfManagement
}

// CategoryOfLine returns the category of the event in a line of the trail. Callers choose
// values and names deep in a record, so the line is decoded, and not searched.
func CategoryOfLine(line []byte) (Category, error) {
	var r struct {
		Source   string `json:"eventSource"`
		Category string `json:"eventCategory"`
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return 0, fmt.Errorf("audit: decode record: %w", err)
	}
	return CategoryOf(r.Source, r.Category), nil
}
