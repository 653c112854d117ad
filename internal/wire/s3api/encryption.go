// SPDX-License-Identifier: Apache-2.0

package s3api

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

func (a *API) encryptionOps() []pipeline.Op {
	return []pipeline.Op{
		pipeline.Define("PutBucketEncryption", 0, bucketRoute("PUT", "encryption"), decodePutEncryption, a.Buckets.PutEncryption, ok),
		pipeline.Define("GetBucketEncryption", pipeline.Read, bucketRoute("GET", "encryption"), decodeGetEncryption, a.Buckets.Encryption, encodeEncryption),
		pipeline.Define("DeleteBucketEncryption", 0, bucketRoute("DELETE", "encryption"), decodeDeleteEncryption, a.Buckets.DeleteEncryption, noContent),
	}
}

// encryptionXML is ServerSideEncryptionConfiguration. An element that is not part
// of it is refused, not passed over: a misspelt key element would quietly select
// another key than was meant.
type encryptionXML struct {
	Rules   []encryptionRuleXML `xml:"Rule"`
	Unknown []unknownXML        `xml:",any"`
}

type encryptionRuleXML struct {
	Default   []encryptionDefaultXML `xml:"ApplyServerSideEncryptionByDefault"`
	BucketKey []string               `xml:"BucketKeyEnabled"`
	Blocked   []blockedXML           `xml:"BlockedEncryptionTypes"`
	Unknown   []unknownXML           `xml:",any"`
}

type encryptionDefaultXML struct {
	Algorithm []string     `xml:"SSEAlgorithm"`
	KeyID     []string     `xml:"KMSMasterKeyID"`
	Unknown   []unknownXML `xml:",any"`
}

type blockedXML struct {
	Types   []string     `xml:"EncryptionType"`
	Unknown []unknownXML `xml:",any"`
}

// unknownXML is an element that the schema has not in this place.
type unknownXML struct{ XMLName xml.Name }

// decodePutEncryption reads the configuration. One that does not parse becomes a
// request without rules, which core refuses in the same words: S3 says first
// whether the bucket exists.
func decodePutEncryption(c *pipeline.Call) (bucket.PutEncryption, error) {
	in := bucket.PutEncryption{Ref: bucketRef(c)}
	var doc encryptionXML
	err := decodeXML(c, "ServerSideEncryptionConfiguration", &doc)
	if err == nil {
		in.Rules, err = encryptionRules(doc)
	}
	if errors.Is(err, MalformedXML) {
		return in, nil
	}
	auditEncryption(c, in.Rules)
	return in, err
}

func encryptionRules(doc encryptionXML) ([]bucket.EncryptionRule, error) {
	if err := known(doc.Unknown); err != nil {
		return nil, err
	}
	var rules []bucket.EncryptionRule
	for _, r := range doc.Rules {
		if err := known(r.Unknown); err != nil {
			return nil, err
		}
		if len(r.Default) > 1 || len(r.BucketKey) > 1 || len(r.Blocked) > 1 {
			return nil, malformedXML(errors.New("an element comes twice"))
		}
		var rule bucket.EncryptionRule
		for _, d := range r.Default {
			if err := known(d.Unknown); err != nil {
				return nil, err
			}
			if len(d.Algorithm) != 1 || len(d.KeyID) > 1 {
				return nil, malformedXML(errors.New("not one algorithm and at most one key"))
			}
			rule.Default = &bucket.DefaultEncryption{Algorithm: strings.TrimSpace(d.Algorithm[0])}
			for _, id := range d.KeyID {
				rule.Default.KeyID = strings.TrimSpace(id)
			}
		}
		for _, text := range r.BucketKey {
			on, err := xmlBool(text)
			if err != nil {
				return nil, err
			}
			rule.BucketKey = &on
		}
		for _, b := range r.Blocked {
			if err := known(b.Unknown); err != nil {
				return nil, err
			}
			rule.HasBlock = true
			for _, t := range b.Types {
				rule.Blocked = append(rule.Blocked, strings.TrimSpace(t))
			}
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

func known(unknown []unknownXML) error {
	if len(unknown) > 0 {
		return malformedXML(fmt.Errorf("unknown element %q", unknown[0].XMLName.Local))
	}
	return nil
}

// auditEncryption adds the configuration to the call's audit record: which key
// protects a bucket from now on is what such a record is read for.
func auditEncryption(c *pipeline.Call, rules []bucket.EncryptionRule) {
	if len(rules) != 1 {
		return
	}
	rule := map[string]any{}
	if d := rules[0].Default; d != nil {
		byDefault := map[string]any{"SSEAlgorithm": d.Algorithm}
		if d.KeyID != "" {
			byDefault["KMSMasterKeyID"] = d.KeyID
		}
		rule["ApplyServerSideEncryptionByDefault"] = byDefault
	}
	if on := rules[0].BucketKey; on != nil {
		rule["BucketKeyEnabled"] = *on
	}
	if rules[0].HasBlock {
		rule["BlockedEncryptionTypes"] = map[string]any{"EncryptionType": rules[0].Blocked}
	}
	auditDocument(c, "ServerSideEncryptionConfiguration", map[string]any{"Rule": rule})
}

func decodeGetEncryption(c *pipeline.Call) (bucket.GetEncryption, error) {
	return bucket.GetEncryption{Ref: bucketRef(c)}, nil
}

// encodeEncryption writes the configuration in the order in which S3 does.
func encodeEncryption(_ *pipeline.Call, e bucket.Encryption) (*pipeline.Response, error) {
	var x markup
	x.root("ServerSideEncryptionConfiguration")
	x.open("Rule")
	x.flag("BucketKeyEnabled", e.BucketKey)
	x.open("ApplyServerSideEncryptionByDefault")
	x.element("SSEAlgorithm", e.Algorithm)
	if e.KeyID != "" {
		x.element("KMSMasterKeyID", e.KeyID)
	}
	x.close("ApplyServerSideEncryptionByDefault")
	if e.BlockSSEC || e.BlockNone {
		blocked := "SSE-C"
		if e.BlockNone {
			blocked = "NONE"
		}
		x.open("BlockedEncryptionTypes")
		x.raw("EncryptionType", blocked)
		x.close("BlockedEncryptionTypes")
	}
	x.close("Rule")
	x.close("ServerSideEncryptionConfiguration")
	return xmlResponse(http.StatusOK, x.buf), nil
}

func decodeDeleteEncryption(c *pipeline.Call) (bucket.DeleteEncryption, error) {
	return bucket.DeleteEncryption{Ref: bucketRef(c)}, nil
}
