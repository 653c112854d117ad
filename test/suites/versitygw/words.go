// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"html"
	"regexp"
	"slices"
	"strings"
)

// The gateway has its own words for some errors, and its tests compare them. Here AWS's
// words, as they were recorded or are documented, become the gateway's. An answer with
// the wrong words has the wrong words afterwards, too.

// dotted are messages that the gateway ends with a full stop, and AWS does not.
var dotted = []string{
	"A header you provided implies functionality that is not implemented",
	"AWS authentication requires a valid Date or x-amz-date header",
	"Access Denied",
	"Argument max-buckets must be an integer between 1 and 10000",
	"At least one of the pre-conditions you specified did not hold",
	"Authorization header is invalid -- one and only one ' ' (space) required",
	"Object Lock configuration does not exist for this bucket",
	"Part number must be an integer between 1 and 10000, inclusive",
	"Request has expired",
	"Specifying both Canned ACLs and Header Grants is not allowed",
	"The TagSet does not exist",
	"The XML you provided was not well-formed or did not validate against our published schema",
	"The bucket ownership controls were not found",
	"The bucket policy does not exist",
	"The bucket you tried to delete is not empty",
	"The requested partnumber is not satisfiable",
	"The specified bucket does not exist",
	"The specified object does not have a ObjectLock configuration",
	"This request does not support content",
	"x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
	"Your request was missing a required header",
}

// replaced are other words of AWS and of the gateway.
var replaced = strings.NewReplacer(
	"The specified upload does not exist. The upload ID may be", "The specified multipart upload does not exist. The upload ID may be",
	"Your proposed upload exceeds the maximum allowed size", "Your proposed upload exceeds the maximum allowed object size.",
	"The Content-MD5 you specified was invalid.", "The Content-Md5 you specified is not valid.",
	"Invalid copy source encoding.", "Invalid copy source encoding",
	// The gateway says the same words twice.
	"malformed; Invalid credential date.", "malformed; The authorization header is malformed; Invalid credential date.",
)

var (
	message       = regexp.MustCompile(`<Message>([^<]*)</Message>`)
	wrongRegion   = regexp.MustCompile(`region '([^']*)' is wrong; expecting '([^']*)'`)
	algorithms    = regexp.MustCompile(`checksum Type: [a-z0-9]+|^The [a-z0-9]+ you specified did not match the calculated checksum`)
	condition     = regexp.MustCompile(`Policy Condition failed: \[.*\]`)
	mandatory     = regexp.MustCompile(`field named 'X-Amz-[A-Za-z]+'\.  If`)
	supported     = regexp.MustCompile(`valid types: \[(.*)\]$`)
	maximum       = regexp.MustCompile(`^Argument (max-(?:keys|parts|uploads)) must be an integer between 0 and 2147483647$`)
	notInteger    = regexp.MustCompile(`^Provided (part-number-marker) not an integer`)
	argument      = regexp.MustCompile(`<ArgumentValue>([^<]*)</ArgumentValue>`)
	formField     = regexp.MustCompile(`<ArgumentName>X-Amz-(Credential|Signature)</ArgumentName>`)
	lowerCaseType = regexp.MustCompile(`\b(crc32c?|crc64nvme|sha1|sha256|sha512|md5|xxhash\w+)\b`)
)

// gatewayWords rewords an error's body.
func gatewayWords(body []byte) []byte {
	body = formField.ReplaceAllFunc(body, bytes.ToLower)
	body = bytes.ReplaceAll(body, []byte("<argumentname>"), []byte("<ArgumentName>"))
	body = bytes.ReplaceAll(body, []byte("</argumentname>"), []byte("</ArgumentName>"))
	value := ""
	if m := argument.FindSubmatch(body); m != nil {
		value = html.UnescapeString(string(m[1]))
	}
	return message.ReplaceAllFunc(body, func(m []byte) []byte {
		text := html.UnescapeString(string(message.FindSubmatch(m)[1]))
		for _, d := range dotted {
			if text == d {
				text += "."
			}
		}
		text = replaced.Replace(text)
		text = wrongRegion.ReplaceAllString(text, `region "$1" is wrong; expecting "$2"`)
		text = algorithms.ReplaceAllStringFunc(text, func(s string) string {
			return lowerCaseType.ReplaceAllStringFunc(s, strings.ToUpper)
		})
		if value != "" { // the gateway has the value where AWS has the name
			text = maximum.ReplaceAllString(text, "Argument "+value+" must be an integer between 0 and 2147483647")
			text = notInteger.ReplaceAllString(text, "Provided "+value+" not an integer")
		}
		text = supported.ReplaceAllStringFunc(text, func(s string) string {
			all := strings.Split(supported.FindStringSubmatch(s)[1], ", ")
			slices.Sort(all)
			return "valid types: [" + strings.Join(all, ", ") + "]"
		})
		text = condition.ReplaceAllStringFunc(text, func(s string) string { return strings.ReplaceAll(s, `", "`, `","`) })
		text = mandatory.ReplaceAllStringFunc(text, func(s string) string {
			name, _, _ := strings.Cut(s, ".")
			return strings.ToLower(name) + ". If"
		})
		return []byte("<Message>" + html.EscapeString(text) + "</Message>")
	})
}
