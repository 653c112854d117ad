// SPDX-License-Identifier: Apache-2.0

package kms

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/fault"
)

// problems collects what is wrong with a request's members, in KMS's words, up to
// maxProblems.
// Members are named by their path, as in 'tags.1.member.tagKey'.
type problems []string

// err returns a Validation fault naming all problems, or nil.
func (p problems) err() error {
	switch len(p) {
	case 0:
		return nil
	case 1:
		return fault.New(Validation, "%s", "1 validation error detected: "+p[0])
	}
	return fault.New(Validation, "%s", strconv.Itoa(len(p))+" validation errors detected: "+strings.Join(p, "; "))
}

// maxProblems bounds a message about a list with a hundred thousand wrong members.
const maxProblems = 10

func (p *problems) add(value, member, constraint string) {
	if len(*p) == maxProblems {
		return
	}
	*p = append(*p, fmt.Sprintf("Value%s at '%s' failed to satisfy constraint: %s", value, member, constraint))
}

// quoted shows a value in a message. Long ones are left out, as binary ones are.
func quoted(value string) string {
	if len(value) > 1024 {
		return ""
	}
	return " '" + value + "'"
}

func (p *problems) present(value, member string) {
	if value == "" {
		p.add(" null", member, "Member must not be null")
	}
}

// length counts characters.
func (p *problems) length(value, member string, least, most int) {
	p.size(quoted(value), utf8.RuneCountInString(value), member, least, most)
}

// bytes checks a binary member, whose value is not shown.
func (p *problems) bytes(n int, member string, least, most int) {
	p.size("", n, member, least, most)
}

func (p *problems) size(shown string, n int, member string, least, most int) {
	if n < least {
		p.add(shown, member, "Member must have length greater than or equal to "+strconv.Itoa(least))
	}
	if n > most {
		p.add(shown, member, "Member must have length less than or equal to "+strconv.Itoa(most))
	}
}

// within checks a number; nil is absent and right.
func (p *problems) within(value *int, member string, least, most int) {
	if value == nil {
		return
	}
	if *value < least {
		p.add(quoted(strconv.Itoa(*value)), member, "Member must have value greater than or equal to "+strconv.Itoa(least))
	}
	if *value > most {
		p.add(quoted(strconv.Itoa(*value)), member, "Member must have value less than or equal to "+strconv.Itoa(most))
	}
}

// oneOf checks an enumeration; "" is absent and right.
func (p *problems) oneOf(value, member string, set []string) {
	if value != "" && !slices.Contains(set, value) {
		p.add(quoted(value), member, "Member must satisfy enum value set: ["+strings.Join(set, ", ")+"]")
	}
}

func (p *problems) matches(value, member string, pattern *regexp.Regexp) {
	if !pattern.MatchString(value) {
		shown := strings.TrimSuffix(strings.TrimPrefix(pattern.String(), "^"), "$")
		p.add(quoted(value), member, "Member must satisfy regular expression pattern: "+shown)
	}
}

// keyID checks a reference to a key that must be there.
func (p *problems) keyID(value, member string) {
	p.present(value, member)
	p.length(value, member, 0, 2048)
}

func (p *problems) grantTokens(tokens []string) {
	if len(tokens) > 10 {
		p.size("", len(tokens), "grantTokens", 0, 10)
	}
	for i, token := range tokens {
		p.bytes(len(token), fmt.Sprintf("grantTokens.%d.member", i+1), 1, 8192)
	}
}

// page checks the members of paging.
func (p *problems) page(limit *int, marker string) {
	p.within(limit, "limit", 1, 1000)
	if marker != "" {
		p.length(marker, "marker", 1, 1024)
	}
}

// Enumerations, in the order of the service model.
var (
	keySpecs = []string{
		"RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1",
		"SYMMETRIC_DEFAULT", "HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512", "SM2", "ML_DSA_44", "ML_DSA_65", "ML_DSA_87",
		"ECC_NIST_EDWARDS25519",
	}
	keyUsages            = []string{"SIGN_VERIFY", "ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"}
	origins              = []string{"AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"}
	dataKeySpecs         = []string{"AES_256", "AES_128"}
	encryptionAlgorithms = []string{"SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE"}
	signingAlgorithms    = []string{
		"RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_384", "RSASSA_PSS_SHA_512", "RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384",
		"RSASSA_PKCS1_V1_5_SHA_512", "ECDSA_SHA_256", "ECDSA_SHA_384", "ECDSA_SHA_512", "SM2DSA", "ML_DSA_SHAKE_256", "ED25519_SHA_512",
		"ED25519_PH_SHA_512",
	}
	dataKeyPairSpecs = []string{
		"RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1", "SM2", "ECC_NIST_EDWARDS25519",
	}
	agreementAlgorithms = []string{"ECDH"}
	macAlgorithms       = []string{"HMAC_SHA_224", "HMAC_SHA_256", "HMAC_SHA_384", "HMAC_SHA_512"}
	messageTypes        = []string{rawMessage, digestMessage, externalMu}
	wrappingAlgorithms  = []string{"RSAES_PKCS1_V1_5", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256", "SM2PKE"}
	wrappingKeySpecs    = []string{"RSA_2048", "RSA_3072", "RSA_4096", "SM2"}
	expirationModels    = []string{materialExpires, materialStays}
	importTypes         = []string{newMaterial, existingMaterial}
	dryRunModifiers     = []string{"IGNORE_CIPHERTEXT"}
	materialFilters     = []string{"ALL_KEY_MATERIAL", "ROTATIONS_ONLY"}
)
