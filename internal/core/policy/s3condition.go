// SPDX-License-Identifier: Apache-2.0

package policy

import "strings"

// everywhere stands for all actions of S3, anyObject for all that are done to objects.
const (
	everywhere = "*"
	anyObject  = "object"
)

// s3Conditions are the condition keys of S3 without "s3:", in lower case, and the actions
// that have them (Service Authorization Reference, as for s3Actions). Where the reference
// is known to lag behind, a key is taken for a whole kind of action. A name that ends in /
// has the name of a tag behind it.
var s3Conditions = byKey(map[string]string{
	"authtype signatureversion signatureage tlsversion resourceaccount x-amz-content-sha256 dataaccesspointarn" +
		" dataaccesspointaccount accesspointnetworkorigin accesspointtag/ buckettag/ accessgrantsinstancearn": everywhere,
	"versionid existingobjecttag/ x-amz-server-side-encryption-customer-algorithm if-match if-none-match": anyObject,
	"object-lock-mode object-lock-legal-hold object-lock-retain-until-date object-lock-remaining-retention-days": anyObject +
		" putbucketobjectlockconfiguration",
	"prefix delimiter max-keys": "listbucket listbucketversions listbucketmultipartuploads",
	"x-amz-acl x-amz-grant-read x-amz-grant-write x-amz-grant-read-acp x-amz-grant-write-acp x-amz-grant-full-control": "" +
		"createbucket putbucketacl putobject putobjectacl putobjectversionacl replicateobject",
	"x-amz-copy-source x-amz-metadata-directive x-amz-storage-class x-amz-website-redirect-location objectcreationoperation": "putobject replicateobject",
	"x-amz-server-side-encryption x-amz-server-side-encryption-aws-kms-key-id":                                               "putobject replicateobject updateobjectencryption",
	"requestobjecttag/ requestobjecttagkeys":                                                                                 "putobject putobjecttagging putobjectversiontagging replicateobject replicatetags",
	"x-amz-object-ownership":                                                                                                 "createbucket putbucketownershipcontrols",
	"locationconstraint":                                                                                                     "createbucket",
	"inventoryaccessibleoptionalfields":                                                                                      "putinventoryconfiguration",
})

func byKey(lists map[string]string) map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for keys, names := range lists {
		actions := map[string]bool{}
		for _, name := range strings.Fields(names) {
			for action, on := range s3Actions {
				if name == action || name == everywhere || name == anyObject && on == onObject {
					actions[action] = true
				}
			}
		}
		for _, key := range strings.Fields(keys) {
			all[key] = actions
		}
	}
	return all
}

// fits reports whether each S3 condition key of a bucket policy's statement is one, and one
// that each of the statement's actions has. Keys of other services are not looked at.
func (st *statement) fits() *problem {
	for i := range st.conditions {
		key, ok := strings.CutPrefix(st.conditions[i].key, "s3:")
		if !ok {
			continue
		}
		if n := strings.IndexByte(key, '/'); n >= 0 && n < len(key)-1 {
			key = key[:n+1]
		}
		having, ok := s3Conditions[key]
		if !ok {
			return &problem{conditionUnknown, st.conditions[i].written}
		}
		if st.notAction {
			continue
		}
		for j := range st.actions {
			if !st.actions[j].matchesOne(having) {
				return &problem{conditionIdle, st.conditions[i].written}
			}
		}
	}
	return nil
}

// matchesOne reports whether the pattern matches one of S3's actions.
func (a *action) matchesOne(of map[string]bool) bool {
	if !a.name.wild {
		return of[a.name.text]
	}
	for name := range of {
		if a.name.matches(name, nil) {
			return true
		}
	}
	return false
}
