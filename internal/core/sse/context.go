// SPDX-License-Identifier: Apache-2.0

package sse

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/cofferstore/coffer/internal/core/bucketkey"
	"github.com/cofferstore/coffer/internal/core/kms"
	"github.com/cofferstore/coffer/internal/fault"
)

// BadContext: a caller's encryption context is not base64 of a JSON object of
// strings, or claims pairs that are not the caller's.
const BadContext fault.Kind = "sse: bad encryption context"

// maxContext bounds the decoded context, in bytes.
const maxContext = 8 << 10

// parseContext reads the context header. An empty object is no context.
func parseContext(header string) (kms.Context, error) {
	bad := badContext(header)
	text, err := base64.StdEncoding.DecodeString(header)
	if err != nil || len(text) > maxContext || !utf8.Valid(text) {
		return nil, bad
	}
	if len(text) == 0 {
		return nil, nil
	}
	pairs, ok := flatObject(text)
	if !ok {
		return nil, bad
	}
	for k, v := range pairs {
		if k == "" || v == "" || k != arnPair && strings.HasPrefix(strings.ToLower(k), "aws:") {
			return nil, bad
		}
	}
	return pairs, nil
}

func badContext(header string) error {
	return fault.New(BadContext, "").With("ArgumentName", ContextHeader).With("ArgumentValue", header)
}

// flatObject reads a JSON object of strings, each name once. Not json.Unmarshal:
// that takes the last of two equal names, and what is authenticated must not depend
// on who reads it.
func flatObject(text []byte) (kms.Context, bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	pairs := kms.Context{}
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return nil, false
		}
		v, err := d.Token()
		value, isString := v.(string)
		if _, twice := pairs[k.(string)]; err != nil || !isString || twice {
			return nil, false
		}
		pairs[k.(string)] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, false
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, false
	}
	return pairs, true
}

// context adds the automatic pair to the caller's pairs. A caller may name it, with
// the value that it has anyway. Fault: BadContext.
func (c Choice) context(arn string) (kms.Context, error) {
	if given, named := c.Context[arnPair]; named && given != arn {
		return nil, badContext(c.ContextText)
	}
	out := make(kms.Context, len(c.Context)+1)
	for k, v := range c.Context {
		out[k] = v
	}
	out[arnPair] = arn
	return out, nil
}

// CallersContext returns the pairs that who wrote an object named for its encryption context,
// nil for none: the automatic pair is not among them. Errors: Damaged,
// bucketkey.NoGeneration, bucketkey.Damaged.
func (k *Keys) CallersContext(ctx context.Context, b bucketkey.Bucket, wrapped []byte) (kms.Context, error) {
	layers, err := parseWraps(wrapped)
	if err != nil {
		return nil, err
	}
	var pairs kms.Context
	switch w := layers.at[0]; w.source {
	case fromBucketKey:
		gen, err := k.cache.Generation(ctx, b.UID, w.ref)
		if err != nil {
			return nil, err
		}
		pairs = maps.Clone(gen.Context)
	case fromKMS:
		d, err := parseDirect(w.vary)
		if err != nil {
			return nil, fault.New(Damaged, "").Because(err)
		}
		pairs = d.context
	}
	delete(pairs, arnPair)
	if len(pairs) == 0 {
		return nil, nil
	}
	return pairs, nil
}
