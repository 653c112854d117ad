// SPDX-License-Identifier: Apache-2.0

package iamapi

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/core/audit"
)

const unbounded = math.MaxInt

// rules are what the tag of a member says.
type rules struct {
	required    bool
	least, most int    // length or value
	each        string // of a list's elements
	pattern     string // name of one
	values      []string
	secret      bool
	encoded     bool
}

// patterns are those of IAM's and STS's service models. The text is as messages have it.
var patterns = map[string]struct {
	text string
	is   *regexp.Regexp
}{
	"name":       pattern(`[\w+=,.@-]+`),
	"path":       pattern(`(\u002F)|(\u002F[\u0021-\u007E]+\u002F)`),
	"prefix":     pattern(`\u002F[\u0021-\u007F]*`),
	"policypath": pattern(`((/[A-Za-z0-9\.,\+@=_-]+)*)/`),
	"id":         pattern(`[\w]+`),
	"document":   pattern(`[\u0009\u000A\u000D\u0020-\u00FF]+`),
	"text":       pattern(`[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*`),
	"tag":        pattern(`[\p{L}\p{Z}\p{N}_.:/=+\-@]*`),
	"external":   pattern(`[\w+=,.@:\/-]*`),
	"mfa":        pattern(`[\w+=/:,.@-]*`),
	"code":       pattern(`[\d]*`),
	"version":    pattern(`v[1-9][0-9]*(\.[A-Za-z0-9-]*)?`),
	"alias":      pattern(`[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]`),
	"hex":        pattern(`[0-9A-Fa-f]+`),
	"marker":     pattern(`[\u0020-\u00FF]+`),
	"documents":  pattern(`[\u0009\u000A\u000D\u0020-\u00FF]+`),
}

// escapes are how the models write characters, and how Go's patterns do.
var escapes = regexp.MustCompile(`\\u([0-9A-F]{4})`)

func pattern(text string) struct {
	text string
	is   *regexp.Regexp
} {
	source := strings.ReplaceAll(escapes.ReplaceAllString(text, `\x{$1}`), `(?!-)`, "")
	return struct {
		text string
		is   *regexp.Regexp
	}{text, regexp.MustCompile(`^(?:` + source + `)$`)}
}

// readRules reads a tag. One that cannot be read is a mistake of the code.
func readRules(tag string) rules {
	r := rules{most: unbounded}
	for word := range strings.FieldsSeq(tag) {
		switch {
		case word == "required":
			r.required = true
		case word == "secret":
			r.secret = true
		case word == "encoded":
			r.encoded = true
		case word[0] >= '0' && word[0] <= '9':
			r.least, r.most = readRange(word)
		case strings.HasPrefix(word, "each:"):
			r.each = strings.TrimPrefix(word, "each:")
		case strings.Contains(word, "|"):
			r.values = strings.Split(word, "|")
		default:
			if _, ok := patterns[word]; !ok {
				panic("iamapi: tag " + strconv.Quote(tag))
			}
			r.pattern = word
		}
	}
	return r
}

func readRange(word string) (least, most int) {
	from, to, _ := strings.Cut(word, "-")
	least, err := strconv.Atoi(from)
	most = unbounded
	if err == nil && to != "" {
		most, err = strconv.Atoi(to)
	}
	if err != nil {
		panic("iamapi: range " + strconv.Quote(word))
	}
	return least, most
}

func (d *decoder) text(s, path string, r rules) {
	value := shown(s)
	if r.secret {
		value = ""
	}
	d.within(utf8.RuneCountInString(s), value, path, r, "length")
	if r.pattern != "" && !patterns[r.pattern].is.MatchString(s) {
		d.refuse(path, value, "satisfy regular expression pattern: "+patterns[r.pattern].text)
	}
	if r.values != nil && !slices.Contains(r.values, s) {
		d.refuse(path, value, "satisfy enum value set: ["+strings.Join(r.values, ", ")+"]")
	}
}

// within checks a length or a value.
func (d *decoder) within(n int, value, path string, r rules, what string) {
	if n < r.least {
		d.refuse(path, value, "have "+what+" greater than or equal to "+strconv.Itoa(r.least))
	}
	if n > r.most {
		d.refuse(path, value, "have "+what+" less than or equal to "+strconv.Itoa(r.most))
	}
}

// shown bounds what a stranger's text adds to a message, which goes into the log and the
// audit record, too.
func shown(s string) string { return "'" + quoted(audit.WithoutPassword(s)) + "'" }

func lowerFirst(s string) string { return string(s[0]|0x20) + s[1:] }
