// SPDX-License-Identifier: Apache-2.0

package object

import (
	"errors"
	"fmt"

	"github.com/cofferstore/coffer/internal/core/acl"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/sse"
	"github.com/cofferstore/coffer/internal/fault"
	"github.com/cofferstore/coffer/internal/store/meta"
)

// upload is the row u/: a multipart upload under way. docs/formats.md, "CUL1".
type upload struct {
	Bucket    bucket.UID
	Key       string
	ID        versionID
	Created   int64 // ms
	Owner     string
	Initiator string // ARN
	Headers   []Header
	Tags      []bucket.Tag
	Class     string
	ACL       acl.List
	Lock      Lock     // as asked for: without a retention, the object gets the bucket's
	Checksum  Checksum // Value is unused
	Declared  bool     // the client named the checksum's algorithm
	Body      sse.Format
	Wrap      []byte // the data key, bound to the upload's descriptor
	Bind      []byte // U, sealed: binds the finished object to the data key
	PlainETag bool   // parts' ETags are their MD5 (SSE-S3)
	Default   bool   // the bucket's default chose the encryption
	// Before is the current version when the upload began, nil for none: a
	// conditional completion conflicts when it is another one by then.
	Before []byte
}

const (
	tagInitiator = 0x60
	tagBind      = 0x61
	tagUpFlags   = 0x62
	tagBefore    = 0x63
)

const (
	flagDeclared  = 1
	flagPlainETag = 2
	flagDefault   = 4
)

func (u *upload) encode() []byte {
	b := append(make([]byte, 0, 512), "CUL1"...)
	b = appendField(b, tagBucket, u.Bucket[:])
	b = appendField(b, tagKey, []byte(u.Key))
	b = appendField(b, tagVersion, u.ID.uid[:])
	b = appendUint(b, tagTime, uint64(u.ID.time))
	b = appendUint(b, tagCreated, uint64(u.Created))
	b = appendField(b, tagOwner, []byte(u.Owner))
	b = appendField(b, tagInitiator, []byte(u.Initiator))
	b = appendField(b, tagHeaders, encodeHeaders(u.Headers))
	b = appendField(b, tagTags, encodeTags(u.Tags))
	b = appendField(b, tagStorageClass, []byte(u.Class))
	b = appendField(b, tagChecksum, u.Checksum.encode())
	b = appendField(b, tagBody, encodeFormat(u.Body))
	b = appendField(b, tagWrap, u.Wrap)
	b = appendField(b, tagBind, u.Bind)
	var flags byte
	for bit, set := range map[byte]bool{flagDeclared: u.Declared, flagPlainETag: u.PlainETag, flagDefault: u.Default} {
		if set {
			flags |= bit
		}
	}
	b = appendField(b, tagUpFlags, []byte{flags})
	if u.ACL != nil {
		b = appendField(b, tagACL, encodeACL(u.ACL))
	}
	if u.Lock.given() {
		b = appendField(b, tagLock, u.Lock.encode())
	}
	return appendField(b, tagBefore, u.Before)
}

func decodeUpload(value []byte) (*upload, error) {
	u := new(upload)
	err := fields(value, "CUL1", func(tag byte, v []byte) error {
		switch tag {
		case tagBucket:
			return exactly(v, u.Bucket[:])
		case tagKey:
			u.Key = string(v)
		case tagVersion:
			return exactly(v, u.ID.uid[:])
		case tagTime:
			return readInt(v, &u.ID.time)
		case tagCreated:
			return readInt(v, &u.Created)
		case tagOwner:
			u.Owner = string(v)
		case tagInitiator:
			u.Initiator = string(v)
		case tagHeaders:
			return decodeHeaders(v, &u.Headers)
		case tagTags:
			return decodeTags(v, &u.Tags)
		case tagStorageClass:
			u.Class = string(v)
		case tagACL:
			return decodeACL(v, &u.ACL)
		case tagLock:
			return u.Lock.decode(v)
		case tagChecksum:
			return u.Checksum.decode(v)
		case tagBody:
			return decodeFormat(v, &u.Body)
		case tagWrap:
			u.Wrap = v
		case tagBind:
			u.Bind = v
		case tagUpFlags:
			if len(v) != 1 {
				return errField
			}
			u.Declared, u.PlainETag, u.Default = v[0]&flagDeclared != 0, v[0]&flagPlainETag != 0, v[0]&flagDefault != 0
		case tagBefore:
			u.Before = v
		default:
			return fmt.Errorf("unknown field %#x", tag)
		}
		return nil
	})
	if err != nil {
		return nil, fault.New(meta.Damaged, "").Because(fmt.Errorf("upload row: %w", err))
	}
	return u, nil
}

func (u *upload) row() []byte { return uploadKey(u.Bucket, u.Key, u.ID) }

// descriptor returns D of the upload, to which its data key is bound.
func (u *upload) descriptor() [32]byte {
	return uploadDescriptor(u.Bucket, u.Key, u.ID.uid, u.Body, u.Created, u.Headers, u.Owner)
}

// uploadedPart is the row up/: a part of an upload. docs/formats.md, "CUP1".
type uploadedPart struct {
	part
	ETag     string
	Stored   int64
	Modified int64  // ms
	Upload   []byte // the row of the upload, for the sweep of what it left behind
}

const (
	tagPart      = 0x70
	tagUploadRow = 0x71
)

func (p *uploadedPart) encode() []byte {
	b := append(make([]byte, 0, 256), "CUP1"...)
	b = appendField(b, tagPart, encodeParts([]part{p.part}))
	b = appendField(b, tagChecksum, p.Checksum)
	b = appendField(b, tagETag, []byte(p.ETag))
	b = appendUint(b, tagSize, uint64(p.Stored))
	b = appendUint(b, tagCreated, uint64(p.Modified))
	return appendField(b, tagUploadRow, p.Upload)
}

func decodeUploadedPart(value []byte) (*uploadedPart, error) {
	p := new(uploadedPart)
	var sum []byte
	err := fields(value, "CUP1", func(tag byte, v []byte) error {
		switch tag {
		case tagPart:
			var one []part
			if err := decodeParts(v, &one); err != nil || len(one) != 1 {
				return errors.Join(errField, err)
			}
			p.part = one[0]
		case tagChecksum:
			sum = v
		case tagETag:
			p.ETag = string(v)
		case tagSize:
			return readInt(v, &p.Stored)
		case tagCreated:
			return readInt(v, &p.Modified)
		case tagUploadRow:
			p.Upload = v
		default:
			return fmt.Errorf("unknown field %#x", tag)
		}
		return nil
	})
	p.Checksum = sum
	if err != nil {
		return nil, fault.New(meta.Damaged, "").Because(fmt.Errorf("part row: %w", err))
	}
	return p, nil
}
