// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/cofferstore/coffer/internal/core/audit"
)

// recordLine shows a record on a line: time, event, resource, encryption context,
// bucket key generation, requester, error. What a record has not is left out, but
// for the resource.
func recordLine(r audit.Record) string {
	fields := []string{r.EventTime.UTC().Format(time.RFC3339), fmt.Sprintf("%-16s", printable(r.EventName)), resources(r)}
	for _, name := range []string{"encryptionContext", "sourceEncryptionContext", "destinationEncryptionContext"} {
		if pairs, ok := r.RequestParameters[name].(map[string]any); ok && len(pairs) > 0 {
			fields = append(fields, encryptionContext(pairs))
		}
	}
	if generation, ok := r.AdditionalEventData["cofferGeneration"].(string); ok {
		fields = append(fields, "generation="+printable(generation))
	}
	fields = append(fields, "by="+requester(r.UserIdentity))
	if r.ErrorCode != "" {
		text := "error=" + printable(r.ErrorCode)
		if r.ErrorMessage != "" {
			text += ": " + printable(r.ErrorMessage)
		}
		fields = append(fields, text)
	}
	return strings.Join(fields, "  ")
}

// resources names what was touched; of an object and its bucket, the object.
func resources(r audit.Record) string {
	var arns []string
	for _, touched := range r.Resources {
		if touched.Type == "AWS::S3::Bucket" && len(arns) > 0 {
			continue
		}
		arns = append(arns, printable(touched.ARN))
	}
	if arns == nil {
		return "-"
	}
	return strings.Join(arns, ",")
}

func encryptionContext(pairs map[string]any) string {
	var shown []string
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		shown = append(shown, printable(name)+"="+printable(fmt.Sprint(pairs[name])))
	}
	return "{" + strings.Join(shown, ", ") + "}"
}

func requester(u audit.Identity) string {
	who := u.ARN
	if who == "" {
		who = u.AccountID
	}
	switch {
	case u.InvokedBy == "":
	case u.ARN == "":
		who = u.InvokedBy // it acts for itself
	default:
		who += " via " + u.InvokedBy
	}
	return printable(who)
}

// printable quotes text that would do something to a terminal or break the line:
// much of a record is what a client sent.
func printable(s string) string {
	if strings.ContainsFunc(s, func(c rune) bool { return c == unicode.ReplacementChar || !unicode.IsPrint(c) }) {
		return strconv.Quote(s)
	}
	return s
}
