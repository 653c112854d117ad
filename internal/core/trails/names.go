// SPDX-License-Identifier: Apache-2.0

package trails

import (
	"regexp"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/fault"
)

// Bounds of a trail's name.
const (
	minName = 3
	maxName = 128
)

var (
	nameCharacters = regexp.MustCompile(`^[A-Za-z0-9._-]*$`)
	separators     = regexp.MustCompile(`[._-]{2}`)
	ipAddress      = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$`)
)

// checkName refuses what cannot be the name of a trail (CloudTrail API Reference,
// CreateTrail). Fault: InvalidName.
func checkName(name string) error {
	refuse := func(format string, args ...any) error { return fault.New(InvalidName, format, args...) }
	switch {
	case name == "":
		return refuse("Trail name cannot be blank.")
	case !nameCharacters.MatchString(name):
		return refuse("Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, periods (.), hyphens (-), and underscores (_).")
	case len(name) < minName:
		return refuse("Trail name too short. Minimum allowed length: %d characters. Specified name length: %d characters.", minName, len(name))
	case len(name) > maxName:
		return refuse("Trail name too long. Maximum allowed length: %d characters. Specified name length: %d characters.", maxName, len(name))
	case !alphanumeric(name[0]):
		return refuse("Trail name must starts with a letter or number.")
	case !alphanumeric(name[len(name)-1]):
		return refuse("Trail name must ends with a letter or number.")
	case separators.MatchString(name):
		return refuse("Trail name cannot have adjacent periods, underscores, or dashes.")
	case ipAddress.MatchString(name):
		return refuse("Trail name cannot be in IP address format.")
	}
	return nil
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// trailRef names a trail: where and whose it is.
type trailRef struct{ region, account, name string }

func (r trailRef) arn() string {
	return (&Trail{Account: r.account, Name: r.name}).ARN(r.region)
}

// named understands the name of a trail of the caller's account, or the ARN of any.
// Faults: InvalidName, InvalidARN.
func (s *Service) named(by iam.Caller, name string) (trailRef, error) {
	if strings.HasPrefix(name, "arn:") {
		return parseTrailARN(name)
	}
	return trailRef{s.Region, by.Account, name}, checkName(name)
}

const trailPrefix = "trail/"

func parseTrailARN(arn string) (trailRef, error) {
	a, ok := aws.ParseARN(arn)
	name, isTrail := strings.CutPrefix(a.Resource, trailPrefix)
	if !ok || a.Partition != "aws" || a.Service != "cloudtrail" || a.Region == "" || !aws.ValidAccount(a.Account) || !isTrail || checkName(name) != nil {
		return trailRef{}, fault.New(InvalidARN, "The trail ARN is not valid: %s", quoted(arn))
	}
	return trailRef{a.Region, a.Account, name}, nil
}

// quoted bounds what a stranger's text adds to a message.
func quoted(s string) string {
	if len(s) > 256 {
		return strings.ToValidUTF8(s[:256], "") + "..."
	}
	return s
}

// maxPrefix is the length of a prefix in characters.
const maxPrefix = 200

// checkPrefix refuses what cannot be before the names of delivered files. Fault:
// InvalidPrefix.
func checkPrefix(prefix string) error {
	n := 0
	for _, c := range prefix {
		n++
		if c < ' ' || c == 0x7f {
			return fault.New(InvalidPrefix, "S3 prefix contains a character that is not valid.")
		}
	}
	if n > maxPrefix {
		return fault.New(InvalidPrefix, "S3 prefix is longer than maximum length. Maximum allowed length: %d characters. Specified prefix length: %d characters.", maxPrefix, n)
	}
	if strings.HasPrefix(prefix, "/") {
		return fault.New(InvalidPrefix, "S3 prefix cannot begin with a slash.")
	}
	// A bucket's policy lets an account's trails write below AWSLogs/ACCOUNT/: another's must
	// not come there by their prefix.
	if slices.Contains(strings.Split(prefix, "/"), "AWSLogs") {
		return fault.New(InvalidPrefix, "S3 prefix cannot contain AWSLogs.")
	}
	return nil
}
