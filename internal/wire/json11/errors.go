// SPDX-License-Identifier: Apache-2.0

package json11

import (
	"maps"

	"github.com/cofferstore/coffer/internal/core/iam"
	"github.com/cofferstore/coffer/internal/store/meta"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
	"github.com/cofferstore/coffer/internal/wire/sigv4"
)

// Texts that several rows share.
const (
	badSignature = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	expired      = "Signature expired or not yet valid: compare the client's clock with the server's."
	unknownKey   = "The security token included in the request is invalid."
)

// Codes returns how a service names errors: those of its own, and those of the protocol,
// of signatures and of the road, which all services of the protocol name alike. In the
// audit trail a refusal has no "Exception", as on AWS; see Fault.
func Codes(own pipeline.Codes) pipeline.Codes {
	all := maps.Clone(common)
	maps.Copy(all, own)
	return all
}

var common = pipeline.Codes{
	UnknownOperation:               pipeline.As(400, "UnknownOperationException", ""),
	Malformed:                      pipeline.As(400, "SerializationException", ""),
	sigv4.MissingAuthentication:    pipeline.As(400, "MissingAuthenticationTokenException", "Missing Authentication Token"),
	sigv4.MultipleAuthentication:   pipeline.As(400, "InvalidSignatureException", ""),
	sigv4.UnsupportedSignature:     pipeline.As(400, "IncompleteSignatureException", ""),
	sigv4.UnsupportedAuthorization: pipeline.As(400, "IncompleteSignatureException", ""),
	sigv4.MalformedAuthorization:   pipeline.As(400, "IncompleteSignatureException", ""),
	sigv4.QueryParameters:          pipeline.As(400, "IncompleteSignatureException", ""),
	sigv4.FormFields:               pipeline.As(400, "IncompleteSignatureException", ""),
	sigv4.WrongService:             pipeline.As(400, "InvalidSignatureException", ""),
	sigv4.WrongRegion:              pipeline.As(400, "InvalidSignatureException", ""),
	sigv4.MissingDate:              pipeline.As(400, "IncompleteSignatureException", ""),
	sigv4.RequestTimeTooSkewed:     pipeline.As(400, "InvalidSignatureException", expired),
	sigv4.Expired:                  pipeline.As(400, "InvalidSignatureException", expired),
	sigv4.NotYetValid:              pipeline.As(400, "InvalidSignatureException", expired),
	sigv4.MissingPayloadHash:       pipeline.As(400, "InvalidSignatureException", badSignature),
	sigv4.InvalidPayloadHash:       pipeline.As(400, "InvalidSignatureException", badSignature),
	sigv4.UnsignedStream:           pipeline.As(400, "InvalidSignatureException", badSignature),
	sigv4.UnknownAccessKey:         pipeline.As(400, "UnrecognizedClientException", unknownKey),
	sigv4.HeadersNotSigned:         pipeline.As(400, "InvalidSignatureException", ""),
	sigv4.SignatureMismatch:        pipeline.As(400, "InvalidSignatureException", badSignature),
	sigv4.MissingContentLength:     pipeline.As(400, "SerializationException", ""),
	sigv4.IncompleteBody:           pipeline.As(400, "SerializationException", ""),
	sigv4.InvalidChunkSize:         pipeline.As(400, "SerializationException", ""),
	sigv4.MalformedTrailer:         pipeline.As(400, "SerializationException", ""),
	sigv4.PayloadHashMismatch:      pipeline.As(400, "InvalidSignatureException", badSignature),
	iam.NoSuchAccessKey:            pipeline.As(400, "UnrecognizedClientException", unknownKey),
	iam.ExpiredToken:               pipeline.As(400, "ExpiredTokenException", "The security token included in the request is expired"),
	iam.InvalidToken:               pipeline.As(400, "UnrecognizedClientException", unknownKey),
	iam.AccessDenied:               pipeline.As(400, "AccessDenied", ""),
	pipeline.BodyTooLarge:          pipeline.As(413, "RequestEntityTooLargeException", "The request body is too large."),
	pipeline.HeadTooLarge:          pipeline.As(413, "RequestEntityTooLargeException", "The request headers are too large."),
	pipeline.InvalidURI:            pipeline.As(400, "MalformedHttpRequestException", "The request target is malformed."),
	pipeline.SlowClient:            pipeline.As(408, "RequestTimeoutException", "The request body was not received in time."),
	pipeline.NoRoom:                pipeline.As(503, "ServiceUnavailable", "The server is short of storage."),
	meta.Full:                      pipeline.As(503, "ServiceUnavailable", "The server is short of storage."),
}
