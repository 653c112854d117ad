// SPDX-License-Identifier: Apache-2.0

package kmsapi

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/cofferstore/coffer/internal/aws"
	"github.com/cofferstore/coffer/internal/core/audit"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/wire/json11"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// noteOutcome adds what an operation did to its call's audit record: which keys
// and aliases it touched and with which material; of a call that failed, those
// that it named.
func (a *API) noteOutcome(ctx context.Context, c *pipeline.Call, in, out any, err error) {
	if errors.Is(err, kms.AccessDenied) {
		c.AuditParameters(nil)
	}
	var arns []string
	if t, ok := out.(kms.Toucher); ok && err == nil {
		arns = t.Touches()
	} else {
		arns = a.Keys.Touched(context.WithoutCancel(ctx), c.Caller, in)
	}
	for i, arn := range arns {
		if !slices.Contains(arns[:i], arn) {
			r := resource(arn)
			c.AuditResource(r)
			c.AuditFor(r.AccountID)
		}
	}
	if err != nil {
		return
	}
	a.Keys.NoteUse(c.Op.Name, arns, c.EventID(), c.ID)
	if d, ok := out.(kms.ScheduledDeletion); ok {
		c.AuditData("cofferDependentBuckets", d.CofferDependentBuckets)
		c.AuditData("cofferDependentObjects", d.CofferDependentObjects)
	}
	for name, id := range materialsOf(out) {
		if id != "" { // as that of an RSA key
			c.AuditData(name, id)
		}
	}
}

// answered returns responseElements: the answer, and of a grant its key, too.
func answered(out, shown any) map[string]any {
	p := parametersOf(shown)
	if g, ok := out.(kms.GrantMade); ok {
		for _, arn := range g.Touches() {
			p["keyId"] = arn
		}
	}
	return p
}

func resource(arn string) audit.Resource {
	r := audit.Resource{Type: "AWS::KMS::Key", ARN: arn}
	if parsed, ok := aws.ParseARN(arn); ok {
		r.AccountID = parsed.Account
		if strings.HasPrefix(parsed.Resource, "alias/") {
			r.Type = "AWS::KMS::Alias"
		}
	}
	return r
}

// materialsOf tells the key material that a cryptographic operation used, by the
// names of additionalEventData.
func materialsOf(out any) map[string]string {
	switch r := out.(type) {
	case kms.Encrypted:
		return map[string]string{"keyMaterialId": r.KeyMaterialId}
	case kms.Decrypted:
		return map[string]string{"keyMaterialId": r.KeyMaterialId}
	case kms.DataKey:
		return map[string]string{"keyMaterialId": r.KeyMaterialId}
	case kms.DataKeyPair:
		return map[string]string{"keyMaterialId": r.KeyMaterialId}
	case kms.ReEncrypted:
		return map[string]string{"sourceKeyMaterialId": r.SourceKeyMaterialId, "destinationKeyMaterialId": r.DestinationKeyMaterialId}
	}
	return nil
}

// withDefaults adds what a client left to KMS: CloudTrail shows it all the same.
func withDefaults(p map[string]any, in any) map[string]any {
	var defaults map[string]string
	switch in.(type) {
	case kms.Encrypt, kms.DecryptCiphertext:
		defaults = map[string]string{"encryptionAlgorithm": kms.SymmetricDefault}
	case kms.ReEncrypt:
		defaults = map[string]string{"sourceEncryptionAlgorithm": kms.SymmetricDefault, "destinationEncryptionAlgorithm": kms.SymmetricDefault}
	case kms.Sign, kms.Verify:
		defaults = map[string]string{"messageType": "RAW"}
	}
	for name, value := range defaults {
		if _, ok := p[name]; !ok {
			if p == nil {
				p = map[string]any{}
			}
			p[name] = value
		}
	}
	return p
}

// parametersOf returns the members of a request or answer as audit records have them.
// Grant tokens are left out, though they are no secret: the trail shows grants by id.
func parametersOf(message any) map[string]any {
	return json11.Parameters(message, "GrantToken", "GrantTokens")
}
