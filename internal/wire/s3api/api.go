// SPDX-License-Identifier: Apache-2.0

// Package s3api speaks the S3 REST API: it reads headers, query parameters and
// XML documents into core's typed requests and writes their results. It decides
// nothing.
//
// A file is a feature, named as in core: its operations, what decodes their
// requests and what encodes their results.
package s3api

import (
	"context"
	"errors"
	"net/http"

	"github.com/cofferstore/coffer/internal/core/access"
	"github.com/cofferstore/coffer/internal/core/accesslog"
	"github.com/cofferstore/coffer/internal/core/bucket"
	"github.com/cofferstore/coffer/internal/core/object"
	"github.com/cofferstore/coffer/internal/wire/pipeline"
)

// API is the S3 family's operations over core's services.
type API struct {
	Buckets *bucket.Buckets
	Objects *object.Objects
	// Access decides who may do what. nil leaves it to the road.
	Access *access.Authorizer
	// Logs is where requests on buckets that are logged are told of. nil: nowhere.
	Logs *accesslog.Log
	// Notifications takes configurations of event notifications.
	Notifications Notifier
	// Domains are the base host names of virtual-host style requests: with
	// "s3.example.com" in it, photos.s3.example.com names the bucket photos.
	Domains []string
	// WebsiteDomains are the base host names of websites: with "web.example.com" in it,
	// photos.web.example.com is the website of the bucket photos.
	WebsiteDomains []string
}

// Family returns the family. It matches every request, so it goes last.
func (a *API) Family() *pipeline.Family {
	ops := a.ops()
	f := &pipeline.Family{
		Name: "s3", Source: "s3.amazonaws.com", TellsTransport: true, Services: []string{"s3"},
		Match: func(*http.Request) bool { return true },
		Find:  a.find(newRouter(ops, a.Domains)),
		First: a.first,
		Owner: a.owner, Answering: a.answering,
		Codes: codes, Fault: renderFault, Ops: ops,
	}
	if a.Logs != nil {
		f.Answered = a.answered
	}
	if a.Access != nil {
		f.Authorize, f.Failed = a.authorize, a.failed
	}
	return f
}

// find finds a call's operation, and whether the call will be logged: it may fail as it
// likes from here on.
func (a *API) find(r *router) func(c *pipeline.Call) (*pipeline.Op, error) {
	return func(c *pipeline.Call) (*pipeline.Op, error) {
		op, err := r.find(c)
		a.watch(c)
		return op, err
	}
}

// first is what is wrong with a call whatever it is. Faults: those of signedOnly,
// bucketThere, expectedOwner and pageRequest.
func (a *API) first(ctx context.Context, c *pipeline.Call) error {
	if err := signedOnly(c); err != nil {
		return err
	}
	if err := a.bucketThere(ctx, c); err != nil {
		return err
	}
	if err := a.expectedOwner(ctx, c); err != nil {
		return err
	}
	return a.pageRequest(ctx, c)
}

// expectedOwner holds a request that says whose bucket it is for against the bucket,
// if there is one. A form says it in its fields, which are read later. Faults: bucket.WrongOwner, bucket.InvalidOwnerID.
func (a *API) expectedOwner(ctx context.Context, c *pipeline.Call) error {
	ref := bucketRef(c)
	if ref.Bucket == "" || ref.ExpectedOwner == "" || c.Form != nil {
		return nil
	}
	_, err := a.Buckets.Find(ctx, ref)
	if errors.Is(err, bucket.WrongOwner) || errors.Is(err, bucket.InvalidOwnerID) {
		return err
	}
	return nil
}

// ops is the table of everything S3 does here, feature by feature.
func (a *API) ops() []pipeline.Op {
	var ops []pipeline.Op
	for _, feature := range [][]pipeline.Op{
		a.bucketOps(), a.encryptionOps(), a.versioningOps(), a.taggingOps(), a.listOps(), a.objectLockOps(),
		a.objectOps(), a.postOps(), a.attributesOps(), a.updateEncryptionOps(), a.copyOps(), a.deleteOps(), a.multipartOps(),
		a.policyOps(), a.publicAccessOps(), a.ownershipOps(), a.aclOps(), a.loggingOps(), a.configurationsOps(), a.lifecycleOps(),
		a.corsOps(), a.preflightOps(), a.websiteOps(), a.accelerateOps(), a.paymentOps(), a.abacOps(), a.restoreOps(), a.annotationOps(), a.metadataOps(), a.replicationOps(),
		answeredOps(), a.notificationOps(),
	} {
		ops = append(ops, feature...)
	}
	return ops
}
