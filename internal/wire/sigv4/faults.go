// SPDX-License-Identifier: Apache-2.0

package sigv4

import "github.com/cofferstore/coffer/internal/fault"

// Kinds of fault, in the order of the checks. Messages and the names of details
// are those of S3, whose clients match on them; a protocol with other words
// leaves them out.
const (
	// MissingAuthentication: nobody signed, and the service wants a signature.
	// Raised by [Result.RequireSigned] alone.
	MissingAuthentication fault.Kind = "sigv4: missing authentication"
	// MultipleAuthentication: a signature in the header and one in the query.
	MultipleAuthentication fault.Kind = "sigv4: more than one authentication mechanism"
	// UnsupportedSignature: a signature of AWS that is not verified here, such
	// as version 2 and the asymmetric 4A.
	UnsupportedSignature fault.Kind = "sigv4: unsupported signature version"
	// UnsupportedAuthorization: an Authorization header of another scheme, or
	// of none. Details ArgumentName and, when it is a scheme, ArgumentValue.
	UnsupportedAuthorization fault.Kind = "sigv4: unsupported authorization type"
	// MalformedAuthorization: the header does not parse; the message says where.
	MalformedAuthorization fault.Kind = "sigv4: malformed authorization header"
	// QueryParameters: the same of a presigned URL. The cause is [WrongRegion]
	// or [WrongService] when it is one of these.
	QueryParameters fault.Kind = "sigv4: malformed query authentication"
	// WrongService: the scope names a service that this endpoint is not.
	WrongService fault.Kind = "sigv4: wrong service"
	// WrongRegion: the scope names another region. Detail Region has ours.
	WrongRegion fault.Kind = "sigv4: wrong region"
	// MissingDate: neither X-Amz-Date nor Date tells when it was signed.
	MissingDate fault.Kind = "sigv4: missing or invalid date"
	// RequestTimeTooSkewed: signed too long ago, or in the future. Details
	// RequestTime, ServerTime, MaxAllowedSkewMilliseconds.
	RequestTimeTooSkewed fault.Kind = "sigv4: request time too skewed"
	// Expired: a presigned URL past its time. Details X-Amz-Expires, Expires,
	// ServerTime.
	Expired fault.Kind = "sigv4: expired"
	// NotYetValid: a presigned URL before its time. Details as of [Expired].
	NotYetValid fault.Kind = "sigv4: not yet valid"
	// MissingPayloadHash: no x-amz-content-sha256 where it is mandatory.
	MissingPayloadHash fault.Kind = "sigv4: missing payload hash"
	// InvalidPayloadHash: x-amz-content-sha256 is neither a SHA-256 nor a known
	// word. Details ArgumentName and ArgumentValue.
	InvalidPayloadHash fault.Kind = "sigv4: invalid payload hash"
	// UnsignedStream: a request that nobody signed says that its chunks are signed.
	UnsignedStream fault.Kind = "sigv4: signed chunks of an anonymous request"
	// UnknownAccessKey: detail AWSAccessKeyId.
	UnknownAccessKey fault.Kind = "sigv4: unknown access key"
	// HeadersNotSigned: detail HeadersNotSigned lists them.
	HeadersNotSigned fault.Kind = "sigv4: headers not signed"
	// SignatureMismatch: details AWSAccessKeyId, StringToSign,
	// SignatureProvided, StringToSignBytes and, of a request's head only,
	// CanonicalRequest and CanonicalRequestBytes, in which the values of
	// headers and parameters that carry secrets are hidden.
	SignatureMismatch fault.Kind = "sigv4: signature mismatch"
)

// Kinds of fault of a body.
const (
	// MissingContentLength: a chunked body without a valid
	// x-amz-decoded-content-length.
	MissingContentLength fault.Kind = "sigv4: missing content length"
	// IncompleteBody: cut short, of another length than announced, or not in
	// the chunked framing.
	IncompleteBody fault.Kind = "sigv4: incomplete body"
	// InvalidChunkSize: a chunk under 8 KiB before the last one. Details Chunk
	// and BadChunkSize.
	InvalidChunkSize fault.Kind = "sigv4: invalid chunk size"
	// MalformedTrailer: trailers that are not those announced, or not readable.
	MalformedTrailer fault.Kind = "sigv4: malformed trailer"
	// PayloadHashMismatch: details ClientComputedContentSHA256 and
	// S3ComputedContentSHA256.
	PayloadHashMismatch fault.Kind = "sigv4: payload hash mismatch"
)

const lengthMessage = "You did not provide the number of bytes specified by the Content-Length HTTP header"
