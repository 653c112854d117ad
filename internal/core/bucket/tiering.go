// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"errors"
	"strconv"

	"github.com/cofferstore/coffer/internal/fault"
)

// Tiering is a configuration of S3 Intelligent-Tiering (S3 API Reference,
// IntelligentTieringConfiguration).
type Tiering struct {
	ID     string  `json:"id"`
	Filter *Filter `json:"filter,omitempty"`
	Status string  `json:"status"` // Enabled, Disabled
	Tiers  []Tier  `json:"tiers"`
}

// Tier says after how many days without access an object belongs into an archive tier.
type Tier struct {
	Access string `json:"access"`
	Days   int    `json:"days"`
}

// Bounds of the days of tiers.
const (
	minArchiveDays     = 90
	minDeepArchiveDays = 180
	maxArchiveDays     = 730
)

// ConfigurationID returns the configuration's id.
func (t Tiering) ConfigurationID() string { return t.ID }

func (Tiering) kind() DocumentKind { return "intelligent-tiering" }
func (Tiering) action() string     { return "IntelligentTieringConfiguration" }
func (Tiering) mismatch() error    { return otherID() }

func (t Tiering) check() error {
	invalid := func(why string) error {
		return fault.New(InvalidConfiguration, "").Because(errors.New(why))
	}
	if err := t.Filter.check(); err != nil {
		return err
	}
	if !oneOf(t.Status, "Enabled Disabled") || len(t.Tiers) == 0 {
		return invalid("unknown status, or no tier")
	}
	seen := map[string]bool{}
	for _, tier := range t.Tiers {
		least := minArchiveDays
		switch tier.Access {
		case "ARCHIVE_ACCESS":
		case "DEEP_ARCHIVE_ACCESS":
			least = minDeepArchiveDays
		default:
			return invalid("unknown tier")
		}
		if seen[tier.Access] {
			return invalid("a tier twice")
		}
		seen[tier.Access] = true
		if tier.Days < least || tier.Days > maxArchiveDays {
			return invalidValue("Days", strconv.Itoa(tier.Days), "The number of days for "+tier.Access+" must be between "+strconv.Itoa(least)+" and "+strconv.Itoa(maxArchiveDays)+".")
		}
	}
	return nil
}
