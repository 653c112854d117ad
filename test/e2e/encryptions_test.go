// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// encryption is what a write of the differential test asks for. The zero value asks
// for nothing.
type encryption struct {
	sse      types.ServerSideEncryption
	key      string
	context  string // as its header has it
	bk       *bool
	customer *customer
}

func (e encryption) String() string {
	if e.customer != nil {
		return "customer's key " + *e.customer.md5
	}
	if e.sse == "" {
		return "the default"
	}
	return fmt.Sprintf("%s, key %s, context %q, bucket key %s", e.sse, e.key, e.context, shownFlag(e.bk))
}

func shownFlag(b *bool) string {
	if b == nil {
		return "unsaid"
	}
	return fmt.Sprint(*b)
}

// encryption chooses one: none as often as all others together.
func (d *differ) encryption() (e encryption) {
	if d.rnd.IntN(2) == 0 {
		return e
	}
	pick := func(of ...string) string { return of[d.rnd.IntN(len(of))] }
	switch d.rnd.IntN(4) {
	case 0:
		c := customerOf([]byte(fmt.Sprintf("customer's key, one of eight, %d", 10+d.rnd.IntN(8))))
		e.customer = &c
		return e
	case 1:
		e.sse = types.ServerSideEncryptionAes256
		return e
	case 2:
		e.sse = dsse
	default:
		e.sse = types.ServerSideEncryptionAwsKms
		e.bk = []*bool{nil, aws.Bool(true), aws.Bool(false)}[d.rnd.IntN(3)]
	}
	e.key = pick(d.keys...)
	e.context = pick("", contextHeader(`{"dept":"x"}`), contextHeader(`{"dept":"y","team":"z"}`))
	return e
}

func (e encryption) put(in *s3.PutObjectInput) {
	if e.customer != nil {
		e.customer.put(in)
	}
	in.ServerSideEncryption, in.SSEKMSKeyId, in.SSEKMSEncryptionContext, in.BucketKeyEnabled = e.sse, said(e.key), said(e.context), e.bk
}

func (e encryption) copy(in *s3.CopyObjectInput) {
	if c := e.customer; c != nil {
		in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = c.algorithm, c.key, c.md5
	}
	in.ServerSideEncryption, in.SSEKMSKeyId, in.SSEKMSEncryptionContext, in.BucketKeyEnabled = e.sse, said(e.key), said(e.context), e.bk
}

func (e encryption) create(in *s3.CreateMultipartUploadInput) {
	if c := e.customer; c != nil {
		in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = c.algorithm, c.key, c.md5
	}
	in.ServerSideEncryption, in.SSEKMSKeyId, in.SSEKMSEncryptionContext, in.BucketKeyEnabled = e.sse, said(e.key), said(e.context), e.bk
}

func said(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (e encryption) headers() (h []string) {
	if e.customer != nil {
		return e.customer.headers(customerHeader)
	}
	for name, v := range map[string]string{sseHeader: string(e.sse), keyHeader: e.key, ctxHeader: e.context} {
		if v != "" {
			h = append(h, name, v)
		}
	}
	if e.bk != nil {
		h = append(h, bkHeader, fmt.Sprint(*e.bk))
	}
	return h
}

// in returns what comes of the choice in a bucket: how an object is sealed, "" for a
// customer's key, and what answers tell of that.
func (e encryption) in(v *vault) (types.ServerSideEncryption, applied) {
	switch {
	case e.customer != nil:
		return "", applied{}
	case e.sse == "":
		return v.algorithm, v.tells
	}
	tells := applied{sse: string(e.sse), key: e.key}
	if e.sse == types.ServerSideEncryptionAwsKms {
		tells.bk = v.bucketKey
		if e.bk != nil {
			tells.bk = *e.bk
		}
	}
	return e.sse, tells
}
