// SPDX-License-Identifier: Apache-2.0

package preflight

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/cofferstore/coffer/internal/fault"
)

// FuzzFiles: a file is read, or refused with its name and a line; what is read can be
// looked through; and an edited document still is what the old one was, with values more.
func FuzzFiles(f *testing.F) {
	policy := keyed("Allow", uses, on("StringLike", "photos/*")).Text
	whole, _ := json.Marshal(policy)
	f.Add(uint(0), policy)
	f.Add(uint(0), `{"KeyId":"`+key1+`","Policy":`+string(whole)+`}`)
	f.Add(uint(1), `{"Policy":`+string(whole)+`}`)
	f.Add(uint(2), `{"UserDetailList":[{"UserName":"a","Arn":"arn:aws:iam::111122223333:user/a","GroupList":["g"],"UserPolicyList":[{"PolicyName":"p","PolicyDocument":`+policy+`}],"PermissionsBoundary":{"PermissionsBoundaryArn":"arn:aws:iam::aws:policy/B"}}]}`)
	f.Add(uint(2), `{"GroupDetailList":[{"GroupName":"g","Arn":"arn:aws:iam::111122223333:group/g"}],"Policies":[{"Arn":"p","PolicyVersionList":[{"IsDefaultVersion":true,"Document":"%7B%22Statement%22%3A%5B%5D%7D"}]}]}`)
	f.Add(uint(3), `{"Grants":[{"KeyId":"k","GranteePrincipal":"a","Operations":["Decrypt"],"Constraints":{"EncryptionContextEquals":{"aws:s3:arn":"arn:aws:s3:::photos/a"}}}]}`)
	f.Add(uint(4), `{"Policy":{"PolicySummary":{"Name":"n"},"Content":`+string(whole)+`}}`)
	f.Add(uint(0), "{\"Statement\":[{\"Effect\":\"Deny\",\"Condition\":{\"StringNotLike\":{\"kms:EncryptionContext:aws:s3:arn\":[]}}}],\n\"x\":1e400}")
	f.Fuzz(func(t *testing.T, dir uint, text string) {
		var files Files
		where := Directories[dir%uint(len(Directories))]
		if err := files.Add(where, "f.json", text); err != nil {
			malformed, ok := fault.As(err)
			if !ok || malformed.Kind != Malformed || !strings.HasPrefix(malformed.Message, where+"/f.json: line ") {
				t.Fatalf("%q is refused with %v", text, err)
			}
			return
		}
		r := run(t, files.Input("photos", ""))
		if len(files.documents) != r.Looked.Documents && where != IAM { // of managed policies one is looked at for each use
			t.Fatalf("%q is read and cannot be looked through: %+v", text, r.Warnings)
		}
		for _, e := range r.Edited {
			before := slices.IndexFunc(files.documents, func(d Document) bool { return d.Name == e.Policy })
			old, oldErr := parseTree(files.documents[before].Text)
			edited, err := parseTree(string(e.Text))
			if err != nil || oldErr != nil || !extends(old, edited) {
				t.Fatalf("%q is edited to %q: %v", text, e.Text, err)
			}
		}
	})
}

// extends reports whether a tree has all of another one, in its order, and more only at
// the end of lists.
func extends(old, edited *node) bool {
	if old.kind != '[' && edited.kind == '[' && len(edited.values) > 1 {
		return extends(old, edited.values[0])
	}
	if old.kind != edited.kind || old.text != edited.text || !slices.Equal(old.names, edited.names) || len(old.values) > len(edited.values) {
		return false
	}
	for i, v := range old.values {
		if !extends(v, edited.values[i]) {
			return false
		}
	}
	return true
}

// FuzzPattern compares the questions about all texts with single ones.
func FuzzPattern(f *testing.F) {
	f.Add("photos/*", "a")
	f.Add("pho?os/?*", "b/c")
	f.Add("*", "")
	f.Fuzz(func(t *testing.T, pattern, key string) {
		if len(pattern) > 100 || len(key) > 100 || key == "" {
			return
		}
		p := parsePattern(pattern, false, false)
		one := matches(p, "photos/"+key, false)
		if one && !matchesSome(p, "photos/") {
			t.Errorf("%q matches %q, and no text", pattern, key)
		}
		if !one && matchesAll(p, "photos/") {
			t.Errorf("%q does not match %q, and every text", pattern, key)
		}
	})
}
