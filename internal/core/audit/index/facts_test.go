// SPDX-License-Identifier: Apache-2.0

package index

import "testing"

// The resources of a record are shown before what its parameters name, wherever either is
// in the text.
func TestResourcesComeBeforeParameters(t *testing.T) {
	const (
		source     = `"eventSource":"iam.amazonaws.com"`
		parameters = `"requestParameters":{"userName":"alice"}`
		resources  = `"resources":[{"type":"AWS::IAM::Policy","ARN":"arn:aws:iam::111122223333:policy/p"}]`
	)
	for _, line := range []string{
		"{" + source + "," + parameters + "," + resources + "}",
		"{" + resources + "," + parameters + "," + source + "}",
	} {
		var f facts
		if !f.of([]byte(line)) || len(f.resources) != 2 || string(f.resources[0].kind) != "AWS::IAM::Policy" || string(f.resources[1].name) != "alice" {
			t.Errorf("%s: %q", line, f.resources)
		}
	}
}
