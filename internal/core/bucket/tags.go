// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/fault"
)

// Kinds of fault of tags, on buckets and on objects.
const (
	InvalidTag  fault.Kind = "bucket: invalid tag"
	TooManyTags fault.Kind = "bucket: too many tags"
)

// CheckTags holds a tag set against S3's rules: at most limit tags, keys of 1 to
// 128 and values of up to 256 characters of the allowed kinds, no key twice, no
// key that begins with "aws:" (S3 User Guide, "Categorizing your storage using
// tags"). Faults: InvalidTag, TooManyTags.
func CheckTags(tags []Tag, limit int) error {
	if len(tags) > limit {
		what := "Object tags"
		if limit == MaxTags {
			what = "Bucket tag count"
		}
		return fault.New(TooManyTags, "%s cannot be greater than %d", what, limit)
	}
	seen := make(map[string]bool, len(tags))
	for _, t := range tags {
		switch {
		case seen[t.Key]:
			return fault.New(InvalidTag, "Cannot provide multiple Tags with the same key").With("TagKey", t.Key)
		case t.Key == "" || units(t.Key) > maxTagKey || !allowed(t.Key):
			return fault.New(InvalidTag, "The TagKey you have provided is invalid").With("TagKey", t.Key)
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			if limit == MaxTags {
				return fault.New(InvalidTag, "System tags cannot be added/updated by requester").With("TagKey", t.Key)
			}
			return fault.New(InvalidTag, "Your TagKey cannot be prefixed with aws:").With("TagKey", t.Key)
		case units(t.Value) > maxTagValue || !allowed(t.Value):
			return fault.New(InvalidTag, "The TagValue you have provided is invalid").With("TagKey", t.Key).With("TagValue", t.Value)
		}
		seen[t.Key] = true
	}
	return nil
}

// The longest key and value of a tag, in units of UTF-16.
const maxTagKey, maxTagValue = 128, 256

// units returns the length of a text in UTF-16, as S3 counts it.
func units(s string) (n int) {
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// allowed reports whether s has only letters, digits, spaces and + - = . _ : / @.
func allowed(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Zs, r) && !strings.ContainsRune("+-=._:/@", r) {
			return false
		}
	}
	return true
}
