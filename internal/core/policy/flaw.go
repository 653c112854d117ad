// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"strings"

	"github.com/cofferstore/coffer/internal/fault"
)

// flaw is what is wrong with a document.
type flaw uint8

const (
	fine flaw = iota
	notJSON
	brokenJSON // it begins as an object
	syntax
	unknownElement
	missing      // an element that the kind's statements must have
	noStatements // an empty list of them
	version
	effect
	sid
	sidTwice
	principalForbidden
	principalInvalid
	notPrincipalAllowed // NotPrincipal with Allow, or where it may not be
	actionNone
	actionBare
	actionColons
	actionVendor
	actionName
	actionTrust
	actionIdle // no resource of the statement is of the action's type
	resourceNone
	resourceForm
	resourcePartition
	resourceService
	resourceForeign
	resourceForbidden
	operatorUnknown
	conditionUnknown
	conditionAddress // no address where one must be
	conditionIdle    // an action of the statement does not have the key
	variableInvalid
	tooPermissive
)

// problem is a flaw and what has it.
type problem struct {
	flaw flaw
	what string
}

// The services' texts, in which %s is what has the flaw. A flaw that a service has no
// text of its own for gets its general one.
var (
	iamTexts = map[flaw]string{
		sidTwice:           "Statement IDs (SID) in a single policy must be unique.",
		principalForbidden: "Policy document should not specify a principal.",
		actionNone:         "Policy statement must contain actions.",
		actionBare:         "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
		actionColons:       "Actions/Condition can contain only one colon.",
		actionVendor:       "Vendor %s is not valid",
		resourceNone:       "Policy statement must contain resources.",
		resourceForm:       `Resource %s must be in ARN format or "*".`,
		resourcePartition:  `Partition "%s" is not valid for resource "%s".`,
		resourceService:    "Resource vendor must be fully qualified and cannot contain regexes.",
		effect:             "The policy failed legacy parsing",
		variableInvalid:    "The policy failed legacy parsing",
	}
	trustTexts = map[flaw]string{
		principalInvalid:    "Invalid principal in policy: %s",
		noStatements:        "Could not parse the policy: Statement is empty!",
		notPrincipalAllowed: "Has prohibited field NotPrincipal.",
		resourceForbidden:   "Has prohibited field %s.",
		actionTrust:         "AssumeRole policy may only specify STS AssumeRole actions.",
		missing:             "Missing required field %s",
	}
	bucketTexts = map[flaw]string{
		notJSON:           "Policies must be valid JSON and the first byte must be '{'",
		brokenJSON:        "This policy contains invalid Json",
		noStatements:      "Could not parse the policy: Statement is empty!",
		conditionAddress:  "Invalid IP address in Conditions",
		unknownElement:    "Unknown field %s",
		missing:           "Missing required field %s",
		version:           "The policy must contain a valid version string",
		effect:            "Invalid effect: %s",
		sidTwice:          "Statement IDs (SID) in a single policy must be unique.",
		principalInvalid:  "Invalid principal in policy",
		actionNone:        "Missing required field Action",
		actionBare:        "Policy has invalid action",
		actionColons:      "Policy has invalid action",
		actionVendor:      "Policy has invalid action",
		actionName:        "Policy has invalid action",
		actionIdle:        "Action does not apply to any resource(s) in statement",
		resourceNone:      "Missing required field Resource",
		resourceForm:      "Policy has invalid resource",
		resourcePartition: "Policy has invalid resource",
		resourceService:   "Policy has invalid resource",
		resourceForeign:   "Policy has invalid resource",
		operatorUnknown:   "Invalid Condition type : %s",
		conditionUnknown:  "Policy has an invalid condition key",
		conditionIdle:     "Conditions do not apply to combination of actions and resources in statement",
	}
	keyTexts = map[flaw]string{
		version:             "Policy has an unknown version.",
		missing:             "Policy must contain a statement.",
		noStatements:        "Policy must contain a statement.",
		effect:              "Policy statement must have an effect of Allow or Deny.",
		sidTwice:            iamTexts[sidTwice],
		principalForbidden:  "Policy statement must contain either a principal or a NotPrincipal.",
		principalInvalid:    "Policy contains a statement with one or more invalid principals.",
		notPrincipalAllowed: "Policy statement must have an effect of Deny when using NotPrincipal.",
		actionBare:          iamTexts[actionBare],
		actionColons:        iamTexts[actionBare],
		actionVendor:        iamTexts[actionBare],
		actionName:          iamTexts[actionBare],
		resourceForm:        iamTexts[resourceForm],
		resourcePartition:   iamTexts[resourceForm],
		resourceService:     iamTexts[resourceForm],
		tooPermissive:       "OverlyPermissiveCondition: %s also allows requests without it.",
	}
)

// fault is the problem in the words of the kind's service.
func (p *problem) fault(kind Kind) error {
	tables, general := []map[flaw]string{iamTexts}, "Syntax errors in policy."
	switch kind {
	case Trust:
		tables = []map[flaw]string{trustTexts, iamTexts}
	case Bucket:
		tables, general = []map[flaw]string{bucketTexts}, "Invalid policy syntax."
	case Key:
		tables = []map[flaw]string{keyTexts}
	}
	text := general
	for _, t := range tables {
		if s, ok := t[p.flaw]; ok {
			text = s
			break
		}
	}
	what := p.what
	if len(what) > 2048 {
		what = strings.ToValidUTF8(what[:2048], "")
	}
	if p.flaw == resourcePartition && strings.Count(text, "%s") == 2 {
		partition, _, _ := strings.Cut(strings.TrimPrefix(what, "arn:"), ":")
		text = fmt.Sprintf(text, partition, what)
	} else {
		text = strings.Replace(text, "%s", what, 1)
	}
	return fault.New(Malformed, "%s", text)
}
